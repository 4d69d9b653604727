/** The profile of all trees that are made here (IPIP-499): raw leaves, 1 MiB chunks, 1,024 links, CIDs of version 1. */
export const PROFILE = "unixfs-v1-2025";

/** Bytes of a block at most: what IPFS nodes pass on, twice a chunk of the profile. */
export const MAX_BLOCK_BYTES = 2 * 1024 * 1024;

/** Links of a block at most; they are counted before any of them is decoded, which takes some 3 us each. */
export const MAX_LINKS = 8_192;

/** How much one tree may be. */
export interface TreeLimits {
  /** Bytes of all its files, each as often as it occurs. */
  readonly bytes: number;
  /** Files and directories. */
  readonly entries: number;
  /** Bytes of all their paths. */
  readonly paths: number;
  /** Levels of directories, and levels of blocks below a file or directory. */
  readonly depth: number;
  /** Blocks, each as often as it occurs: a small tree can name one block a billion times. */
  readonly blocks: number;
}

/** What a node takes unless its owner says otherwise: a job's inputs may have 256 MiB (spec section 11). */
export const TREE_LIMITS: TreeLimits = {
  bytes: 256 * 1024 * 1024,
  entries: 8_192,
  paths: 2 * 1024 * 1024,
  depth: 32,
  blocks: 32_768,
};

/** Bytes of a name in a directory, as file systems have it. */
export const MAX_NAME_BYTES = 255;

/** What a block costs beside its bytes: small ones fill the index, which is in memory, with some 250 bytes each. */
export const ENTRY_BYTES = 1_024;
