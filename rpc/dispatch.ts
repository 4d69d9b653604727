import type { Log } from "../lib/log.ts";
import type { Turns } from "../lib/turns.ts";
import {
  INTERNAL,
  INVALID_REQUEST,
  invalidParams,
  NO_METHOD,
  PARSE,
  RpcError,
  TOO_LARGE,
  toRpcError,
} from "./errors.ts";
import type { Parser } from "./values.ts";

/** Who calls; subscriptions need one that can be written to. */
export interface Connection {
  /** Sends a notification; false once it is closed. */
  send(message: string): boolean;
  /** Runs when the connection ends. */
  onClose(run: () => void): void;
}

/** One RPC method. */
export interface Method {
  run(params: readonly unknown[], connection: Connection | undefined): unknown;
}
/** Methods by name. */
export type Methods = Readonly<Record<string, Method>>;

type Values<P extends readonly Parser<unknown>[]> = { [K in keyof P]: P[K] extends Parser<infer T> ? T : never };

/** Makes a method of its parameters' parsers, in order. Too many parameters are refused. */
export const method = <const P extends readonly Parser<unknown>[]>(
  parsers: P,
  run: (args: Values<P>, connection: Connection | undefined) => unknown,
): Method => ({
  run: (params, connection) => {
    if (params.length > parsers.length) invalidParams(`too many arguments, want at most ${parsers.length}`);
    return run(parsers.map((parser, i) => parser(params[i], `argument ${i}`)) as Values<P>, connection);
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
  /** Characters of one answer at most. */
  readonly maxResponse: number;
}

type Id = string | number | null;
const error = (id: Id, { code, message, data }: RpcError): string =>
  JSON.stringify({ jsonrpc: "2.0", id, error: data === undefined ? { code, message } : { code, message, data } });

/** Makes what answers JSON-RPC 2.0 text: a request, a batch or neither. Gives undefined where nothing is to be sent. */
export const createDispatch = (options: DispatchOptions) => {
  const { methods, log, turns } = options;

  const one = async (request: unknown, connection: Connection | undefined): Promise<string | undefined> => {
    if (typeof request !== "object" || request === null || Array.isArray(request))
      return error(null, new RpcError(INVALID_REQUEST, "invalid request: not an object"));
    const { jsonrpc, method: name, params, id: given } = request as Record<string, unknown>;
    const isNotification = given === undefined;
    const idIsGood = given === null || typeof given === "string" || typeof given === "number";
    const id: Id = idIsGood ? given : null;
    const answer = (failure: RpcError): string | undefined => (isNotification ? undefined : error(id, failure));
    if (!isNotification && !idIsGood) return error(null, new RpcError(INVALID_REQUEST, "invalid request: bad id"));
    if (jsonrpc !== "2.0" || typeof name !== "string")
      return error(id, new RpcError(INVALID_REQUEST, 'invalid request: want jsonrpc "2.0" and a method'));
    const found = Object.hasOwn(methods, name) ? methods[name] : undefined;
    if (!found)
      return answer(new RpcError(NO_METHOD, `the method ${name.slice(0, 80)} does not exist/is not available`));
    try {
      if (params !== undefined && params !== null && !Array.isArray(params)) invalidParams("non-array args");
      await turns.turn();
      const result = await found.run((params as unknown[] | undefined | null) ?? [], connection);
      return isNotification ? undefined : JSON.stringify({ jsonrpc: "2.0", id, result: result ?? null });
    } catch (thrown) {
      const known = toRpcError(thrown);
      if (known) return answer(known);
      log.error({ err: thrown, method: name }, "RPC method failed");
      return answer(new RpcError(INTERNAL, "internal error"));
    }
  };

  return async (text: string, connection?: Connection): Promise<string | undefined> => {
    let request: unknown;
    try {
      request = JSON.parse(text);
    } catch {
      return error(null, new RpcError(PARSE, "parse error: not JSON"));
    }
    if (!Array.isArray(request)) return one(request, connection);
    if (request.length === 0) return error(null, new RpcError(INVALID_REQUEST, "empty batch"));
    if (request.length > options.maxBatch)
      return error(null, new RpcError(INVALID_REQUEST, `batch of ${request.length}, at most ${options.maxBatch}`));
    const answers: string[] = [];
    let size = 0;
    const started = performance.now();
    for (const item of request) {
      const isLate = performance.now() - started > options.maxBatchMs;
      if (isLate || size > options.maxResponse) {
        const id = (item as { id?: unknown } | null)?.id;
        const reason = isLate ? "the batch takes too long: ask for less at a time" : "response too large";
        if (typeof id === "string" || typeof id === "number") answers.push(error(id, new RpcError(TOO_LARGE, reason)));
        continue;
      }
      const answer = await one(item, connection);
      if (answer !== undefined) {
        answers.push(answer);
        size += answer.length;
      }
    }
    return answers.length === 0 ? undefined : `[${answers.join(",")}]`;
  };
};
