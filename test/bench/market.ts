/**
 * Measures what the market's calls cost in gas and time, by the size of the pool, and how many tasks a second the chain
 * alone carries: node test/bench/market.ts [lots a block] [slots of the pool …]. A chain of one validator is made in memory;
 * what is timed is the import of its blocks into LevelDB, signatures, hashing and writing included.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { decodeBlock, encodeBlock } from "../../chain/block.ts";
import { memoryDb, openDb } from "../../chain/db.ts";
import { devGenesis, readGenesis } from "../../chain/genesis.ts";
import { timestampOf } from "../../chain/params.ts";
import { signTransaction } from "../../chain/transaction.ts";
import { createEngine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { localSigner } from "../../consensus/signer.ts";
import {
  type Address,
  EMPTY,
  type Hash,
  type Hex,
  utf8,
  word,
  wordAddress,
  ZERO_ADDRESS,
  ZERO_HASH,
} from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import { RLC } from "../../lib/units.ts";
import { genesisValidator, validatorKeys } from "../../node/folder.ts";
import { signOrder } from "../../node/orders.ts";
import { type AbiValue, encodeAbi } from "../../vm/abi.ts";
import { APP_REGISTRY, HUB, MARKET } from "../../vm/addresses.ts";
import { APP_REGISTRY_ABI, functionsOf, HUB_ABI, MARKET_ABI, MARKET_EVENTS } from "../../vm/market/abi.ts";
import { boughtGas, CAP_GAS_PER_SECOND } from "../../vm/market/clock.ts";
import { firstCommittee } from "../../vm/market/committee.ts";
import { resultHashOf, resultSealOf } from "../../vm/market/contribution.ts";
import { jobOf, lotId, taskId } from "../../vm/market/deal.ts";
import { LOT_STATUS, lotOf } from "../../vm/market/lot.ts";
import { WORKERPOOL_ORDER, type WorkerpoolOrder } from "../../vm/market/order.ts";
import { genesisPool } from "../../vm/market/pool.ts";
import { orderValues } from "../../vm/market/signed-order.ts";
import { encodeReceipt, itemsRootOf, lotReceiptOf, merkleProof } from "../../vm/wasm/receipt.ts";
import { memoryProtection, silent } from "../helpers/chain.ts";

const LOTS = Number(process.argv[2] ?? 60);
const POOLS = process.argv.length > 3 ? process.argv.slice(3).map(Number) : [16, 1_000, 100_000, 1_000_000];
const ROUNDS = 3;
const TRUST = 4n;
const LOT_TASKS = 256;
/** The shortest whose lots may have 256 tasks. */
const CATEGORY = 1;
const hub = functionsOf(HUB_ABI);
const market = functionsOf(MARKET_ABI);
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

const keys = validatorKeys(keccak256(utf8("bench")));
const keyOf = (name: string): Hex => keccak256(utf8(`bench ${name}`));
/** Keys of a pool's workers by address: a genesis document gives one at most 4,096 slots. */
const workersOf = (slots: number): ReadonlyMap<Address, Hex> =>
  new Map(
    Array.from({ length: Math.max(4, Math.ceil(slots / 4_000)) }, (_, i) => keyOf(`worker ${i}`)).map((key) => [
      addressOf(key),
      key,
    ]),
  );
const [developer, requester] = [keyOf("developer"), keyOf("requester")];
const receipt = encodeReceipt({
  status: 0,
  code: 0,
  gasUsed: 40_000_000,
  gasExecuted: 10_000_000,
  outputRoot: keccak256(utf8("output")),
  stateRoot: ZERO_HASH,
  callbackData: EMPTY,
});

interface Call {
  readonly key: Hex;
  readonly to: Address;
  readonly data: Uint8Array;
  readonly value?: bigint;
  readonly gas?: number;
}
/** A block that holds calls of one kind alone. */
interface Marked {
  readonly label: string;
  readonly calls: number;
  /** Of one call, the median. */
  readonly gas: number;
  readonly block: Uint8Array;
}

/** Lots that go through a pool at once: their seats are a quarter of its slots at most, since half must be free. */
const lotsOf = (slots: number): { lots: number; full: number } => {
  const lots = Math.min(LOTS, Math.floor(slots / 8));
  return { lots, full: Math.max(1, Math.floor(lots / 4)) };
};

