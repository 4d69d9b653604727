import t from "tap";
import { ONLY } from "../../chain/records.ts";
import { signTransaction } from "../../chain/transaction.ts";
import { bondsBurned, checkpoints } from "../../consensus/records.ts";
import { RLC } from "../../lib/units.ts";
import { nativeAt } from "../../vm/native-table.ts";
import { validators } from "../../vm/validator-store.ts";
import { accountOf, createTestNetwork, EPOCHS } from "../helpers/chain.ts";

t.setTimeout(180_000);

const alice = accountOf("alice");
const bob = accountOf("bob");
const transfer = (nonce: number, value: bigint) =>
  signTransaction(
    {
      type: 2,
      chainId: 77_216,
      nonce,
      maxPriorityFeePerGas: 1n,
      maxFeePerGas: 10n ** 10n,
      gasLimit: 21_000,
      to: bob.address,
      value,
      data: new Uint8Array(0),
      accessList: [],
    },
    alice.key,
  );

for (const [epochs, params] of EPOCHS)
  t.test(`one validator makes a block each slot, mines transfers and finalizes alone (${epochs})`, async (t) => {
    const { nodes, run } = await createTestNetwork(1, [alice.address], params);
    const { engine } = nodes[0]!;
    const hashes = [0, 1, 2].map((nonce) => engine.addTransaction(transfer(nonce, RLC).raw));
    await run(16);
    t.equal(engine.head().header.number, 16);
    t.ok(engine.finalized().epoch >= 1, `epoch ${engine.finalized().epoch} is final`);
    t.equal(engine.stateOf(engine.head()).balance(bob.address), 3n * RLC);
    for (const hash of hashes) t.ok(engine.store.transaction(hash));
    t.equal(engine.pool.size, 0);
  });

for (const [epochs, params] of EPOCHS)
  t.test(`four validators agree on one chain and finalize it (${epochs})`, async (t) => {
    const { nodes, run } = await createTestNetwork(4, [alice.address], params);
    nodes[2]!.engine.addTransaction(transfer(0, RLC));
    await run(24);
    const heads = new Set(nodes.map(({ engine }) => engine.head().hash));
    t.equal(heads.size, 1);
    for (const { engine } of nodes) t.ok(engine.finalized().epoch >= 3, `epoch ${engine.finalized().epoch}`);
    t.ok(new Set(nodes.flatMap(({ engine }) => [engine.head().header.beneficiary])).size >= 1);
  });

for (const [epochs, params] of EPOCHS)
  t.test(
    `with one of four silent the chain goes on and stays final; with two it goes on without finality (${epochs})`,
    async (t) => {
      const { nodes, run } = await createTestNetwork(4, [], params);
      await run(24, new Set([3]));
      const { engine } = nodes[0]!;
      const final = engine.finalized().epoch;
      t.ok(final >= 3);
      await run(24, new Set([2, 3]));
      t.ok(engine.finalized().epoch <= final + 2, "half of the votes finalize nothing new");
      const number = engine.head().header.number;
      await run(24);
      t.ok(engine.head().header.number > number);
      t.ok(engine.finalized().epoch > final + 4, "finality comes back with the votes");
    },
  );

for (const [epochs, params] of EPOCHS)
  t.test(
    `after a standstill of days the chain goes on, becomes final again and burns nobody (${epochs})`,
    async (t) => {
      const { nodes, run, skip } = await createTestNetwork(4, [], params);
      const { engine } = nodes[0]!;
      await run(30);
      const final = engine.finalized().epoch;
      skip(400_003);
      await run(40);
      t.ok(engine.finalized().epoch >= final + 100_000, `epoch ${engine.finalized().epoch}`);
      t.equal(new Set(nodes.map((node) => node.engine.head().hash)).size, 1);
      const state = engine.stateOf(engine.head());
      t.equal(bondsBurned.get(state, ONLY), undefined);
      const between = 100_000;
      t.ok(between > final && checkpoints.get(state, between) === undefined, "nothing is kept of the time between");
      t.ok(validators.activeSet(state).every((each) => each.votePower > 0n));
    },
  );

t.test("a transaction that meets a bug of a contract is dropped, and the chain goes on", async (t) => {
  const { nodes, run } = await createTestNetwork(1, [alice.address]);
  const { engine } = nodes[0]!;
  const address = "0x0000000000000000000000000000000000001006";
  const broken = nativeAt(engine.stateOf(engine.head()), address)!;
  const before = broken.call;
  Object.assign(broken, {
    call: () => {
      throw new RangeError("a bug");
    },
  });
  t.teardown(() => Object.assign(broken, { call: before }));
  engine.addTransaction(
    signTransaction(
      {
        type: 2,
        chainId: 77_216,
        nonce: 0,
        maxPriorityFeePerGas: 1n,
        maxFeePerGas: 10n ** 10n,
        gasLimit: 5_000_000,
        to: address,
        value: 0n,
        data: Uint8Array.of(1, 2, 3, 4),
        accessList: [],
      },
      alice.key,
    ),
  );
  await run(3);
  t.equal(engine.head().header.number, 3);
  t.equal(engine.pool.size, 0);
});

for (const [epochs, params] of EPOCHS)
  t.test(`two halves that do not hear each other meet again on one chain (${epochs})`, async (t) => {
    const { nodes, run, cut } = await createTestNetwork(4, [], params);
    await run(12);
    cut.add(0).add(1);
    await run(8);
    t.not(nodes[0]!.engine.head().hash, nodes[3]!.engine.head().hash);
    cut.clear();
    for (const { engine } of nodes)
      for (const other of nodes) {
        const { store } = other.engine;
        for (let number = 1; number <= other.engine.head().header.number; number++)
          await engine.importBlock(store.block(store.canonical(number)!)!);
      }
    await run(24);
    t.equal(new Set(nodes.map(({ engine }) => engine.head().hash)).size, 1);
    t.ok(nodes[0]!.engine.finalized().epoch >= 8);
  });
