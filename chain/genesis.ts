import { blsVerifyProof } from "../lib/bls.ts";
import { type Address, type Hash, type Hex, isHex, utf8, ZERO_ADDRESS } from "../lib/bytes.ts";
import { keccak256 } from "../lib/keccak.ts";
import { NRLC, RLC } from "../lib/units.ts";
import type { Category, Genesis, GenesisSlots, GenesisValidator, Params, SchedulePoint } from "./params.ts";
import { CATEGORIES, DEV_PARAMS } from "./profiles.ts";

/** All RLC there will ever be, in wei; the reserve is part of it. */
export const SUPPLY_WEI = 87_000_000n * RLC;

/** A genesis document says something impossible; the message names the field and the reason. */
const refuse = (field: string, reason: string): never => {
  throw new Error(`genesis: ${field}: ${reason}`);
};

type Json = Record<string, unknown>;
const object = (value: unknown, field: string): Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Json)
    : refuse(field, "an object is expected");
const array = (value: unknown, field: string, max: number): unknown[] => {
  if (!Array.isArray(value)) return refuse(field, "a list is expected");
  return value.length <= max ? value : refuse(field, `${value.length} entries, at most ${max}`);
};
const integer = (value: unknown, field: string, min: number, max = Number.MAX_SAFE_INTEGER): number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max
    ? value
    : refuse(field, `a whole number from ${min} to ${max} is expected, not ${JSON.stringify(value)}`);
const amount = (value: unknown, field: string, min = 0n): bigint => {
  if (typeof value !== "string" || !/^(0|[1-9]\d{0,76})$/.test(value))
    return refuse(field, "a decimal string of at most 77 digits is expected");
  return BigInt(value) >= min ? BigInt(value) : refuse(field, `at least ${min} is expected, not ${value}`);
};
const text = (value: unknown, field: string): string =>
  typeof value === "string" && value.length <= 256
    ? value
    : refuse(field, "a text of at most 256 characters is expected");
/** An address that somebody can have: not zero, none of the system's. */
const ownAddress = (value: unknown, field: string): Hex => {
  const read = hex(value, field, 20);
  return BigInt(read) > 0xffffn ? read : refuse(field, "is an address of the system");
};
const hex = (value: unknown, field: string, size: number): Hex => {
  const lower = typeof value === "string" ? value.toLowerCase() : value;
  return isHex(lower, size) ? lower : refuse(field, `0x and ${2 * size} hex digits are expected`);
};

/** Fields that are whole numbers, with their least and greatest value. */
const INTEGERS: Record<string, readonly [least: number, most: number]> = {
  slotSeconds: [1, 3_600],
  slotsPerEpoch: [2, 4_096],
  epochsPerEra: [4, 65_536],
  maxValidators: [1, 1_024],
  leakAfterEpochs: [2, 65_536],
  inclusionEpochs: [1, 64],
  membershipEpochs: [1, 65_536],
  unbondingEpochs: [1, 10_000_000],
  evidenceEpochs: [1, 10_000_000],
  trustingEpochs: [1, 10_000_000],
  gasLimit: [1_000_000, 100_000_000_000],
  workShareSeconds: [1, 3_600],
  asertHalfLifeSeconds: [1, 31_536_000],
  ethashEpochSlots: [1, 100_000_000],
  ethashCacheBytes: [8_192, 2 ** 31],
  ethashDatasetBytes: [16_384, 2 ** 36],
  maxCommittee: [2, 256],
  closesPerBlock: [1, 65_536],
  drawsPerBlock: [2, 65_536],
  serveSeconds: [0, 31_536_000],
  vmVersion: [1, 2],
};

/** Fields that are decimal strings, with their least value. */
const AMOUNTS = {
  workDecayQ64: 1n,
  contributionDecayQ64: 1n,
  mintDivisor: 1n,
  mintFloorWei: 0n,
  contributionFloorWei: 1n,
  workFloorHashes: 1n,
  leverage: 1n,
  leverageBondCeilingWei: 1n,
  minBondWei: 1n,
  leakQuotient: 1n,
  issuancePerSlotWei: 0n,
  burnQ16: 0n,
  slotStakeNrlc: 1n,
  silencePenaltyNrlc: 0n,
  initialBaseFeeWei: 7n,
  genesisDifficulty: 1n,
  pricePerGgasNrlc: 1n,
  weiPerGas: 0n,
  maxTrust: 1n,
  poolStakeRatioPercent: 0n,
} as const;

