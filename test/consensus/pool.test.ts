import t from "tap";
import { encodeFunctionData, parseAbi } from "viem";
import { signTransaction, type TransactionFields } from "../../chain/transaction.ts";
import { EMPTY, fromHex, type Hex } from "../../lib/bytes.ts";
import { GWEI } from "../../lib/units.ts";
import { TOKEN } from "../../vm/addresses.ts";
import { accountOf, createTestNetwork } from "../helpers/chain.ts";

const abi = parseAbi([
  "function approve(address,uint256) returns (bool)",
  "function transferFrom(address,address,uint256) returns (bool)",
]);
const calldata = (functionName: "approve" | "transferFrom", ...args: unknown[]) =>
  fromHex(encodeFunctionData({ abi, functionName, args } as Parameters<typeof encodeFunctionData>[0]));
const thief = accountOf("thief");
const honest = accountOf("honest");
const puppets = Array.from({ length: 4 }, (_, i) => accountOf(`puppet ${i}`));
/** So many that a head looks for the accounts that differ; what they offer is too little for any block. */
const crowd = Array.from({ length: 300 }, (_, i) => accountOf(`one of many ${i}`));
const everybody = [thief, honest, ...puppets, ...crowd].map(({ address }) => address);
const make = (who: { key: Hex }, nonce: number, changes: Partial<TransactionFields> = {}) =>
  signTransaction(
    {
      type: 2,
      chainId: 77_216,
      nonce,
      maxPriorityFeePerGas: GWEI,
      maxFeePerGas: 3n * GWEI,
      gasLimit: 300_000,
      to: thief.address,
      value: 0n,
      data: EMPTY,
      accessList: [],
      ...changes,
    },
    who.key,
  );
type Network = Awaited<ReturnType<typeof createTestNetwork>>;
const DEAR = { gasLimit: 21_000, maxFeePerGas: 100n * GWEI, maxPriorityFeePerGas: 1n };

/** Lets the puppets allow the thief to take what they have, and then send a lot that they could pay. */
const flood = async ({ nodes, run }: Network, each: number): Promise<void> => {
  const engines = nodes.map(({ engine }) => engine);
  for (const puppet of puppets)
    for (const engine of engines)
      engine.addTransaction(make(puppet, 0, { to: TOKEN, data: calldata("approve", thief.address, 2n ** 255n) }).raw);
  await run(2);
  for (const puppet of puppets)
    for (let nonce = 1; nonce <= each; nonce++)
      for (const engine of engines) engine.addTransaction(make(puppet, nonce, DEAR).raw);
  const little = { gasLimit: 21_000, maxFeePerGas: 7n, maxPriorityFeePerGas: 0n };
  for (const one of crowd) for (const engine of engines) engine.addTransaction(make(one, 0, little).raw);
};
const take = ({ nodes }: Network, changes: Partial<TransactionFields>): void => {
  const { engine } = nodes[0]!;
  const first = engine.pool.nextNonce(thief.address);
  for (const [i, { address }] of puppets.entries()) {
    const wei = engine.stateOf(engine.head()).balance(address) / GWEI;
    const data = calldata("transferFrom", address, thief.address, wei);
    const tx = make(thief, first + i, { to: TOKEN, data, ...changes });
    for (const node of nodes) node.engine.addTransaction(tx.raw);
  }
};

t.test("who has its money taken by another account keeps nothing in the pool, on any node", async (t) => {
  const network = await createTestNetwork(2, everybody);
  const { nodes, run } = network;
  await flood(network, 60);
  for (const { engine } of nodes) t.equal(engine.pool.size, 540);
  take(network, { maxFeePerGas: 200n * GWEI, maxPriorityFeePerGas: 50n * GWEI });
  await run(1);
  for (const { engine } of nodes) t.equal(engine.pool.size, 300, "the builder could not be paid, the other saw it");
  for (const { engine } of nodes) engine.addTransaction(make(honest, 0, { gasLimit: 21_000 }).raw);
  await run(1);
  t.equal(nodes[0]!.engine.stateOf(nodes[0]!.engine.head()).nonce(honest.address), 1);
});

t.test("a branch on which the money is gone leaves nothing of what it was to pay", async (t) => {
  const network = await createTestNetwork(4, everybody);
  const { nodes, run, cut } = network;
  await flood(network, 20);
  await run(1, new Set([0, 1, 2, 3]));
  cut.add(0);
  take({ ...network, nodes: nodes.slice(1) }, { maxFeePerGas: 200n * GWEI, maxPriorityFeePerGas: 50n * GWEI });
  await run(6, new Set([0]));
  const { engine } = nodes[0]!;
  const { engine: other } = nodes[1]!;
  t.equal(other.pool.size, 300);
  t.equal(engine.pool.size, 380, "the lone node has heard of no block");
  cut.clear();
  for (let number = engine.head().header.number + 1; number <= other.head().header.number; number++)
    await engine.importBlock(other.store.block(other.store.canonical(number)!)!);
  t.equal(engine.head().hash, other.head().hash);
  t.equal(engine.pool.size, 300);
});

t.test("transactions of blocks that left the chain wait again, in their order", async (t) => {
  const { nodes, run, cut } = await createTestNetwork(4, everybody);
  await run(6);
  cut.add(0);
  const { engine } = nodes[0]!;
  for (let nonce = 0; nonce < 5; nonce++) engine.addTransaction(make(honest, nonce, { gasLimit: 21_000 }).raw);
  const before = engine.head().header.number;
  for (let i = 0; i < 40 && engine.head().header.number < before + 1; i++) await run(1);
  const { engine: other } = nodes[1]!;
  for (let i = 0; i < 40 && other.head().header.number < engine.head().header.number + 2; i++)
    await run(1, new Set([0]));
  t.equal(engine.pool.size, 0, "mined on the lone branch");
  cut.clear();
  for (let number = before - 3; number <= other.head().header.number; number++)
    await engine.importBlock(other.store.block(other.store.canonical(number)!)!);
  t.equal(engine.head().hash, other.head().hash);
  t.same(
    engine.pool.from(honest.address).map(({ nonce }) => nonce),
    [0, 1, 2, 3, 4],
  );
  t.equal(engine.pool.queued, 0);
});
