import {
  type Address,
  concat,
  EMPTY,
  fromHex,
  type Hash,
  utf8,
  word,
  ZERO_ADDRESS,
  ZERO_HASH,
} from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { addressOf, sign } from "../../../lib/secp256k1.ts";
import { NRLC } from "../../../lib/units.ts";
import { type AbiValue, encodeAbi } from "../../../vm/abi.ts";
import { DATASET_REGISTRY, HUB, WORKERPOOL_REGISTRY } from "../../../vm/addresses.ts";
import { DATASET_REGISTRY_ABI, functionsOf, WORKERPOOL_REGISTRY_ABI } from "../../../vm/market/abi.ts";
import { resultHashOf, resultSealOf } from "../../../vm/market/contribution.ts";
import { taskId } from "../../../vm/market/deal.ts";
import {
  APP_ORDER,
  type AppOrder,
  DATASET_ORDER,
  type DatasetOrder,
  type OrderKind,
  orderHash,
  REQUEST_ORDER,
  type RequestOrder,
  WORKERPOOL_ORDER,
  type WorkerpoolOrder,
} from "../../../vm/market/order.ts";
import { signedMessageHash } from "../../../vm/market/signature.ts";
import { addressBy, createWorld, hub, keyOf, registry } from "./world.ts";

export const SCHEDULER = "scheduler";
/** Signs a hash as PoCo's tools do: r || s || v with v 27 or 28. */
export const signAs = (name: string, hash: Hash): Uint8Array => {
  const { r, s, yParity } = sign(hash, keyOf(name));
  return concat(fromHex(word(r)), fromHex(word(s)), Uint8Array.of(27 + yParity));
};
export const resultOf = (text: string): Hash => keccak256(utf8(text));
const saltOf = (number: number): Hash => word(number);

/** Fields of an order that a test changes; `by` signs in the owner's place. */
type Changes<T> = Partial<T> & { readonly by?: string };

export type Scene = ReturnType<typeof createScene>;

