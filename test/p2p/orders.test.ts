import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TopicValidatorResult } from "@libp2p/gossipsub";
import * as fc from "fast-check";
import t, { type Test } from "tap";
import { type Database, memoryDb } from "../../chain/db.ts";
import { timestampOf } from "../../chain/params.ts";
import { signTransaction } from "../../chain/transaction.ts";
import { createEngine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { localSigner } from "../../consensus/signer.ts";
import {
  type Address,
  concat,
  EMPTY,
  fromHex,
  type Hash,
  type Hex,
  utf8,
  word,
  ZERO_ADDRESS,
  ZERO_HASH,
} from "../../lib/bytes.ts";
import { createDisk, type Disk } from "../../lib/disk.ts";
import { RuleError } from "../../lib/rule-error.ts";
import { RLC } from "../../lib/units.ts";
import { signOrder } from "../../node/orders.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { startGossip } from "../../p2p/gossip.ts";
import { createHost } from "../../p2p/host.ts";
import { createNetwork } from "../../p2p/network.ts";
import { MAX_OF_SIGNER, openOrderBook } from "../../p2p/orders/book.ts";
import { MAX_ORDER_BYTES } from "../../p2p/orders/check.ts";
import { topicOf } from "../../p2p/topics.ts";
import type { AbiValue } from "../../vm/abi.ts";
import { APP_REGISTRY, HUB, MARKET, WORKERPOOL_REGISTRY } from "../../vm/addresses.ts";
import {
  APP_REGISTRY_ABI,
  functionsOf,
  HUB_ABI,
  MARKET_ABI,
  MARKET_EVENTS,
  REGISTRY_ABI,
  WORKERPOOL_REGISTRY_ABI,
} from "../../vm/market/abi.ts";
import type { AppOrder, DatasetOrder, RequestOrder, WorkerpoolOrder } from "../../vm/market/order.ts";
import {
  decodeOrder,
  encodeOrder,
  hashOfOrder,
  orderFromJson,
  orderToJson,
  orderValues,
  type SignedOrder,
} from "../../vm/market/signed-order.ts";
import { accountOf, memoryProtection, silent, testGenesis } from "../helpers/chain.ts";

t.setTimeout(120_000);
const names = ["developer", "owner", "requester", "poor", "mover", "rich"] as const;
const people = Object.fromEntries(names.map((name) => [name, accountOf(name)])) as Record<
  (typeof names)[number],
  ReturnType<typeof accountOf>
>;
const { genesis, keys } = testGenesis(
  1,
  names.filter((name) => name !== "poor" && name !== "mover").map((name) => people[name].address),
);
const { chainId } = genesis;
const hub = functionsOf(HUB_ABI);

/** A chain of one validator in memory, with an app, a pool that its owner schedules, and stakes in the hub. */
const createMarket = async (t: Test) => {
  let slot = 0;
  const now = () => timestampOf(genesis, slot) * 1000;
  const engine = await createEngine({ db: memoryDb(), genesis, now, log: silent });
  t.teardown(() => engine.stop());
  const producer = createProducer({
    engine,
    signers: [localSigner(keys[0]!)],
    protection: memoryProtection(),
    publishBlock: () => undefined,
    publishVote: () => undefined,
    log: silent,
  });
  /** Sends a transaction and makes the block that holds it. */
  const send = async (key: Hex, address: Address, to: Address, data: Uint8Array, value = 0n) => {
    const nonce = engine.pool.nextNonce(address);
    const fees = { maxPriorityFeePerGas: 1n, maxFeePerGas: 10n ** 11n };
    const tx = { type: 2 as const, chainId, nonce, ...fees, gasLimit: 5_000_000, to, value, data, accessList: [] };
    engine.addTransaction(signTransaction(tx, key));
    await producer.onSlot(++slot);
    const [receipt] = engine.store.receipts(engine.head().hash)!.slice(-1);
    t.equal(receipt!.status, 1);
    return receipt!;
  };
  const by = (name: keyof typeof people, to: Address, data: Uint8Array, value?: bigint) =>
    send(people[name].key, people[name].address, to, data, value);
  const minted = ({ logs }: Awaited<ReturnType<typeof by>>): Address =>
    `0x${logs.find(({ topics }) => topics.length === 4)!.topics[3]!.slice(26)}`;
  const createApp = functionsOf(APP_REGISTRY_ABI)("createApp");
  const appOf = async (name: keyof typeof people): Promise<Address> =>
    minted(
      await by(
        name,
        APP_REGISTRY,
        createApp.encode(people[name].address, "a", "WASM", utf8("/ipfs/a"), ZERO_HASH, EMPTY),
      ),
    );
  const app = await appOf("developer");
  const createPool = functionsOf(WORKERPOOL_REGISTRY_ABI)("createWorkerpool");
  const pool = minted(await by("owner", WORKERPOOL_REGISTRY, createPool.encode(people.owner.address, "p")));
  for (const name of ["owner", "requester"] as const) await by(name, HUB, hub("deposit").encode(), RLC / 100n);

  let salts = 0;
  const open = { volume: 5n, tag: ZERO_HASH, sign: EMPTY, requesterrestrict: ZERO_ADDRESS };
  const salted = () => ({ ...open, salt: word(++salts) });
  const orders = {
    app: (changes: Partial<AppOrder> = {}, key = people.developer.key) => {
      const restrictions = { datasetrestrict: ZERO_ADDRESS, workerpoolrestrict: ZERO_ADDRESS };
      return signOrder(chainId, key, {
        kind: "app",
        order: { ...salted(), ...restrictions, app, appprice: 3n, ...changes },
      });
    },
    pool: (changes: Partial<WorkerpoolOrder> = {}) => {
      const own = { apprestrict: ZERO_ADDRESS, datasetrestrict: ZERO_ADDRESS, category: 0n, trust: 1n };
      const order = { ...salted(), ...own, workerpool: pool, workerpoolprice: 100n, ...changes };
      return signOrder(chainId, people.owner.key, { kind: "workerpool", order });
    },
    request: (changes: Partial<RequestOrder> = {}, key = people.requester.key) => {
      const { requesterrestrict: _, ...rest } = salted();
      const prices = { appmaxprice: 10n, datasetmaxprice: 0n, workerpoolmaxprice: 100n };
      const none = { dataset: ZERO_ADDRESS, workerpool: ZERO_ADDRESS, callback: ZERO_ADDRESS, params: "{}" };
      const who = { requester: people.requester.address, beneficiary: people.requester.address };
      const order = { ...rest, ...prices, ...none, ...who, app, category: 0n, trust: 1n, ...changes };
      return signOrder(chainId, key, { kind: "request", order });
    },
  };
  const openBook = (db: Database = memoryDb(), most?: number, disk?: Disk) =>
    openOrderBook({ db, engine, now, log: silent, disk, ...(most === undefined ? {} : { most }) });
  return { engine, now, by, app, appOf, pool, orders, openBook };
};

const codeOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "taken",
    (error: unknown) => (error instanceof RuleError ? error.code : String(error)),
  );
