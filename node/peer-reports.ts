import { forgetOldest } from "../lib/lru.ts";
import type { StatusReport } from "../p2p/sync.ts";

/** What peers said lately of their heads and clocks. It is believed in what a node tells its operator, and in nothing else. */
export interface PeerReports {
  add(report: StatusReport): void;
  /** The number of the highest head that a peer claims. */
  highest(): number;
  /** By how many ms at least this node's clock is ahead of its peers': the median, and of how many. Undefined without peers. */
  clock(): { readonly aheadMs: number; readonly peers: number } | undefined;
  /** Forgets everything, when this node's clock was set. */
  clear(): void;
}

const MAX_PEERS = 128;
const FRESH_MS = 300_000;

interface Kept {
  readonly atMs: number;
  readonly head: number;
  readonly aheadMs: number | undefined;
}

/** How far a clock is ahead of a peer's for certain: the peer read its own at any moment between question and answer. */
const surelyAhead = ({ askedAtMs, answeredAtMs }: StatusReport, clockMs: number): number => {
  if (askedAtMs > clockMs) return askedAtMs - clockMs;
  return Math.min(0, answeredAtMs - clockMs);
};

/** The middle one; of two in the middle the smaller, so that half of the peers convince nobody. */
const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1]!, sorted[sorted.length >> 1]!];
  return Math.abs(low) < Math.abs(high) ? low : high;
};

/** Makes an empty memory of reports; `now` in ms. */
export const createPeerReports = (now: () => number): PeerReports => {
  const reports = new Map<string, Kept>();
  const fresh = (): Kept[] => {
    for (const [peer, { atMs }] of reports) if (now() - atMs > FRESH_MS) reports.delete(peer);
    return [...reports.values()];
  };
  return {
    add: (report) => {
      const { headNumber, clockMs } = report.status;
      const peer = report.peer.toString();
      reports.delete(peer);
      reports.set(peer, {
        atMs: report.answeredAtMs,
        head: headNumber,
        aheadMs: clockMs === undefined ? undefined : surelyAhead(report, clockMs),
      });
      forgetOldest(reports, MAX_PEERS);
    },
    highest: () => fresh().reduce((most, { head }) => Math.max(most, head), 0),
    clock: () => {
      const ahead = fresh().flatMap(({ aheadMs }) => (aheadMs === undefined ? [] : [aheadMs]));
      return ahead.length === 0 ? undefined : { aheadMs: median(ahead), peers: ahead.length };
    },
    clear: () => reports.clear(),
  };
};