/** Makes a chain with a pool of so many slots, and blocks of each kind of call. */
const makeChain = async (slots: number) => {
  const workerKeys = workersOf(slots);
  const { lots: perBlock, full: fullPerBlock } = lotsOf(slots);
  const read = readGenesis(
    devGenesis({
      genesisTime: 1_700_000_000,
      validators: [genesisValidator(keys, 10_000n * RLC)],
      accounts: [developer, requester].map((key) => ({
        address: addressOf(key),
        balance: (100_000n * RLC).toString(),
      })),
      slots: [],
    }),
  );
  // More than a document may give: the rest would have joined later.
  const count = slots / workerKeys.size;
  const genesis = {
    ...read,
    slots: [...workerKeys.keys()].map((worker) => ({ worker, validator: keys.address, count })),
  };
  let slot = 0;
  const engine = await createEngine({
    db: memoryDb(),
    genesis,
    now: () => timestampOf(genesis, slot) * 1000,
    log: silent,
  });
  const producer = createProducer({
    engine,
    signers: [localSigner(keys)],
    protection: memoryProtection(),
    publishBlock: () => {},
    publishVote: () => {},
    log: silent,
  });
  const marked: Marked[] = [];
  const state = () => engine.stateOf(engine.head());
  const make = async (label: string, calls: readonly Call[]): Promise<void> => {
    for (const { key, to, data, value = 0n, gas = 1_000_000 } of calls) {
      const nonce = engine.pool.nextNonce(addressOf(key));
      const fees = { maxPriorityFeePerGas: 1n, maxFeePerGas: 10n ** 10n };
      const fields = { type: 2 as const, chainId: genesis.chainId, nonce, ...fees, gasLimit: gas };
      engine.addTransaction(signTransaction({ ...fields, to, value, data, accessList: [] }, key));
    }
    await producer.onSlot(++slot);
    const head = engine.head();
    const receipts = engine.store.receipts(head.hash)!;
    if (receipts.length !== calls.length || receipts.some(({ status }) => status !== 1))
      throw new Error(`${label}: ${receipts.filter(({ status }) => status === 1).length} of ${calls.length} worked`);
    const gas = median(receipts.map(({ gasUsed }) => gasUsed)) ?? 0;
    marked.push({ label, calls: calls.length, gas, block: encodeBlock(head) });
  };

  const create = functionsOf(APP_REGISTRY_ABI)("createApp");
  const owner = addressOf(developer);
  await make("", [
    { key: developer, to: APP_REGISTRY, data: create.encode(owner, "a", "WASM", utf8("/ipfs/a"), ZERO_HASH, EMPTY) },
  ]);
  const minted = engine.store.receipts(engine.head().hash)![0]!.logs.find(({ topics }) => topics.length === 4)!;
  const app: Address = wordAddress(minted.topics[3]!);
  await make("", [
    { key: developer, to: MARKET, data: market("offer").encode(app, 100n, ZERO_HASH, true) },
    { key: requester, to: HUB, data: hub("deposit").encode(), value: 10_000n * RLC },
  ]);
  const pool = genesisPool(state());
  const { workClockTimeRef } = genesis.categories[CATEGORY]!;
  const cap = BigInt(workClockTimeRef) * BigInt(CAP_GAS_PER_SECOND);
  const submit = (tasks: number, lotTasks: number): Call => {
    const own: AbiValue[] = [
      1n,
      pool,
      app,
      ZERO_ADDRESS,
      "{}",
      BigInt(CATEGORY),
      cap / BigInt(lotTasks),
      TRUST,
      BigInt(tasks),
    ];
    const data = market("submit").encode([...own, ZERO_HASH, addressOf(requester), ZERO_ADDRESS, EMPTY]);
    return { key: requester, to: MARKET, data, value: 10n * RLC };
  };
  let salts = 0;
  const open = { tag: ZERO_HASH, sign: EMPTY, requesterrestrict: ZERO_ADDRESS };
  const noRestriction = { apprestrict: ZERO_ADDRESS, datasetrestrict: ZERO_ADDRESS, workerpoolrestrict: ZERO_ADDRESS };
  const matchOrders = (): Call => {
    const salt = word(++salts);
    const { chainId } = genesis;
    const { apprestrict: _a, ...ofApp } = noRestriction;
    const appOrder = signOrder(chainId, developer, {
      kind: "app",
      order: { ...open, ...ofApp, salt, volume: 1n, app, appprice: 100n },
    });
    const seats = BigInt(firstCommittee(TRUST));
    const workerpoolprice = (genesis.params.pricePerGgasNrlc * BigInt(boughtGas(workClockTimeRef)) * seats) / 10n ** 9n;
    const { workerpoolrestrict: _w, ...ofPool } = noRestriction;
    const market = { category: BigInt(CATEGORY), trust: TRUST };
    const terms = { workerpool: pool, workerpoolprice, volume: 1n, tag: ZERO_HASH, ...market, ...ofPool };
    const poolOrder: Omit<WorkerpoolOrder, "sign"> = { ...terms, requesterrestrict: ZERO_ADDRESS, salt };
    const sign = encodeAbi(WORKERPOOL_ORDER.signedTypes, Object.values(poolOrder));
    const who = { requester: addressOf(requester), beneficiary: addressOf(requester), callback: ZERO_ADDRESS };
    const prices = { appmaxprice: 100n, datasetmaxprice: 0n, workerpoolmaxprice: workerpoolprice };
    const request = signOrder(chainId, requester, {
      kind: "request",
      order: {
        ...market,
        ...prices,
        ...who,
        app,
        dataset: ZERO_ADDRESS,
        workerpool: pool,
        volume: 1n,
        tag: ZERO_HASH,
        params: "{}",
        salt,
        sign: EMPTY,
      },
    });
    const noDataset = { dataset: ZERO_ADDRESS, datasetprice: 0n, volume: 0n, salt: ZERO_HASH, ...open };
    const { datasetrestrict: _d, ...ofDataset } = noRestriction;
    const data = hub("matchOrders").encode(
      orderValues(appOrder),
      orderValues({ kind: "dataset", order: { ...noDataset, ...ofDataset } }),
      orderValues({ kind: "workerpool", order: { ...poolOrder, sign } }),
      orderValues(request),
    );
    return { key: requester, to: HUB, data };
  };

  /** Goes with a deal's lots through all of their life, a block for each kind of call. */
  const live = async (name: string, deals: readonly Hash[], receipts: readonly Uint8Array[]): Promise<void> => {
    if (deals.length === 0) throw new Error(`${name}: no deals`);
    const lots = () =>
      deals.flatMap((dealid) => {
        const job = jobOf(state(), dealid)!;
        return Array.from({ length: job.lots }, (_, i) => lotId(dealid, job, i));
      });
    const drawn = () => lots().every((id) => lotOf(state(), id)?.status === LOT_STATUS.computing);
    while (!drawn()) await make("waiting", []);
    // All are drawn in the last of these blocks.
    marked.push({ ...marked.pop()!, label: `${name}: draw` });
    const lotReceipt = lotReceiptOf(receipts);
    const digest = keccak256(lotReceipt);
    const seated = lots().flatMap((id) => {
      const { seats, dealid, first, count } = lotOf(state(), id)!;
      const taskids = Array.from({ length: count }, (_, i) => taskId(dealid, first + i));
      const itemsRoot = count === 1 ? ZERO_HASH : itemsRootOf(taskids, receipts);
      return [...new Set(seats.map(({ worker }) => worker))].map((worker) => ({ id, worker, itemsRoot }));
    });
    const each = (data: (seat: (typeof seated)[number]) => Uint8Array): Call[] =>
      seated.map((seat) => ({ key: workerKeys.get(seat.worker)!, to: MARKET, data: data(seat) }));
    await make(
      `${name}: contribute`,
      each(({ id, worker, itemsRoot }) =>
        market("contribute").encode(id, resultHashOf(id, digest), resultSealOf(worker, id, digest), itemsRoot),
      ),
    );
    await make(
      `${name}: reveal`,
      each(({ id }) => market("reveal").encode(id, lotReceipt)),
    );
    const first = new Map(seated.map((seat) => [seat.id, seat]));
    await make(
      `${name}: finalize`,
      [...first.values()].map(({ id, worker }) => ({
        key: workerKeys.get(worker)!,
        to: MARKET,
        data: market("finalize").encode(id),
      })),
    );
    if (receipts.length === 1) return;
    const hashes = receipts.map((each) => keccak256(each));
    const [id] = lots();
    await make(
      `${name}: settle`,
      Array.from({ length: LOTS }, (_, i) => ({
        key: requester,
        to: MARKET,
        data: market("settle").encode(id!, BigInt(i), receipts[i]!, merkleProof(hashes, i)),
      })),
    );
  };
  const dealsOf = (): Hash[] =>
    engine.store
      .receipts(engine.head().hash)!
      .flatMap(({ logs }) => logs)
      .filter(({ topics }) => topics[0] === MARKET_EVENTS.JobSubmitted!.topic)
      .map(({ topics }) => topics[1]!);

  for (let round = 0; round < ROUNDS; round++) {
    await make("empty block", []);
    await make(
      "one: submit",
      Array.from({ length: perBlock }, () => submit(1, 1)),
    );
    await live("one", dealsOf(), [receipt]);
    await make("one: matchOrders", Array.from({ length: perBlock }, matchOrders));
    await live("matched", dealsOf(), [receipt]);
    const full = Array.from({ length: LOT_TASKS }, () => receipt);
    await make(
      "full: submit",
      Array.from({ length: fullPerBlock }, () => submit(LOT_TASKS, LOT_TASKS)),
    );
    await live("full", dealsOf(), full);
  }
  await engine.stop();
  return { genesis, marked };
};

