import { randomBytes } from "node:crypto";
import type { Engine } from "../consensus/engine.ts";
import { targetOf } from "../consensus/shares.ts";
import { type Address, type Hash, type Hex, isHex, uint64 } from "../lib/bytes.ts";
import { parseJson } from "../lib/json.ts";
import { keccak256 } from "../lib/keccak.ts";
import type { Log } from "../lib/log.ts";
import { forgetOldest } from "../lib/lru.ts";
import { RuleError } from "../lib/rule-error.ts";
import { RpcError } from "./errors.ts";
import { createLineServer, type LineClient, type LineHandler, type LineServer } from "./line-server.ts";
import { hash } from "./values.ts";
import { type Job, nonce as nonceOf, packJob, rate as rateOf, type WorkDesk } from "./work.ts";

/** Bounds of the Stratum server. */
export const STRATUM_LIMITS = {
  maxConnections: 256,
  maxConnectionsOfAddress: 64,
  maxConnectionsOfLoopback: 192,
  maxLineBytes: 4_096,
  linesPerSecond: 64,
  idleMs: 600_000,
  maxUnsentBytes: 256 * 1024,
  /** A connection has so long to say who it is. */
  loginMs: 30_000,
  /** Answers that were wrong one after the other end a connection. */
  maxFaults: 32,
  /** Jobs that a connection may still answer: the window of 32 blocks. */
  maxJobs: 32,
} as const;

export interface StratumOptions {
  readonly engine: Pick<Engine, "on">;
  readonly desk: WorkDesk;
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly log: Log;
  readonly limits?: Partial<Record<keyof typeof STRATUM_LIMITS, number>>;
}

/** An error of the Stratum mining protocol, by its number. */
class StratumError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}
const OTHER = 20;
const NO_JOB = 21;
const DUPLICATE = 22;
const LOW_DIFFICULTY = 23;
const UNAUTHORIZED = 24;
const NOT_SUBSCRIBED = 25;

/** Stratum's numbers for rules that a share breaks. */
const CODES: Readonly<Record<string, number>> = {
  "share-known": DUPLICATE,
  "share-target": LOW_DIFFICULTY,
  "share-stale": NO_JOB,
  "share-unfit": UNAUTHORIZED,
};

const PROTOCOL = "EthereumStratum/1.0.0";
/** The target of difficulty 1, as EthereumStratum has it from Bitcoin. */
const TARGET_OF_ONE = 0xffffn << 208n;

/** Gives EthereumStratum's difficulty of a target, a little more than exact: a miner's rounding never makes it easier. */
export const stratumDifficulty = (target: bigint): number =>
  (Number((TARGET_OF_ONE << 64n) / target + 1n) / 2 ** 64) * (1 + 2 ** -40);

const bare = (hex: Hex): string => hex.slice(2);
const fail = (code: number, message: string): never => {
  throw new StratumError(code, message);
};
const text = (value: unknown): string => (typeof value === "string" && value.length <= 256 ? value : "");

/**
 * Makes a Stratum server: EthereumStratum/1.0.0, and the older form of eth-proxy, told apart by what a client says first.
 * Each connection searches with an extraNonce of its own. A user that is an address names the validator to work for.
 */
