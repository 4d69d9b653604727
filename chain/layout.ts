import { concat, fromHex, type Hash, uint64, utf8 } from "../lib/bytes.ts";

/** Every key of the chain's database. One letter, then what identifies the value. */
const key =
  (letter: string) =>
  (rest: Uint8Array): Uint8Array =>
    concat(utf8(letter), rest);
const byHash = (letter: string) => {
  const make = key(letter);
  return (hash: Hash): Uint8Array => make(fromHex(hash));
};

/** Trie node by hash. */
export const nodeKey = key("n");
/** Contract code by hash. */
export const codeKey = byHash("c");
/** RLP of [header, signature, body] by block hash. */
export const blockKey = byHash("b");
/** RLP of [header, signature] by block hash: to look at a chain without reading its bodies. */
export const headerKey = byHash("e");
/** Senders of a block's transactions, 20 bytes each, by block hash: to recover one takes 50 us. */
export const sendersKey = byHash("s");
/** RLP list of receipts by block hash. */
export const receiptsKey = byHash("r");
/** MMR peaks over the blocks before, by block hash. */
export const peaksKey = byHash("p");
/** Block hash by number, on the chain of the head. */
export const numberKey = (number: number): Uint8Array => key("h")(uint64(number));
/** [block hash, index] by transaction hash, on the chain of the head. */
export const transactionKey = byHash("t");
/** When a leaf of the tree was first seen, in ms, by block hash. */
export const leafKey = (hash: Hash): Uint8Array => concat(leafPrefix, fromHex(hash));
export const leafPrefix = key("l")(new Uint8Array(0));
/** Pointers by name: head, finalized, justified. */
export const pointerKey = (name: string): Uint8Array => key("m")(utf8(name));
/** What validators signed, by kind (0 vote, 1 header, 2 evidence), epoch or slot, and hash: offences outlive a restart. */
export const signedKey = (kind: number, at: number, hash: Hash): Uint8Array =>
  concat(signedPrefix, Uint8Array.of(kind), uint64(at), fromHex(hash));
export const signedPrefix = key("o")(new Uint8Array(0));
