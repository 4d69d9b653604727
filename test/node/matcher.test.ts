import t from "tap";
import { intrinsicGas, type TransactionFields } from "../../chain/transaction.ts";
import {
  type Address,
  EMPTY,
  fromHex,
  type Hash,
  type Hex,
  toHex,
  utf8,
  word,
  ZERO_ADDRESS,
  ZERO_HASH,
} from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { hubFunction, marketFunction } from "../../node/market-client.ts";
import { createMatcher } from "../../node/matcher.ts";
import { NO_DATASET } from "../../node/matching.ts";
import { checkRequest, signOrder } from "../../node/orders.ts";
import { createRefusals } from "../../node/refusals.ts";
import { MAX_ORDER_BYTES } from "../../p2p/orders/check.ts";
import { RpcCallError, type RpcClient } from "../../rpc/client.ts";
import { REVERTED } from "../../rpc/errors.ts";
import { CALL_GAS_CAP } from "../../rpc/eth.ts";
import type { AbiFunction, AbiValue } from "../../vm/abi.ts";
import { HUB, MARKET } from "../../vm/addresses.ts";
import { functionsOf, GROUP_ABI } from "../../vm/market/abi.ts";
import { marketNatives } from "../../vm/market/natives.ts";
import {
  type AppOrder,
  type DatasetOrder,
  type RequestOrder,
  WORKERPOOL_ORDER,
  type WorkerpoolOrder,
} from "../../vm/market/order.ts";
import { type OrderName, orderToJson, orderValues } from "../../vm/market/signed-order.ts";

const address = (name: string): Address => `0x${keccak256(utf8(name)).slice(26)}`;
const salted = (name: string) => ({ salt: keccak256(utf8(`salt ${name}`)), tag: ZERO_HASH, sign: EMPTY, volume: 9n });
const REQUESTER = address("requester");
const GROUP = address("group");

const app = (changes: Partial<AppOrder> = {}): AppOrder => ({
  ...salted("app"),
  app: address("app"),
  appprice: 0n,
  datasetrestrict: ZERO_ADDRESS,
  workerpoolrestrict: ZERO_ADDRESS,
  requesterrestrict: ZERO_ADDRESS,
  ...changes,
});
const pool = (name: string, price: bigint, changes: Partial<WorkerpoolOrder> = {}): WorkerpoolOrder => ({
  ...salted(name),
  workerpool: address(name),
  workerpoolprice: price,
  category: 0n,
  trust: 1n,
  apprestrict: ZERO_ADDRESS,
  datasetrestrict: ZERO_ADDRESS,
  requesterrestrict: ZERO_ADDRESS,
  ...changes,
});
const request = (changes: Partial<RequestOrder> = {}): RequestOrder => ({
  ...salted("request"),
  volume: 1n,
  app: address("app"),
  appmaxprice: 0n,
  dataset: ZERO_ADDRESS,
  datasetmaxprice: 0n,
  workerpool: ZERO_ADDRESS,
  workerpoolmaxprice: 1_000n,
  requester: REQUESTER,
  category: 0n,
  trust: 1n,
  beneficiary: REQUESTER,
  callback: ZERO_ADDRESS,
  params: "{}",
  ...changes,
});

interface Book {
  app: AppOrder[];
  dataset: DatasetOrder[];
  workerpool: WorkerpoolOrder[];
  request: RequestOrder[];
}
const HONEST = pool("honest", 10n);
const REACHED = new Error("reached");
/** Who signs an order: each pool its own name's owner, unless the test says otherwise. */
type SignerOf = (order: { workerpool?: Address }) => Address;

interface NodeOptions {
  /** Free nRLC in the hub: 10^9 unless told; all of them unknown where this is left out. */
  readonly stakes?: Readonly<Record<Address, bigint>>;
  /** Whom all pools but the honest one are drawn for. */
  readonly drawnFor?: Address;
  /** How many slots these have, and how many of them are free: 8 and 8 unless told. */
  readonly slots?: (pool: Address) => readonly [length: bigint, drawable: bigint];
  readonly signerOf?: SignerOf;
  /** The chain's public pool, at 4 nRLC a task of trust 1. */
  readonly publicPool?: Address;
  /** Percent of the price that workers of other pools bind. */
  readonly ratio?: bigint;
  /** Seconds of every category. */
  readonly seconds?: bigint;
  /** What the chain answers to all that a set asks for, but for the honest ones. */
  readonly gas?: number;
}

