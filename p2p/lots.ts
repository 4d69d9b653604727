import type { Database, Op } from "../chain/db.ts";
import type { Engine } from "../consensus/engine.ts";
import { concat, equalBytes, fromHex, type Hash, isHex, toHex, utf8 } from "../lib/bytes.ts";
import { bytes, decodeWith, encodeWith, list } from "../lib/codec.ts";
import { boundlessDisk, type Disk } from "../lib/disk.ts";
import { RuleError, thrower } from "../lib/rule-error.ts";
import { finalDeadline, lotOf, receiptOf } from "../vm/market/lot.ts";
import { lotReceiptOf } from "../vm/wasm/receipt.ts";
import { expel } from "./bans.ts";
import type { Host } from "./host.ts";
import { ask, createLimiter, serve } from "./streams.ts";
import { protocolOf } from "./topics.ts";

/** A lot has 256 tasks at most (spec section 10), a receipt a callback of 1,024 bytes. */
const MAX_TASKS = 256;
const MAX_RECEIPT_BYTES = 2_048;
const MAX_BYTES = MAX_TASKS * (MAX_RECEIPT_BYTES + 4);
const MAX_ASKED = 16;
const receiptsCoder = list(bytes(MAX_RECEIPT_BYTES), MAX_TASKS);

const fail: (code: "lot-receipts", detail?: unknown) => never = thrower({
  "lot-receipts": { verdict: "reject", section: "10" },
});

/**
 * Receipts of the tasks of lots: the chain holds their root alone. Anyone may give them, since the root tells whether they
 * are the ones that a quorum agreed on. They are kept as long as results are served, within a bound: those over soonest go first.
 */
export interface LotReceipts {
  /** Keeps a lot's receipts. Throws RuleError where the chain's receipt is not theirs, and where the disk has no room. */
  put(lot: Hash, receipts: readonly Uint8Array[]): Promise<void>;
  /** Gives a lot's receipts, asked from peers where they are not here; undefined where nobody has them. */
  get(lot: Hash): Promise<readonly Uint8Array[] | undefined>;
  /** Drops those of lots whose time is over, in Unix seconds. */
  expire(nowSeconds: number): Promise<void>;
  stats(): { readonly lots: number; readonly bytes: number };
  start(): Promise<void>;
}

export interface LotReceiptsOptions {
  readonly db: Database;
  readonly engine: Engine;
  /** Left out: nobody else is asked or told. */
  readonly host?: Host | undefined;
  /** What may not be filled. */
  readonly disk?: Disk | undefined;
  /** Bytes of all receipts; those whose time is over first go first. */
  readonly mostBytes?: number;
}

const PREFIX = utf8("lot ");
const MOST_BYTES = 256 * 1024 * 1024;
/** What is left of the bound once it is reached. */
const LEFT_SHARE = 0.9;