/** A market with an owner-scheduled pool, a dataset, and stakes in the hub; orders are signed by their owners. `slots` are in the genesis pool. */
export const createScene = (
  names: readonly string[] = ["w0", "w1", "w2", "w3", "w4"],
  slots: readonly (readonly [name: string, count: number])[] = [],
) => {
  const world = createWorld({ workers: slots });
  const { call, genesis, developer, requester, staker } = world;
  const scheduler = addressBy(SCHEDULER);
  const create = functionsOf(WORKERPOOL_REGISTRY_ABI)("createWorkerpool");
  const pool = call(scheduler, WORKERPOOL_REGISTRY, create, [scheduler, "scheduled"]).values[0] as Address;
  const createDataset = functionsOf(DATASET_REGISTRY_ABI)("createDataset");
  const dataset = call(developer, DATASET_REGISTRY, createDataset, [developer, "data", utf8("/ipfs/d"), ZERO_HASH])
    .values[0] as Address;
  const stake = (who: Address, amount: bigint) => call(staker, HUB, hub("depositFor"), [who], amount * NRLC);
  for (const who of [requester, scheduler, ...names.map(addressBy)]) stake(who, 1_000_000n);

  let salts = 0;
  const signed = <T extends { readonly sign: Uint8Array }>(kind: OrderKind<T>, order: T, by: string): T => ({
    ...order,
    sign: order.sign.length > 0 ? order.sign : signAs(by, orderHash(genesis.chainId, kind, order)),
  });
  const open = () => ({ volume: 1_000n, tag: ZERO_HASH, salt: saltOf(++salts), sign: EMPTY });
  const anyone = { requesterrestrict: ZERO_ADDRESS };
  const appOrder = ({ by = "developer", ...changes }: Changes<AppOrder> = {}): AppOrder => {
    const restrictions = { ...anyone, datasetrestrict: ZERO_ADDRESS, workerpoolrestrict: ZERO_ADDRESS };
    return signed(APP_ORDER, { ...open(), ...restrictions, app: world.app, appprice: 50n, ...changes }, by);
  };
  const datasetOrder = ({ by = "developer", ...changes }: Changes<DatasetOrder> = {}): DatasetOrder => {
    const restrictions = { ...anyone, apprestrict: ZERO_ADDRESS, workerpoolrestrict: ZERO_ADDRESS };
    return signed(DATASET_ORDER, { ...open(), ...restrictions, dataset, datasetprice: 5n, ...changes }, by);
  };
  const noDataset: DatasetOrder = {
    ...{ ...open(), ...anyone, apprestrict: ZERO_ADDRESS, workerpoolrestrict: ZERO_ADDRESS },
    ...{ dataset: ZERO_ADDRESS, datasetprice: 0n, volume: 0n, salt: ZERO_HASH },
  };
  const workerpoolOrder = ({ by = SCHEDULER, ...changes }: Changes<WorkerpoolOrder> = {}): WorkerpoolOrder => {
    const restrictions = { ...anyone, apprestrict: ZERO_ADDRESS, datasetrestrict: ZERO_ADDRESS };
    const fields = { workerpool: pool, workerpoolprice: 1_000n, category: 0n, trust: 100n };
    return signed(WORKERPOOL_ORDER, { ...open(), ...restrictions, ...fields, ...changes }, by);
  };
  const requestOrder = ({ by = "requester", ...changes }: Changes<RequestOrder> = {}): RequestOrder => {
    const fields = {
      ...{ app: world.app, appmaxprice: 50n, dataset: ZERO_ADDRESS, datasetmaxprice: 5n },
      ...{ workerpool: ZERO_ADDRESS, workerpoolmaxprice: 1_000n, requester, category: 0n, trust: 3n },
      ...{ beneficiary: requester, callback: ZERO_ADDRESS, params: "{}" },
    };
    return signed(REQUEST_ORDER, { ...open(), ...fields, volume: 1n, ...changes }, by);
  };
  /** What a test changes in the four orders of a deal; `dataset` true takes one. */
  interface DealOptions {
    readonly app?: Changes<AppOrder>;
    readonly dataset?: Changes<DatasetOrder> | undefined;
    readonly workerpool?: Changes<WorkerpoolOrder>;
    readonly request?: Changes<RequestOrder>;
  }
  const orders = (options: DealOptions = {}): AbiValue[] => {
    const data = options.dataset ? datasetOrder(options.dataset) : noDataset;
    return [
      APP_ORDER.values(appOrder(options.app)),
      DATASET_ORDER.values(data),
      WORKERPOOL_ORDER.values(workerpoolOrder(options.workerpool)),
      REQUEST_ORDER.values(requestOrder({ dataset: data.dataset, ...options.request })),
    ];
  };
  /** An order that the genesis pool stands by: its own fields are its signature. */
  const standingOrder = (changes: Partial<WorkerpoolOrder> = {}): WorkerpoolOrder => {
    const fields = { workerpool: world.pool, workerpoolprice: 80_000_000n, trust: 4n };
    const order = workerpoolOrder({ ...fields, sign: utf8("-"), ...changes });
    return { ...order, sign: encodeAbi(WORKERPOOL_ORDER.signedTypes, WORKERPOOL_ORDER.values(order).slice(0, -1)) };
  };
  const match = (options: DealOptions = {}): Hash =>
    call(requester, HUB, hub("matchOrders"), orders(options)).values[0] as Hash;

  /** What PoCo's scheduler signs to let a worker contribute. */
  const authorize = (worker: string, task: Hash, enclave: Address = ZERO_ADDRESS, by = SCHEDULER): Uint8Array =>
    signAs(by, signedMessageHash(addressBy(worker), task, enclave));
  const commitmentOf = (worker: string, task: Hash, result: string): [Hash, Hash] => [
    resultHashOf(task, resultOf(result)),
    resultSealOf(addressBy(worker), task, resultOf(result)),
  ];
  return {
    ...world,
    world,
    scheduler,
    pool,
    genesisPool: world.pool,
    dataset,
    stake,
    appOrder,
    datasetOrder,
    noDataset,
    workerpoolOrder,
    standingOrder,
    requestOrder,
    orders,
    match,
    authorize,
    commitmentOf,
    initialize: (dealid: Hash, index = 0n): Hash => {
      call(staker, HUB, hub("initialize"), [dealid, index]);
      return taskId(dealid, index);
    },
    contribute: (worker: string, task: Hash, result: string) =>
      call(addressBy(worker), HUB, hub("contribute"), [
        task,
        ...commitmentOf(worker, task, result),
        ZERO_ADDRESS,
        EMPTY,
        authorize(worker, task),
      ]),
    reveal: (worker: string, task: Hash, result: string) =>
      call(addressBy(worker), HUB, hub("reveal"), [task, resultOf(result)]),
    finalize: (task: Hash, results: Uint8Array = EMPTY, callback: Uint8Array = EMPTY) =>
      call(scheduler, HUB, hub("finalize"), [task, results, callback]),
    /** The stake and what is locked of a name's account. */
    has: (name: string): [stake: bigint, locked: bigint] => {
      const { stake: free, locked } = world.account(addressOf(keyOf(name)));
      return [free, locked];
    },
    view: (name: string, ...args: AbiValue[]): AbiValue => call(requester, HUB, hub(name), args).values[0]!,
    registry,
  };
};
