import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { memoryDb } from "../../chain/db.ts";
import { timestampOf } from "../../chain/params.ts";
import { createEngine } from "../../consensus/engine.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { createHost } from "../../p2p/host.ts";
import { createNetwork } from "../../p2p/network.ts";
import { openOrderBook } from "../../p2p/orders/book.ts";
import type { StatusReport } from "../../p2p/sync.ts";
import { silent, testGenesis } from "../helpers/chain.ts";

t.setTimeout(120_000);
const LISTEN = ["/ip4/127.0.0.1/tcp/0"];
const { genesis } = testGenesis(1);
const { genesis: other } = testGenesis(2);

type Teardown = { teardown(work: () => unknown): void };

const startNode = async (
  t: Teardown,
  { of = genesis, slot = 0, aheadMs = 0 }: { of?: typeof genesis; slot?: number; aheadMs?: number } = {},
  bootstrap: readonly string[] = [],
) => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-contacts-"));
  const now = () => timestampOf(of, slot) * 1000 + aheadMs;
  const engine = await createEngine({ db: memoryDb(), genesis: of, now, log: silent });
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
  const reports: StatusReport[] = [];
  network.onStatus((report) => reports.push(report));
  await network.start();
  t.teardown(async () => {
    await network.stop();
    await engine.stop();
    rmSync(datadir, { recursive: true, force: true });
  });
  return { network, reports };
};

const until = async (condition: () => boolean, what: string): Promise<void> => {
  for (let i = 0; i < 600; i++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`not within 30 s: ${what}`);
};

t.test("nodes that start before slot 0 are peers, and tell each other their clocks", async (t) => {
  const first = await startNode(t, { slot: -1_000_000 });
  const second = await startNode(t, { slot: -1_000_000, aheadMs: 7_000 }, first.network.multiaddrs());
  for (const { network, reports } of [first, second]) {
    await until(() => reports.length > 1 && network.contacts.count() === 1, "each knows the other as a peer");
    t.equal(network.peers().length, 1);
  }
  t.equal(first.reports[0]!.status.clockMs, timestampOf(genesis, -1_000_000) * 1000 + 7_000);
  t.same(second.network.multiaddrs().map(first.network.contacts.fault), [undefined]);
});

t.test("an address says why nobody of this network is met there", async (t) => {
  const foreign = await startNode(t, { of: other });
  const silentServer = createServer(() => undefined).listen(0, "127.0.0.1");
  const rude = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  const gone = createServer().listen(0, "127.0.0.1");
  const folder = mkdtempSync(join(tmpdir(), "rolec-contacts-"));
  const stranger = await createHost({ datadir: folder, listen: [], genesisHash: `0x${"11".repeat(32)}` });
  const at = (server: typeof gone): string => `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`;
  await until(() => [silentServer, rude, gone].every((each) => each.listening), "servers listen");
  const goneAt = at(gone);
  await new Promise((resolve) => gone.close(resolve));
  t.teardown(() => {
    silentServer.close();
    rude.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const [foreignAt] = foreign.network.multiaddrs() as [string];
  const impostor = foreignAt.replace(/\/p2p\/.*/, `/p2p/${stranger.peerId}`);
  const expected: Record<string, RegExp> = {
    [foreignAt]: /^is of another network$/,
    [goneAt]: /^is not reached: connection refused$/,
    [at(silentServer)]: /^is not reached: no answer in time$/,
    [at(rude)]: /^is not reached: no rolec node answers there/,
    [impostor]: /^is not reached: a node of another peer id answers there$/,
    "/ip4/127.0.0.1/udp/1/quic-v1": /^is not reached: an address of TCP is needed$/,
  };
  const { network } = await startNode(t, {}, Object.keys(expected));
  await until(() => network.contacts.fault(foreignAt) !== undefined, "the foreign node is known as such");
  for (const [address, fault] of Object.entries(expected)) t.match(network.contacts.fault(address), fault, address);
  t.equal(network.contacts.count(), 0, "a node of another network is no peer");
  t.equal(network.contacts.called(), 6);
  t.equal(network.contacts.fault("/ip4/127.0.0.1/tcp/9"), undefined, "nothing is known of what was not called");
});