/** Times the import of each block into a database on disk; milliseconds by label. */
const timeImport = async ({ genesis, marked }: Awaited<ReturnType<typeof makeChain>>) => {
  const path = mkdtempSync(join(tmpdir(), "rolec-bench-market-"));
  const db = await openDb(path);
  const last = decodeBlock(marked.at(-1)!.block).header.timestamp;
  const engine = await createEngine({ db, genesis, now: () => last * 1000, log: silent });
  const times = new Map<string, { ms: number[]; calls: number; gas: number }>();
  try {
    for (const { label, block, calls, gas } of marked) {
      const start = performance.now();
      await engine.importBlock(decodeBlock(block));
      const ms = performance.now() - start;
      const row = times.get(label) ?? { ms: [], calls, gas };
      row.ms.push(ms);
      times.set(label, row);
    }
    if (engine.head().header.number !== marked.length) throw new Error("not all blocks were imported");
  } finally {
    await engine.stop();
    await db.close();
    rmSync(path, { recursive: true, force: true });
  }
  return times;
};

console.log(`${LOTS} lots a block, trust ${TRUST}; load ${loadavg()[0]!.toFixed(1)}`);
for (const slots of POOLS) {
  const times = await timeImport(await makeChain(slots));
  const { lots: perBlock, full: fullPerBlock } = lotsOf(slots);
  const empty = median(times.get("empty block")!.ms);
  const beyond = (label: string): number => median(times.get(label)!.ms) - empty;
  console.log(`\npool of ${slots} slots: empty block ${empty.toFixed(1)} ms`);
  for (const label of [
    "one: matchOrders",
    "one: submit",
    "one: contribute",
    "one: reveal",
    "one: finalize",
    "full: settle",
  ]) {
    const { calls, gas } = times.get(label)!;
    console.log(
      `${label.split(": ")[1]!.padEnd(12)} ${String(gas).padStart(9)} gas ${((1000 * beyond(label)) / calls).toFixed(0).padStart(6)} us`,
    );
  }
  console.log(
    `draw         ${((1000 * beyond("one: draw")) / perBlock).toFixed(0).padStart(20)} us a lot of two seats`,
  );
  for (const [name, lots, tasks] of [
    ["one", perBlock, 1],
    ["full", fullPerBlock, LOT_TASKS],
  ] as const) {
    const parts = ["submit", "draw", "contribute", "reveal", "finalize"].map((part) => `${name}: ${part}`);
    const ms = parts.reduce((sum, part) => sum + Math.max(0, beyond(part)), 0);
    const gas = parts.reduce((sum, part) => sum + times.get(part)!.gas * times.get(part)!.calls, 0);
    const rate = (perSecond: number): string => (perSecond * lots * tasks).toFixed(0);
    const { gasLimit, slotSeconds } = { gasLimit: 300_000_000, slotSeconds: 1 };
    console.log(
      `lots of ${String(tasks).padEnd(4)} ${rate(1000 / ms)} tasks a second of one core; ${rate(gasLimit / slotSeconds / gas)} by the gas of a block (dev), ${rate(60_000_000 / gas)} (testnet)`,
    );
  }
}