/** Opens the receipts of lots in a database. */
export const openLotReceipts = async (options: LotReceiptsOptions): Promise<LotReceipts> => {
  const { db, engine, host, disk = boundlessDisk, mostBytes = MOST_BYTES } = options;
  const { genesis } = engine.chain;
  const serveSeconds = Math.max(genesis.params.serveSeconds, ...genesis.upgrades.map((each) => each.serveSeconds ?? 0));
  const protocol = protocolOf(engine.genesisHash, "lot");
  const kept = new Map<Hash, { readonly size: number; readonly until: number }>();
  const asking = new Map<Hash, Promise<readonly Uint8Array[] | undefined>>();
  let bytesKept = 0;

  const keyOf = (lot: Hash) => concat(PREFIX, fromHex(lot));
  const here = (lot: Hash) => (kept.has(lot) ? db.get(keyOf(lot)) : undefined);
  const head = () => engine.stateOf(engine.head());
  /** When a lot's results need not be served any more. */
  const untilOf = (lot: Hash): number => {
    const found = lotOf(head(), lot);
    return found ? finalDeadline(found) + serveSeconds : 0;
  };
  const keep = (lot: Hash, size: number): void => {
    bytesKept += size - (kept.get(lot)?.size ?? 0);
    kept.set(lot, { size, until: untilOf(lot) });
  };
  const drop = (lot: Hash): Op => {
    bytesKept -= kept.get(lot)?.size ?? 0;
    kept.delete(lot);
    return { key: keyOf(lot), value: undefined };
  };
  const isAgreed = (lot: Hash, receipts: readonly Uint8Array[]): boolean => {
    const agreed = receiptOf(head(), lot);
    return agreed !== undefined && receipts.length > 0 && equalBytes(agreed, lotReceiptOf(receipts));
  };
  const put = async (lot: Hash, receipts: readonly Uint8Array[]): Promise<void> => {
    if (
      receipts.length > MAX_TASKS ||
      receipts.some((receipt) => receipt.length > MAX_RECEIPT_BYTES) ||
      !isAgreed(lot, receipts)
    )
      fail("lot-receipts", `not the receipts that lot ${lot} was agreed on with`);
    const value = encodeWith(receiptsCoder, [...receipts]);
    disk.check(value.length);
    keep(lot, value.length);
    const ops: Op[] = [{ key: keyOf(lot), value }];
    const soonest = bytesKept > mostBytes ? [...kept].sort(([, a], [, b]) => a.until - b.until) : [];
    // Down to a part of the bound, so that not every lot has all others sorted.
    for (const [other] of soonest) if (bytesKept > LEFT_SHARE * mostBytes && other !== lot) ops.push(drop(other));
    await db.batch(ops);
  };
  const fetchFrom = async (lot: Hash): Promise<readonly Uint8Array[] | undefined> => {
    // Nobody can have what was not agreed on.
    if (receiptOf(head(), lot) === undefined) return undefined;
    for (const peer of host?.getPeers().slice(0, MAX_ASKED) ?? []) {
      let receipts: readonly Uint8Array[];
      try {
        const answer = await ask(host!, peer, protocol, { lot }, MAX_BYTES);
        if (!(answer instanceof Uint8Array)) continue;
        receipts = decodeWith(receiptsCoder, answer, { maxBytes: MAX_BYTES });
      } catch (error) {
        if (error instanceof RuleError && error.code === "peer-frame") expel(host!, peer);
        // Who has nothing, or something else, is as good as silent: the next is asked.
        continue;
      }
      if (!isAgreed(lot, receipts)) continue;
      // A full disk is no reason not to give what is there.
      await put(lot, receipts).catch(() => undefined);
      return receipts;
    }
    return undefined;
  };
  const askOnce = (lot: Hash): Promise<readonly Uint8Array[] | undefined> => {
    const work = asking.get(lot) ?? fetchFrom(lot).finally(() => asking.delete(lot));
    asking.set(lot, work);
    return work;
  };

  for await (const [key, value] of db.iterate(PREFIX)) keep(toHex(key.subarray(PREFIX.length)), value.length);

  return {
    put,
    get: async (lot) => {
      const stored = here(lot);
      return stored ? decodeWith(receiptsCoder, stored, { maxBytes: MAX_BYTES }) : askOnce(lot);
    },
    expire: async (nowSeconds) => {
      const ops = [...kept].filter(([, { until }]) => until <= nowSeconds).map(([lot]) => drop(lot));
      if (ops.length > 0) await db.batch(ops);
    },
    stats: () => ({ lots: kept.size, bytes: bytesKept }),
    start: async () => {
      if (!host) return;
      await serve(host, protocol, createLimiter(), (request) => {
        const { lot } = request as { lot?: unknown };
        if (!isHex(lot, 32)) throw new RuleError("lot-receipts", { verdict: "reject", section: "10" });
        return here(lot) ?? null;
      });
    },
  };
};
