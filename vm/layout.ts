/*
 * The numbers of the tables of each system account (chain/records.ts). Numbers are for ever. docs/state.md says what each
 * table holds, and a test holds the two together.
 */

/** 0x…1000: the validators; from 32 on what consensus keeps. */
export const VALIDATORS_TABLE = {
  validatorCount: 0,
  validator: 1,
  validatorByAddress: 2,
  validatorByKey: 3,
  exiting: 4,
  finality: 64,
  anchor: 65,
  checkpoint: 66,
  set: 67,
  active: 68,
  candidate: 69,
  workAnchor: 70,
  workIncluded: 71,
  workAhead: 72,
  workEarned: 73,
  tally: 80,
  slashing: 81,
  slashingEpochs: 82,
  reserve: 83,
  bondsBurned: 84,
  withScore: 85,
  named: 86,
} as const;

/** 0x…1001: the hub. */
export const HUB_TABLE = {
  owner: 0,
  account: 1,
  categoryCount: 2,
  category: 3,
  deal: 4,
  task: 5,
  score: 6,
  consumed: 7,
  presigned: 8,
  allowance: 9,
  totalSupply: 10,
  setting: 11,
  scheduledTask: 12,
  contribution: 13,
  resultGroup: 14,
} as const;

/** 0x…1002 to 0x…1004: the registries. */
export const REGISTRY_TABLE = {
  count: 0,
  entry: 1,
  token: 2,
  byIndex: 3,
  balance: 4,
  owned: 5,
  operator: 6,
  baseUri: 7,
} as const;

/** 0x…1005: the token. */
export const TOKEN_TABLE = {
  allowance: 0,
} as const;

/** 0x…1006: the market. */
export const MARKET_TABLE = {
  pool: 0,
  poolSlot: 1,
  slot: 2,
  slotCount: 3,
  worker: 4,
  workerSlot: 5,
  membership: 6,
  membershipQueue: 7,
  offer: 8,
  job: 9,
  jobCount: 10,
  lineLink: 11,
  lineEnds: 12,
  lot: 13,
  receipt: 14,
  escalation: 15,
  escalationQueue: 16,
  agendaCount: 17,
  agenda: 18,
  agendaCursor: 19,
  burnedOfEra: 20,
  burnedTotal: 21,
  genesisPool: 22,
  group: 23,
  groupMember: 24,
  groupCount: 25,
  waitingClasses: 26,
  arrival: 27,
  arrivalQueue: 28,
  membershipEpoch: 29,
} as const;
