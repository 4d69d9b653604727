import type { Subject, Troubles } from "../../lib/trouble.ts";
import { createSearch } from "./search.ts";
import type { WorkSource } from "./source.ts";

export interface MinerOptions {
  readonly source: WorkSource;
  readonly threads: number;
  readonly memoryBytes: number;
  readonly say: (line: string) => void;
  readonly troubles: Troubles;
  /** Milliseconds between two lines about the rate. */
  readonly reportMs: number;
}

/** What a miner has done. */
export interface MinerStats {
  readonly hashes: number;
  readonly accepted: number;
  readonly refused: number;
}

export interface Miner {
  readonly stats: MinerStats;
  /** Resolves when searching cannot go on. */
  readonly failed: Promise<Error>;
  stop(): Promise<void>;
}

const FAREWELL_MS = 2_000;
const HANDING: Subject = { fails: "a share is not handed in", works: "shares are handed in again" };
const RATE: Subject = { fails: "the rate is not told", works: "the rate is told again" };

/** Writes a rate of hashes a second. */
const rateText = (rate: number): string =>
  rate >= 1e6
    ? `${(rate / 1e6).toFixed(2)} MH/s`
    : rate >= 1e3
      ? `${(rate / 1e3).toFixed(2)} kH/s`
      : `${rate.toFixed(0)} H/s`;

/** Starts a miner: searches for the source's work and hands in what it finds. */
export const startMiner = ({ source, threads, memoryBytes, say, troubles, reportMs }: MinerOptions): Miner => {
  let [accepted, refused] = [0, 0];
  let fail: (error: Error) => void;
  const failed = new Promise<Error>((resolve) => {
    fail = resolve;
  });
  const underWay = new Set<Promise<void>>();
  const search = createSearch({
    threads,
    memoryBytes,
    onState: say,
    onError: (error) => fail(error),
    onFound: (job, found) => {
      const handed = source
        .submit(job, found)
        .then(({ isAccepted, reason }) => {
          troubles.works(HANDING);
          if (isAccepted) accepted += 1;
          else refused += 1;
          say(isAccepted ? `share ${found.nonce} accepted` : `share ${found.nonce} refused: ${reason}`);
        })
        .catch((error: Error) => void troubles.fails(HANDING, error))
        .finally(() => underWay.delete(handed));
      underWay.add(handed);
    },
  });
  let [lastHashes, lastMs] = [0, performance.now()];
  const report = setInterval(() => {
    const hashes = search.hashes();
    const rate = ((hashes - lastHashes) * 1000) / (performance.now() - lastMs);
    [lastHashes, lastMs] = [hashes, performance.now()];
    if (rate === 0) return;
    say(`${rateText(rate)}, ${accepted} accepted, ${refused} refused`);
    source.report(rate).then(
      () => troubles.works(RATE),
      (error: Error) => troubles.fails(RATE, error),
    );
  }, reportMs);
  source.start(search.set);
  return {
    get stats() {
      return { hashes: search.hashes(), accepted, refused };
    },
    failed,
    stop: async () => {
      clearInterval(report);
      await search.stop();
      // What was found last still counts.
      await Promise.race([Promise.all(underWay), new Promise((resolve) => setTimeout(resolve, FAREWELL_MS).unref())]);
      source.stop();
    },
  };
};
