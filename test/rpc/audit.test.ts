import t from "tap";
import { signTransaction } from "../../chain/transaction.ts";
import { type Address, EMPTY, type Hash, utf8, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { RLC } from "../../lib/units.ts";
import type { AbiFunction, AbiValue } from "../../vm/abi.ts";
import { APP_REGISTRY, MARKET } from "../../vm/addresses.ts";
import { MARKET_EVENTS } from "../../vm/market/abi.ts";
import { resultHashOf, resultSealOf } from "../../vm/market/contribution.ts";
import { jobOf, lotId } from "../../vm/market/deal.ts";
import { LOT_STATUS, lotOf } from "../../vm/market/lot.ts";
import { genesisPool } from "../../vm/market/pool.ts";
import { accountOf } from "../helpers/chain.ts";
import { startRpc } from "../helpers/rpc.ts";
import { market, receiptFor, registry } from "../vm/market/world.ts";

const names = ["developer", "worker", "stranger", "friend", "cousin", "fund", "late"] as const;
const people = Object.fromEntries(names.map((name) => [name, accountOf(name)])) as Record<
  (typeof names)[number],
  ReturnType<typeof accountOf>
>;
const node = await startRpc(
  Object.values(people).map(({ address }) => address),
  {},
  { epochsPerEra: 24 },
);
t.teardown(() => node.stop());
const stateNow = () => node.engine.stateOf(node.engine.head());
const nonces = new Map<Address, number>();
/** Sends a transaction in a block of its own. */
const send = async (from: (typeof names)[number], to: Address, data: Uint8Array, value = 0n): Promise<void> => {
  const { key, address } = people[from];
  const nonce = nonces.get(address) ?? 0;
  nonces.set(address, nonce + 1);
  const { chainId } = node.genesis;
  const fees = { maxFeePerGas: 2n * 10n ** 9n, maxPriorityFeePerGas: 0n, gasLimit: 2_000_000 };
  await node.engine.addTransaction(
    signTransaction({ type: 2, chainId, nonce, to, value, data, accessList: [], ...fees }, key),
  );
  await node.mine();
};
const call = (from: (typeof names)[number], to: Address, fn: AbiFunction, args: readonly AbiValue[], value = 0n) =>
  send(from, to, fn.encode(...args), value);

const logsNow = () => node.engine.store.receipts(node.engine.head().hash)!.flatMap(({ logs }) => logs);

await call("developer", APP_REGISTRY, registry("createApp"), [
  ...[people.developer.address, "app", "DOCKER", utf8("/ipfs/app"), ZERO_HASH, EMPTY],
]);
const app: Address = `0x${logsNow()[0]!.topics[3]!.slice(26)}`;
await call("developer", MARKET, market("offer"), [app, 0n, ZERO_HASH, true]);
const pool = genesisPool(stateNow());
await call("worker", MARKET, market("join"), [pool, node.validator.address, 4n], 40n * RLC);
await node.mine(12);

/** Has a job of an account computed by the worker, to its end. */
const compute = async (requester: (typeof names)[number]): Promise<void> => {
  const gasLimit = 1_000_000_000n;
  const job = [
    1n,
    pool,
    app,
    ZERO_ADDRESS,
    "{}",
    0n,
    gasLimit,
    2n,
    1n,
    ZERO_HASH,
    people[requester].address,
    ZERO_ADDRESS,
    EMPTY,
  ];
  await call(requester, MARKET, market("submit"), [job], RLC);
  const { topic } = MARKET_EVENTS.JobSubmitted!;
  const dealid = logsNow().find(({ topics }) => topics[0] === topic)!.topics[1] as Hash;
  const id = lotId(dealid, jobOf(stateNow(), dealid)!, 0);
  for (let i = 0; i < 8 && !lotOf(stateNow(), id); i++) await node.mine();
  const receipt = receiptFor(Number(gasLimit));
  const digest = keccak256(receipt);
  const { address } = people.worker;
  const seal = resultSealOf(address, id, digest);
  await call("worker", MARKET, market("contribute"), [id, resultHashOf(id, digest), seal, ZERO_HASH]);
  await call("worker", MARKET, market("reveal"), [id, receipt]);
  await call("worker", MARKET, market("finalize"), [id]);
  if (lotOf(stateNow(), id)!.status !== LOT_STATUS.completed) throw new Error("the lot is not completed");
};

interface Audit {
  readonly era: number;
  readonly lots: number;
  readonly creditWei: string;
  readonly tiedWei: string;
  readonly nearWei: string;
  readonly untiedWei: string;
  readonly unknownWei: string;
  readonly validators: readonly { readonly validator: Address; readonly creditWei: string }[];
}
const audit = async (...params: unknown[]): Promise<Audit> => (await node.client.call("rolec_audit", params)) as Audit;

t.test(
  "credit of jobs is told apart by who paid: the earner itself, its friends, friends of friends, others",
  async (t) => {
    await t.rejects(audit(), { code: -32602, message: /era 0 is not over/ });
    await send("worker", people.friend.address, EMPTY, RLC);
    await send("fund", people.worker.address, EMPTY, 1n);
    await send("fund", people.cousin.address, EMPTY, 1n);
    for (const who of ["stranger", "worker", "friend", "cousin"] as const) await compute(who);
    await node.mine(96 - node.engine.head().header.number);
    const found = await audit();
    t.match(found, { era: 0, lots: 4, unknownWei: "0" });
    const each = BigInt(found.creditWei) / 4n;
    t.equal(found.untiedWei, String(each), "the stranger's");
    t.equal(found.tiedWei, String(2n * each), "the worker's own, and its friend's");
    t.equal(found.nearWei, String(each), "both have RLC of the fund");
    t.equal(found.validators.length, 1);
    t.match(found.validators[0], { validator: node.validator.address, creditWei: found.creditWei });
    const { contributionCreditWei } = (
      (await node.client.call("rolec_validators")) as { contributionCreditWei: string }[]
    )[0]!;
    t.equal(contributionCreditWei, found.creditWei, "all that was given, and nothing else");
    await t.rejects(audit(7), { code: -32602 });
    await t.rejects(audit(-1), { code: -32602 });
  },
);

t.test("ties of another time count where they are looked for", async (t) => {
  await compute("friend");
  await send("late", people.stranger.address, EMPTY, 1n);
  await node.mine(2 * 96 - node.engine.head().header.number);
  const near = await audit(1, 96);
  t.match(near, { era: 1, lots: 1, tiedWei: near.creditWei });
  const alone = await audit(1, 0);
  t.match(alone, { untiedWei: near.creditWei, tiedWei: "0" }, "no tie is seen in the era itself");
});
