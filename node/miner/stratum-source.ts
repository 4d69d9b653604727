import { connect, type Socket } from "node:net";
import { type EthashEpoch, ethashEpoch, seedHash } from "../../consensus/ethash/sizes.ts";
import type { Hash } from "../../lib/bytes.ts";
import { parseJson } from "../../lib/json.ts";
import type { SearchJob } from "./search.ts";
import type { WorkSource } from "./source.ts";

/** Ethereum's starting sizes. */
const ETHEREUM = { ethashCacheBytes: 2 ** 24, ethashDatasetBytes: 2 ** 30 };
const MAX_EPOCH = 4_096;
const MAX_LINE = 64 * 1024;
const RECONNECT_MS = 2_000;
const ANSWER_MS = 20_000;
const TARGET_OF_ONE = 0xffffn << 208n;

/** The target of EthereumStratum's difficulty: that of 1 is 0xffff * 2^208, as Bitcoin's. */
const targetOf = (difficulty: number): bigint =>
  (TARGET_OF_ONE * 2n ** 80n) / BigInt(Math.max(1, Math.ceil(difficulty * 2 ** 80)));

/** Finds the epoch of a seed. Up to some thousand hashes. */
export const epochOfSeed = (seed: Hash): number => {
  for (let epoch = 0; epoch < MAX_EPOCH; epoch++) if (seedHash(epoch) === seed) return epoch;
  throw new Error(`the seed ${seed} is of no Ethash epoch up to ${MAX_EPOCH}`);
};

interface Answer {
  readonly id?: unknown;
  readonly method?: unknown;
  readonly params?: readonly unknown[];
  readonly result?: unknown;
  readonly error?: readonly unknown[] | { readonly message?: string } | null;
}

export interface StratumSourceOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Gives an epoch's sizes; Ethereum's where it is left out, since Stratum tells none. */
  readonly sizes?: ((epoch: number) => Promise<EthashEpoch>) | undefined;
  readonly onTrouble: (reason: string) => void;
  /** Told of each job that comes. */
  readonly onWork?: () => void;
}

/** Takes work by EthereumStratum/1.0.0. */
export const stratumSource = (options: StratumSourceOptions): WorkSource => {
  const names = new WeakMap<SearchJob, { readonly id: string; readonly prefix: string }>();
  const sizes = options.sizes ?? (async (number: number) => ethashEpoch(number, ETHEREUM));
  let socket: Socket | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let lastId = 0;
  const waiting = new Map<number, (answer: Answer) => void>();

  const call = (method: string, params: readonly unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const id = ++lastId;
      const late = setTimeout(() => settle({ error: { message: "no answer" } }), ANSWER_MS);
      const settle = ({ result, error }: Answer): void => {
        clearTimeout(late);
        waiting.delete(id);
        if (!error) {
          resolve(result);
          return;
        }
        const reason = Array.isArray(error) ? error[1] : (error as { message?: string }).message;
        reject(new Error(String(reason)));
      };
      waiting.set(id, settle);
      socket?.write(`${JSON.stringify({ id, method, params })}\n`);
    });

  const open = (onJob: (job: SearchJob) => void): void => {
    let rest = "";
    let prefix = "";
    let difficulty = 1;
    let epoch: EthashEpoch | undefined;
    let seed: string | undefined;
    const fail = (reason: string): void => void socket?.destroy(new Error(reason));
    const notify = async ([id, ofEpoch, seal]: readonly unknown[]): Promise<void> => {
      if (!epoch || seed !== ofEpoch) epoch = await sizes(epochOfSeed(`0x${ofEpoch}`));
      seed = String(ofEpoch);
      const job: SearchJob = { seal: `0x${seal}`, target: targetOf(difficulty), epoch, prefix };
      names.set(job, { id: String(id), prefix });
      options.onWork?.();
      if (!stopped) onJob(job);
    };
    const take = (line: string): void => {
      const message = parseJson(line) as Answer;
      const settle = typeof message.id === "number" ? waiting.get(message.id) : undefined;
      if (settle) settle(message);
      else if (message.method === "mining.set_difficulty") difficulty = Number(message.params?.[0]);
      else if (message.method === "mining.notify")
        notify(message.params ?? []).catch((error: Error) => fail(error.message));
    };
    const enter = async (): Promise<void> => {
      const subscribed = (await call("mining.subscribe", ["rolec/0.1", "EthereumStratum/1.0.0"])) as [unknown, string];
      prefix = subscribed[1].replace(/^0x/, "");
      await call("mining.authorize", [options.user, "x"]);
    };
    socket = connect(options.port, options.host, () => {
      enter().catch((error: Error) => fail(error.message));
    });
    socket.setEncoding("utf8");
    socket.on("data", (chunk) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      if (rest.length > MAX_LINE) return fail("a line is too long");
      try {
        for (const line of lines) if (line.trim() !== "") take(line);
      } catch (error) {
        fail((error as Error).message);
      }
    });
    let reason = "the connection ended";
    socket.on("error", (error) => {
      reason = error.message;
    });
    socket.on("close", () => {
      for (const settle of waiting.values()) settle({ error: { message: reason } });
      if (stopped) return;
      options.onTrouble(reason);
      timer = setTimeout(() => open(onJob), RECONNECT_MS);
    });
  };

  return {
    start: open,
    submit: async (job, found) => {
      const { id, prefix } = names.get(job)!;
      try {
        await call("mining.submit", [options.user, id, found.nonce.slice(2 + prefix.length)]);
        return { isAccepted: true };
      } catch (error) {
        return { isAccepted: false, reason: (error as Error).message };
      }
    },
    // This form has no message for it.
    report: async () => undefined,
    stop: () => {
      stopped = true;
      clearTimeout(timer);
      socket?.destroy();
    },
  };
};