t.test("a disk without room takes no order, and no peer is at fault", async (t) => {
  const { orders, openBook } = await createMarket(t);
  let free = 0;
  const book = await openBook(
    memoryDb(),
    undefined,
    createDisk(() => free),
  );
  t.teardown(() => book.stop());
  const order = orders.app();
  await t.rejects(book.add(order), { code: "disk-reserve", verdict: "retry" });
  await t.rejects(book.addEncoded(encodeOrder(order)), { code: "disk-reserve" });
  t.equal(book.size, 0);
  free = Number.MAX_SAFE_INTEGER;
  await book.add(order);
  t.equal(book.size, 1);
});

t.test("an order that the disk did not take is not in the book, and may come again", async (t) => {
  const { orders, openBook } = await createMarket(t);
  const db = memoryDb();
  let fails = true;
  const book = await openBook({
    ...db,
    batch: (ops) => (fails ? Promise.reject(new Error("the disk is broken")) : db.batch(ops)),
  });
  t.teardown(() => book.stop());
  const told: SignedOrder[] = [];
  book.onOrder((order) => told.push(order));
  const order = orders.app();
  for (let i = 0; i < 2; i++) await t.rejects(book.add(order), /the disk is broken/);
  await t.rejects(book.addEncoded(encodeOrder(order)), /the disk is broken/);
  t.same([book.size, book.hashes(), told], [0, [], []]);
  fails = false;
  await book.add(order);
  t.same([book.size, told.length], [1, 1]);
});