/**
 * A node whose chain lets the honest pool's and the public pool's orders alone pass, whatever else its book shows: it filters
 * nothing, as one that is on the attacker's side. `tried` is what the matcher asked the chain for.
 */
const nodeOf = (book: Book, options: NodeOptions = {}) => {
  const { stakes, drawnFor, slots = () => [8n, 8n], signerOf, publicPool, ratio = 30n, seconds = 10n } = options;
  const asked = { calls: 0 };
  const tried: { readonly workerpool: Address; readonly volume: bigint }[] = [];
  const viewed: readonly (readonly [AbiFunction, (args: AbiValue[], to: Address) => AbiValue[] | undefined])[] = [
    [hubFunction("viewAccount"), ([of]) => stakes && [[stakes[of as Address] ?? 10n ** 9n, 0n]]],
    [
      functionsOf(GROUP_ABI)("keyHasPurpose"),
      ([key], to) => (to === GROUP ? [`0x${(key as Hash).slice(26)}` === REQUESTER] : undefined),
    ],
    [
      marketFunction("viewPool"),
      ([of]) =>
        drawnFor && of !== HONEST.workerpool && of !== publicPool
          ? [[true, false, ...slots(of as Address), ZERO_ADDRESS, drawnFor, 10_000n]]
          : [[false, false, 0n, 0n, ZERO_ADDRESS, ZERO_ADDRESS, 10_000n]],
    ],
    [
      hubFunction("viewWorkerpool"),
      ([of]) => [[of!, "", of === HONEST.workerpool || of === publicPool ? 30n : ratio, 0n]],
    ],
    [hubFunction("totalSupply"), () => [10n ** 12n]],
    [marketFunction("genesisPool"), () => publicPool && [publicPool]],
    [hubFunction("viewCategory"), () => [["", "", seconds]]],
    [hubFunction("verifySignature"), () => [true]],
  ];
  const call = async (method: string, params: readonly unknown[] = []): Promise<unknown> => {
    asked.calls += 1;
    const [sent] = params as [{ kind: OrderName; skip: number; limit: number; to: Address; data: Hex }];
    if (method === "rolec_orders") {
      const orders = book[sent.kind] as { workerpool?: Address; volume: bigint }[];
      return orders.slice(sent.skip, sent.skip + sent.limit).map((each) => ({
        kind: sent.kind,
        hash: ZERO_HASH,
        signer: signerOf?.(each) ?? each.workerpool ?? ZERO_ADDRESS,
        remaining: `${each.volume}`,
        since: 0,
        order: orderToJson(each as never),
      }));
    }
    if (method === "eth_chainId") return "0x1";
    if (method === "eth_getBlockByNumber") return { timestamp: "0x1" };
    if (method === "rolec_genesis") {
      const params = { slotSeconds: 1, slotsPerEpoch: 1, epochsPerEra: 1, maxTrust: "10", pricePerGgasNrlc: "1" };
      return { genesisTime: 0, params, upgrades: [] };
    }
    if (method === "eth_call") {
      const found = viewed.find(([{ selector }]) => sent.data.startsWith(selector));
      const answer = found?.[1](sent.data.length > 10 ? found[0].decode<AbiValue[]>(fromHex(sent.data)) : [], sent.to);
      if (found && answer !== undefined) return toHex(found[0].encodeResult(...answer));
      // An account without code.
      if (sent.to !== HUB && sent.to !== MARKET) return "0x";
    }
    if (method === "eth_estimateGas") {
      const orders = hubFunction("matchOrders").decode(fromHex(sent.data));
      const { workerpool, volume } = WORKERPOOL_ORDER.read(orders[2]!);
      tried.push({ workerpool, volume });
      if (workerpool === HONEST.workerpool || workerpool === publicPool) throw REACHED;
      if (options.gas !== undefined) return `0x${options.gas.toString(16)}`;
    }
    if (method === "eth_sendRawTransaction") tried.push({ workerpool: ZERO_ADDRESS, volume: 0n });
    throw new RpcCallError(REVERTED, "no", "0x");
  };
  return { client: { call } as unknown as RpcClient, tried, asked };
};

