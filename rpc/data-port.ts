/** Who keeps data, and until when (Unix seconds; left out: until unpinned). */
export interface DataPin {
  readonly holder: string;
  readonly until?: number;
}

/** Tells whether a text may name who keeps data. */
export const isHolder = (text: string): boolean => /^[\w.:-]{1,128}$/.test(text);

/** A file or directory that was found. A directory has no bytes. */
export interface DataEntry {
  /** Names with / between them, below what was asked for; empty for that itself. */
  readonly path: string;
  readonly kind: "file" | "directory";
  readonly cid: string;
  readonly size: number;
  /** Yields the bytes from `start` to `end` piece by piece. */
  read(start?: number, end?: number): AsyncGenerator<Uint8Array>;
}

export interface PinnedData {
  readonly cid: string;
  readonly holder: string;
  /** Unix seconds; 0 is for good. */
  readonly until: number;
}

/** Bytes of a node's data; `outputBytes` are results of tasks, `outputRoom` what may still be kept of them. */
export interface DataStats {
  readonly blocks: number;
  readonly pinnedBytes: number;
  readonly cachedBytes: number;
  readonly outputBytes: number;
  readonly outputRoom: number;
}

/** What the RPC needs of a node's data. Each throws RuleError as p2p/data does. */
export interface DataPort {
  importTree(
    entries: AsyncIterable<{ path: string; bytes?: AsyncIterable<Uint8Array> }>,
    pin: DataPin,
  ): Promise<{ cid: string }>;
  importFile(bytes: AsyncIterable<Uint8Array>, pin: DataPin): Promise<{ cid: string }>;
  /** Tells whether a whole tree is here. */
  has(cid: string): Promise<boolean>;
  /** Brings a tree here from other nodes where it is not here. Askers share what may be fetched at a time. */
  fetch(
    cid: string,
    options?: { readonly signal?: AbortSignal | undefined; readonly asker?: object | undefined },
  ): Promise<void>;
  /** Finds a file or directory of a tree that is here. */
  open(cid: string, path?: string, signal?: AbortSignal): Promise<DataEntry>;
  /** Lists a tree that is here. A signal ends the walk, and whatever reads what it found. */
  list(cid: string, signal?: AbortSignal): Promise<readonly DataEntry[]>;
  /** Lists what is kept, `limit` after the first `skip`. */
  pins(skip: number, limit: number): readonly PinnedData[];
  /** Keeps a tree, which is fetched first where it is not here. */
  pin(cid: string, pin: DataPin): Promise<void>;
  unpin(cid: string, holder: string): Promise<void>;
  /** Moves the time of all that a holder keeps, and ends it; each gives how many trees. */
  keep(holder: string, until: number): Promise<number>;
  release(holder: string): Promise<number>;
  stats(): DataStats;
}
