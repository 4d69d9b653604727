import { createHash } from "node:crypto";
import { CID } from "multiformats/cid";
import { failData } from "./rules.ts";

export const SHA2_256 = 0x12;
export const DAG_PB = 0x70;
export const RAW = 0x55;
const DIGEST_BYTES = 32;

/** Bytes of a CID as data is named here: version, codec, hash function, length, digest. */
export const CID_BYTES = 4 + DIGEST_BYTES;

/** Characters of a CID as text, in any of the bases that are read: decoding one takes the square of its length. */
const MAX_CHARS = 64;

const checked = (cid: CID): CID =>
  (cid.code === DAG_PB || cid.code === RAW) &&
  cid.multihash.code === SHA2_256 &&
  cid.multihash.digest.length === DIGEST_BYTES
    ? cid.toV1()
    : // Not written out: a CID of another kind may hold megabytes itself.
      failData("data-cid", `kind ${cid.code} and hash ${cid.multihash.code} are not dag-pb or raw and SHA-256`);

/** Reads a CID, also as `/ipfs/<cid>` or in version 0, as version 1. Throws RuleError "data-cid". */
export const parseCid = (text: string | CID): CID => {
  if (typeof text !== "string") return checked(text);
  let cid: CID;
  try {
    const bare = text.replace(/^(?:ipfs:\/\/|\/ipfs\/)/, "");
    if (bare.length > MAX_CHARS) throw new RangeError("no CID is so long");
    cid = CID.parse(bare);
  } catch {
    return failData("data-cid", `${JSON.stringify(text.slice(0, 80))} is no CID`);
  }
  return checked(cid);
};

/** Reads the bytes of a CID of version 1. Throws RuleError "data-cid". */
export const cidFromBytes = (bytes: unknown): CID => {
  if (!(bytes instanceof Uint8Array) || bytes.length !== CID_BYTES) return failData("data-cid", "not 36 bytes");
  try {
    return checked(CID.decode(new Uint8Array(bytes)));
  } catch {
    return failData("data-cid", "bytes that are no CID");
  }
};

/** Tells whether bytes are what a CID names. About 1 ms for a block of 1 MiB. */
export const isBlockOf = (cid: CID, bytes: Uint8Array): boolean =>
  createHash("sha256").update(bytes).digest().equals(cid.multihash.digest);
