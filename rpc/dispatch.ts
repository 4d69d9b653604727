import { setTimeout as sleep } from "node:timers/promises";
import { checkJson, JsonError, parseChecked } from "../lib/json.ts";
import type { Log } from "../lib/log.ts";
import type { Account } from "../lib/spending.ts";
import type { Turns } from "../lib/turns.ts";
import type { ClientAccount } from "./clients.ts";
import {
  INTERNAL,
  INVALID_REQUEST,
  invalidParams,
  LIMIT_EXCEEDED,
  NO_METHOD,
  PARSE,
  REFUSED,
  RpcError,
  TOO_LARGE,
  toRpcError,
} from "./errors.ts";
import { createMeter, type Meter } from "./meter.ts";
import type { Tenant } from "./room.ts";
import type { Parser } from "./values.ts";
import { writeJson } from "./write-json.ts";

/** A connection that stays open; subscriptions need one. */
export interface Connection {
  /** Sends a notification; false once it is closed. */
  send(message: string): boolean;
  /** Runs when the connection ends. */
  onClose(run: () => void): void;
}

/** Who calls, and on what terms. */
export interface Caller {
  readonly connection?: Connection | undefined;
  /** Pays for what its calls compute. */
  readonly account: ClientAccount;
  /** Takes memory for an answer until it is sent; false where so much is not left. */
  readonly hold: (bytes: number) => boolean;
  /** May have the node keep something for it. */
  readonly mayStore: boolean;
}

/** What a method learns of its call. */
export interface Call {
  readonly connection: Connection | undefined;
  /** Who calls; the same object for all calls of one client. */
  readonly client: Tenant;
  /** Waits for this call's turn of the thread, as Turns has it: to be asked about every millisecond of work. */
  readonly turn: () => Promise<void>;
  /** Takes memory for so many bytes until the call is answered: for what it keeps between turns. Throws RpcError -32003. */
  readonly hold: (bytes: number) => void;
}

/** One RPC method. */
export interface Method {
  run(params: readonly unknown[], call: Call): unknown;
}
/** Methods by name. */
export type Methods = Readonly<Record<string, Method>>;

/** Methods that take of the operator's disk: not for web pages that the operator has not named. */
export const STORING_METHODS: readonly string[] = [
  "rolec_pin",
  "rolec_unpin",
  "rolec_keepPins",
  "rolec_releasePins",
  "rolec_placeOrder",
  "rolec_putLotReceipts",
];

type Values<P extends readonly Parser<unknown>[]> = { [K in keyof P]: P[K] extends Parser<infer T> ? T : never };

/** Makes a method of its parameters' parsers, in order. Too many parameters are refused. */
export const method = <const P extends readonly Parser<unknown>[]>(
  parsers: P,
  run: (args: Values<P>, call: Call) => unknown,
): Method => ({
  run: (params, call) => {
    if (params.length > parsers.length) invalidParams(`too many arguments, want at most ${parsers.length}`);
    return run(parsers.map((parser, i) => parser(params[i], `argument ${i}`)) as Values<P>, call);
  },
});

export interface DispatchOptions {
  readonly methods: Methods;
  readonly log: Log;
  /** Each call waits for its turn, whatever connection or batch it comes in. */
  readonly turns: Turns;
  /** Items of one batch at most. */
  readonly maxBatch: number;
  /** Milliseconds after which the rest of a batch is refused. */
  readonly maxBatchMs: number;
  /** Milliseconds of the thread that one call may take. */
  readonly maxCallMs: number;
  /** Characters of one answer at most. */
  readonly maxResponse: number;
  /** Milliseconds that a call waits at most where its caller has spent too much. */
  readonly maxWaitMs: number;
}

const [OPEN, COMMA, CLOSE, END] = ["[", ",", "]", "}"].map((text) => Buffer.from(text)) as [
  Buffer,
  Buffer,
  Buffer,
  Buffer,
];

/** An answer in pieces: a large one is nowhere in one. */
export type Answer = readonly Buffer[];
export const bytesOf = (answer: Answer): number => answer.reduce((sum, { length }) => sum + length, 0);

type Id = string | number | null;
const error = (id: Id, { code, message, data }: RpcError): string =>
  JSON.stringify({ jsonrpc: "2.0", id, error: data === undefined ? { code, message } : { code, message, data } });

const errorOf = (id: Id, failure: RpcError): Answer => [Buffer.from(error(id, failure))];

/** The refusal of a caller who has spent too much, before anything is read. */
export const limitExceeded = (waitMs: number, id: Id = null): string =>
  error(id, new RpcError(LIMIT_EXCEEDED, `limit exceeded: try again in ${Math.ceil(waitMs / 1_000)} s`));

/** Waits until an account may spend, up to `maxWaitMs`. Gives the milliseconds that it still has to wait, 0 where none. */
export const untilAllowed = async (account: Account, maxWaitMs: number): Promise<number> => {
  const waitMs = account.waitMs();
  if (waitMs === 0 || waitMs > maxWaitMs) return waitMs;
  await sleep(waitMs, undefined, { ref: false });
  return 0;
};

