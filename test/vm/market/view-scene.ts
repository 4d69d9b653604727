import type { State } from "../../../chain/state.ts";
import { type Address, EMPTY, utf8, ZERO_HASH } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { RLC } from "../../../lib/units.ts";
import { type AbiFunction, type AbiValue, abiFunction } from "../../../vm/abi.ts";
import {
  APP_REGISTRY,
  DATASET_REGISTRY,
  HUB,
  MARKET,
  TOKEN,
  VALIDATORS,
  WORKERPOOL_REGISTRY,
} from "../../../vm/addresses.ts";
import {
  APP_ABI,
  APP_REGISTRY_ABI,
  DATASET_ABI,
  DATASET_REGISTRY_ABI,
  GROUP_ABI,
  HUB_ABI,
  MARKET_ABI,
  REGISTRY_ABI,
  TOKEN_ABI,
  WORKERPOOL_ABI,
  WORKERPOOL_REGISTRY_ABI,
} from "../../../vm/market/abi.ts";
import { jobOf, lotId } from "../../../vm/market/deal.ts";
import { LOT_STATUS, newLot, newSeat, SEAT, setLot, setReceipt } from "../../../vm/market/lot.ts";
import { DATASET_ORDER } from "../../../vm/market/order.ts";
import { addSlot } from "../../../vm/market/slot.ts";
import { nativeAt } from "../../../vm/native-table.ts";
import { Revert } from "../../../vm/natives.ts";
import { active, sets } from "../../../vm/validator-store.ts";
import { VALIDATORS_ABI } from "../../../vm/validators.ts";
import { createScene, signAs } from "./scene.ts";
import { addressBy, market, receiptFor, registry } from "./world.ts";

const SEATS = 64;
const SLOTS = 2_048;
const MEMBERS = 1_024;
/** About the largest text that a transaction can bring. */
const LONG = 65_536;

/** Notes what is read of a state: each record and account once. */
export const counted = (state: State): { state: State; taken(): Uint8Array[] } => {
  const seen = new Map<string, Uint8Array>();
  /** About what an account's record has. */
  const account = new Uint8Array(100);
  return {
    state: {
      ...state,
      account: (address) => {
        seen.set(address, account);
        return state.account(address);
      },
      balance: (address) => {
        seen.set(address, account);
        return state.balance(address);
      },
      code: (address) => {
        seen.set(address, account);
        return state.code(address);
      },
      record: (address, table, id) => {
        const value = state.record(address, table, id);
        seen.set(`${address} ${table} ${id}`, value ?? EMPTY);
        return value;
      },
    },
    taken: () => [...seen.values()],
  };
};

/** Lists the functions of an ABI that change nothing. */
const viewsOf = (abi: readonly string[]): AbiFunction[] =>
  abi.filter((line) => line.startsWith("function ") && /\b(view|pure)\b/.test(line)).map(abiFunction);