/** Runs rounds until the honest pool is tried. Gives how many there were, 0 where it never was, and what was tried in vain. */
const roundsUntilHonest = async (book: Partial<Book>, options: NodeOptions = {}, most = 3) => {
  const full: Book = { app: [app()], dataset: [], workerpool: [HONEST], request: [request()], ...book };
  full.workerpool.sort((a, b) => Number(a.workerpoolprice - b.workerpoolprice));
  full.request.sort((a, b) => Number(b.workerpoolmaxprice - a.workerpoolmaxprice));
  const { client, tried } = nodeOf(full, options);
  const matcher = createMatcher(client, keccak256(utf8("key")), () => 0);
  for (let round = 1; round <= most; round++)
    try {
      await matcher.round();
    } catch (error) {
      if (error === REACHED) return { rounds: round, junk: tried.length - 1 };
      throw error;
    }
  return { rounds: 0, junk: tried.length };
};
const many = (count: number, changes: (i: number) => Partial<WorkerpoolOrder>, price = 0n) => [
  HONEST,
  ...Array.from({ length: count }, (_, i) => pool(`junk ${i}`, price, changes(i))),
];

t.test("orders that cannot be meant for a request are not tried for it, however many and cheap", async (t) => {
  const reached = async (what: string, junk: Partial<WorkerpoolOrder>, options = {}) =>
    t.same(await roundsUntilHonest({ workerpool: many(300, () => junk) }, options), { rounds: 1, junk: 0 }, what);
  t.same(await roundsUntilHonest({}), { rounds: 1, junk: 0 }, "no junk");
  await reached("another category", { category: 1n });
  await reached("less trust", { trust: 0n });
  await reached("dear", { workerpoolprice: 1_001n });
  const junkOf = (changes: Partial<WorkerpoolOrder>) => roundsUntilHonest({ workerpool: many(7, () => changes) });
  for (const restriction of ["requesterrestrict", "apprestrict", "datasetrestrict"] as const)
    t.same(await junkOf({ [restriction]: address("attacker") }), { rounds: 1, junk: 0 }, restriction);
  const copied = { salt: HONEST.salt, requesterrestrict: address("attacker") };
  t.same(await junkOf(copied), { rounds: 1, junk: 0 }, "the honest order's salt");
});

t.test("orders of one who is refused come after those of others", async (t) => {
  const signerOf = ({ workerpool }: { workerpool?: Address }) =>
    workerpool === HONEST.workerpool ? HONEST.workerpool : address("attacker");
  const one = { requesterrestrict: address("attacker") };
  t.same(await roundsUntilHonest({ workerpool: many(64, () => one) }, { signerOf }), { rounds: 1, junk: 0 });
  t.same(
    await roundsUntilHonest({ workerpool: many(64, () => ({})) }, { signerOf }),
    { rounds: 1, junk: 1 },
    "what nobody can tell is tried once",
  );
  const six = await roundsUntilHonest({ workerpool: many(48, () => ({})) }, {}, 10);
  t.ok(six.rounds > 0 && six.junk <= 48, `as many signers as orders: each is tried once (${six.rounds} rounds)`);
});

t.test("groups, and pools that the chain draws for others, are judged without a try", async (t) => {
  const member = pool("honest", 10n, { requesterrestrict: GROUP });
  t.same(await roundsUntilHonest({ workerpool: [member] }), { rounds: 1, junk: 0 }, "a member of the group");
  const stranger = request({ requester: address("stranger") });
  t.equal((await roundsUntilHonest({ workerpool: [member], request: [stranger] })).rounds, 0, "a stranger to it");
  const drawnFor = address("attacker");
  t.same(await roundsUntilHonest({ workerpool: many(7, () => ({})) }, { drawnFor }), { rounds: 1, junk: 0 });
});

