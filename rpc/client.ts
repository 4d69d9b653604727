import { WebSocket } from "ws";
import { gather } from "../lib/byte-source.ts";
import { JSON_OF_ANY_LENGTH, parseJson } from "../lib/json.ts";

/** A node answered with an error. `data` is what came with it, e.g. the bytes of a revert. */
export class RpcCallError extends Error {
  override readonly name = "RpcCallError";
  readonly code: number;
  readonly data: unknown;

  constructor(code: number, message: string, data: unknown) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

/** A call of a batch. */
export interface BatchItem {
  readonly method: string;
  readonly params: readonly unknown[];
}

export interface RpcClient {
  /** Calls a method. Throws RpcCallError with what the node says, or an Error where there is no answer. */
  call(method: string, params?: readonly unknown[]): Promise<unknown>;
  /** Calls many in one request; an item that fails is an RpcCallError in its place. */
  batch(items: readonly BatchItem[]): Promise<unknown[]>;
  /**
   * Follows a subscription (`["newHeads"]`, `["logs", filter]`) over WebSocket, and again after the node was away:
   * what happened meanwhile is missed. Resolves once it is followed; call what it gives to end.
   */
  subscribe(params: readonly unknown[], onEvent: (result: unknown) => void): Promise<() => void>;
}

export interface RpcClientOptions {
  /** Milliseconds for one request. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 30_000;
const RECONNECT_MS = 500;
/** More than any answer of a node. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

interface Answer {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: { code: number; message: string; data?: unknown };
}

const resultOf = (answer: Answer): unknown => {
  if (answer.error) throw new RpcCallError(answer.error.code, answer.error.message, answer.error.data);
  return answer.result;
};

/** Makes a client of a node's JSON-RPC at an http:// or https:// URL. */
export const rpcClient = (url: string, options: RpcClientOptions = {}): RpcClient => {
  let lastId = 0;
  const post = async (body: unknown): Promise<unknown> => {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS),
    }).catch((error: Error) => {
      throw new Error(`no answer from ${url}: ${(error.cause as Error | undefined)?.message ?? error.message}`);
    });
    const fail = (what: string): never => {
      throw new Error(`${url} answered ${response.status} ${what}`);
    };
    const bytes = await gather(response.body, MAX_ANSWER_BYTES).catch((error: Error) => fail(error.message));
    try {
      return parseJson(bytes, JSON_OF_ANY_LENGTH);
    } catch {
      return fail(new TextDecoder().decode(bytes.subarray(0, 200)));
    }
  };
  return {
    call: async (method, params = []) =>
      resultOf((await post({ jsonrpc: "2.0", id: ++lastId, method, params })) as Answer),
    batch: async (items) => {
      if (items.length === 0) return [];
      const first = lastId + 1;
      lastId += items.length;
      const answers = await post(items.map((item, i) => ({ jsonrpc: "2.0", id: first + i, ...item })));
      if (!Array.isArray(answers)) resultOf(answers as Answer);
      const byId = new Map((answers as Answer[]).map((answer) => [answer.id, answer]));
      return items.map((_, i) => {
        const answer = byId.get(first + i);
        if (!answer) return new RpcCallError(-32603, "no answer to this item", undefined);
        return answer.error
          ? new RpcCallError(answer.error.code, answer.error.message, answer.error.data)
          : answer.result;
      });
    },
    subscribe: (params, onEvent) => follow(url.replace(/^http/, "ws"), params, onEvent),
  };
};

type Message = Answer & { readonly params?: { readonly subscription?: unknown; readonly result?: unknown } };
/** Reads what came by WebSocket; undefined where it is no message. */
const messageOf = (text: Uint8Array): Message | undefined => {
  try {
    const message = parseJson(text, JSON_OF_ANY_LENGTH);
    return typeof message === "object" && message !== null ? (message as Message) : undefined;
  } catch {
    return undefined;
  }
};

const follow = (url: string, params: readonly unknown[], onEvent: (result: unknown) => void): Promise<() => void> => {
  let socket: WebSocket;
  let ended = false;
  let timer: NodeJS.Timeout | undefined;
  const stop = () => {
    ended = true;
    clearTimeout(timer);
    socket.terminate();
  };
  return new Promise((resolve, reject) => {
    let followed = false;
    const connect = () => {
      let subscription: unknown;
      socket = new WebSocket(url, { maxPayload: MAX_ANSWER_BYTES, perMessageDeflate: false });
      socket.on("open", () => socket.send(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_subscribe", params })));
      socket.on("message", (text) => {
        const message = messageOf(text as Buffer);
        if (!message) return socket.terminate();
        if (message.id === 1) {
          try {
            subscription = resultOf(message);
          } catch (error) {
            stop();
            reject(error);
            return;
          }
          followed = true;
          resolve(stop);
        } else if (followed && message.params?.subscription === subscription) onEvent(message.params?.result);
      });
      socket.on("error", (error) => {
        // the first connection tells its caller; later ones are tried again
        if (!followed && !ended) {
          ended = true;
          reject(new Error(`no answer from ${url}: ${error.message}`));
        }
      });
      socket.on("close", () => {
        if (!ended) timer = setTimeout(connect, RECONNECT_MS);
      });
    };
    connect();
  });
};
