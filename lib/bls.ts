import { createHash } from "node:crypto";
import { bls12_381 } from "@noble/curves/bls12-381.js";
import { fromHex, type Hex, toHex } from "./bytes.ts";
import { forgetOldest, putNewest } from "./lru.ts";

/**
 * BLS signatures over BLS12-381, public keys in G1 (48 bytes), signatures in G2 (96 bytes), ciphersuite
 * BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_ (IETF draft-irtf-cfrg-bls-signature-05).
 */
const SIGN_DST = "BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
const PROVE_DST = "BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

const native = await import("@chainsafe/blst").then(
  (module) => module.default ?? module,
  () => undefined,
);
const noble = bls12_381.longSignatures;

/** The compressed point at infinity of G1, which is no key. */
const INFINITY: Hex = `0xc0${"00".repeat(47)}`;

/** Decoded keys by hex; a node meets the same few thousand for ever. */
const keys = new Map<Hex, InstanceType<NonNullable<typeof native>["PublicKey"]>>();
const MAX_KEYS = 8_192;
const nativeKey = (lib: NonNullable<typeof native>, pub: Hex) =>
  keys.get(pub) ?? putNewest(keys, pub, lib.PublicKey.fromBytes(fromHex(pub), true), MAX_KEYS);

/** Derives a secret key (32 bytes) from a seed of any length, stretched to the 48 bytes that an unbiased key needs. */
export const blsKeygen = (seed: Uint8Array): Hex =>
  toHex(noble.keygen(createHash("sha384").update(seed).digest()).secretKey);

/** Computes the public key of a secret key. */
export const blsPublicKey = (secret: Hex): Hex =>
  native
    ? (native.SecretKey.fromBytes(fromHex(secret)).toPublicKey().toHex() as Hex)
    : toHex(noble.getPublicKey(fromHex(secret)).toBytes(true));

/** Signs a message of any length. */
export const blsSign = (secret: Hex, message: Uint8Array): Hex =>
  native
    ? (native.SecretKey.fromBytes(fromHex(secret)).sign(message).toHex() as Hex)
    : blsSignReference(secret, message);

/** Signs with the reference implementation. */
export const blsSignReference = (secret: Hex, message: Uint8Array): Hex =>
  toHex(noble.sign(noble.hash(message, SIGN_DST), fromHex(secret)).toBytes());

/** Verifies one signature; false on anything malformed or outside the groups. */
export const blsVerify = (pub: Hex, message: Uint8Array, signature: Hex): boolean =>
  blsVerifyAggregate([pub], message, signature);

/**
 * Tells whether all of these sign one message, each by its own key; false on anything malformed. Sums them with random factors,
 * so that no bad ones make up for each other: 0.13 ms each in a batch of 64 instead of 1.2, off this thread but for a pairing.
 */
export const blsVerifySameMessage = async (
  message: Uint8Array,
  signed: readonly { readonly publicKey: Hex; readonly signature: Hex }[],
): Promise<boolean> => {
  if (!native) return signed.every(({ publicKey, signature }) => blsVerify(publicKey, message, signature));
  try {
    const sets = signed.map(({ publicKey, signature }) => ({
      pk: nativeKey(native, publicKey),
      sig: fromHex(signature),
    }));
    const { pk, sig } = await native.asyncAggregateWithRandomness(sets);
    return native.verify(message, pk, sig, false, false);
  } catch {
    return false;
  }
};

/** Sums signatures that were verified: none is looked at again. Throws on a malformed one. */
export const blsAggregate = (signatures: readonly Hex[]): Hex =>
  native
    ? (native.aggregateSerializedSignatures(signatures.map(fromHex), false).toHex() as Hex)
    : toHex(noble.aggregateSignatures(signatures.map((hex) => noble.Signature.fromBytes(fromHex(hex)))).toBytes());