t.test("an order keeps its time while its book is closed", async (t) => {
  const { orders, openBook, by, pool } = await createMarket(t);
  const db = memoryDb();
  const book = await openBook(db);
  const [first, second] = [orders.app({ salt: word(2n ** 255n) }), orders.app({ salt: word(2n ** 254n) })];
  const since: number[] = [];
  for (const order of [first, second]) {
    since.push((await book.add(order)).since);
    await by("requester", HUB, hub("viewAccount").encode(pool));
  }
  book.stop();
  const again = await openBook(db);
  t.teardown(() => again.stop());
  const listed = again.list({ kind: "app", skip: 0, limit: 100 });
  t.same(
    listed.map((entry) => [entry.hash, entry.since]),
    [first, second].map((order, i) => [hashOfOrder(chainId, order), since[i]]),
    "of one price what came first",
  );
});

const all = (kind: SignedOrder["kind"]) => ({ kind, skip: 0, limit: 100 });

t.test("the book takes what can be filled now, and says what is wrong with the rest", async (t) => {
  const { orders, openBook, by, app } = await createMarket(t);
  const book = await openBook();
  t.teardown(() => book.stop());
  const refused = async (order: SignedOrder, code: string) => t.equal(await codeOf(book.add(order)), code, code);
  const good = orders.app();
  t.equal((await book.add(good)).remaining, 5n);
  await refused(good, "order-known");
  await refused(orders.app({ app: `0x${"11".repeat(20)}` }), "order-entry");
  await refused(orders.app({}, people.owner.key), "order-signature");
  const { sign } = orders.app().order;
  await refused({ kind: "app", order: { ...good.order, salt: word(99n), sign } }, "order-signature");
  const fresh = orders.app();
  for (const bad of [
    EMPTY,
    fresh.order.sign.subarray(1),
    fresh.order.sign.with(64, 29),
    concat(fresh.order.sign, sign),
  ])
    await refused({ kind: "app", order: { ...fresh.order, sign: bad } }, "order-signature");
  const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const highS = fromHex(word(ORDER - BigInt(`0x${Buffer.from(fresh.order.sign.subarray(32, 64)).toString("hex")}`)));
  const malleable = concat(fresh.order.sign.subarray(0, 32), highS, Uint8Array.of(55 - fresh.order.sign[64]!));
  await refused({ kind: "app", order: { ...fresh.order, sign: malleable } }, "order-signature");
  await refused(orders.app({ volume: 0n }), "order-consumed");
  await refused(orders.pool({ category: 1_000n }), "order-category");
  // The owner of a pool has 10,000,000 nRLC in the hub, of which a task binds 30 % of the price.
  await refused(orders.pool({ workerpoolprice: 33_333_337n }), "order-unfunded");
  await refused(orders.request({ workerpoolmaxprice: 10_000_000n }), "order-unfunded");
  await t.rejects(book.add(orders.request({ workerpoolmaxprice: 10_000_000n })), {
    message: `order-unfunded: ${people.requester.address} has 0.01 RLC in the hub, and a task of this order binds 0.01000001 RLC: rolec account deposit 0.00000001 --key <its key> (spec 10.8)`,
  });
  const stranger = { requester: people.poor.address, appmaxprice: 0n, workerpoolmaxprice: 0n };
  await refused(orders.request(stranger, people.poor.key), "order-means");
  await refused(orders.request({ ...stranger, requester: MARKET }, people.poor.key), "order-signature");
  await refused(orders.request({ params: `{${" ".repeat(MAX_ORDER_BYTES)}}` }), "order-bytes");
  t.equal(book.size, 1);

  const close = hub("manageAppOrder").encode([orderValues(good), 1n, EMPTY]);
  await by("developer", HUB, close);
  t.equal(book.get(hashOfOrder(chainId, good)), undefined, "closed on the chain");
  await refused(good, "order-consumed");
  const presigned: SignedOrder = { kind: "app", order: { ...orders.app().order, sign: EMPTY } };
  await refused(presigned, "order-signature");
  await by("developer", HUB, hub("manageAppOrder").encode([orderValues(presigned), 0n, EMPTY]));
  t.equal((await book.add(presigned)).signer, people.developer.address, "signed on the chain");
  await by(
    "developer",
    APP_REGISTRY,
    functionsOf(REGISTRY_ABI)("transferFrom").encode(people.developer.address, people.owner.address, BigInt(app)),
  );
  t.equal(book.list(all("app")).length, 0, "who owns the app now did not sign");
});

