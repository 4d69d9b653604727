import { importer } from "ipfs-unixfs-importer";
import { CID } from "multiformats/cid";
import { type Hash, toHex } from "../../lib/bytes.ts";

export interface Block {
  readonly cid: string;
  readonly bytes: Uint8Array;
}

/** A directory of results as it is stored and named: its CID, the digest in it, and its blocks. */
export interface OutputTree {
  readonly root: Hash;
  readonly cid: string;
  readonly blocks: readonly Block[];
}

const SHA2_256 = 0x12;
const DAG_PB = 0x70;

/**
 * Computes the output root (spec section 11): the SHA-256 digest in the CIDv1 of the directory that holds `files`,
 * under the UnixFS profile unixfs-v1-2025 (IPIP-499). Names are paths; one that ends in / is an empty directory.
 * A task's files are `stdout`, `stderr` and `out/…`; `out` is there even if it is empty.
 */
export const outputRoot = async (files: ReadonlyMap<string, Uint8Array>): Promise<OutputTree> => {
  const blocks = new Map<string, Block>();
  const source = [...files].map(([path, content]) => (path.endsWith("/") ? { path } : { path, content }));
  const store = {
    put: (cid: CID, bytes: Uint8Array | AsyncIterable<Uint8Array> | Iterable<Uint8Array>): CID => {
      if (!(bytes instanceof Uint8Array)) throw new TypeError("a block comes in one piece");
      const name = cid.toString();
      blocks.set(name, { cid: name, bytes });
      return cid;
    },
  };
  let root: CID | undefined;
  // What the importer yields last is the directory that it wraps everything in.
  for await (const entry of importer(source, store as never, { profile: "unixfs-v1-2025", wrapWithDirectory: true }))
    root = entry.cid;
  if (!root) throw new Error("a directory of results cannot be empty");
  if (root.code !== DAG_PB || root.multihash.code !== SHA2_256) throw new Error(`unexpected kind of root ${root}`);
  return { root: toHex(root.multihash.digest), cid: root.toString(), blocks: [...blocks.values()] };
};

/** Makes the CID whose digest an output root is, e.g. `bafybei…`. */
export const cidOfRoot = (root: Hash): string => {
  const digest = Buffer.from(root.slice(2), "hex");
  const multihash = Uint8Array.from([SHA2_256, digest.length, ...digest]);
  return CID.decode(Uint8Array.from([1, DAG_PB, ...multihash])).toString();
};