const readSchedule = (value: unknown, field: string): SchedulePoint[] => {
  const points = array(value, field, 64).map((entry, i) => {
    const point = object(entry, `${field}[${i}]`);
    const share = (name: string) => amount(point[name], `${field}[${i}].${name}`);
    const read = {
      era: integer(point.era, `${field}[${i}].era`, 0),
      work: share("work"),
      contribution: share("contribution"),
      stake: share("stake"),
    };
    if (read.work + read.contribution + read.stake !== 65_536n)
      refuse(`${field}[${i}]`, "the shares do not add up to 65536");
    return read;
  });
  if (points[0]?.era !== 0) refuse(field, "the first point is not at era 0");
  points.reduce((before, point) => (point.era > before.era ? point : refuse(field, "eras do not ascend")));
  return points;
};

/** Reads the parameters that an object gives; all of them when `whole`, else those that it changes. */
const readParams = (json: Json, field: string, whole: boolean): Partial<Params> => {
  const params: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(json)) {
    const at = `${field}.${name}`;
    if (Object.hasOwn(INTEGERS, name)) params[name] = integer(value, at, ...INTEGERS[name]!);
    else if (Object.hasOwn(AMOUNTS, name)) params[name] = amount(value, at, AMOUNTS[name as keyof typeof AMOUNTS]);
    else if (name === "schedule") params[name] = readSchedule(value, at);
    else refuse(at, "no such parameter");
  }
  if (whole)
    for (const name of [...Object.keys(INTEGERS), ...Object.keys(AMOUNTS), "schedule"])
      if (!Object.hasOwn(params, name)) refuse(`${field}.${name}`, "is missing");
  return params as Partial<Params>;
};

/** Checks what must hold between parameters. */
const checkParams = (p: Params, field: string): void => {
  if (!(p.trustingEpochs < p.evidenceEpochs && p.evidenceEpochs < p.unbondingEpochs))
    refuse(field, "trustingEpochs < evidenceEpochs < unbondingEpochs does not hold");
  if (p.slotSeconds > 4 * p.workShareSeconds) refuse(field, "slotSeconds is over 4 * workShareSeconds");
  if (p.silencePenaltyNrlc > p.slotStakeNrlc) refuse(`${field}.silencePenaltyNrlc`, "is over slotStakeNrlc");
  if (p.burnQ16 > 65_536n) refuse(`${field}.burnQ16`, "is over 65536");
  // Ethash grows by a 128th of the start an epoch, in whole items and pages (consensus/ethash/sizes.ts).
  if (p.ethashCacheBytes % 2 ** 13 !== 0) refuse(`${field}.ethashCacheBytes`, "is no multiple of 8192");
  if (p.ethashDatasetBytes % 2 ** 14 !== 0) refuse(`${field}.ethashDatasetBytes`, "is no multiple of 16384");
  for (const name of ["workDecayQ64", "contributionDecayQ64"] as const)
    if (p[name] >= 1n << 64n) refuse(`${field}.${name}`, "is 2^64 or more: credit would never fade");
  if (p.weiPerGas !== (p.pricePerGgasNrlc * p.burnQ16) >> 16n)
    refuse(`${field}.weiPerGas`, "is not pricePerGgasNrlc*burnQ16 >> 16: overpaying would earn weight");
};

const FIELDS = [
  "description",
  "chainId",
  "genesisTime",
  "params",
  "upgrades",
  "validators",
  "accounts",
  "slots",
  "categories",
  "reserveWei",
  "marketHubStakeNrlc",
  "hubOwner",
  "poolDescription",
];
const FIXED = ["slotSeconds", "slotsPerEpoch", "epochsPerEra", "inclusionEpochs"] as const;

/** Slots of all workers in a genesis document: each is a record of block 0. */
const MAX_SLOTS = 65_536n;