t.test("orders are listed by price, and leave with the blocks that use them up", async (t) => {
  const { orders, openBook, by, pool } = await createMarket(t);
  const db = memoryDb();
  const book = await openBook(db);
  const [appOrder, request] = [orders.app(), orders.request()];
  const dear = orders.pool({ workerpoolprice: 90n });
  const cheap = orders.pool({ workerpoolprice: 80n, volume: 2n });
  for (const order of [appOrder, dear, cheap, request]) await book.add(order);
  await book.add(orders.request({ workerpoolmaxprice: 200n }));
  const prices = () => book.list(all("workerpool")).map(({ order }) => (order as WorkerpoolOrder).workerpoolprice);
  t.strictSame(prices(), [80n, 90n]);
  const most = book.list({ ...all("request"), limit: 1 })[0]!.order as RequestOrder;
  t.equal(most.workerpoolmaxprice, 200n, "who pays most comes first");
  t.equal(book.list({ ...all("workerpool"), workerpool: pool, signer: people.owner.address, skip: 1 }).length, 1);
  t.equal(book.list({ ...all("workerpool"), category: 1n }).length, 0);
  t.equal(book.list({ ...all("request"), requester: people.owner.address }).length, 0);

  const noDataset = {
    dataset: ZERO_ADDRESS,
    datasetprice: 0n,
    volume: 0n,
    tag: ZERO_HASH,
    salt: ZERO_HASH,
    sign: EMPTY,
  };
  const anyone = { apprestrict: ZERO_ADDRESS, workerpoolrestrict: ZERO_ADDRESS, requesterrestrict: ZERO_ADDRESS };
  const dataset: SignedOrder = { kind: "dataset", order: { ...noDataset, ...anyone } as DatasetOrder };
  const tuples: AbiValue[] = [appOrder, dataset, cheap, request].map(orderValues);
  await by("rich", HUB, hub("matchOrders").encode(...tuples));
  t.strictSame(prices(), [90n], "two tasks were all of it");
  t.equal(book.get(hashOfOrder(chainId, request))!.remaining, 3n);
  t.equal(book.get(hashOfOrder(chainId, appOrder))!.remaining, 3n);

  const shown = orders.pool({ workerpoolprice: 70n });
  await by("owner", HUB, hub("broadcastWorkerpoolOrder").encode(orderValues(shown)));
  t.strictSame(prices(), [70n, 90n], "a broadcast on the chain is an order for all");
  book.stop();
  const again = await openBook(db);
  t.teardown(() => again.stop());
  t.strictSame(again.hashes().sort(), book.hashes().sort(), "a book outlives its node");
  await by("requester", HUB, hub("withdraw").encode(9_999_834n));
  const left = (listed: typeof again) => listed.list(all("request")).map(({ hash }) => hash);
  t.same(left(again), [hashOfOrder(chainId, request)], "who asks must have a task's price, free or bound");
  const reopened = await openBook(db);
  t.teardown(() => reopened.stop());
  t.same(left(reopened), [hashOfOrder(chainId, request)]);
  t.equal(await codeOf(reopened.add(orders.request({ workerpoolmaxprice: 200n }))), "order-unfunded");
  await reopened.add(orders.request());
});

t.test("a full book keeps those who have most for each of their orders", async (t) => {
  const { orders, openBook, by, appOf } = await createMarket(t);
  const book = await openBook(memoryDb(), 4);
  t.teardown(() => book.stop());
  for (let i = 0; i < 4; i++) await book.add(orders.app());
  t.equal(await codeOf(book.add(orders.app())), "order-book-full");
  const own = await appOf("rich");
  await book.add(orders.app({ app: own }, people.rich.key));
  t.equal(book.size, 4);
  t.equal(book.list({ ...all("app"), signer: people.rich.address }).length, 1, "four share what one has alone");
  const large = await openBook();
  t.teardown(() => large.stop());
  for (let i = 0; i < MAX_OF_SIGNER; i++) await large.add(orders.app());
  t.equal(await codeOf(large.add(orders.app())), "order-book-full", "one signer has so many");
  await by("rich", HUB, hub("deposit").encode(), 1n);
});

