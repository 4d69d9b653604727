import { CID } from "multiformats/cid";
import type { Database, Op } from "../../chain/db.ts";
import { concat, utf8 } from "../../lib/bytes.ts";
import { boundlessDisk, type Disk } from "../../lib/disk.ts";
import { createBucket } from "../bucket.ts";
import { CID_BYTES, cidFromBytes, isBlockOf } from "./cid.ts";
import { ENTRY_BYTES, MAX_BLOCK_BYTES } from "./limits.ts";
import { createOutputShare } from "./outputs.ts";
import { failData } from "./rules.ts";

/** Blocks of what is pinned, and holders of one tree. */
const MAX_PINNED = 1_048_576;
const MAX_HOLDERS = 256;
/** What a pin costs the disk beside its blocks, about. */
const PIN_BYTES = 4_096;
/** The database is not rewritten more often to make room. */
const CLEAR_AGAIN_MS = 300_000;
/** Bytes a second that a database no longer keeps twice, at least. */
const REWRITTEN_PER_SECOND = 8 * 1024 * 1024;
const BLOCK = Uint8Array.of(1);
const META = Uint8Array.of(2);
const PIN = Uint8Array.of(3);
const PINNED_BLOCKS = Uint8Array.of(4);

export interface BlocksOptions {
  /** Bytes of blocks that nothing pins; the longest unused go first. */
  readonly cacheBytes?: number;
  /** Bytes of blocks that are pinned; a pin beyond fails with RuleError "data-limit". */
  readonly pinnedBytes?: number;
  /** Bytes of those that hold what tasks wrote (outputs.ts); the rest of what may be pinned is the owner's. */
  readonly outputBytes?: number;
  /** What may not be filled: what nothing pins gives way to its reserve, then nothing more is taken. */
  readonly disk?: Disk;
}

interface Entry {
  readonly size: number;
  pins: number;
  /** Its bytes were found to be others; a pin keeps its count, and is whole again when the block is put again. */
  isSpoilt?: boolean;
}

/** Keeps blocks from being dropped while a tree is put together. */
export interface Hold {
  readonly keep: (cid: CID) => void;
  readonly release: () => void;
}

/** Blocks by their hash, on disk: those that are pinned, and a bounded cache of others. */
export interface BlockStore {
  has(cid: CID): boolean;
  /** Tells a block's bytes without reading it; undefined where it is not here, or was found spoilt. */
  sizeOf(cid: CID): number | undefined;
  /** Reads a block and checks it: one that the disk has spoilt is dropped and not there. */
  get(cid: CID): Uint8Array | undefined;
  /**
   * Keeps a block whose hash the caller has checked. Resolves when it is handed to the disk. Throws RuleError "disk-reserve"
   * where that has no room.
   */
  put(cid: CID, bytes: Uint8Array, hold?: Hold): Promise<void>;
  hold(): Hold;
  /**
   * Keeps the blocks of a tree for `holder` until `until` (Unix seconds, 0: until unpinned). Resolves once the disk has it.
   * `blocksOf` lists the tree's blocks; it is asked only for a root that nobody holds.
   */
  pin(root: CID, holder: string, until: number, blocksOf: () => Promise<readonly CID[]>): Promise<void>;
  unpin(root: CID, holder: string): Promise<void>;
  /** Moves the time of all pins of a holder; gives how many there are. */
  keep(holder: string, until: number): Promise<number>;
  /** Drops all pins of a holder; gives how many there were. */
  release(holder: string): Promise<number>;
  /** Drops the pins whose time has come. */
  expire(nowSeconds: number): Promise<void>;
  /** What is pinned, as it stands; not to be kept. */
  pins(): Iterable<{ readonly cid: CID; readonly holders: ReadonlyMap<string, number> }>;
  stats(): BlockStats;
}

export interface BlockStats {
  readonly blocks: number;
  readonly pinnedBytes: number;
  readonly cachedBytes: number;
  /** Bytes of what tasks wrote. */
  readonly outputBytes: number;
  /** Bytes that tasks' results may still take. */
  readonly outputRoom: number;
}

