import type { Address, Hex } from "../lib/bytes.ts";

/** Shares of the three resources from an era on, of 65,536. */
export interface SchedulePoint {
  readonly era: number;
  readonly work: bigint;
  readonly contribution: bigint;
  readonly stake: bigint;
}

/** Every parameter in force in an era (spec section 14). Amounts in wei unless the name says nRLC. */
export interface Params {
  readonly slotSeconds: number;
  readonly slotsPerEpoch: number;
  readonly epochsPerEra: number;
  readonly schedule: readonly SchedulePoint[];
  readonly workDecayQ64: bigint;
  readonly contributionDecayQ64: bigint;
  readonly mintDivisor: bigint;
  readonly mintFloorWei: bigint;
  readonly contributionFloorWei: bigint;
  readonly workFloorHashes: bigint;
  readonly leverage: bigint;
  readonly leverageBondCeilingWei: bigint;
  readonly minBondWei: bigint;
  readonly maxValidators: number;
  readonly leakQuotient: bigint;
  /** Epochs without finality after which those who do not vote begin to lose. */
  readonly leakAfterEpochs: number;
  /** Epochs after its own in which a vote is still included for its reward, and against the leak. */
  readonly inclusionEpochs: number;
  /** Epochs until a worker's join or leave takes effect: proposers of one hand must not see the draws that it is for. */
  readonly membershipEpochs: number;
  readonly unbondingEpochs: number;
  readonly evidenceEpochs: number;
  readonly trustingEpochs: number;
  readonly issuancePerSlotWei: bigint;
  readonly burnQ16: bigint;
  readonly slotStakeNrlc: bigint;
  readonly silencePenaltyNrlc: bigint;
  readonly gasLimit: number;
  readonly initialBaseFeeWei: bigint;
  readonly workShareSeconds: number;
  readonly asertHalfLifeSeconds: number;
  readonly genesisDifficulty: bigint;
  readonly ethashEpochSlots: number;
  readonly ethashCacheBytes: number;
  readonly ethashDatasetBytes: number;
  readonly pricePerGgasNrlc: bigint;
  readonly weiPerGas: bigint;
  readonly maxTrust: bigint;
  readonly maxCommittee: number;
  readonly closesPerBlock: number;
  readonly drawsPerBlock: number;
  readonly serveSeconds: number;
  readonly poolStakeRatioPercent: bigint;
  readonly vmVersion: number;
  /** How many upgrades are in force; the header's nonce. */
  readonly upgradesInForce: number;
}

export interface GenesisValidator {
  readonly address: Address;
  readonly owner: Address;
  readonly blsPublicKey: Hex;
  readonly proofOfPossession: Hex;
  readonly bond: bigint;
}

/** Slots in the genesis pool that a worker holds from the start, so that a new network computes at once. */
export interface GenesisSlots {
  readonly worker: Address;
  readonly validator: Address;
  readonly count: number;
}

export interface Category {
  readonly name: string;
  readonly description: string;
  readonly workClockTimeRef: number;
}

/** A genesis document, checked. */
export interface Genesis {
  readonly chainId: number;
  readonly genesisTime: number;
  readonly params: Params;
  readonly upgrades: readonly ({ readonly era: number } & Partial<Params>)[];
  readonly validators: readonly GenesisValidator[];
  readonly accounts: readonly { readonly address: Address; readonly balance: bigint }[];
  readonly slots: readonly GenesisSlots[];
  readonly categories: readonly Category[];
  readonly reserveWei: bigint;
  readonly marketHubStakeNrlc: bigint;
  readonly hubOwner: Address;
  readonly poolDescription: string;
  /** keccak256 of the canonical document without upgrades; the extraData of block 0. */
  readonly extraData: Hex;
}

const cache = new WeakMap<Genesis, Map<number, Params>>();

/** Gives the parameters in force in an era: those of genesis with every upgrade up to it. Frozen. */
export const paramsAt = (genesis: Genesis, era: number): Params => {
  const due = genesis.upgrades.filter((upgrade) => upgrade.era <= era);
  const byCount = cache.get(genesis) ?? new Map<number, Params>();
  cache.set(genesis, byCount);
  let params = byCount.get(due.length);
  if (!params) {
    const merged = Object.assign({}, genesis.params, ...due.map(({ era: _, ...changed }) => changed));
    params = Object.freeze({ ...merged, upgradesInForce: due.length }) as Params;
    byCount.set(due.length, params);
  }
  return params;
};

/** The slot of a timestamp in seconds; a fraction where the timestamp is on no slot. */
export const slotOf = (genesis: Genesis, timestamp: number): number =>
  (timestamp - genesis.genesisTime) / genesis.params.slotSeconds;
/** The timestamp of a slot, in seconds. */
export const timestampOf = (genesis: Genesis, slot: number): number =>
  genesis.genesisTime + slot * genesis.params.slotSeconds;
/** The epoch of a slot. Slots and epochs have the same length for ever. */
export const epochOf = (genesis: Genesis, slot: number): number => Math.floor(slot / genesis.params.slotsPerEpoch);
/** The era of an epoch. */
export const eraOf = (genesis: Genesis, epoch: number): number => Math.floor(epoch / genesis.params.epochsPerEra);
/** The first epoch that a block of an epoch has not closed: votes for it are still to be rewarded (spec section 6). */
export const firstOpenEpoch = (genesis: Genesis, epoch: number): number =>
  Math.max(0, epoch - genesis.params.inclusionEpochs);
/** The first slot of an epoch. */
export const firstSlot = (genesis: Genesis, epoch: number): number => epoch * genesis.params.slotsPerEpoch;