/** Reads and checks a genesis document. Throws an Error that names the field and the reason. */
export const readGenesis = (document: unknown): Genesis => {
  const json = object(document, "document");
  for (const name of Object.keys(json)) if (!FIELDS.includes(name)) refuse(name, "no such field");
  const params = { ...readParams(object(json.params, "params"), "params", true), upgradesInForce: 0 } as Params;
  checkParams(params, "params");
  const upgrades = array(json.upgrades ?? [], "upgrades", 64).map((entry, i) => {
    const { era, ...changed } = object(entry, `upgrades[${i}]`);
    for (const name of FIXED) if (Object.hasOwn(changed, name)) refuse(`upgrades[${i}].${name}`, "never changes");
    return { era: integer(era, `upgrades[${i}].era`, 1), ...readParams(changed, `upgrades[${i}]`, false) };
  });
  upgrades.reduce(
    (before, upgrade) => (upgrade.era > before.era ? upgrade : refuse("upgrades", "eras do not ascend")),
    { era: 0 },
  );
  let current = params;
  for (const [i, upgrade] of upgrades.entries()) {
    current = { ...current, ...upgrade };
    checkParams(current, `upgrades[${i}]`);
  }

  const validators = readValidators(json.validators, params);
  const accounts = array(json.accounts, "accounts", 100_000).map((entry, i) => {
    const account = object(entry, `accounts[${i}]`);
    return {
      address: ownAddress(account.address, `accounts[${i}].address`),
      balance: amount(account.balance, `accounts[${i}].balance`),
    };
  });
  distinct(
    accounts.map((each) => each.address),
    "accounts",
  );
  const slots = array(json.slots ?? [], "slots", 10_000).map((entry, i): GenesisSlots => {
    const slot = object(entry, `slots[${i}]`);
    const validator = hex(slot.validator, `slots[${i}].validator`, 20);
    if (!validators.some((each) => each.address === validator))
      refuse(`slots[${i}].validator`, "is no validator of this document");
    return {
      worker: ownAddress(slot.worker, `slots[${i}].worker`),
      validator,
      count: integer(slot.count, `slots[${i}].count`, 1, 4096),
    };
  });
  distinct(
    slots.map((slot) => slot.worker),
    "slots",
  );
  const categories = array(json.categories, "categories", 64).map((entry, i): Category => {
    const at = `categories[${i}]`;
    const category = object(entry, at);
    return {
      name: text(category.name, `${at}.name`),
      description: text(category.description, `${at}.description`),
      workClockTimeRef: integer(category.workClockTimeRef, `${at}.workClockTimeRef`, 1, 31_536_000),
    };
  });
  if (categories.length === 0) refuse("categories", "there is none");
  const reserveWei = amount(json.reserveWei, "reserveWei");
  const marketHubStakeNrlc = amount(json.marketHubStakeNrlc, "marketHubStakeNrlc");
  const seats = slots.reduce((sum, slot) => sum + BigInt(slot.count), 0n);
  if (seats > MAX_SLOTS) refuse("slots", `${seats} slots in all, at most ${MAX_SLOTS}`);
  const total =
    accounts.reduce((sum, each) => sum + each.balance, 0n) +
    validators.reduce((sum, each) => sum + each.bond, 0n) +
    (marketHubStakeNrlc + seats * params.slotStakeNrlc) * NRLC +
    reserveWei;
  if (total !== SUPPLY_WEI)
    refuse("document", `balances, bonds, stakes and reserve are ${total} wei, not ${SUPPLY_WEI}`);
  return Object.freeze({
    chainId: integer(json.chainId, "chainId", 1, 4_503_599_627_370_476),
    genesisTime: integer(json.genesisTime, "genesisTime", 0, 253_402_300_799),
    params: Object.freeze(params),
    upgrades,
    validators,
    accounts,
    slots,
    categories,
    reserveWei,
    marketHubStakeNrlc,
    hubOwner: hex(json.hubOwner ?? ZERO_ADDRESS, "hubOwner", 20),
    poolDescription: text(json.poolDescription ?? "", "poolDescription"),
    extraData: genesisExtraData(json),
  });
};