/** A tree that is pinned, what its blocks cost, and until when who holds it. */
interface Pinned {
  readonly cid: CID;
  readonly bytes: number;
  readonly holders: Map<string, number>;
}

const metaOf = (size: number, pins: number, sequence: number): Uint8Array => {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, size);
  view.setUint32(4, pins);
  view.setFloat64(8, sequence);
  return bytes;
};

/** Opens the blocks in a database of their own. Reads its index, about 50 bytes a block. */
export const openBlocks = async (db: Database, options: BlocksOptions = {}): Promise<BlockStore> => {
  const cacheBytes = options.cacheBytes ?? 512 * 1024 * 1024;
  const maxPinnedBytes = options.pinnedBytes ?? 16 * 1024 * 1024 * 1024;
  const index = new Map<string, Entry>();
  /** Bytes of what nothing pins, the longest unused first. */
  const cache = new Map<string, number>();
  const held = new Map<string, number>();
  const roots = new Map<string, Pinned>();
  const outputs = createOutputShare(options.outputBytes ?? Math.floor((maxPinnedBytes * 3) / 4));
  const disk = options.disk ?? boundlessDisk;
  let cachedBytes = 0;
  let pinnedBytes = 0;
  let pinnedBlocks = 0;
  let sequence = 0;

  const cost = (size: number): number => size + ENTRY_BYTES;
  const toCache = (name: string, size: number): void => {
    cache.set(name, size);
    cachedBytes += cost(size);
  };
  const fromCache = (name: string): void => {
    const size = cache.get(name);
    if (size === undefined) return;
    cache.delete(name);
    cachedBytes -= cost(size);
  };

  const blocksOfPin = (root: CID): CID[] => {
    const list = db.get(concat(PINNED_BLOCKS, root.bytes)) ?? new Uint8Array(0);
    return Array.from({ length: list.length / CID_BYTES }, (_, i) =>
      cidFromBytes(list.subarray(i * CID_BYTES, (i + 1) * CID_BYTES)),
    );
  };
  const found: { name: string; size: number; sequence: number }[] = [];
  for await (const [key, value] of db.iterate(META)) {
    const view = new DataView(value.buffer, value.byteOffset, value.length);
    const name = cidFromBytes(key.subarray(1)).toString();
    const entry = { size: view.getUint32(0), pins: view.getUint32(4) };
    index.set(name, entry);
    if (entry.pins > 0) {
      pinnedBytes += cost(entry.size);
      pinnedBlocks += 1;
    } else found.push({ name, size: entry.size, sequence: view.getFloat64(8) });
    sequence = Math.max(sequence, view.getFloat64(8) + 1);
  }
  for (const { name, size } of found.sort((a, b) => a.sequence - b.sequence)) toCache(name, size);
  for await (const [key, value] of db.iterate(PIN)) {
    const holders = JSON.parse(new TextDecoder().decode(value)) as [string, number][];
    const cid = cidFromBytes(key.subarray(1));
    const bytes = blocksOfPin(cid).reduce((sum, block) => sum + cost(index.get(block.toString())?.size ?? 0), 0);
    roots.set(cid.toString(), { cid, bytes, holders: new Map(holders) });
    for (const [holder] of holders) outputs.add(holder, cid.toString(), bytes);
  }

  const drop = (name: string): Op[] => {
    const { bytes } = CID.parse(name);
    fromCache(name);
    index.delete(name);
    return [
      { key: concat(BLOCK, bytes), value: undefined },
      { key: concat(META, bytes), value: undefined },
    ];
  };
  /** Drops the longest unused until the cache fits. O(dropped + held). */
  const evict = (most = cacheBytes): Op[] => {
    const ops: Op[] = [];
    for (const name of cache.keys()) {
      if (cachedBytes <= most) break;
      if (!held.has(name)) ops.push(...drop(name));
    }
    return ops;
  };
  let clearing: Promise<void> | undefined;
  let clearAt = 0;
  /** Drops all that nothing pins, and has the disk get its room back. */
  const clear = async (): Promise<void> => {
    const ops = evict(0);
    if (ops.length === 0) return;
    clearAt = Date.now() + CLEAR_AGAIN_MS;
    await db.batch(ops);
    await db.compact?.(BLOCK);
  };
  let writing = 0;
  const rewrittenBytes = db.rewrittenBytes ?? 0;
  const rewritten = createBucket(rewrittenBytes, REWRITTEN_PER_SECOND);
  const toBeRewritten = (): number => Math.min(rewrittenBytes, rewrittenBytes - rewritten.level);
  /** Does what writes so many bytes, once the disk has room beside what is on its way; the cache gives way first. */
  const withRoom = async (bytes: number, write: () => Promise<void>): Promise<void> => {
    if (disk.left() < bytes + writing + toBeRewritten() && (clearing || (cachedBytes > 0 && Date.now() >= clearAt))) {
      clearing ??= clear().finally(() => {
        clearing = undefined;
      });
      await clearing;
    }
    disk.check(bytes + writing + toBeRewritten());
    writing += bytes;
    rewritten.spend(bytes);
    try {
      await write();
    } finally {
      writing -= bytes;
    }
  };
  /** Changes a block's count of pins by one. */
  const countPin = (cid: CID, by: 1 | -1): Op[] => {
    const name = cid.toString();
    const entry = index.get(name);
    if (!entry) return [];
    if (by === 1 && entry.pins === 0) {
      fromCache(name);
      pinnedBytes += cost(entry.size);
      pinnedBlocks += 1;
    }
    entry.pins += by;
    if (entry.pins === 0) {
      pinnedBytes -= cost(entry.size);
      pinnedBlocks -= 1;
      toCache(name, entry.size);
    }
    return [{ key: concat(META, cid.bytes), value: metaOf(entry.size, entry.pins, sequence++) }];
  };

  /** Pins change one after the other, so that no two count the same tree. */
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = last.then(work);
    last = done.catch(() => undefined);
    return done;
  };
  const pinRecord = (root: CID, holders: ReadonlyMap<string, number>): Op => ({
    key: concat(PIN, root.bytes),
    value: holders.size > 0 ? utf8(JSON.stringify([...holders])) : undefined,
  });
  const forget = async (root: CID, gone: readonly string[]): Promise<void> => {
    const name = root.toString();
    const pinned = roots.get(name);
    if (!pinned) return;
    const { holders, bytes } = pinned;
    for (const holder of gone) if (holders.delete(holder)) outputs.remove(holder, name, bytes);
    const ops: Op[] = [pinRecord(root, holders)];
    if (holders.size === 0) {
      roots.delete(name);
      for (const block of blocksOfPin(root)) ops.push(...countPin(block, -1));
      ops.push({ key: concat(PINNED_BLOCKS, root.bytes), value: undefined }, ...evict());
    }
    await db.batch(ops);
  };

  const sizeOf = (cid: CID): number | undefined => {
    const entry = index.get(cid.toString());
    return entry && !entry.isSpoilt ? entry.size : undefined;
  };
  const hold = (): Hold => {
    const kept = new Set<string>();
    return {
      keep: (cid) => {
        const name = cid.toString();
        if (kept.has(name)) return;
        kept.add(name);
        held.set(name, (held.get(name) ?? 0) + 1);
      },
      release: () => {
        for (const name of kept) {
          const left = (held.get(name) ?? 1) - 1;
          if (left > 0) held.set(name, left);
          else held.delete(name);
        }
        kept.clear();
        const ops = evict();
        if (ops.length > 0) db.batch(ops).catch(() => undefined);
      },
    };
  };

  return {
    has: (cid) => sizeOf(cid) !== undefined,
    sizeOf,
    get: (cid) => {
      const name = cid.toString();
      const entry = index.get(name);
      if (!entry) return undefined;
      const bytes = db.get(concat(BLOCK, cid.bytes));
      if (!bytes || !isBlockOf(cid, bytes)) {
        if (entry.pins === 0) db.batch(drop(name)).catch(() => undefined);
        else entry.isSpoilt = true;
        return undefined;
      }
      if (entry.pins === 0) {
        cache.delete(name);
        cache.set(name, entry.size);
      }
      return bytes;
    },
    put: async (cid, bytes, by) => {
      if (bytes.length > MAX_BLOCK_BYTES) failData("data-limit", `a block of ${bytes.length} bytes`);
      by?.keep(cid);
      const name = cid.toString();
      const write = async (): Promise<void> => {
        const entry = index.get(name);
        // A copy: what is given may be a part of something much larger.
        const ops: Op[] = [{ key: concat(BLOCK, cid.bytes), value: new Uint8Array(bytes) }];
        if (!entry) {
          index.set(name, { size: bytes.length, pins: 0 });
          toCache(name, bytes.length);
          ops.push({ key: concat(META, cid.bytes), value: metaOf(bytes.length, 0, sequence++) });
        } else {
          const kept = db.get(concat(BLOCK, cid.bytes));
          if (kept && isBlockOf(cid, kept)) return;
          entry.isSpoilt = false;
        }
        ops.push(...evict());
        await db.batch(ops);
      };
      return index.has(name) ? write() : withRoom(bytes.length, write);
    },
    hold,
    pin: (root, holder, until, blocksOf) =>
      inTurn(() => {
        const name = root.toString();
        const pinned = roots.get(name);
        const join = async ({ holders, bytes }: Pinned): Promise<void> => {
          if (!holders.has(holder) && holders.size >= MAX_HOLDERS)
            failData("data-limit", `${root} has ${MAX_HOLDERS} holders already`);
          outputs.add(holder, name, bytes, true);
          holders.set(holder, until);
          await db.batch([pinRecord(root, holders)], true);
        };
        const begin = async (): Promise<void> => {
          const blocks = [...new Map((await blocksOf()).map((cid) => [cid.toString(), cid])).values()];
          let [bytes, count, own] = [pinnedBytes, pinnedBlocks, 0];
          for (const cid of blocks) {
            const entry = index.get(cid.toString()) ?? failData("data-missing", `${cid} is not here`);
            own += cost(entry.size);
            if (entry.pins > 0) continue;
            bytes += cost(entry.size);
            count += 1;
          }
          if (bytes > maxPinnedBytes) failData("data-limit", `${bytes} bytes pinned, at most ${maxPinnedBytes}`);
          if (count > MAX_PINNED) failData("data-limit", `${count} blocks pinned, at most ${MAX_PINNED}`);
          outputs.add(holder, name, own, true);
          const first = new Map([[holder, until]]);
          roots.set(name, { cid: root, bytes: own, holders: first });
          const list = { key: concat(PINNED_BLOCKS, root.bytes), value: concat(...blocks.map((cid) => cid.bytes)) };
          await db.batch([pinRecord(root, first), list, ...blocks.flatMap((cid) => countPin(cid, 1))], true);
        };
        if (pinned?.holders.has(holder)) return join(pinned);
        return withRoom(PIN_BYTES, () => (pinned ? join(pinned) : begin()));
      }),
    unpin: (root, holder) => inTurn(() => forget(root, [holder])),
    keep: (holder, until) =>
      inTurn(async () => {
        const own = outputs.of(holder).map((name) => roots.get(name)!);
        for (const { holders } of own) holders.set(holder, until);
        await db.batch(
          own.map(({ cid, holders }) => pinRecord(cid, holders)),
          true,
        );
        return own.length;
      }),
    release: (holder) =>
      inTurn(async () => {
        const own = outputs.of(holder).map((name) => roots.get(name)!.cid);
        for (const cid of own) await forget(cid, [holder]);
        return own.length;
      }),
    expire: (nowSeconds) =>
      inTurn(async () => {
        for (const { cid, holders } of [...roots.values()]) {
          const gone = [...holders].filter(([, until]) => until !== 0 && until <= nowSeconds).map(([holder]) => holder);
          if (gone.length > 0) await forget(cid, gone);
        }
      }),
    pins: () => roots.values(),
    stats: () => ({
      blocks: index.size,
      pinnedBytes,
      cachedBytes,
      outputBytes: outputs.bytes(),
      outputRoom: Math.max(0, Math.min(outputs.left(), maxPinnedBytes - pinnedBytes, disk.left())),
    }),
  };
};
