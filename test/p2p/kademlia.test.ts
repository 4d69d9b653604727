import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { memoryDb } from "../../chain/db.ts";
import { type Hash, utf8 } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { parseCid } from "../../p2p/data/cid.ts";
import { createExchange } from "../../p2p/data/exchange.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { startDiscovery } from "../../p2p/discovery.ts";
import { createHost } from "../../p2p/host.ts";
import { silent } from "../helpers/chain.ts";

t.setTimeout(120_000);

const here: Hash = keccak256(utf8("kademlia test"));
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const until = async (what: string, probe: () => boolean | Promise<boolean>): Promise<void> => {
  for (let i = 0; i < 300; i++) {
    if (await probe()) return;
    await sleep(100);
  }
  throw new Error(`${what}: not within 30 s`);
};

const startNode = async (t: { teardown(work: () => Promise<void>): void }, genesisHash = here) => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-kad-"));
  const host = await createHost({ datadir, listen: ["/ip4/127.0.0.1/tcp/0"], genesisHash });
  await host.start();
  const store = await openDataStore(memoryDb());
  const exchange = createExchange({ host, genesisHash, store, log: silent, timeoutMs: 20_000 });
  await exchange.start();
  t.teardown(async () => {
    await exchange.stop();
    await host.stop();
    rmSync(datadir, { recursive: true, force: true });
  });
  return { host, store, exchange };
};
type Node = Awaited<ReturnType<typeof startNode>>;
const connect = (a: Node, b: Node) => a.host.dial(b.host.getMultiaddrs());
const isConnected = (a: Node, b: Node): boolean => a.host.getConnections(b.host.peerId).length > 0;
const providersOf = async (node: Node, cid: string): Promise<string[]> => {
  const found: string[] = [];
  for await (const { id } of node.host.contentRouting.findProviders(parseCid(cid), {
    signal: AbortSignal.timeout(10_000),
  }))
    found.push(id.toString());
  return found;
};

t.test("data is got from a node that only others know, by what it announced, for as long as it keeps it", async (t) => {
  const [a, b, c, d] = [await startNode(t), await startNode(t), await startNode(t), await startNode(t)];
  await connect(b, d);
  await connect(c, d);
  await connect(a, b);
  const { cid } = await c.store.importFile(utf8("far away"), { holder: "test" });
  c.exchange.provide(cid);
  await until("the announcement is with another node", async () => (await providersOf(b, cid)).length > 0);
  await until("a finds it", async () => (await providersOf(a, cid)).join() === c.host.peerId.toString());
  await a.host.hangUp(c.host.peerId);
  t.notOk(isConnected(a, c), "no connection to who has it");
  await a.exchange.fetch(cid);
  t.same(await a.store.readFile(cid), utf8("far away"));
  await t.rejects(a.exchange.fetch("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"), {
    code: "data-missing",
  });
});

t.test("nodes that share one acquaintance meet, and those of another chain are not met", async (t) => {
  const [a, b, c] = [await startNode(t), await startNode(t), await startNode(t)];
  const stranger = await startNode(t, keccak256(utf8("another chain")));
  await connect(a, b);
  await connect(c, b);
  await connect(stranger, b);
  const stops = [a, c].map((node) => startDiscovery(node.host, silent));
  await until("a meets c", () => isConnected(a, c));
  t.notOk(isConnected(a, stranger), "another genesis is another Kademlia");
  for (const stop of stops) stop();
});
