import t from "tap";
import { memoryDb } from "../../chain/db.ts";
import { createEngine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { localSigner } from "../../consensus/signer.ts";
import { type Double, watchForDoubles } from "../../node/doppelganger.ts";
import { createTestNetwork, memoryProtection, silent } from "../helpers/chain.ts";

const SLOTS_PER_EPOCH = 4;

/** Adds a node with the keys of validator 0 to a network, that listens first; it has the chain as the others know it. */
const addDouble = async (network: Awaited<ReturnType<typeof createTestNetwork>>, epochs: number) => {
  const { engine: other } = network.nodes[1]!;
  const engine = await createEngine({ db: memoryDb(), genesis: network.genesis, now: other.now, log: silent });
  const doubles: Double[] = [];
  const watch = watchForDoubles({
    engine,
    validators: [network.keys[0]!.address],
    epochs,
    onDouble: (double) => doubles.push(double),
  });
  let blocks = 0;
  let votes = 0;
  const publish = (what: (engine: typeof other) => unknown): void => {
    for (const node of network.nodes)
      if (node.engine !== engine) void Promise.resolve(what(node.engine)).catch(() => {});
  };
  const producer = createProducer({
    engine,
    signers: [localSigner(network.keys[0]!)],
    protection: memoryProtection(),
    mayWork: watch.mayWork,
    publishBlock: (block) => {
      blocks += 1;
      publish((to) => to.importBlock(block));
    },
    publishVote: (vote) => {
      votes += 1;
      publish((to) => to.addVote(vote));
    },
    log: silent,
  });
  const sync = async (): Promise<void> => {
    for (let number = 1; number <= other.head().header.number; number++)
      await engine.importBlock(other.store.block(other.store.canonical(number)!)!);
  };
  network.nodes.push({ engine, producer });
  return { engine, watch, doubles, sync, signed: () => ({ blocks, votes }) };
};

t.test("a node whose validator signs elsewhere too never signs, and says so once", async (t) => {
  const network = await createTestNetwork(3);
  await network.run(9);
  const double = await addDouble(network, 2);
  await double.sync();
  t.same(double.doubles, [], "what was signed before it started is no double");
  await network.run(6 * SLOTS_PER_EPOCH);
  t.equal(double.doubles.length, 1);
  t.equal(double.doubles[0]!.validator, network.keys[0]!.address);
  t.same(double.signed(), { blocks: 0, votes: 0 });
  t.equal(double.watch.mayWork(10_000), false, "nor ever, until somebody starts it again");
  t.same(network.nodes[1]!.engine.evidence(), []);
});

t.test("a node whose validator is silent listens for whole epochs, and then works", async (t) => {
  const network = await createTestNetwork(3);
  const offline = new Set([0]);
  await network.run(10, offline);
  const double = await addDouble(network, 2);
  await double.sync();
  t.equal(double.watch.firstSlot, 5 * SLOTS_PER_EPOCH, "after epochs 3 and 4");
  await network.run(9, offline);
  t.same(double.signed(), { blocks: 0, votes: 0 });
  await network.run(4 * SLOTS_PER_EPOCH, offline);
  t.same(double.doubles, []);
  t.equal(double.signed().votes, 4);
  t.ok(double.signed().blocks > 0);
  double.watch.stop();
});

t.test("doubles are found in the certificates and blocks of that time, when they come late", async (t) => {
  const network = await createTestNetwork(6);
  await network.run(9);
  const { engine } = network.nodes[0]!;
  // It hears nothing while it listens: it is cut off.
  const late = await createEngine({ db: memoryDb(), genesis: network.genesis, now: engine.now, log: silent });
  const doubles: Double[] = [];
  const watches = network.keys.map(({ address }) =>
    watchForDoubles({ engine: late, validators: [address], epochs: 2, onDouble: (double) => doubles.push(double) }),
  );
  await network.run(4 * SLOTS_PER_EPOCH);
  t.ok(watches.every((watch) => watch.mayWork(25)));
  for (let number = 1; number <= engine.head().header.number; number++)
    await late.importBlock(engine.store.block(engine.store.canonical(number)!)!);
  t.same(new Set(doubles.map(({ validator }) => validator)), new Set(network.keys.map(({ address }) => address)));
  t.equal(doubles.length, 6, "each said once");
  // Slots 10 to 14 are made before the first certificate of that time counts: one of six has made no block yet.
  t.match(
    doubles.find(({ epoch }) => epoch !== undefined),
    { epoch: 3 },
  );
  t.ok(doubles.some(({ slot }) => slot !== undefined));
  t.notOk(watches.some((watch) => watch.mayWork(25)));
});

t.test("nobody waits where it is switched off, nor before a network has begun", async (t) => {
  const network = await createTestNetwork(1);
  const { engine } = network.nodes[0]!;
  const options = { validators: [network.keys[0]!.address], onDouble: () => t.fail("no double") };
  t.equal(watchForDoubles({ ...options, engine, epochs: 0 }).firstSlot, 0);
  const early = { ...engine, now: () => network.genesis.genesisTime * 1000 - 1 };
  t.equal(watchForDoubles({ ...options, engine: early, epochs: 2 }).firstSlot, 0);
  t.equal(watchForDoubles({ ...options, engine, epochs: 2 }).firstSlot, 3 * SLOTS_PER_EPOCH);
});
