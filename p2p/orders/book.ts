import type { Block } from "../../chain/block.ts";
import type { Database } from "../../chain/db.ts";
import type { State } from "../../chain/state.ts";
import type { Engine } from "../../consensus/engine.ts";
import { type Address, bytesToBigint, concat, fromHex, type Hash, utf8, word } from "../../lib/bytes.ts";
import { boundlessDisk, type Disk } from "../../lib/disk.ts";
import type { Log } from "../../lib/log.ts";
import { RuleError } from "../../lib/rule-error.ts";
import { accepts } from "../../vm/market/group.ts";
import {
  decodeOrder,
  encodeOrder,
  hashOfOrder,
  type OrderQuery,
  type SignedOrder,
} from "../../vm/market/signed-order.ts";
import { checkOrder, failOrder, MAX_ORDER_BYTES, MIN_MEANS_NRLC, meansOf, type Standing } from "./check.ts";
import { orderNews } from "./news.ts";

/** Orders of a book in all, and of one signer. */
export const MAX_ORDERS = 4_096;
export const MAX_OF_SIGNER = 64;
/** Orders that are checked again at each head: the whole book comes up within 128 blocks, what a block names at once. */
const SWEEP = 32;
/** Orders of one block's broadcasts that are looked at. */
const MAX_SHOWN = 64;
const PREFIX = utf8("order ");
/** Before an order on the disk stands when it came, in milliseconds since 1970. */
const TIME_BYTES = 8;
const timeBytes = (ms: number): Uint8Array => fromHex(word(ms)).subarray(-TIME_BYTES);
const timeOf = (bytes: Uint8Array): number => Number(bytesToBigint(bytes.subarray(0, TIME_BYTES)));

/** An order in the book. */
export type BookEntry = SignedOrder &
  Standing & {
    /** When it came, in milliseconds since 1970. */
    readonly since: number;
  };

/** Signed orders that can be filled at the head, as far as a node knows. */
export interface OrderBook {
  /** Takes an order of this node's own that the head's state lets stand, and announces it. Throws RuleError. */
  add(order: SignedOrder): Promise<BookEntry>;
  /** Takes an order as it comes from a peer, which has told others. Throws RuleError. */
  addEncoded(bytes: Uint8Array): Promise<BookEntry>;
  has(hash: Hash): boolean;
  /** Gives an order that stands. */
  get(hash: Hash): BookEntry | undefined;
  /** Lists what stands: the lowest price first, of requests the highest; of one price what came first. O(n log n). */
  list(filter: OrderQuery): BookEntry[];
  hashes(): Hash[];
  readonly size: number;
  /** Calls for each order that is to be told to others. */
  onOrder(listener: (order: SignedOrder) => void): () => void;
  stop(): void;
}

/** nRLC by which orders of a kind come, the least first. */
const rankOf = ({ kind, order }: SignedOrder): bigint => {
  switch (kind) {
    case "app":
      return order.appprice;
    case "dataset":
      return order.datasetprice;
    case "workerpool":
      return order.workerpoolprice;
    case "request":
      return -order.workerpoolmaxprice;
  }
};

const PARTIES = ["app", "dataset", "workerpool", "requester"] as const;
const fits = (state: State, { order, signer }: BookEntry, filter: OrderQuery): boolean => {
  if (filter.signer && filter.signer !== signer) return false;
  const fields = order as unknown as Readonly<Record<string, unknown>>;
  if (filter.category !== undefined && fields.category !== filter.category) return false;
  return PARTIES.every((name) => {
    const wanted = filter[name];
    if (wanted === undefined || fields[name] === wanted) return true;
    const restriction = fields[`${name}restrict`] as Address | undefined;
    return restriction !== undefined && accepts(state, restriction, wanted);
  });
};

