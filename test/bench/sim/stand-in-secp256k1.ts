/** Block signatures of the simulator: the signer's address and a hash of it with the block's. */
import { type Address, concat, fromHex, type Hash, type Hex, toHex } from "../../../lib/bytes.ts";
import { keccak256Bytes } from "../../../lib/keccak.ts";
import { addressOf } from "../../../lib/secp256k1.ts";

export * from "../../../lib/secp256k1.ts";

const addresses = new Map<Hex, Address>();
const check = (hash: Hash, address: Address): Uint8Array => keccak256Bytes(fromHex(hash), fromHex(address));

export const signCompact = (hash: Hash, privateKey: Hex): Hex => {
  const address = addresses.get(privateKey) ?? addressOf(privateKey);
  addresses.set(privateKey, address);
  return toHex(concat(fromHex(address), check(hash, address), new Uint8Array(13)));
};
export const recoverCompact = (hash: Hash, signature: Hex): Address | undefined => {
  const bytes = fromHex(signature);
  const address = toHex(bytes.subarray(0, 20)) as Address;
  return toHex(bytes.subarray(20, 52)) === toHex(check(hash, address)) ? address : undefined;
};