t.test("a set that money does not cover is not tried, and is nobody's fault but the requester's", async (t) => {
  const asked = (volume: bigint) => ({ request: [request({ volume })] });
  const dear = pool("honest", 10n, { volume: 9n });
  const with_ = (stake: bigint, volume: bigint) =>
    roundsUntilHonest({ ...asked(volume), workerpool: [dear] }, { stakes: { [REQUESTER]: stake } });
  t.equal((await with_(30n, 3n)).rounds, 1);
  t.same(await with_(29n, 3n), { rounds: 0, junk: 0 });
  const owner = { [HONEST.workerpool]: 8n };
  t.same(
    await roundsUntilHonest({ ...asked(3n), workerpool: [dear] }, { stakes: owner }),
    { rounds: 0, junk: 0 },
    "its pool's owner binds 30 %",
  );
});

t.test("money that does not cover all of a request fills a part of it in the public pool", async (t) => {
  const publicPool = address("public");
  const taken = async (money: bigint, changes: Partial<RequestOrder> = {}, workerpool = [HONEST]) => {
    const book = { app: [app()], dataset: [], workerpool, request: [request({ volume: 5n, ...changes })] };
    const { client, tried } = nodeOf(book, { publicPool, stakes: { [REQUESTER]: money } });
    await createMatcher(client, keccak256(utf8("key")), () => 0)
      .round()
      .catch((error) => t.equal(error, REACHED));
    return tried;
  };
  t.same(await taken(40n), [{ workerpool: publicPool, volume: 5n }], "all of it");
  t.same(await taken(31n), [{ workerpool: publicPool, volume: 3n }], "as many tasks as it covers");
  t.same(await taken(7n), [], "none");
  const cheap = pool("honest", 1n);
  t.same(await taken(7n, {}, [cheap]), [{ workerpool: cheap.workerpool, volume: 9n }], "who is cheaper takes all");
  const dearer = pool("honest", 2n);
  t.same(await taken(9n, {}, [dearer]), [{ workerpool: publicPool, volume: 1n }], "what others signed is filled whole");
  t.same(await taken(31n, { workerpool: HONEST.workerpool }, []), [], "a request for another pool");
});

t.test("requests that never cross do not keep others waiting", async (t) => {
  const junk = Array.from({ length: 350 }, (_, i) =>
    request({ ...salted(`junk ${i}`), app: address("no app's"), workerpoolmaxprice: 5_000n }),
  );
  const { rounds } = await roundsUntilHonest({ request: [...junk, request()] }, {}, 5);
  t.ok(rounds > 0 && rounds <= 4, `each is looked at in its turn (${rounds} rounds)`);
});

t.test("an app that its owner offers to others alone is not tried, nor a dataset", async (t) => {
  const others = { requesterrestrict: address("attacker") };
  const apps = Array.from({ length: 64 }, (_, i) => app({ ...salted(`app ${i}`), ...others }));
  t.same(await roundsUntilHonest({ app: [...apps, app()] }), { rounds: 1, junk: 0 });
});

t.test("all that the chain refuses a pool for is judged without a try", async (t) => {
  const junk = (changes: Partial<WorkerpoolOrder>, options: NodeOptions, asked: Partial<RequestOrder> = {}) =>
    roundsUntilHonest(
      { workerpool: [pool("honest", 10n, wide), ...many(100, () => changes, 1n).slice(1)], request: [request(asked)] },
      options,
    );
  const wide = { trust: 100n, tag: word(6n) };
  const stakes = {};
  const judged = async (what: string, options: NodeOptions, changes = {}, asked = {}) =>
    t.same(await junk(changes, { stakes, ...options }, asked), { rounds: 1, junk: 0 }, what);
  await judged("a stake of workers that overflows", { ratio: 2n ** 255n }, { workerpoolprice: 2n });
  await judged("a stake of workers that is more than all have", { ratio: 10n ** 15n });
  const drawnFor = ZERO_ADDRESS;
  await judged("a drawn pool whose lots cost more than half a slot", { drawnFor, ratio: 500_001n });
  await judged("one that is asked by a tag", { drawnFor }, { tag: word(6n) }, { tag: word(2n) });
  await judged("trust beyond what is drawn", { drawnFor }, { trust: 100n }, { trust: 11n });
  await judged("a category without time for a task", { drawnFor, seconds: 0n });
  await judged("a category of more than a year", { drawnFor, seconds: 31_536_001n });
  await judged("a pool that can seat no committee", { drawnFor, slots: () => [1n, 1n] });
  await judged("or none for such trust", { drawnFor, slots: () => [3n, 3n] }, { trust: 9n }, { trust: 9n });
  const volume = 2n ** 32n + 1n;
  const rich = 10n ** 12n;
  const apps = { app: [app({ volume })], request: [request({ volume, workerpoolmaxprice: 10n })] };
  const pools = [pool("honest", 10n, { volume }), ...many(100, () => ({ volume })).slice(1)];
  t.same(
    await roundsUntilHonest(
      { ...apps, workerpool: pools },
      { drawnFor, stakes: { [REQUESTER]: rich, [HONEST.workerpool]: rich } },
    ),
    { rounds: 1, junk: 0 },
    "more tasks than a drawn pool numbers",
  );
});

