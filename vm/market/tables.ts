import type { State } from "../../chain/state.ts";
import { type Address, concat, fromHex, type Hash, utf8 } from "../../lib/bytes.ts";
import { type Coder, decodeWith, encodeWith, bytes as lengthBytes } from "../../lib/codec.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { asBytes } from "../../lib/rlp.ts";

/** Tables of 0x…1001, the hub. Numbers are for ever. */
export const HUB_TABLE = {
  /** id 0: the hub's owner; id address: a registry's. */
  owner: 0,
  /** id address: stake and locked, in nRLC. */
  account: 1,
  /** id 0: number of categories. */
  categoryCount: 2,
  /** id number: a category. */
  category: 3,
  /** id dealid: what was agreed when the deal was made. */
  deal: 4,
  /** id taskid: a task of a lot of several, once it was settled. */
  task: 5,
  /** id address: PoCo's score of a worker. */
  score: 6,
  /** id order hash: how much of its volume is used up. */
  consumed: 7,
  /** id order hash: who signed it on chain. */
  presigned: 8,
  /** id keccak256(owner, spender): nRLC of the owner's free stake. */
  allowance: 9,
  /** id 0: nRLC in the hub, free and locked. */
  totalSupply: 10,
  /** id 0: the TEE broker; id 1: gas of callbacks. */
  setting: 11,
  /** id taskid: a task of an owner-scheduled pool. */
  scheduledTask: 12,
  /** id keccak256(taskid, worker): a contribution to one. */
  contribution: 13,
  /** id keccak256(taskid, result hash): the weight of those who contributed it. */
  resultGroup: 14,
} as const;

/** Tables of 0x…1002 to 0x…1004, the registries. */
export const REGISTRY_TABLE = {
  /** id 0: number of entries. */
  count: 0,
  /** id entry: what was registered. */
  entry: 1,
  /** id entry: owner, place in the owner's list, approved address. */
  token: 2,
  /** id number: the entry created at that place. */
  byIndex: 3,
  /** id address: number of entries it owns. */
  balance: 4,
  /** id keccak256(owner, index): an entry of an owner. */
  owned: 5,
  /** id keccak256(owner, operator): whether it may move all of the owner's. */
  operator: 6,
  /** id 0: what token URIs begin with. */
  baseUri: 7,
} as const;

/** Tables of 0x…1005, the token. */
export const TOKEN_TABLE = {
  /** id keccak256(owner, spender): nRLC. */
  allowance: 0,
} as const;

/** Tables of 0x…1006, the market. */
export const MARKET_TABLE = {
  /** id pool: policy, number of slots, number that could be drawn. */
  pool: 0,
  /** id keccak256(pool, index): the slot id at that place. */
  poolSlot: 1,
  /** id number: a slot. */
  slot: 2,
  /** id 0: number of slots that there ever were. */
  slotCount: 3,
  /** id worker: number of its slots, number of its joins by others. */
  worker: 4,
  /** id keccak256(worker, index): the slot id at that place. */
  workerSlot: 5,
  /** id keccak256(pool, number): a join, leave, pause or resumption of the pool that waits. */
  membership: 6,
  /** id pool: the ends of that queue. */
  membershipQueue: 7,
  /** id entry: a standing offer. */
  offer: 8,
  /** id dealid: how far a deal is. */
  job: 9,
  /** id 0: number of jobs ever submitted. */
  jobCount: 10,
  /** id keccak256(line, value): who stands before and after a pool (lines 0 to 5) or a deal (line of pool and committee). */
  lineLink: 11,
  /** id line: the first and the last. */
  lineEnds: 12,
  /** id lot: a lot and its seats. */
  lot: 13,
  /** id lot: the receipt agreed on. */
  receipt: 14,
  /** id keccak256(pool, number): a lot of the pool that waits for another round. */
  escalation: 15,
  /** id pool: the ends of that queue. */
  escalationQueue: 16,
  /** id slot: number of entries of the agenda for it. */
  agendaCount: 17,
  /** id keccak256(slot, index): a lot whose round ends then. */
  agenda: 18,
  /** id 0: how far the agenda was run. */
  agendaCursor: 19,
  /** id era: nRLC of fees burned in it. */
  burnedOfEra: 20,
  /** id 0: wei that the market ever burned. */
  burnedTotal: 21,
  /** id 0: the pool named in genesis. */
  genesisPool: 22,
  /** id group: its owner and number of members. */
  group: 23,
  /** id keccak256(group, account): whether the group holds it. */
  groupMember: 24,
  /** id 0: number of groups ever made. */
  groupCount: 25,
  /** id pool: how many of its deals wait, by the size of their committees, and when each size has its turn. */
  waitingClasses: 26,
  /** id number: a deal whose lots are not ready yet. */
  arrival: 27,
  /** id 0: the ends of that queue. */
  arrivalQueue: 28,
  /** id 0: the epoch in which joins and leaves last took effect. */
  membershipEpoch: 29,
} as const;

/** Records of one kind. A record's first field is its version. */
export interface Table<T> {
  get(state: State, id: Hash): T | undefined;
  set(state: State, id: Hash, value: T | undefined): void;
}

const VERSION = 1;

/** Makes a table of an account: the leaf of an id is the RLP list of the version and the value's fields. */
export const tableOf = <T>(account: Address, number: number, coder: Coder<T>): Table<T> => {
  const versioned: Coder<T> = {
    encode: (value) => {
      const item = coder.encode(value);
      return [Uint8Array.of(VERSION), ...(item instanceof Uint8Array ? [item] : item)];
    },
    decode: (item) => {
      const fields = item as Uint8Array[];
      const [version] = asBytes(fields[0]);
      if (version !== VERSION) throw new Error(`record of version ${version} in table ${number} of ${account}`);
      return coder.decode(fields.slice(1));
    },
  };
  return {
    get: (state, id) => {
      const bytes = state.record(account, number, id);
      return bytes && decodeWith(versioned, bytes);
    },
    set: (state, id, value) =>
      state.setRecord(account, number, id, value === undefined ? undefined : encodeWith(versioned, value)),
  };
};

/** The coder of a record that is one value. */
export const single = <T>(coder: Coder<T>): Coder<T> => ({
  encode: (value) => [coder.encode(value)],
  decode: (item) => coder.decode((item as Uint8Array[])[0]!),
});

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
/** No record field can be longer than the transaction that brought it. */
const MAX_FIELD = 1 << 18;
/** Bytes of any length that a transaction can bring. */
export const anyBytes = lengthBytes(MAX_FIELD);
/** Text of any length that a transaction can bring, a byte order mark kept. */
export const anyText: Coder<string> = {
  encode: utf8,
  decode: (item) => decoder.decode(anyBytes.decode(item)),
};

/** The id of a record that belongs to two things, each given as hex. */
export const pairId = (a: Hash | Address, b: Hash | Address): Hash => keccak256(concat(fromHex(a), fromHex(b)));
