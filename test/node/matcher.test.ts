import t from "tap";
import {
  type Address,
  EMPTY,
  fromHex,
  type Hash,
  type Hex,
  toHex,
  utf8,
  ZERO_ADDRESS,
  ZERO_HASH,
} from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { hubFunction, marketFunction } from "../../node/market-client.ts";
import { createMatcher } from "../../node/matcher.ts";
import { createRefusals } from "../../node/refusals.ts";
import { RpcCallError, type RpcClient } from "../../rpc/client.ts";
import { REVERTED } from "../../rpc/errors.ts";
import type { AbiFunction, AbiValue } from "../../vm/abi.ts";
import { functionsOf, GROUP_ABI } from "../../vm/market/abi.ts";
import {
  type AppOrder,
  type DatasetOrder,
  type RequestOrder,
  WORKERPOOL_ORDER,
  type WorkerpoolOrder,
} from "../../vm/market/order.ts";
import { type OrderName, orderToJson } from "../../vm/market/signed-order.ts";

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
  readonly signerOf?: SignerOf;
  /** The chain's public pool, at 4 nRLC a task of trust 1. */
  readonly publicPool?: Address;
}

/**
 * A node whose chain lets the honest pool's and the public pool's orders alone pass, whatever else its book shows: it filters
 * nothing, as one that is on the attacker's side. `tried` is what the matcher asked the chain for.
 */
const nodeOf = (book: Book, { stakes, drawnFor, signerOf, publicPool }: NodeOptions = {}) => {
  const tried: { readonly workerpool: Address; readonly volume: bigint }[] = [];
  const viewed: readonly (readonly [AbiFunction, (args: AbiValue[], to: Address) => AbiValue | undefined])[] = [
    [hubFunction("viewAccount"), ([of]) => stakes && [stakes[of as Address] ?? 10n ** 9n, 0n]],
    [
      functionsOf(GROUP_ABI)("keyHasPurpose"),
      ([key], to) => to === GROUP && `0x${(key as Hash).slice(26)}` === REQUESTER,
    ],
    [
      marketFunction("viewPool"),
      ([of]) => (drawnFor && of !== HONEST.workerpool ? [true, false, 0n, 0n, ZERO_ADDRESS, drawnFor, 0n] : undefined),
    ],
    [marketFunction("genesisPool"), () => publicPool],
    [hubFunction("viewCategory"), () => ["", "", 10n]],
    [hubFunction("verifySignature"), () => true],
  ];
  const call = async (method: string, params: readonly unknown[] = []): Promise<unknown> => {
    const [asked] = params as [{ kind: OrderName; skip: number; limit: number; to: Address; data: Hex }];
    if (method === "rolec_orders") {
      const orders = book[asked.kind] as { workerpool?: Address; volume: bigint }[];
      return orders.slice(asked.skip, asked.skip + asked.limit).map((order) => ({
        kind: asked.kind,
        hash: ZERO_HASH,
        signer: signerOf?.(order) ?? order.workerpool ?? ZERO_ADDRESS,
        remaining: `${order.volume}`,
        since: 0,
        order: orderToJson(order as never),
      }));
    }
    if (method === "eth_chainId") return "0x1";
    if (method === "eth_getBlockByNumber") return { timestamp: "0x1" };
    if (method === "rolec_genesis") {
      const params = { slotSeconds: 1, slotsPerEpoch: 1, epochsPerEra: 1, maxTrust: "10", pricePerGgasNrlc: "1" };
      return { genesisTime: 0, params, upgrades: [] };
    }
    if (method === "eth_call") {
      const found = viewed.find(([{ selector }]) => asked.data.startsWith(selector));
      const answer = found?.[1](asked.data.length > 10 ? found[0].decode(fromHex(asked.data)) : [], asked.to);
      if (found && answer !== undefined) return toHex(found[0].encodeResult(answer));
    }
    if (method === "eth_estimateGas") {
      const orders = hubFunction("matchOrders").decode(fromHex(asked.data));
      const { workerpool, volume } = WORKERPOOL_ORDER.read(orders[2]!);
      tried.push({ workerpool, volume });
      if (workerpool === HONEST.workerpool || workerpool === publicPool) throw REACHED;
    }
    throw new RpcCallError(REVERTED, "no", "0x");
  };
  return { client: { call } as unknown as RpcClient, tried };
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
    { rounds: 1, junk: 2 },
    "what nobody can tell is tried twice",
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

t.test("refusals are forgotten in time, and the oldest first", async (t) => {
  let now = 0;
  const refusals = createRefusals(() => now);
  for (let i = 0; i < 65_537; i++) refusals.add(`set ${i}`, "a b");
  t.notOk(refusals.has("set 0"));
  t.ok(refusals.has("set 1"));
  t.equal(refusals.of("a b"), 65_537);
  refusals.passed("a b");
  t.equal(refusals.of("a b"), 0);
  now = 60_000;
  t.notOk(refusals.has("set 65536"));
});
