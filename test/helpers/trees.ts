import { createHash } from "node:crypto";
import { CID } from "multiformats/cid";
import { create as digest } from "multiformats/hashes/digest";
import { concat, utf8 } from "../../lib/bytes.ts";
import { DAG_PB, RAW, SHA2_256 } from "../../p2p/data/cid.ts";

/** A block as anybody may make it. */
export interface MadeBlock {
  readonly cid: CID;
  readonly bytes: Uint8Array;
}
/** A link's name and what it leads to; a part of a file says its size. */
export type MadeLink = readonly [name: string, to: MadeBlock, size?: number];

const TYPE = { directory: 1, file: 2, symlink: 4, shard: 5 } as const;

const varint = (value: number): number[] => {
  const bytes: number[] = [];
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) return [...bytes, left];
    bytes.push((left % 128) | 128);
  }
};
const number = (field: number, value: number): Uint8Array => Uint8Array.from([field * 8, ...varint(value)]);
const bytes = (field: number, value: Uint8Array): Uint8Array =>
  concat(Uint8Array.from([field * 8 + 2, ...varint(value.length)]), value);

const blockOf = (content: Uint8Array, code: number): MadeBlock => ({
  cid: CID.createV1(code, digest(SHA2_256, createHash("sha256").update(content).digest())),
  bytes: content,
});
const node = (links: readonly MadeLink[], ...data: Uint8Array[]): MadeBlock =>
  blockOf(
    concat(
      ...links.map(([name, to]) => bytes(2, concat(bytes(1, to.cid.bytes), bytes(2, utf8(name)), number(3, 0)))),
      bytes(1, concat(...data)),
    ),
    DAG_PB,
  );

/** A leaf, as it stands. */
export const leaf = (content: Uint8Array): MadeBlock => blockOf(content, RAW);
export const directory = (links: readonly MadeLink[]): MadeBlock => node(links, number(1, TYPE.directory));
export const shard = (links: readonly MadeLink[], fanout = 256): MadeBlock =>
  node(links, number(1, TYPE.shard), bytes(2, new Uint8Array(32)), number(5, 0x22), number(6, fanout));
/** A file of parts; `sizes` may lie. */
export const file = (links: readonly MadeLink[], sizes = links.map(([, , size = 0]) => size)): MadeBlock =>
  node(links, number(1, TYPE.file), ...sizes.map((size) => number(4, size)));
export const symlink = (target: string): MadeBlock => node([], number(1, TYPE.symlink), bytes(2, utf8(target)));

/** All places of a shard, each with the same block below it: a shard, or, with a name, an entry. */
export const places = (to: MadeBlock, name = ""): MadeLink[] =>
  Array.from({ length: 256 }, (_, i) => {
    const place = i.toString(16).toUpperCase().padStart(2, "0");
    return [name === "" ? place : `${place}${name}${place}`, to];
  });
/** Many names of the same block. */
export const names = (count: number, to: MadeBlock, size = 0): MadeLink[] =>
  Array.from({ length: count }, (_, i) => [`n${String(i).padStart(6, "0")}`, to, size]);

/** Puts a tree of so many levels into each other: 256 in each is more than memory holds at four. */
export const nest = (levels: number, inner: MadeBlock, wrap: (below: MadeBlock) => MadeBlock): MadeBlock[] => {
  const blocks = [inner];
  for (let i = 0; i < levels; i++) blocks.push(wrap(blocks.at(-1)!));
  return blocks;
};