export const createStratum = (options: StratumOptions): LineServer => {
  const { engine, desk, log } = options;
  const limits = { ...STRATUM_LIMITS, ...options.limits };
  const secret = randomBytes(32);
  let connections = 0;
  const clients = new Set<{ renew(): void }>();

  const attend = (client: LineClient): LineHandler => {
    const number = connections++;
    const extraNonce: Hash = keccak256(secret, uint64(number));
    const name: Hex = extraNonce;
    /** The nonce's first two bytes: clients expect some, though each has a seal of its own. */
    const prefix = (number % 65_536).toString(16).padStart(4, "0");
    const jobs = new Map<string, Job>();
    let subscribed = false;
    let beneficiary: Address | undefined;
    let form: "stratum" | "proxy" | undefined;
    let difficulty: number | undefined;
    let lastJob = 0;
    let faults = 0;
    const login = setTimeout(() => {
      if (!form) client.end(refusal("no login in time"));
    }, limits.loginMs);

    const say = (message: unknown): void => client.send(JSON.stringify(message));
    const keep = (id: string, job: Job): void => {
      jobs.set(id, job);
      forgetOldest(jobs, limits.maxJobs);
    };
    const newJob = (): Job => desk.job(extraNonce, beneficiary);
    const packed = (): readonly string[] => {
      const job = newJob();
      keep(job.seal, job);
      return packJob(job);
    };
    const notify = (): void => {
      const job = newJob();
      const next = stratumDifficulty(targetOf(job.difficulty));
      if (next !== difficulty) say({ id: null, method: "mining.set_difficulty", params: [next] });
      difficulty = next;
      const id = (++lastJob).toString(16);
      keep(id, job);
      say({ id: null, method: "mining.notify", params: [id, bare(job.seed), bare(job.seal), true] });
    };
    const me = {
      renew: (): void => {
        try {
          if (form === "stratum") notify();
          else if (form === "proxy") say({ id: 0, jsonrpc: "2.0", result: packed() });
        } catch (error) {
          log.debug({ error: (error as Error).message }, "no work for a miner");
        }
      },
    };
    clients.add(me);

    /** The validator that a user names: `0x<address>` or `0x<address>.<worker>`; the node's own for any other name. */
    const enter = (user: unknown, as: typeof form): void => {
      const named = text(user).split(".")[0]!.toLowerCase();
      beneficiary = isHex(named, 20) ? named : undefined;
      // Tells at once where nobody could earn.
      newJob();
      form = as;
      clearTimeout(login);
    };
    const submit = async (job: Job | undefined, nonce: Hex, mixHash?: Hash): Promise<true> => {
      if (!job) return fail(NO_JOB, "job not found");
      await desk.submit(job, nonce, mixHash);
      return true;
    };

    const methods: Record<string, (params: readonly unknown[]) => unknown> = {
      "mining.subscribe": ([, protocol]) => {
        if (protocol !== undefined && protocol !== null && protocol !== PROTOCOL)
          fail(OTHER, `only ${PROTOCOL} is spoken`);
        subscribed = true;
        return [["mining.notify", bare(name).slice(0, 16), PROTOCOL], prefix];
      },
      "mining.extranonce.subscribe": () => true,
      "mining.authorize": ([user]) => {
        if (!subscribed) fail(NOT_SUBSCRIBED, "not subscribed");
        enter(user, "stratum");
        // After the answer, which is sent once this has returned.
        setImmediate(() => me.renew());
        return true;
      },
      "mining.submit": ([, id, rest]) => {
        if (form !== "stratum") fail(UNAUTHORIZED, "unauthorized worker");
        const digits = text(rest).replace(/^0x/, "");
        if (!/^[0-9a-fA-F]{12}$/.test(digits)) fail(OTHER, `a nonce has 12 hex digits after the extranonce ${prefix}`);
        return submit(jobs.get(text(id)), `0x${prefix}${digits.toLowerCase()}`);
      },
      eth_submitLogin: ([user]) => {
        enter(user, "proxy");
        return true;
      },
      eth_getWork: () => {
        if (form !== "proxy") fail(UNAUTHORIZED, "eth_submitLogin comes first");
        return packed();
      },
      eth_submitWork: ([nonce, seal, mix]) => {
        if (form !== "proxy") fail(UNAUTHORIZED, "eth_submitLogin comes first");
        return submit(jobs.get(hash(seal, "seal")), nonceOf(nonce, "nonce"), hash(mix, "mix"));
      },
      eth_submitHashrate: ([rate]) => {
        if (!form) fail(UNAUTHORIZED, "eth_submitLogin comes first");
        desk.report(name, rateOf(rate, "rate"));
        return true;
      },
    };

    const errorOf = (error: unknown): StratumError | undefined => {
      if (error instanceof StratumError) return error;
      if (error instanceof RpcError) return new StratumError(OTHER, error.message);
      if (error instanceof RuleError) return new StratumError(CODES[error.code] ?? OTHER, error.message);
      return undefined;
    };
    const answer = async (line: string): Promise<void> => {
      let parsed: unknown;
      try {
        parsed = parseJson(line);
      } catch (error) {
        return client.end(refusal((error as Error).message));
      }
      if (typeof parsed !== "object" || parsed === null) return client.end(refusal("not a request"));
      const request: { id?: unknown; method?: unknown; params?: unknown; jsonrpc?: unknown } = parsed;
      const id = typeof request.id === "number" || typeof request.id === "string" ? request.id : null;
      const version = request.jsonrpc === "2.0" ? { jsonrpc: "2.0" } : {};
      try {
        const method = text(request.method);
        const run = Object.hasOwn(methods, method)
          ? methods[method]!
          : fail(OTHER, `no such method: ${method.slice(0, 80)}`);
        const result = await run(Array.isArray(request.params) ? request.params : []);
        if (method.startsWith("mining.submit") || method === "eth_submitWork") faults = 0;
        say({ id, ...version, result, error: null });
      } catch (thrown) {
        const error = errorOf(thrown);
        if (!error) throw thrown;
        // eth-proxy's clients know errors of JSON-RPC alone.
        const told =
          "jsonrpc" in version ? { code: error.code, message: error.message } : [error.code, error.message, null];
        say({ id, ...version, result: null, error: told });
        if (++faults >= limits.maxFaults) client.end(refusal("too many errors"));
      }
    };
    return {
      onLine: answer,
      onClose: () => {
        clearTimeout(login);
        clients.delete(me);
      },
    };
  };
  const refusal = (reason: string): string => JSON.stringify({ id: null, result: null, error: [OTHER, reason, null] });

  const server = createLineServer({ ...options, limits, refusal, attend });
  let unsubscribe: (() => void) | undefined;
  return {
    start: async () => {
      const port = await server.start();
      unsubscribe = engine.on("head", () => {
        for (const each of clients) each.renew();
      });
      return port;
    },
    stop: async () => {
      unsubscribe?.();
      await server.stop();
    },
  };
};
