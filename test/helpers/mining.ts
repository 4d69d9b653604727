import type { WorkShare } from "../../chain/block.ts";
import { type Genesis, slotOf } from "../../chain/params.ts";
import type { Engine } from "../../consensus/engine.ts";
import { allocate, type Kernel, openKernel } from "../../consensus/ethash/kernel.ts";
import { ethashEpochAt, sealHash, targetOf } from "../../consensus/shares.ts";
import { type Address, bigintToBytes, type Hash, type Hex, toHex, word, ZERO_HASH } from "../../lib/bytes.ts";
import { keccak256Bytes, keccak512Bytes } from "../../lib/keccak.ts";

/** Work so easy that a test finds it at once, over an Ethash of 8 and 16 KiB. */
export const EASY_WORK = { genesisDifficulty: "16", ethashCacheBytes: 8_192, ethashDatasetBytes: 16_384 };

/** Opens Ethash by cache for the epoch of a slot. */
export const openMiner = (genesis: Genesis, slot = 0): Kernel => {
  const kernel = openKernel(allocate(ethashEpochAt(genesis, slot), 1, false), 0);
  kernel.makeCache();
  return kernel;
};

export interface MineOptions {
  readonly beneficiary: Address;
  /** The head where it is left out. */
  readonly anchor?: Hash;
  readonly extraNonce?: Hash;
}

/** Finds a valid share by trying nonces. */
export const mineShare = (engine: Engine, options: MineOptions): WorkShare => {
  const anchor = engine.store.block(options.anchor ?? engine.head().hash)!;
  const { beneficiary, extraNonce = ZERO_HASH } = options;
  const work = { anchorHash: anchor.hash, beneficiary, extraNonce };
  const kernel = openMiner(engine.chain.genesis, slotOf(engine.chain.genesis, anchor.header.timestamp));
  const seal = sealHash(engine.genesisHash, work);
  const found = kernel.search(seal, targetOf(anchor.header.difficulty), 0n, 2 ** 20);
  if (!found) throw new Error("no share found");
  return { ...work, ...found };
};

/** Makes a share whose result is within the target if its mix is believed, which is not Ethash's. Costs `difficulty` hashes. */
export const forgeShare = (engine: Engine, options: MineOptions & { nonce?: Hex }): WorkShare => {
  const anchor = engine.store.block(options.anchor ?? engine.head().hash)!;
  const { beneficiary, extraNonce = ZERO_HASH, nonce = "0x0000000000000001" } = options;
  const work = { anchorHash: anchor.hash, beneficiary, extraNonce };
  const seal = Buffer.from(sealHash(engine.genesisHash, work).slice(2), "hex");
  const seed = keccak512Bytes(Buffer.concat([seal, Buffer.from(nonce.slice(2), "hex").reverse()]));
  for (let guess = 0; ; guess++) {
    const mix = bigintToBytes(BigInt(guess), 32);
    if (BigInt(toHex(keccak256Bytes(seed, mix))) <= targetOf(anchor.header.difficulty))
      return { ...work, nonce, mixHash: word(guess) };
  }
};
