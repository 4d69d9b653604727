import { CID } from "multiformats/cid";
import { create as createDigest } from "multiformats/hashes/digest";
import { EMPTY, fromHex, type Hash, utf8, ZERO_HASH } from "../../lib/bytes.ts";
import { decodeLotReceipt, decodeReceipt, type LotReceipt } from "../wasm/receipt.ts";
import { STATUS } from "../wasm/status.ts";

/** What a lot's receipt says that money moves by. */
export type Claims = Omit<LotReceipt, "root">;

/** Reads what the receipt of a lot of `count` tasks says; undefined where it is not one. */
export const claimsOf = (receipt: Uint8Array, count: number): Claims | undefined => {
  if (count === 1) {
    const one = decodeReceipt(receipt);
    return one && { ...one, valid: one.status === STATUS.invalid ? 0 : 1 };
  }
  const sums = decodeLotReceipt(receipt);
  return sums && sums.valid <= count ? sums : undefined;
};

const DAG_PB = 0x70;
const SHA_256 = 0x12;

/** Gives the CID of an output root: the SHA-256 digest of a UnixFS directory. */
export const outputCid = (outputRoot: Hash): string =>
  CID.createV1(DAG_PB, createDigest(SHA_256, fromHex(outputRoot))).toString();

/** Writes where a task's results are, as iExec's tools read it; empty for a task without output. */
export const resultsOf = (receipt: Uint8Array): Uint8Array => {
  const outputRoot = decodeReceipt(receipt)?.outputRoot ?? ZERO_HASH;
  if (outputRoot === ZERO_HASH) return EMPTY;
  return utf8(JSON.stringify({ storage: "ipfs", location: `/ipfs/${outputCid(outputRoot)}` }));
};