t.test("RLC that moves from account to account crowds out no more than it would in one", async (t) => {
  const { orders, openBook, by } = await createMarket(t);
  const book = await openBook(memoryDb(), 2 * MAX_OF_SIGNER);
  t.teardown(() => book.stop());
  for (let i = 0; i < MAX_OF_SIGNER; i++) {
    await book.add(orders.app());
    await book.add(orders.pool());
  }
  const free = { appmaxprice: 0n, workerpoolmaxprice: 0n };
  /** Places orders until the book takes no more. Gives how many it took. */
  const place = async (name: "poor" | "mover"): Promise<number> => {
    const { address: requester, key } = people[name];
    for (let count = 0; ; count++)
      if ((await codeOf(book.add(orders.request({ ...free, requester }, key)))) !== "taken") return count;
  };
  const honest = () =>
    book.hashes().filter((hash) => book.get(hash)?.kind !== "request" && book.get(hash) !== undefined).length;
  await by("rich", people.poor.address, EMPTY, 600n * RLC);
  const first = await place("poor");
  const left = honest();
  t.equal(left, 2 * MAX_OF_SIGNER - first, "600 RLC hold places of those who have less for each");
  for (const [from, to, amount] of [
    ["poor", "mover", 599n],
    ["mover", "poor", 598n],
    ["poor", "mover", 597n],
  ] as const) {
    await by(from, people[to].address, EMPTY, amount * RLC);
    t.ok((await place(to)) >= first - 2);
    t.ok(honest() >= left - 1, `what was ${from}'s makes way for what is ${to}'s: ${honest()} of ${left}`);
  }
});

t.test("offers are listed by whom their signers let take them", async (t) => {
  const { orders, openBook, by, app } = await createMarket(t);
  const book = await openBook();
  t.teardown(() => book.stop());
  const receipt = await by("rich", MARKET, functionsOf(MARKET_ABI)("createGroup").encode([people.requester.address]));
  const group: Address = `0x${receipt.logs.find(({ topics }) => topics[0] === MARKET_EVENTS.GroupCreated!.topic)!.topics[1]!.slice(26)}`;
  await book.add(orders.pool({ requesterrestrict: people.rich.address, workerpoolprice: 1n }));
  await book.add(orders.pool({ requesterrestrict: group, workerpoolprice: 2n }));
  await book.add(orders.pool({ apprestrict: people.rich.address, workerpoolprice: 3n }));
  await book.add(orders.pool({ workerpoolprice: 4n }));
  const prices = (filter: object) =>
    book.list({ ...all("workerpool"), ...filter }).map(({ order }) => (order as WorkerpoolOrder).workerpoolprice);
  t.strictSame(prices({ requester: people.requester.address }), [2n, 3n, 4n]);
  t.strictSame(prices({ requester: people.requester.address, app }), [2n, 4n]);
  t.strictSame(prices({ requester: people.rich.address, limit: 1 }), [1n]);
  await book.add(orders.app({ workerpoolrestrict: people.rich.address }));
  t.equal(book.list({ ...all("app"), app }).length, 1);
  t.equal(book.list({ ...all("app"), app, workerpool: people.owner.address }).length, 0);
});

t.test("orders reach other nodes by gossip, and those that come later by asking", async (t) => {
  const { engine, now, orders } = await createMarket(t);
  const start = async (bootstrap: readonly string[]) => {
    const datadir = mkdtempSync(join(tmpdir(), "rolec-orders-"));
    const dataDb = memoryDb();
    const book = await openOrderBook({ db: dataDb, engine, now, log: silent });
    const data = await openDataStore(dataDb);
    const listen = ["/ip4/127.0.0.1/tcp/0"];
    const network = await createNetwork({
      engine,
      datadir,
      listen,
      bootstrap,
      data,
      dataDb,
      orders: book,
      log: silent,
    });
    await network.start();
    t.teardown(async () => {
      await network.stop();
      book.stop();
      rmSync(datadir, { recursive: true, force: true });
    });
    return { book, network };
  };
  const until = async (condition: () => boolean, what: string): Promise<void> => {
    for (let i = 0; i < 400 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 50));
    t.ok(condition(), what);
  };
  const first = await start([]);
  const early = orders.app();
  await first.book.add(early);
  const second = await start(first.network.multiaddrs());
  await until(() => second.book.has(hashOfOrder(chainId, early)), "what stood before came by asking");
  const sent: Hash[] = [];
  await until(() => {
    const order = orders.pool();
    sent.push(hashOfOrder(chainId, order));
    if (sent.length < 50) void second.book.add(order);
    return sent.some((hash) => first.book.has(hash));
  }, "what is new came by gossip");
});