t.test("pools that could draw now come before cheaper ones where a deal would wait, as far as they go", async (t) => {
  const tries = async (free: (i: number) => readonly [bigint, bigint], count: number) => {
    const pools = many(count, () => ({}), 1n).slice(1);
    const slots = (of: Address) => free(pools.findIndex(({ workerpool }) => workerpool === of));
    const book = { app: [app()], dataset: [], workerpool: [...pools, HONEST], request: [request()] };
    const { client, tried } = nodeOf(book, { drawnFor: ZERO_ADDRESS, slots });
    await createMatcher(client, keccak256(utf8("key")), () => 0)
      .round()
      .catch((error) => t.equal(error, REACHED));
    return tried.map(({ workerpool }) => pools.findIndex((each) => each.workerpool === workerpool));
  };
  t.same(await tries(() => [8n, 3n], 64), [-1], "too few of its slots are free");
  t.same(await tries(() => [8n, 1n], 64), [-1], "no committee is free");
  t.same(await tries((i) => [8n, i < 5 ? 0n : 8n], 6), [5, -1], "one that can");
  t.same((await tries(() => [8n, 0n], 66)).slice(0, 2), [64, 65], "no more than so many are passed over");
});

t.test("requests whose money is bound keep no look from those who can pay", async (t) => {
  const bound = Array.from({ length: 60 }, (_, i) => {
    const requester = address(`bound ${i}`);
    return request({ ...salted(`bound ${i}`), requester, beneficiary: requester, workerpoolmaxprice: 5_000n });
  });
  const stakes = Object.fromEntries(bound.map(({ requester }) => [requester, 0n]));
  const workerpool = [...many(300, () => ({}), 5n)];
  const asked = request({ ...salted("able"), workerpool: HONEST.workerpool });
  t.same(await roundsUntilHonest({ workerpool, request: [...bound, asked] }, { stakes }), { rounds: 1, junk: 0 });
});

t.test("who asks in its own pool needs money for both its sides", async (t) => {
  const signerOf = () => REQUESTER;
  const with_ = (stake: bigint) => roundsUntilHonest({}, { signerOf, stakes: { [REQUESTER]: stake } });
  t.same(await with_(12n), { rounds: 0, junk: -0 });
  t.equal((await with_(13n)).rounds, 1);
});

t.test("a restriction to an account that is no group stops nobody", async (t) => {
  const nobody = address("nobody");
  const junk = [
    ...many(3, () => ({ datasetrestrict: nobody })),
    ...many(3, () => ({ requesterrestrict: nobody })).slice(1),
  ];
  const requests = [request({ ...salted("to nobody"), workerpool: nobody, workerpoolmaxprice: 5_000n }), request()];
  t.same(await roundsUntilHonest({ workerpool: junk, request: requests }), { rounds: 1, junk: 0 });
});

t.test("a request whose parameters no worker can read makes no deal, and is not signed", async (t) => {
  for (const params of ["{bad", '{"iexec_args":"a \'b"}', '{"unknown":1}']) {
    const asked = request({ params });
    t.same(await roundsUntilHonest({ request: [asked] }), { rounds: 0, junk: 0 }, params);
    t.throws(() => signOrder(1, keccak256(utf8("key")), { kind: "request", order: asked }), { name: "WasmRefused" });
    t.throws(() => checkRequest({ kind: "request", order: asked }), { name: "WasmRefused" }, "nor given to a book");
  }
});

t.test("what needs more gas than a node tries is not sent", async (t) => {
  t.same(await roundsUntilHonest({ workerpool: many(1, () => ({})) }, { gas: CALL_GAS_CAP + 1 }), {
    rounds: 1,
    junk: 1,
  });
});

