import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { multiaddr as multiaddrOf } from "@multiformats/multiaddr";
import t from "tap";
import { type Block, encodeBlock } from "../../chain/block.ts";
import { memoryDb } from "../../chain/db.ts";
import { hashHeader } from "../../chain/header.ts";
import { timestampOf } from "../../chain/params.ts";
import { signTransaction } from "../../chain/transaction.ts";
import { createEngine, type Engine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { randaoMessage } from "../../consensus/proposer.ts";
import { localSigner } from "../../consensus/signer.ts";
import { encodeVote } from "../../consensus/votes.ts";
import { blsSign } from "../../lib/bls.ts";
import { uint64, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { signCompact } from "../../lib/secp256k1.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { createHost } from "../../p2p/host.ts";
import { createNetwork, type Network } from "../../p2p/network.ts";
import { openOrderBook } from "../../p2p/orders/book.ts";
import { serve } from "../../p2p/streams.ts";
import { protocolOf, topicOf } from "../../p2p/topics.ts";
import { accountOf, memoryProtection, silent, testGenesis } from "../helpers/chain.ts";

t.setTimeout(120_000);
const alice = accountOf("alice");
const bob = accountOf("bob");
const { genesis, keys } = testGenesis(1, [alice.address, bob.address]);
const LISTEN = ["/ip4/127.0.0.1/tcp/0"];

interface Running {
  readonly engine: Engine;
  readonly network: Network;
}
type Teardown = { teardown(work: () => Promise<void>): void };

/** One clock for all nodes of a test. */
const createClock = () => {
  let slot = 0;
  return { now: () => timestampOf(genesis, slot) * 1000, slot: () => slot, tick: () => ++slot };
};

const startNode = async (t: Teardown, now: () => number, bootstrap: readonly string[]): Promise<Running> => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-gossip-"));
  const engine = await createEngine({ db: memoryDb(), genesis, now, log: silent });
  const dataDb = memoryDb();
  const data = await openDataStore(dataDb);
  const orders = await openOrderBook({ db: dataDb, engine, now, log: silent });
  const network = await createNetwork({
    engine,
    datadir,
    listen: LISTEN,
    bootstrap,
    data,
    dataDb,
    orders,
    log: silent,
  });
  await network.start();
  t.teardown(async () => {
    await network.stop();
    await engine.stop();
    rmSync(datadir, { recursive: true, force: true });
  });
  return { engine, network };
};

const until = async (condition: () => boolean, what: string): Promise<void> => {
  for (let i = 0; i < 600; i++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`not within 30 s: ${what}`);
};

/** Lets the only validator make blocks on a node. */
const producerOf = ({ engine, network }: Running) =>
  createProducer({
    engine,
    signers: [localSigner(keys[0]!)],
    protection: memoryProtection(),
    publishBlock: (block) => network.publishBlock(block),
    publishVote: (vote) => network.publishVote(vote),
    log: silent,
  });

t.test("blocks and votes reach those that know the maker only through another, the largest block too", async (t) => {
  const clock = createClock();
  const middle = await startNode(t, clock.now, []);
  const maker = await startNode(t, clock.now, middle.network.multiaddrs());
  const far = await startNode(t, clock.now, middle.network.multiaddrs());
  const producer = producerOf(maker);
  await until(() => middle.network.peers().length >= 2, "three nodes are connected");
  for (let i = 0; i < 6; i++) await producer.onSlot(clock.tick());
  const { hash } = maker.engine.head();
  await until(() => far.engine.head().hash === hash, "the far node has the head");
  // More than the pool keeps of one sender.
  for (let i = 0; i < 18; i++)
    maker.engine.addTransaction(
      signTransaction(
        {
          type: 2,
          chainId: 77_216,
          nonce: i >> 1,
          maxPriorityFeePerGas: 1n,
          maxFeePerGas: 10n ** 10n,
          gasLimit: 2_000_000,
          to: ZERO_ADDRESS,
          value: 0n,
          data: new Uint8Array(115_000).fill(7),
          accessList: [],
        },
        (i % 2 === 0 ? alice : bob).key,
      ),
    );
  await producer.onSlot(clock.tick());
  const large = maker.engine.head();
  t.ok(encodeBlock(large).length > 2_000_000, `${encodeBlock(large).length} bytes`);
  await until(() => far.engine.head().hash === large.hash, "the far node has the large block");
  await until(() => far.engine.votes.all().length > 0, "votes have come");
});

t.test("a replacement that pays exactly a tenth more goes round, and one that pays less goes nowhere", async (t) => {
  const clock = createClock();
  const middle = await startNode(t, clock.now, []);
  const [sender, far] = [
    await startNode(t, clock.now, middle.network.multiaddrs()),
    await startNode(t, clock.now, middle.network.multiaddrs()),
  ];
  await until(() => middle.network.peers().length >= 2, "three nodes are connected");
  const paying = (nonce: number, percent: bigint) =>
    signTransaction(
      {
        type: 2,
        chainId: 77_216,
        nonce,
        maxPriorityFeePerGas: percent * 10n ** 7n,
        maxFeePerGas: 2n * percent * 10n ** 7n,
        gasLimit: 21_000,
        to: ZERO_ADDRESS,
        value: 0n,
        data: new Uint8Array(0),
        accessList: [],
      },
      alice.key,
    );
  let nonce = 0;
  await until(() => {
    sender.engine.addTransaction(paying(nonce++, 100n).raw);
    return far.engine.pool.size > 0;
  }, "what one node takes comes to the others");
  const arrives = async (tx: ReturnType<typeof paying>) => {
    sender.engine.addTransaction(tx.raw);
    await until(() => far.engine.pool.has(tx.hash), "the far node has it");
  };
  const first = paying(nonce, 100n);
  await arrives(first);
  t.throws(() => sender.engine.addTransaction(paying(nonce, 109n).raw), { code: "pool-replacement" });
  await arrives(paying(nonce, 110n));
  t.notOk(far.engine.pool.has(first.hash));
});

t.test("a node that was not there catches up, past a peer that tells it of a chain it does not have", async (t) => {
  const clock = createClock();
  const maker = await startNode(t, clock.now, []);
  const producer = producerOf(maker);
  for (let i = 0; i < 40; i++) await producer.onSlot(clock.tick());
  const { engine } = maker;
  const datadir = mkdtempSync(join(tmpdir(), "rolec-liar-"));
  const liar = await createHost({ datadir, listen: LISTEN, genesisHash: engine.genesisHash });
  await liar.start();
  t.teardown(async () => {
    await liar.stop();
    rmSync(datadir, { recursive: true, force: true });
  });
  const headHash = keccak256(uint64(1));
  let asked = 0;
  await serve(
    liar,
    protocolOf(engine.genesisHash, "status"),
    () => true,
    () => ({
      genesisHash: engine.genesisHash,
      headNumber: 40,
      headHash,
      finalizedNumber: 0,
    }),
  );
  await serve(
    liar,
    protocolOf(engine.genesisHash, "blocks"),
    () => true,
    async (request) => {
      asked += 1;
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      const { from } = request as { from: number };
      const honest = engine.store.block(engine.store.canonical(from)!)!;
      const header = { ...honest.header, parentHash: headHash };
      return [encodeBlock({ ...honest, header, hash: hashHeader(header) })];
    },
  );
  const late = await startNode(t, clock.now, [...liar.getMultiaddrs().map(String), ...maker.network.multiaddrs()]);
  await until(() => late.engine.head().hash === engine.head().hash, "the late node has the head");
  t.equal(late.engine.head().header.number, 40);
  t.ok(asked > 0, "the liar was asked");
});

t.test(
  "a peer that spreads what breaks rules is no longer heard; a block without a parent is not passed on",
  async (t) => {
    const clock = createClock();
    const middle = await startNode(t, clock.now, []);
    const far = await startNode(t, clock.now, middle.network.multiaddrs());
    const { engine } = middle;
    const datadir = mkdtempSync(join(tmpdir(), "rolec-bad-"));
    const bad = await createHost({ datadir, listen: LISTEN, genesisHash: engine.genesisHash });
    await bad.start();
    t.teardown(async () => {
      await bad.stop();
      rmSync(datadir, { recursive: true, force: true });
    });
    const { pubsub } = bad.services;
    const [blocks, votes] = [topicOf(engine.genesisHash, "block"), topicOf(engine.genesisHash, "vote")];
    pubsub.subscribe(blocks);
    pubsub.subscribe(votes);
    await bad.dial(engineAddress(middle));
    await until(
      () => middle.network.peers().length >= 2 && pubsub.getSubscribers(blocks).length > 0,
      "all are connected",
    );

    clock.tick();
    const base = engine.head();
    const orphanHeader = {
      ...base.header,
      parentHash: keccak256(uint64(9)),
      number: 5,
      timestamp: timestampOf(genesis, 1),
      randaoReveal: blsSign(keys[0]!.bls, randaoMessage(engine.genesisHash, 1)),
    };
    const hash = hashHeader(orphanHeader);
    const orphan: Block = { ...base, header: orphanHeader, hash, signature: signCompact(hash, keys[0]!.secp) };
    await t.rejects(engine.importBlock({ ...orphan, signature: signCompact(hash, alice.key) }), {
      code: "block-signer",
    });
    let came = 0;
    const importBlock = far.engine.importBlock;
    Object.assign(far.engine, {
      importBlock: (...args: Parameters<Engine["importBlock"]>) => {
        came += 1;
        return importBlock(...args);
      },
    });
    const codes: string[] = [];
    const judge = engine.importBlock;
    Object.assign(engine, {
      importBlock: async (...args: Parameters<Engine["importBlock"]>) => {
        const status = await judge(...args);
        if (status === "waiting") codes.push("block-waiting");
        return status;
      },
    });
    await pubsub.publish(blocks, encodeBlock(orphan));
    await until(() => codes.length === 1, "the middle node has the orphan");
    const vote = (i: number) =>
      encodeVote({
        index: 0,
        link: { sourceEpoch: 0, sourceHash: engine.genesisHash, targetEpoch: 0, targetHash: engine.genesisHash },
        signature: `0x${i.toString(16).padStart(2, "0").repeat(96)}`,
      });
    const heard = () => (middle.engine as Engine & { heard?: number }).heard ?? 0;
    const addVote = engine.addVote;
    Object.assign(engine, {
      addVote: (...args: Parameters<Engine["addVote"]>) => {
        Object.assign(engine, { heard: heard() + 1 });
        return addVote(...args);
      },
    });
    for (let i = 1; i <= 40; i++) {
      await pubsub.publish(votes, vote(i)).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    t.ok(heard() >= 3, `${heard()} were heard`);
    t.ok(heard() <= 20, `${heard()} of 40 were heard, then no more`);
    t.equal(came, 0, "the orphan was not passed on");
  },
);

/** Where a node can be dialled. */
function engineAddress({ network }: Running) {
  const [address] = network.multiaddrs();
  return multiaddrOf(address!);
}
