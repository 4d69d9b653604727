import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TopicValidatorResult } from "@libp2p/gossipsub";
import t from "tap";
import type { WorkShare } from "../../chain/block.ts";
import { memoryDb } from "../../chain/db.ts";
import { createEngine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { encodeShare } from "../../consensus/shares.ts";
import { localSigner } from "../../consensus/signer.ts";
import { word } from "../../lib/bytes.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { startGossip } from "../../p2p/gossip.ts";
import { createHost } from "../../p2p/host.ts";
import { createNetwork } from "../../p2p/network.ts";
import { openOrderBook } from "../../p2p/orders/book.ts";
import { MAX_MESSAGE_BYTES, topicOf } from "../../p2p/topics.ts";
import { memoryProtection, silent, testGenesis } from "../helpers/chain.ts";
import { EASY_WORK, forgeShare, mineShare } from "../helpers/mining.ts";

t.setTimeout(60_000);

t.test("a share that a miner gives to one node is in a block that another one makes", async (t) => {
  const { genesis, keys } = testGenesis(1, [], EASY_WORK);
  let nowMs = genesis.genesisTime * 1000;
  const start = async (bootstrap: readonly string[]) => {
    const datadir = mkdtempSync(join(tmpdir(), "rolec-share-"));
    const engine = await createEngine({ db: memoryDb(), genesis, now: () => nowMs, log: silent });
    const dataDb = memoryDb();
    const network = await createNetwork({
      engine,
      datadir,
      listen: ["/ip4/127.0.0.1/tcp/0"],
      bootstrap,
      data: await openDataStore(dataDb),
      dataDb,
      orders: await openOrderBook({ db: dataDb, engine, now: () => nowMs, log: silent }),
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
  const maker = await start([]);
  const miner = await start(maker.network.multiaddrs());
  const share = mineShare(miner.engine, { beneficiary: keys[0]!.address });
  t.ok(encodeShare(share).length <= MAX_MESSAGE_BYTES.share);
  const arrived = new Promise<WorkShare>((resolve) => maker.engine.on("share", resolve));
  // Gossip has to know who listens; each try is another share.
  const more = setInterval(() => {
    const extraNonce = word(Date.now());
    miner.engine.addShare(mineShare(miner.engine, { beneficiary: keys[0]!.address, extraNonce })).catch(t.threw);
  }, 500);
  await miner.engine.addShare(share);
  await arrived;
  clearInterval(more);
  const producer = createProducer({
    engine: maker.engine,
    signers: [localSigner(keys[0]!)],
    protection: memoryProtection(),
    publishBlock: maker.network.publishBlock,
    publishVote: maker.network.publishVote,
    log: silent,
  });
  const followed = new Promise((resolve) => miner.engine.on("head", resolve));
  nowMs += 1000;
  await producer.onSlot(1);
  await followed;
  t.ok(miner.engine.head().body.workShares.length > 0);
  t.equal(miner.engine.head().hash, maker.engine.head().hash);
});

t.test("gossip passes on good shares, and tells bad ones from those that are only not of use", async (t) => {
  const { genesis, keys } = testGenesis(1, [], EASY_WORK);
  const now = () => genesis.genesisTime * 1000;
  const engine = await createEngine({ db: memoryDb(), genesis, now, log: silent });
  const datadir = mkdtempSync(join(tmpdir(), "rolec-share-"));
  const { genesisHash } = engine;
  const host = await createHost({ datadir, listen: ["/ip4/127.0.0.1/tcp/0"], genesisHash });
  await host.start();
  const orders = await openOrderBook({ db: memoryDb(), engine, now, log: silent });
  startGossip({ host, engine, orders, log: silent, onMissingParent: () => undefined });
  const validate = host.services.pubsub.topicValidators.get(topicOf(genesisHash, "share"))!;
  const verdict = (data: Uint8Array) => validate(host.peerId, { data } as Parameters<typeof validate>[1]);
  const beneficiary = keys[0]!.address;
  const share = mineShare(engine, { beneficiary });
  t.equal(await verdict(encodeShare(share)), TopicValidatorResult.Accept);
  t.equal(await verdict(encodeShare(share)), TopicValidatorResult.Ignore, "known");
  t.equal(await verdict(encodeShare({ ...share, anchorHash: word(1) })), TopicValidatorResult.Ignore, "no anchor yet");
  const stranger = mineShare(engine, { beneficiary: `0x${"ab".repeat(20)}` });
  t.equal(await verdict(encodeShare(stranger)), TopicValidatorResult.Ignore, "for nobody");
  const forged = forgeShare(engine, { beneficiary });
  t.equal(await verdict(encodeShare(forged)), TopicValidatorResult.Reject, "a false mix");
  const weak = { ...share, nonce: "0xffffffffffffffff", mixHash: word(2n ** 250n) } as const;
  t.equal(await verdict(encodeShare(weak)), TopicValidatorResult.Reject, "over the target");
  t.equal(await verdict(encodeShare(share).subarray(1)), TopicValidatorResult.Reject, "no share");
  t.equal(await verdict(new Uint8Array(257)), TopicValidatorResult.Reject, "too long");
  await host.stop();
  await engine.stop();
  rmSync(datadir, { recursive: true, force: true });
});
