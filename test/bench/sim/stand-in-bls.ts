/** Signatures that anybody could forge and nobody in the simulator does: the hash of key and message; sums are XOR. */
import { concat, fromHex, type Hex, toHex, utf8 } from "../../../lib/bytes.ts";
import { keccak256Bytes } from "../../../lib/keccak.ts";

const stretch = (seed: Uint8Array, size: number): Uint8Array => {
  const out = new Uint8Array(size);
  for (let at = 0; at < size; at += 32) out.set(seed.subarray(0, Math.min(32, size - at)), at);
  return out;
};
const publicKeys = new Map<Hex, Hex>();
/** What one key signs for one message. */
const mark = (pub: Hex, message: Uint8Array): Uint8Array => keccak256Bytes(fromHex(pub), message);
const xor = (marks: readonly Uint8Array[]): Uint8Array => {
  const sum = new Uint8Array(32);
  for (const each of marks) for (let i = 0; i < 32; i++) sum[i]! ^= each[i]!;
  return sum;
};
const asSignature = (seed: Uint8Array): Hex => toHex(stretch(seed, 96));

export const blsKeygen = (seed: Uint8Array): Hex => toHex(keccak256Bytes(seed));
export const blsPublicKey = (secret: Hex): Hex => {
  const known = publicKeys.get(secret) ?? toHex(stretch(keccak256Bytes(utf8("public"), fromHex(secret)), 48));
  publicKeys.set(secret, known);
  return known;
};
export const blsSign = (secret: Hex, message: Uint8Array): Hex => asSignature(mark(blsPublicKey(secret), message));
export const blsAggregate = (signatures: readonly Hex[]): Hex =>
  asSignature(xor(signatures.map((each) => fromHex(each).subarray(0, 32))));
export const blsVerifyAggregate = (pubs: readonly Hex[], message: Uint8Array, signature: Hex): boolean =>
  pubs.length > 0 && asSignature(xor(pubs.map((pub) => mark(pub, message)))) === signature;
export const blsVerify = (pub: Hex, message: Uint8Array, signature: Hex): boolean =>
  blsVerifyAggregate([pub], message, signature);
export const blsVerifySameMessage = async (
  message: Uint8Array,
  signed: readonly { readonly publicKey: Hex; readonly signature: Hex }[],
): Promise<boolean> => signed.every(({ publicKey, signature }) => blsVerify(publicKey, message, signature));
export const blsProve = (secret: Hex): Hex => blsSign(secret, concat(utf8("proof"), fromHex(blsPublicKey(secret))));
export const blsVerifyProof = (pub: Hex, proof: Hex): boolean =>
  blsVerify(pub, concat(utf8("proof"), fromHex(pub)), proof);
/** Marks have no sums: keys stand for themselves. */
export const blsSumOfKeys = (_: readonly Hex[]): Hex | undefined => undefined;