/** Sums public keys; undefined where they cancel out. Throws on a malformed one. */
export const blsSumOfKeys = (pubs: readonly Hex[]): Hex | undefined => {
  if (native) {
    const sum = native.aggregatePublicKeys(pubs.map((pub) => nativeKey(native, pub))).toHex() as Hex;
    return sum === INFINITY ? undefined : sum;
  }
  const sum = noble.aggregatePublicKeys(pubs.map((pub) => bls12_381.G1.Point.fromHex(pub.slice(2))));
  return sum.is0() ? undefined : toHex(sum.toBytes(true));
};

/** Verifies one message signed by all of `pubs` (fast aggregate verification; keys need proofs of possession). */
export const blsVerifyAggregate = (pubs: readonly Hex[], message: Uint8Array, signature: Hex): boolean => {
  if (pubs.length === 0) return false;
  try {
    if (!native) return blsVerifyReference(pubs, message, signature);
    const point = native.Signature.fromBytes(fromHex(signature), true, true);
    return native.fastAggregateVerify(
      message,
      pubs.map((pub) => nativeKey(native, pub)),
      point,
      false,
    );
  } catch {
    return false;
  }
};

/** Verifies with the reference implementation. Throws on malformed points. */
export const blsVerifyReference = (pubs: readonly Hex[], message: Uint8Array, signature: Hex): boolean => {
  const point = noble.aggregatePublicKeys(pubs.map((pub) => bls12_381.G1.Point.fromHex(pub.slice(2))));
  return noble.verify(noble.Signature.fromBytes(fromHex(signature)), noble.hash(message, SIGN_DST), point);
};

/** Proves possession of a secret key: its signature of its own public key under a domain of its own. */
export const blsProve = (secret: Hex): Hex =>
  toHex(noble.sign(noble.hash(fromHex(blsPublicKey(secret)), PROVE_DST), fromHex(secret)).toBytes());

/** Checks a proof of possession in steps of 5 to 15 ms, of 30 ms in all: e(pub, H(pub)) = e(G1, proof). Throws on malformed points. */
const proofSteps = function* (pub: Hex, proof: Hex): Generator<void, boolean> {
  const point = bls12_381.G1.Point.fromHex(pub.slice(2));
  point.assertValidity();
  const signature = noble.Signature.fromBytes(fromHex(proof));
  signature.assertValidity();
  yield;
  const hashed = noble.hash(fromHex(pub), PROVE_DST);
  yield;
  const left = bls12_381.pairing(point, hashed, false);
  yield;
  const right = bls12_381.pairing(bls12_381.G1.Point.BASE.negate(), signature, false);
  yield;
  const { Fp12 } = bls12_381.fields;
  return Fp12.eql(Fp12.finalExponentiate(Fp12.mul(left, right)), Fp12.ONE);
};

/** What proofs turned out to be, the oldest first: who asks in steps asks again in one go. */
const proofs = new Map<string, boolean>();
const MAX_PROOFS = 1_024;
const rememberProof = (key: string, isGood: boolean): boolean => {
  proofs.set(key, isGood);
  forgetOldest(proofs, MAX_PROOFS);
  return isGood;
};

/** Verifies a proof of possession; false on anything malformed. About 30 ms, at once where it was verified lately. */
export const blsVerifyProof = (pub: Hex, proof: Hex): boolean => {
  const key = `${pub} ${proof}`;
  const known = proofs.get(key);
  if (known !== undefined) return known;
  try {
    const steps = proofSteps(pub, proof);
    let step = steps.next();
    while (!step.done) step = steps.next();
    return rememberProof(key, step.value);
  } catch {
    return rememberProof(key, false);
  }
};

/** As blsVerifyProof, with a pause before each step of 5 to 15 ms. Rejects where the pause does. */
export const blsVerifyProofSlowly = async (pub: Hex, proof: Hex, pause: () => Promise<void>): Promise<boolean> => {
  const key = `${pub} ${proof}`;
  const known = proofs.get(key);
  if (known !== undefined) return known;
  const steps = proofSteps(pub, proof);
  for (;;) {
    await pause();
    try {
      const step = steps.next();
      if (step.done) return rememberProof(key, step.value);
    } catch {
      return rememberProof(key, false);
    }
  }
};