/** Makes a market in which each record is as large as it may be, and lists all views of all native contracts with calldata that finds them. */
export const createViewScene = () => {
  const scene = createScene(
    Array.from({ length: SEATS }, (_, i) => `w${i}`),
    [["few", 2]],
  );
  const { state, world } = scene;
  const many = addressBy("many");
  const long = "x".repeat(LONG);
  for (let i = 0; i < SLOTS; i++)
    addSlot(
      { state, block: world.block(), log: () => {} },
      { pool: world.pool, worker: many, staker: many, validator: world.validators[0]!, stake: RLC },
    );
  state.credit(MARKET, BigInt(SLOTS) * RLC);
  const bag = world.submit({ volume: 3_000, gasLimit: 2_000_000_000n, value: 1_000n * RLC, params: long });
  const job = jobOf(state, bag)!;
  const seats = Array.from({ length: SEATS }, (_, slot) => ({
    ...newSeat({ slot, worker: addressBy(`w${slot}`), validator: world.validators[0]!, round: 1 }),
    status: SEAT.proved,
    resultHash: keccak256(utf8("result")),
    resultSeal: keccak256(utf8(`seal ${slot}`)),
    itemsRoot: keccak256(utf8("items")),
  }));
  for (let i = 0; i < 1_100; i++) {
    const id = lotId(bag, job, i);
    const consensus = seats[0]!.resultHash;
    setLot(state, id, { ...newLot(bag, job, i), status: LOT_STATUS.completed, drawTime: 1, consensus, seats });
    setReceipt(state, id, receiptFor(1, { callbackData: new Uint8Array(1_024).fill(7) }));
  }
  const single = lotId(bag, job, 0);

  const dealid = scene.match({ app: {}, dataset: {}, request: { params: long, trust: 100n } });
  const task = scene.initialize(dealid);
  for (let i = 0; i < SEATS; i++) scene.contribute(`w${i}`, task, `result ${i}`);
  const app = world.call(world.developer, APP_REGISTRY, registry("createApp"), [
    world.developer,
    long,
    "DOCKER",
    utf8(long.slice(0, 20_000)),
    ZERO_HASH,
    EMPTY,
  ]).values[0] as Address;
  const group = world.call(world.requester, MARKET, market("createGroup"), [[many, world.requester]])
    .values[0] as Address;
  sets.set(state, 1, {
    era: 0,
    origin: 1,
    members: Array.from({ length: MEMBERS }, (_, index) => {
      return { index, power: RLC, votePower: RLC, bond: RLC, contribution: RLC };
    }),
  });
  active.set(state, 0, { set: 1, setBefore: 0, last: 1 });

  const { pool, dataset, requester } = scene;
  /** What an argument of a type may be: each view is tried with all that fit. */
  const candidates: Readonly<Record<string, readonly AbiValue[]>> = {
    address: [many, requester, world.validators[0]!, app, dataset, pool, addressBy("w0"), group],
    bytes32: [bag, single, dealid, task],
    uint256: [0n, 1n, BigInt(app)],
    bytes4: ["0x01ffc9a7"],
    string: [long],
    bytes: [signAs("developer", ZERO_HASH)],
  };
  const orders = scene.orders({ app: {}, dataset: {}, request: { params: long } });
  const special: Readonly<Record<string, AbiValue[]>> = {
    computeDealVolume: orders,
    assertDatasetDealCompatibility: [DATASET_ORDER.values(scene.datasetOrder()), dealid],
    quote: [world.jobArgs({ params: long })],
  };
  const argumentsOf = (fn: AbiFunction): AbiValue[][] =>
    special[fn.name]
      ? [special[fn.name]!]
      : fn.inputs.reduce<AbiValue[][]>(
          (lists, { name }) => lists.flatMap((list) => (candidates[name] ?? []).map((value) => [...list, value])),
          [[]],
        );
  const contracts: readonly (readonly [string, Address, readonly string[]])[] = [
    ["validators", VALIDATORS, VALIDATORS_ABI],
    ["hub", HUB, HUB_ABI],
    ["apps", APP_REGISTRY, [...REGISTRY_ABI, ...APP_REGISTRY_ABI]],
    ["datasets", DATASET_REGISTRY, [...REGISTRY_ABI, ...DATASET_REGISTRY_ABI]],
    ["pools", WORKERPOOL_REGISTRY, [...REGISTRY_ABI, ...WORKERPOOL_REGISTRY_ABI]],
    ["RLC", TOKEN, TOKEN_ABI],
    ["market", MARKET, MARKET_ABI],
    ["app", app, APP_ABI],
    ["dataset", dataset, DATASET_ABI],
    ["pool", pool, WORKERPOOL_ABI],
    ["group", group, GROUP_ABI],
  ];
  const calls = contracts.flatMap(([contract, to, abi]) =>
    viewsOf(abi).map((fn) => ({
      name: `${contract}.${fn.name}`,
      to,
      data: argumentsOf(fn).map((args) => fn.encode(...args)),
    })),
  );
  /** Runs a view; undefined where it reverts. */
  const run = (on: State, to: Address, data: Uint8Array): Uint8Array | undefined => {
    try {
      return nativeAt(on, to)!.call({
        ...{ state: on, block: world.block(), self: to, sender: requester, origin: requester },
        ...{ value: 0n, data, isStatic: false, log: () => {} },
      });
    } catch (error) {
      if (error instanceof Revert) return undefined;
      throw error;
    }
  };
  return { state, calls, run, gasOf: (to: Address, data: Uint8Array): number => nativeAt(state, to)!.gas(data) };
};
