import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { memoryDb } from "../../chain/db.ts";
import { timestampOf } from "../../chain/params.ts";
import { createEngine, type Engine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { localSigner } from "../../consensus/signer.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { createNetwork } from "../../p2p/network.ts";
import { openOrderBook } from "../../p2p/orders/book.ts";
import { memoryProtection, silent, testGenesis } from "../helpers/chain.ts";
import { LOOPBACK, type Teardown, until } from "../helpers/hosts.ts";

t.setTimeout(120_000);

const connect = async (t: Teardown, engine: Engine, bootstrap: readonly string[]) => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-rival-"));
  const dataDb = memoryDb();
  const data = await openDataStore(dataDb);
  const orders = await openOrderBook({ db: dataDb, engine, now: engine.now, log: silent });
  const network = await createNetwork({
    engine,
    datadir,
    listen: [LOOPBACK],
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
  return network;
};

t.test("two nodes whose chains are final and exclude each other find out as they meet, and stop", async (t) => {
  const { genesis, keys } = testGenesis(4, []);
  let slot = 0;
  const now = () => timestampOf(genesis, slot) * 1000;
  const worlds = await Promise.all(
    [
      [0, 1, 2],
      [1, 2, 3],
    ].map(async (members) => {
      const engine = await createEngine({ db: memoryDb(), genesis, now, log: silent });
      const producer = createProducer({
        engine,
        signers: members.map((i) => localSigner(keys[i]!)),
        protection: memoryProtection(),
        publishBlock: () => {},
        publishVote: () => {},
        log: silent,
      });
      return { engine, producer };
    }),
  );
  for (; slot < 40; ) {
    slot += 1;
    for (const { producer } of worlds) {
      await producer.onSlot(slot);
      producer.onHalfSlot(slot);
    }
  }
  const [a, b] = worlds.map(({ engine }) => engine) as [Engine, Engine];
  t.not(a.finalized().hash, b.finalized().hash);
  const fatal: string[] = [];
  for (const engine of [a, b]) engine.on("fatal", (error) => fatal.push(error.name));
  const first = await connect(t, a, []);
  await connect(t, b, first.multiaddrs());
  await until(() => fatal.length === 2, "both have noticed");
  t.same(fatal, ["ConflictError", "ConflictError"]);
});