const distinct = (values: readonly string[], field: string): void => {
  const seen = new Set<string>();
  for (const value of values) if (seen.size === seen.add(value).size) refuse(field, `${value} stands there twice`);
};

const readValidators = (value: unknown, params: Params): GenesisValidator[] => {
  const validators = array(value, "validators", params.maxValidators).map((entry, i): GenesisValidator => {
    const at = `validators[${i}]`;
    const json = object(entry, at);
    const read = {
      address: ownAddress(json.address, `${at}.address`),
      owner: ownAddress(json.owner, `${at}.owner`),
      blsPublicKey: hex(json.blsPublicKey, `${at}.blsPublicKey`, 48),
      proofOfPossession: hex(json.proofOfPossession, `${at}.proofOfPossession`, 96),
      bond: amount(json.bond, `${at}.bond`),
    };
    if (read.bond < params.minBondWei) refuse(`${at}.bond`, `is under minBondWei, ${params.minBondWei}`);
    if (!blsVerifyProof(read.blsPublicKey, read.proofOfPossession))
      refuse(`${at}.proofOfPossession`, "does not prove possession of the key");
    return read;
  });
  if (validators.length === 0) refuse("validators", "there is none, so no block could ever be made");
  distinct(
    validators.map((each) => each.address),
    "validators",
  );
  distinct(
    validators.map((each) => each.blsPublicKey),
    "validators",
  );
  return validators;
};

/** Serializes JSON in the form of RFC 8785 (all numbers of a genesis document are integers). */
export const canonicalJson = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value as Json).filter(([, item]) => item !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([name, item]) => `${JSON.stringify(name)}:${canonicalJson(item)}`).join(",")}}`;
};

/** Computes block 0's extraData: different parameters are different chains. Upgrades are left out, they come later. */
const genesisExtraData = (document: Json): Hash => {
  const { upgrades: _, ...rest } = document;
  return keccak256(utf8(canonicalJson(rest)));
};

/** A validator, account or slot as it stands in a genesis document. */
export interface DevGenesisOptions {
  readonly genesisTime: number;
  readonly chainId?: number;
  readonly validators: readonly {
    address: Address;
    owner: Address;
    blsPublicKey: Hex;
    proofOfPossession: Hex;
    bond: string;
  }[];
  readonly accounts: readonly { address: Address; balance: string }[];
  readonly slots: readonly GenesisSlots[];
  readonly description?: string;
  readonly params?: Partial<Record<keyof Params, unknown>>;
}

/** Makes a genesis document, of the development profile where no parameters are given; what nobody is given goes to the first validator's account. */
export const devGenesis = (options: DevGenesisOptions): Json => {
  const params = { ...DEV_PARAMS, ...options.params };
  const reserveWei = SUPPLY_WEI / 10n;
  const marketHubStakeNrlc = 100_000n * NRLC;
  const seats = options.slots.reduce((sum, slot) => sum + BigInt(slot.count), 0n);
  const given =
    options.accounts.reduce((sum, each) => sum + BigInt(each.balance), 0n) +
    options.validators.reduce((sum, each) => sum + BigInt(each.bond), 0n) +
    (marketHubStakeNrlc + seats * BigInt(String(params.slotStakeNrlc))) * NRLC +
    reserveWei;
  const treasury = options.validators[0]?.address ?? ZERO_ADDRESS;
  const ownBalance = BigInt(options.accounts.find((each) => each.address === treasury)?.balance ?? 0);
  return {
    description: options.description ?? "rolec development network",
    chainId: options.chainId ?? 77_216,
    genesisTime: options.genesisTime,
    params,
    upgrades: [],
    validators: options.validators,
    accounts: [
      ...options.accounts.filter((each) => each.address !== treasury),
      { address: treasury, balance: (SUPPLY_WEI - given + ownBalance).toString() },
    ],
    slots: options.slots,
    categories: CATEGORIES,
    reserveWei: reserveWei.toString(),
    marketHubStakeNrlc: marketHubStakeNrlc.toString(),
    hubOwner: ZERO_ADDRESS,
    poolDescription: "The public pool: the chain draws who computes",
  };
};
