import { exporter } from "ipfs-unixfs-exporter";
import type { CID } from "multiformats/cid";
import { EMPTY } from "../../lib/bytes.ts";
import { parseCid, RAW } from "./cid.ts";
import { MAX_LINKS } from "./limits.ts";
import { failData } from "./rules.ts";

/** A link of a block to another; the name is empty within a file. */
export interface Link {
  readonly name: string;
  readonly cid: CID;
}

/** What a block of UnixFS says. */
export type UnixfsNode =
  | { readonly kind: "raw"; readonly data: Uint8Array; readonly links: readonly Link[] }
  | {
      readonly kind: "file";
      readonly data: Uint8Array;
      readonly size: number;
      readonly links: readonly Link[];
      /** Bytes of the file below each link. */
      readonly sizes: readonly number[];
    }
  | { readonly kind: "directory"; readonly links: readonly Link[] }
  /** A part of a directory: names begin with `prefix` digits of their place, and a shard below has no more than those. */
  | { readonly kind: "shard"; readonly prefix: number; readonly links: readonly Link[] };

const VARINT = 0;
const BYTES = 2;
/** Bytes of the numbers that a protobuf message may hold beside bytes, by their wire type. */
const FIXED: Readonly<Record<number, number>> = { 1: 8, 5: 4 };
/** Fields of dag-pb's node and of UnixFS's data. */
const NODE = { data: 1, links: 2 } as const;
const DATA = { blockSizes: 4 } as const;

/** Yields the fields of a protobuf message, and their bytes where they have some; decodes nothing. O(fields). */
function* fieldsOf(message: Uint8Array): Generator<{ readonly field: number; readonly bytes: Uint8Array }> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = message[at++];
      if (byte === undefined || scale > 2 ** 63) return failData("data-malformed", "no protobuf");
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const key = varint();
    const type = key % 8;
    let size = FIXED[type] ?? 0;
    if (type === VARINT) varint();
    else if (type === BYTES) size = varint();
    else if (size === 0) failData("data-malformed", `a protobuf field of type ${type}`);
    if (size > message.length - at) failData("data-malformed", "a protobuf field beyond its end");
    yield { field: Math.floor(key / 8), bytes: message.subarray(at, at + size) };
    at += size;
  }
}

/** Refuses a block of more links than any tree has, before its decoder makes objects of them. */
const checkLinks = (block: Uint8Array): void => {
  const count = (counts: number): void => {
    if (counts > MAX_LINKS) failData("data-limit", `a block of more than ${MAX_LINKS} links`);
  };
  let links = 0;
  for (const { field, bytes } of fieldsOf(block)) {
    if (field === NODE.links) count(++links);
    if (field !== NODE.data) continue;
    let sizes = 0;
    for (const inner of fieldsOf(bytes)) if (inner.field === DATA.blockSizes) count(++sizes);
  }
};

/** What a link names, in version 1; a link of a foreign kind spoils the tree, whoever passed it on. */
const linked = (cid: CID): CID => {
  try {
    return parseCid(cid);
  } catch (error) {
    return failData("data-malformed", `a link: ${(error as Error).message}`);
  }
};

/** Checks that a shard's links each have a place of their own below its fanout. */
const checkPlaces = (links: readonly Link[], fanout: number, prefix: number): void => {
  const taken = new Set<number>();
  for (const { name } of links) {
    const digits = name.slice(0, prefix);
    const place = /^[\dA-F]+$/.test(digits) && digits.length === prefix ? Number.parseInt(digits, 16) : fanout;
    if (place >= fanout || taken.has(place)) failData("data-malformed", "a link of a shard without a place of its own");
    taken.add(place);
  }
};

/**
 * Reads one block. The bytes must have the CID's hash. Throws RuleError "data-malformed" where they are no UnixFS, and
 * "data-limit" for more than MAX_LINKS links.
 * Only the decoder of the exporter is used: its walk over a file's blocks ends the process where an inner block is no
 * protobuf (a rejection that nobody can catch).
 */
export const decodeNode = async (cid: CID, bytes: Uint8Array): Promise<UnixfsNode> => {
  if (cid.code === RAW) return { kind: "raw", data: bytes, links: [] };
  checkLinks(bytes);
  const store = {
    get: function* () {
      yield bytes;
    },
  };
  const entry = await exporter(cid, store).catch((error: Error) => failData("data-malformed", error.message));
  if (entry.type !== "file" && entry.type !== "directory") return failData("data-malformed", entry.type);
  const { unixfs, node } = entry;
  const links = node.Links.map((link) => ({ name: link.Name ?? "", cid: linked(link.Hash) }));
  if (unixfs.type === "directory") return { kind: "directory", links };
  if (unixfs.type === "hamt-sharded-directory") {
    const fanout = Number(unixfs.fanout ?? 0n);
    if (fanout < 8 || fanout > 1024) failData("data-malformed", `a fanout of ${fanout}`);
    const prefix = (fanout - 1).toString(16).length;
    checkPlaces(links, fanout, prefix);
    return { kind: "shard", prefix, links };
  }
  if (unixfs.type !== "file" && unixfs.type !== "raw") return failData("data-malformed", unixfs.type);
  if (links.length !== unixfs.blockSizes.length) failData("data-malformed", "links and sizes differ in number");
  const size = Number(unixfs.fileSize() ?? 0n);
  if (!Number.isSafeInteger(size)) failData("data-malformed", "an impossible size");
  return { kind: "file", data: unixfs.data ?? EMPTY, size, links, sizes: unixfs.blockSizes.map(Number) };
};