/** Makes what answers JSON-RPC 2.0 text: a request, a batch or neither. Gives undefined where nothing is to be sent. */
export const createDispatch = (options: DispatchOptions) => {
  const { methods, log, turns, maxResponse } = options;

  /** Waits for a turn that its account may have. Gives the milliseconds that are too long to wait, 0 where it has come. */
  const begin = async (account: Account, meter: Meter): Promise<number> => {
    for (let waitedMs = 0; ; ) {
      await meter.turn();
      // Others of the account may have spent meanwhile: they may have come all at once.
      const waitMs = account.waitMs();
      if (waitMs === 0) return 0;
      meter.stop();
      waitedMs += waitMs;
      if (waitedMs > options.maxWaitMs) return waitMs;
      await sleep(waitMs, undefined, { ref: false });
    }
  };

  const one = async (request: unknown, caller: Caller, meter: Meter): Promise<Answer | undefined> => {
    if (typeof request !== "object" || request === null || Array.isArray(request))
      return errorOf(null, new RpcError(INVALID_REQUEST, "invalid request: not an object"));
    const { jsonrpc, method: name, params, id: given } = request as Record<string, unknown>;
    const isNotification = given === undefined;
    const idIsGood = given === null || typeof given === "string" || typeof given === "number";
    const id: Id = idIsGood ? given : null;
    const answer = (failure: RpcError): Answer | undefined => (isNotification ? undefined : errorOf(id, failure));
    if (!isNotification && !idIsGood) return errorOf(null, new RpcError(INVALID_REQUEST, "invalid request: bad id"));
    if (jsonrpc !== "2.0" || typeof name !== "string")
      return errorOf(id, new RpcError(INVALID_REQUEST, 'invalid request: want jsonrpc "2.0" and a method'));
    const found = Object.hasOwn(methods, name) ? methods[name] : undefined;
    if (!found)
      return answer(new RpcError(NO_METHOD, `the method ${name.slice(0, 80)} does not exist/is not available`));
    try {
      if (params !== undefined && params !== null && !Array.isArray(params)) invalidParams("non-array args");
      if (!caller.mayStore && STORING_METHODS.includes(name))
        throw new RpcError(REFUSED, `${name} is not for pages of an origin that is not named by --rpc-origin`);
      const waitMs = await begin(caller.account, meter);
      if (waitMs > 0) return isNotification ? undefined : [Buffer.from(limitExceeded(waitMs, id))];
      const { connection } = caller;
      const hold = (bytes: number): void => {
        if (!caller.hold(bytes)) throw new RpcError(TOO_LARGE, "too many answers wait to be taken: try again");
      };
      const running = meter.run((turn) =>
        found.run((params ?? []) as unknown[], { connection, client: caller.account, turn, hold }),
      );
      const result = running instanceof Promise ? await running : running;
      if (isNotification) return undefined;
      const written = writeJson(result ?? null, { turn: meter.turn, hold, maxChars: maxResponse });
      const pieces = Array.isArray(written) ? written : await written;
      return [Buffer.from(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":`), ...pieces, END];
    } catch (thrown) {
      const known = toRpcError(thrown);
      if (known) return answer(known);
      log.error({ err: thrown, method: name }, "RPC method failed");
      return answer(new RpcError(INTERNAL, "internal error"));
    } finally {
      meter.stop();
    }
  };

  const answerTo = async (body: Uint8Array, caller: Caller, meter: Meter): Promise<Answer | undefined> => {
    let request: unknown;
    try {
      const waitMs = await begin(caller.account, meter);
      if (waitMs > 0) return [Buffer.from(limitExceeded(waitMs))];
      checkJson(body);
      await meter.turn();
      request = parseChecked(body);
    } catch (thrown) {
      if (!(thrown instanceof JsonError)) throw thrown;
      return errorOf(null, new RpcError(PARSE, `parse error: ${thrown.message}`));
    } finally {
      meter.stop();
    }
    if (!Array.isArray(request)) return one(request, caller, meter);
    if (request.length === 0) return errorOf(null, new RpcError(INVALID_REQUEST, "empty batch"));
    if (request.length > options.maxBatch)
      return errorOf(null, new RpcError(INVALID_REQUEST, `batch of ${request.length}, at most ${options.maxBatch}`));
    const parts: Buffer[] = [];
    let size = 0;
    const add = (answer: Answer): void => {
      parts.push(parts.length === 0 ? OPEN : COMMA, ...answer);
      size += bytesOf(answer);
    };
    const started = performance.now();
    for (const item of request) {
      const isLate = performance.now() - started > options.maxBatchMs;
      if (isLate || size > maxResponse) {
        const id = (item as { id?: unknown } | null)?.id;
        const reason = isLate ? "the batch takes too long: ask for less at a time" : "response too large";
        if (typeof id === "string" || typeof id === "number") add(errorOf(id, new RpcError(TOO_LARGE, reason)));
        continue;
      }
      const answer = await one(item, caller, meter);
      if (answer !== undefined) add(answer);
    }
    return parts.length === 0 ? undefined : [...parts, CLOSE];
  };

  return (body: Uint8Array, caller: Caller): Promise<Answer | undefined> =>
    answerTo(body, caller, createMeter(turns, caller.account, options.maxCallMs));
};