t.test("gossip rejects what is no order, and hears so many of one peer alone", async (t) => {
  const { engine, now, orders, openBook } = await createMarket(t);
  const datadir = mkdtempSync(join(tmpdir(), "rolec-orders-"));
  const { genesisHash } = engine;
  const host = await createHost({ datadir, listen: ["/ip4/127.0.0.1/tcp/0"], genesisHash });
  await host.start();
  const book = await openBook();
  t.teardown(async () => {
    await host.stop();
    book.stop();
    rmSync(datadir, { recursive: true, force: true });
  });
  t.type(now(), "number");
  startGossip({ host, engine, orders: book, log: silent, onMissingParent: () => undefined });
  const validate = host.services.pubsub.topicValidators.get(topicOf(genesisHash, "order"))!;
  const verdict = (data: Uint8Array) => validate(host.peerId, { data } as Parameters<typeof validate>[1]);
  const bytes = encodeOrder(orders.app());
  t.equal(await verdict(bytes), TopicValidatorResult.Accept);
  t.equal(await verdict(bytes), TopicValidatorResult.Ignore, "known");
  for (const bad of [
    bytes.subarray(0, -1),
    concat(bytes, EMPTY, new Uint8Array(32)),
    bytes.with(0, 4),
    EMPTY,
    bytes.with(0, 3),
  ])
    t.equal(await verdict(bad), TopicValidatorResult.Reject);
  t.equal(await verdict(new Uint8Array(MAX_ORDER_BYTES + 1)), TopicValidatorResult.Reject);
  const before = book.size;
  for (let i = 0; i < 63; i++) await verdict(encodeOrder(orders.pool()));
  for (let i = 0; i < 63; i++) await verdict(encodeOrder(orders.request()));
  t.ok(book.size - before >= 90 && book.size - before < 100, `${book.size - before} of 126`);
});

t.test("an order is written in one way, and read from what iExec's tools write", (t) => {
  const hex = (size: number) =>
    fc.uint8Array({ minLength: size, maxLength: size }).map((b) => `0x${Buffer.from(b).toString("hex")}` as Hex);
  const amount = fc.bigInt({ min: 0n, max: 2n ** 256n - 1n });
  const anOrder = fc.record(
    {
      app: hex(20),
      appprice: amount,
      volume: amount,
      tag: hex(32),
      datasetrestrict: hex(20),
      workerpoolrestrict: hex(20),
      requesterrestrict: hex(20),
      salt: hex(32),
      sign: fc.uint8Array({ maxLength: 80 }),
    },
    { noNullPrototype: true },
  );
  void fc.assert(
    fc.property(anOrder, (order) => {
      const signed: SignedOrder = { kind: "app", order };
      t.strictSame(decodeOrder(encodeOrder(signed)), signed);
      t.strictSame(orderFromJson("app", JSON.parse(JSON.stringify(orderToJson(order)))), signed);
    }),
    { numRuns: 50 },
  );
  void fc.assert(
    fc.property(fc.uint8Array({ maxLength: 700 }), (bytes) => {
      try {
        decodeOrder(bytes);
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
      }
    }),
    { numRuns: 300 },
  );
  const json = { app: `0x${"AB".repeat(20)}`, appprice: 5, volume: "0x2", tag: ZERO_HASH, salt: ZERO_HASH };
  const restrictions = {
    datasetrestrict: ZERO_ADDRESS,
    workerpoolrestrict: ZERO_ADDRESS,
    requesterrestrict: ZERO_ADDRESS,
  };
  const read = orderFromJson("app", { ...json, ...restrictions }).order as AppOrder;
  t.equal(read.app, `0x${"ab".repeat(20)}`);
  t.equal(read.volume, 2n);
  for (const [change, words] of [
    [{ appprice: -1 }, /"appprice"/],
    [{ appprice: "1.5" }, /"appprice"/],
    [{ appprice: 2 ** 60 }, /"appprice"/],
    [{ app: "0x12" }, /"app"/],
    [{ tag: "0x0" }, /"tag"/],
    [{ sign: "0x1" }, /"sign"/],
    [{ sign: 7 }, /"sign"/],
    [{ sign: `0x${"00".repeat(2_000)}` }, /"sign"/],
    [{ price: 1 }, /"price" is no field/],
  ] as const)
    t.throws(() => orderFromJson("app", { ...json, ...restrictions, ...change }), { message: words });
  for (const none of [null, [], "0x", 3]) t.throws(() => orderFromJson("app", none), /an object/);
  t.end();
});