/** Opens the book that a database keeps. `now` in milliseconds. */
export const openOrderBook = async (options: {
  readonly db: Database;
  readonly engine: Engine;
  readonly now: () => number;
  readonly log: Log;
  /** Orders at most. */
  readonly most?: number;
  /** What may not be filled. */
  readonly disk?: Disk | undefined;
}): Promise<OrderBook> => {
  const { db, engine, now, log, most = MAX_ORDERS, disk = boundlessDisk } = options;
  const { chainId } = engine.chain.genesis;
  const entries = new Map<Hash, BookEntry>();
  const bySigner = new Map<Address, Set<Hash>>();
  const listeners = new Set<(order: SignedOrder) => void>();
  const keyOf = (hash: Hash) => concat(PREFIX, fromHex(hash));
  const head = (): State => engine.stateOf(engine.head());

  const keep = (entry: BookEntry): void => {
    entries.set(entry.hash, entry);
    const own = bySigner.get(entry.signer) ?? new Set();
    bySigner.set(entry.signer, own.add(entry.hash));
  };
  const forget = (entry: BookEntry): void => {
    entries.delete(entry.hash);
    const own = bySigner.get(entry.signer);
    own?.delete(entry.hash);
    if (own?.size === 0) bySigner.delete(entry.signer);
  };
  const drop = (entry: BookEntry, why: string): void => {
    forget(entry);
    log.debug({ hash: entry.hash, why }, "an order left the book");
    // Whatever the disk still has is checked when it is read.
    db.batch([{ key: keyOf(entry.hash), value: undefined }]).catch((error: Error) =>
      log.warn({ error: error.message }, "order kept"),
    );
  };
  /** Gives an entry as it stands in a state; one that does not stand leaves the book. */
  const recheck = (state: State, entry: BookEntry): BookEntry | undefined => {
    try {
      const next = { ...entry, ...checkOrder(state, chainId, entry, entry.signer) };
      entries.set(entry.hash, next);
      return next;
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
      drop(entry, error.message);
      return undefined;
    }
  };

  /** What a signer has for each of its orders: who has least gives way in a full book. */
  const weightOf = (means: bigint, count: number): bigint => means / BigInt(count);
  let countedAt: Hash | undefined;
  /** Reads all signers' means at the head, once a head, so that RLC that moves on counts where it is alone. */
  const countMeans = (state: State): void => {
    const { hash } = engine.head();
    if (countedAt === hash) return;
    countedAt = hash;
    for (const [signer, hashes] of [...bySigner]) {
      const means = meansOf(state, signer);
      for (const entry of [...hashes].map((each) => entries.get(each)!)) {
        if (means < MIN_MEANS_NRLC) drop(entry, "its signer has nothing left");
        else if (means !== entry.means) entries.set(entry.hash, { ...entry, means });
      }
    }
  };
  const makeRoom = ({ signer, means }: Standing): void => {
    const own = bySigner.get(signer)?.size ?? 0;
    if (own >= MAX_OF_SIGNER) failOrder("order-book-full", `${signer} has ${own} orders in the book already`);
    if (entries.size < most) return;
    countMeans(head());
    if (entries.size < most) return;
    let poorest: { entry: BookEntry; weight: bigint } | undefined;
    for (const hashes of bySigner.values()) {
      const entry = entries.get(hashes.values().next().value!)!;
      const weight = weightOf(entry.means, hashes.size);
      if (!poorest || weight < poorest.weight) poorest = { entry, weight };
    }
    if (!poorest || weightOf(means, own + 1) <= poorest.weight) failOrder("order-book-full", `${most} orders`);
    else drop(poorest.entry, "a full book");
  };
  const admit = (signed: SignedOrder, since: number): BookEntry => {
    const hash = hashOfOrder(chainId, signed);
    if (entries.has(hash)) failOrder("order-known");
    const standing = checkOrder(head(), chainId, signed);
    makeRoom(standing);
    const entry = { ...signed, ...standing, since };
    keep(entry);
    return entry;
  };
  const take = async (signed: SignedOrder): Promise<BookEntry> => {
    disk.check(MAX_ORDER_BYTES);
    const entry = admit(signed, now());
    const { hash, since } = entry;
    try {
      await db.batch([{ key: keyOf(hash), value: concat(timeBytes(since), encodeOrder(signed)) }]);
    } catch (error) {
      // What the disk does not have is told to nobody, and may come again.
      if (entries.get(hash)?.since === since) forget(entry);
      throw error;
    }
    return entry;
  };

  const stale: Hash[] = [];
  for await (const [key, value] of db.iterate(PREFIX)) {
    try {
      admit(decodeOrder(value.subarray(TIME_BYTES)), Math.min(now(), timeOf(value)));
    } catch (error) {
      stale.push(`0x${Buffer.from(key.subarray(PREFIX.length)).toString("hex")}`);
      log.debug({ error: (error as Error).message }, "an order is not kept");
    }
  }
  if (stale.length > 0) await db.batch(stale.map((hash) => ({ key: keyOf(hash), value: undefined })));

  let sweep: Hash[] = [];
  const onHead = (joined: readonly Block[]): void => {
    const state = head();
    const again = new Set<Hash>();
    for (const block of joined) {
      const { touched, shown } = orderNews(block, () => engine.store.receipts(block.hash) ?? []);
      for (const hash of touched) again.add(hash);
      for (const order of shown.slice(0, MAX_SHOWN))
        take(order).catch((error: Error) => log.debug({ error: error.message }, "an order that was broadcast"));
    }
    if (sweep.length === 0) sweep = [...entries.keys()];
    for (const hash of sweep.splice(0, SWEEP)) again.add(hash);
    for (const hash of again) {
      const entry = entries.get(hash);
      if (entry) recheck(state, entry);
    }
  };
  const unsubscribe = engine.on("head", (_head, _left, joined) => onHead(joined));

  return {
    add: async (signed) => {
      const entry = await take(signed);
      for (const listener of listeners) listener(signed);
      return entry;
    },
    addEncoded: async (bytes) => {
      if (bytes.length > MAX_ORDER_BYTES)
        failOrder("order-bytes", `an order of ${bytes.length} bytes, ${MAX_ORDER_BYTES} are the most`);
      let order: SignedOrder;
      try {
        order = decodeOrder(bytes);
      } catch (error) {
        return failOrder("order-malformed", (error as Error).message);
      }
      return take(order);
    },
    has: (hash) => entries.has(hash),
    get: (hash) => {
      const entry = entries.get(hash);
      return entry && recheck(head(), entry);
    },
    list: (filter) => {
      const state = head();
      const ranked = [...entries.values()]
        .filter((entry) => entry.kind === filter.kind && fits(state, entry, filter))
        .map((entry) => ({ entry, rank: rankOf(entry) }))
        .sort((a, b) => (a.rank === b.rank ? a.entry.since - b.entry.since : a.rank < b.rank ? -1 : 1))
        .slice(filter.skip);
      const found: BookEntry[] = [];
      for (const { entry } of ranked) {
        if (found.length >= filter.limit) break;
        const now = recheck(state, entry);
        if (now) found.push(now);
      }
      return found;
    },
    hashes: () => [...entries.keys()],
    get size() {
      return entries.size;
    },
    onOrder: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stop: () => unsubscribe(),
  };
};