t.test("no set of orders that a book takes needs more gas than a node tries", async (t) => {
  const sign = new Uint8Array(MAX_ORDER_BYTES).fill(255);
  const dataset = { ...NO_DATASET.order, sign };
  const values = [
    orderValues({ kind: "app", order: app({ sign }) }),
    orderValues({ kind: "dataset", order: dataset }),
    orderValues({ kind: "workerpool", order: pool("any", 1n, { sign }) }),
    orderValues({ kind: "request", order: request({ sign }) }),
  ];
  const data = hubFunction("matchOrders").encode(...values);
  const gas = intrinsicGas({ data, accessList: [] } as unknown as TransactionFields) + marketNatives[HUB]!.gas(data);
  t.ok(gas <= CALL_GAS_CAP, `${gas} gas`);
});

t.test("whatever reverts, an honest order is reached in a few rounds", async (t) => {
  const { rounds, junk } = await roundsUntilHonest({ workerpool: many(100, () => ({})) }, {}, 10);
  t.ok(rounds > 0 && rounds <= 4, `each of 100 signers is tried once (${rounds} rounds)`);
  t.ok(junk <= 100);
  const signerOf = ({ workerpool }: { workerpool?: Address }) =>
    workerpool === HONEST.workerpool ? HONEST.workerpool : address(`signer ${BigInt(workerpool ?? 0) % 8n}`);
  const few = await roundsUntilHonest({ workerpool: many(500, () => ({})) }, { signerOf });
  t.same(few, { rounds: 1, junk: few.junk }, "of 500 orders of 8 signers");
  t.ok(few.junk <= 8);
});

t.test("a round asks and judges no more than so much, and the next goes on", async (t) => {
  const junk = many(2_000, (i) => ({ requesterrestrict: address(`for ${i}`) }));
  const book: Book = { app: [app()], dataset: [], workerpool: junk, request: [request()] };
  const { client, asked } = nodeOf(book);
  const matcher = createMatcher(client, keccak256(utf8("key")), () => 0);
  await matcher.round();
  t.ok(asked.calls < 700, `${asked.calls} calls of 2,000 orders`);
  const { rounds } = await roundsUntilHonest({ workerpool: junk }, {}, 6);
  t.ok(rounds > 0 && rounds <= 5, `the head is gone through in ${rounds} rounds`);
  const restricted = Array.from({ length: 500 }, (_, i) =>
    app({ ...salted(`app ${i}`), workerpoolrestrict: address(`pool ${i}`) }),
  );
  const asks = Array.from({ length: 100 }, (_, i) => request(salted(`ask ${i}`)));
  const wide = nodeOf({ app: restricted, dataset: [], workerpool: many(2_000, () => ({})), request: asks });
  await createMatcher(wide.client, keccak256(utf8("key")), () => 0).round();
  t.ok(wide.asked.calls < 6_000, `${wide.asked.calls} calls of 100 requests and a million sets`);
});

t.test("what one requester is refused does not push out what another is", async (t) => {
  const refusals = createRefusals(() => 0);
  const [few, much] = [address("few"), address("much")];
  for (const signer of ["a", "b"]) refusals.blame(few, address(signer));
  refusals.add(few, "set");
  for (let i = 0; i < 70_000; i++) {
    refusals.add(much, `set ${i}`);
    refusals.blame(much, word(i) as Address);
  }
  t.ok(refusals.has(few, "set"));
  t.equal(refusals.of(few, address("a")), 1);
  t.notOk(refusals.has(much, "set 0"), "its own oldest are forgotten");
  refusals.keep(new Set([much]));
  t.notOk(refusals.has(few, "set"), "who asks for nothing any more is forgotten");
});

t.test("refusals are forgotten in time", async (t) => {
  let now = 0;
  const refusals = createRefusals(() => now);
  const one = address("one");
  refusals.add(one, "set");
  refusals.blame(one, HONEST.workerpool);
  t.ok(refusals.has(one, "set"));
  refusals.passed(one, HONEST.workerpool);
  t.equal(refusals.of(one, HONEST.workerpool), 0);
  now = 60_000;
  t.notOk(refusals.has(one, "set"));
});
