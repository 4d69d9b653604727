import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import type { WorkShare } from "../../chain/block.ts";
import { memoryDb } from "../../chain/db.ts";
import { createEngine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { encodeShare } from "../../consensus/shares.ts";
import { word } from "../../lib/bytes.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { createNetwork } from "../../p2p/network.ts";
import { MAX_MESSAGE_BYTES } from "../../p2p/topics.ts";
import { memoryProtection, silent, testGenesis } from "../helpers/chain.ts";
import { EASY_WORK, mineShare } from "../helpers/mining.ts";

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
    key: keys[0]!,
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
