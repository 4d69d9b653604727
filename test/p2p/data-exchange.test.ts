import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CID } from "multiformats/cid";
import { pino } from "pino";
import t from "tap";
import { memoryDb } from "../../chain/db.ts";
import { equalBytes, type Hash, utf8 } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import type { Log } from "../../lib/log.ts";
import { parseCid, RAW } from "../../p2p/data/cid.ts";
import { createExchange } from "../../p2p/data/exchange.ts";
import { TREE_LIMITS, type TreeLimits } from "../../p2p/data/limits.ts";
import { dataProtocol } from "../../p2p/data/serve.ts";
import { type DataStore, openDataStore } from "../../p2p/data/store.ts";
import { createHost, type Host } from "../../p2p/host.ts";
import { ask, serve } from "../../p2p/streams.ts";
import { outputRoot } from "../../vm/wasm/output.ts";
import { silent } from "../helpers/chain.ts";
import { directory, leaf, nest } from "../helpers/trees.ts";

t.setTimeout(120_000);

const genesisHash: Hash = keccak256(utf8("data test"));
const protocol = dataProtocol(genesisHash);
/** 5 MiB and a little, no two chunks alike. */
const big = new Uint8Array(5 * 1024 * 1024 + 3).map((_, i) => (i >>> 20) + i);

const startNode = async (
  t: { teardown(work: () => Promise<void>): void },
  options: { limits?: Partial<TreeLimits>; serves?: boolean; log?: Log; timeoutMs?: number; turnMs?: number } = {},
) => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-p2p-"));
  const host = await createHost({ datadir, listen: ["/ip4/127.0.0.1/tcp/0"], genesisHash });
  await host.start();
  const db = memoryDb();
  const store = await openDataStore(db);
  const limits = options.limits ?? {};
  const { log = silent, timeoutMs = 20_000, turnMs = 5_000 } = options;
  const exchange = createExchange({ host, genesisHash, store, log, limits, timeoutMs, maxFetches: 2, turnMs });
  if (options.serves !== false) await exchange.start();
  t.teardown(async () => {
    await exchange.stop();
    await host.stop();
    rmSync(datadir, { recursive: true, force: true });
  });
  return { host, store, exchange, db };
};
const connect = (a: { host: Host }, b: { host: Host }) => a.host.dial(b.host.getMultiaddrs());
const importSample = (store: DataStore) =>
  store.importTree([
    { path: "big", bytes: big },
    { path: "dir/small", bytes: utf8("small") },
  ]);

t.test("a tree is fetched from those that have it, and served on by who fetched it", async (t) => {
  const [a, b, c] = [await startNode(t), await startNode(t), await startNode(t)];
  const { cid } = await importSample(a.store);
  await connect(b, a);
  await Promise.all([b.exchange.fetch(cid, { pin: { holder: "job" } }), b.exchange.fetch(`/ipfs/${cid}`)]);
  t.ok(equalBytes(await b.store.readFile(cid, "big"), big));
  await connect(c, b);
  await c.exchange.fetch(cid);
  t.ok(equalBytes(await c.store.readFile(cid, "big"), big));
  t.same(await c.store.readFile(cid, "dir/small"), utf8("small"));
  await c.host.stop();
  await c.exchange.fetch(cid);
  t.pass("what is here is not asked for");
});

t.test("a tree whose blocks lie scattered is put together", async (t) => {
  const [a, b, c] = [await startNode(t), await startNode(t), await startNode(t)];
  const { cid, blocks } = await outputRoot(new Map([["big", big]]));
  for (const block of blocks) {
    const of = parseCid(block.cid);
    await (of.code === RAW ? c : a).store.blocks.put(of, block.bytes);
  }
  await connect(b, a);
  await t.rejects(b.exchange.fetch(cid), { code: "data-missing" });
  await connect(b, c);
  await b.exchange.fetch(cid);
  t.ok(equalBytes(await b.store.readFile(cid, "big"), big));
});

t.test("false bytes are refused, their giver is left, and another peer gives the right ones", async (t) => {
  const [honest, node] = [await startNode(t), await startNode(t)];
  const liar = await startNode(t, { serves: false });
  const { cid } = await importSample(honest.store);
  await serve(
    liar.host,
    protocol,
    () => true,
    (request) => {
      const { has, want } = request as { has?: unknown[]; want?: unknown[] };
      return has ? has.map(() => true) : want!.map(() => utf8("false"));
    },
  );
  await connect(node, liar);
  await t.rejects(node.exchange.fetch(cid), { code: "data-missing" });
  t.same(node.store.blocks.stats().blocks, 0);
  await connect(node, honest);
  await node.exchange.fetch(cid);
  t.ok(await node.store.hasTree(cid));
  t.notOk(
    node.host.getPeers().some((peer) => peer.equals(liar.host.peerId)),
    "no connection to the liar",
  );
});

t.test("peers that put off, or are silent, keep nothing from who asks an honest one too", async (t) => {
  for (const puts of ["later", "nothing"] as const) {
    const [honest, node] = [await startNode(t), await startNode(t, { timeoutMs: 60_000 })];
    const { cid } = await importSample(honest.store);
    let [asked, wants] = [0, 0];
    let done = false;
    for (let i = 0; i < 3; i++) {
      const liar = await startNode(t, { serves: false });
      await serve(
        liar.host,
        protocol,
        () => true,
        (request) => {
          const { has } = request as { has?: unknown[] };
          asked += 1;
          if (has) return has.map(() => true);
          if (!done) wants += 1;
          return puts === "later" ? 10_000 : new Promise(() => {});
        },
      );
      await connect(node, liar);
    }
    await connect(node, honest);
    await node.exchange.fetch(cid);
    done = true;
    t.ok(equalBytes(await node.store.readFile(cid, "big"), big), puts);
    t.ok(asked > 0 && wants <= 6, `${wants} of ${asked} requests to three that give nothing`);
  }
});

t.test("a peer that does not say whether it has a tree holds up no fetch", async (t) => {
  const [honest, node] = [await startNode(t), await startNode(t)];
  const mute = await startNode(t, { serves: false });
  let asked = 0;
  let isAnswered = false;
  await serve(
    mute.host,
    protocol,
    () => true,
    () =>
      new Promise((resolve) => {
        asked += 1;
        setTimeout(() => {
          isAnswered = true;
          resolve([false]);
        }, 4_500).unref();
      }),
  );
  await connect(node, mute);
  await connect(node, honest);
  const { cid } = await honest.store.importFile(utf8("at once"));
  await node.exchange.fetch(cid);
  t.equal(asked, 1);
  t.notOk(isAnswered, "it is not waited for");
});

t.test("an only source that puts off for long is waited for", async (t) => {
  const [slow, node] = [await startNode(t, { serves: false }), await startNode(t)];
  const { cid } = await slow.store.importFile(utf8("in the end"));
  let puts = 0;
  await serve(
    slow.host,
    protocol,
    () => true,
    (request) => {
      const { has } = request as { has?: unknown[] };
      if (has) return has.map(() => true);
      puts += 1;
      return puts <= 3 ? 1_500 : [slow.store.blocks.get(parseCid(cid))];
    },
  );
  await connect(node, slow);
  await node.exchange.fetch(cid);
  t.equal(puts, 4, "put off beyond patience, and no more often asked than it said");
});

t.test("who is put off by all its sources finds one that comes later", async (t) => {
  for (const puts of ["later", "nothing"] as const) {
    const [honest, node] = [await startNode(t), await startNode(t, { timeoutMs: 60_000 })];
    const liar = await startNode(t, { serves: false });
    const { cid } = await importSample(honest.store);
    const put = Promise.withResolvers<void>();
    let wants = 0;
    await serve(
      liar.host,
      protocol,
      () => true,
      (request) => {
        const { has } = request as { has?: unknown[] };
        if (has) return has.map(() => true);
        wants += 1;
        put.resolve();
        return puts === "later" ? 10_000 : new Promise(() => {});
      },
    );
    await connect(node, liar);
    const fetched = node.exchange.fetch(cid);
    await put.promise;
    await connect(node, honest);
    await fetched;
    t.ok(wants <= 2, `${puts}: it was asked ${wants} times`);
  }
});

t.test("what is here waits for no search", async (t) => {
  const node = await startNode(t);
  const silentPeer = await startNode(t, { serves: false });
  await silentPeer.host.handle(protocol, () => {});
  await connect(node, silentPeer);
  const { cid } = await importSample(node.store);
  const stop = new AbortController();
  const searches = Array.from({ length: 12 }, async (_, i) => {
    const root = (await silentPeer.store.importFile(utf8(`${i}`))).cid;
    await node.exchange.fetch(root, { signal: stop.signal });
  });
  const ended = Promise.allSettled(searches);
  await node.exchange.fetch(cid, { pin: { holder: "job" } });
  stop.abort(new Error("enough"));
  t.ok(
    (await ended).every(({ status }) => status === "rejected"),
    "all were still on their way",
  );
});

t.test("answers of any form end in an error, and what is no answer in a ban", async (t) => {
  const lines: string[] = [];
  const log = pino({ level: "warn" }, { write: (line: string) => lines.push(line) });
  const node = await startNode(t, { log });
  const answers: unknown[] = [1e9, -1, "x", {}, [], [1], [null, null, null], [[[]]], Array(9).fill(utf8("x"))];
  for (const answer of answers) {
    const odd = await startNode(t, { serves: false });
    await serve(
      odd.host,
      protocol,
      () => true,
      (request) => ((request as { has?: unknown }).has ? [true] : answer),
    );
    await connect(node, odd);
    const { cid } = await odd.store.importFile(utf8(JSON.stringify(answer)));
    await t.rejects(node.exchange.fetch(cid), { code: "data-missing" }, JSON.stringify(answer));
    if (answer !== -1 && answer !== "x") continue;
    t.match(lines.at(-1), "data-message", "the rule that it breaks");
    t.ok(node.host.services.bans.has(odd.host.peerId));
  }
});

t.test("requests of any form leave the node serving", async (t) => {
  const [a, b] = [await startNode(t), await startNode(t)];
  await connect(b, a);
  const { cid } = await a.store.importFile(utf8("x"));
  const bytes36 = new Uint8Array(36);
  const bad = [
    undefined,
    null,
    1,
    "x",
    [],
    {},
    { want: [] },
    { want: 1 },
    { want: [1] },
    { want: [bytes36] },
    { has: [bytes36] },
  ];
  for (const request of [...bad, { want: Array(1_000).fill(bytes36) }, { want: [new Uint8Array(20_000)] }])
    await t.rejects(ask(b.host, a.host.peerId, protocol, request, 1_024));
  const stream = await b.host.dialProtocol(a.host.peerId, protocol);
  stream.send(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1));
  await new Promise((resolve) => stream.addEventListener("close", resolve, { once: true }));
  t.pass("a frame that says to be of 4 GiB ends its stream");
  const noise = await b.host.dialProtocol(a.host.peerId, protocol);
  noise.send(Uint8Array.of(0, 0, 0, 4, 0xdd, 0xff, 0xff, 0xff));
  await new Promise((resolve) => noise.addEventListener("close", resolve, { once: true }));
  await b.exchange.fetch(cid);
  t.same(await b.store.readFile(cid), utf8("x"));
});

t.test("a fetch ends with its signal, with its limits, and where nobody has the data", async (t) => {
  const [a, b] = [await startNode(t), await startNode(t, { limits: { bytes: 1024 * 1024 } })];
  const { cid } = await importSample(a.store);
  await t.rejects(b.exchange.fetch(cid), { code: "data-missing" }, "no peers");
  await connect(b, a);
  await t.rejects(b.exchange.fetch(cid), { code: "data-limit" });
  await t.rejects(b.exchange.fetch(cid, { signal: AbortSignal.abort(new Error("stop")) }), { message: "stop" });
  const silentPeer = await startNode(t, { serves: false });
  await silentPeer.host.handle(protocol, () => {});
  const c = await startNode(t);
  await connect(c, silentPeer);
  await t.rejects(c.exchange.fetch(cid, { signal: AbortSignal.timeout(300) }), { name: "TimeoutError" });
});

t.test("a fetch ends with the last who waits for it, and where blocks come too slowly", async (t) => {
  const node = await startNode(t, { timeoutMs: 1_000 });
  const dripping = await startNode(t, { serves: false });
  let asked = 0;
  await serve(
    dripping.host,
    protocol,
    () => true,
    (request) => {
      if ((request as { has?: unknown }).has) return [true];
      asked += 1;
      return 50;
    },
  );
  await connect(node, dripping);
  const { cid } = await importSample(dripping.store);
  await t.rejects(node.exchange.fetch(cid), { code: "data-slow" });
  const patient = await startNode(t);
  await connect(patient, dripping);
  const [first, second] = [new AbortController(), new AbortController()];
  const before = asked;
  const waits = [first, second].map(({ signal }) => patient.exchange.fetch(cid, { signal }));
  for (const each of waits) each.catch(() => undefined);
  while (asked === before) await new Promise((resolve) => setTimeout(resolve, 10));
  first.abort(new Error("the first"));
  await t.rejects(waits[0]!, { message: "the first" });
  const between = asked;
  while (asked === between) await new Promise((resolve) => setTimeout(resolve, 10));
  t.pass("the other waits on");
  second.abort(new Error("the second"));
  await t.rejects(waits[1]!, { message: "the second" });
  await new Promise((resolve) => setTimeout(resolve, 200));
  const end = asked;
  await new Promise((resolve) => setTimeout(resolve, 500));
  t.equal(asked, end, "nobody is asked any more");
});

t.test("trees that never come keep no place from others, of one asker or of many", async (t) => {
  const [honest, node] = [await startNode(t), await startNode(t, { timeoutMs: 60_000, turnMs: 200 })];
  const dripping = await startNode(t, { serves: false });
  await serve(
    dripping.host,
    protocol,
    () => true,
    (request) => ((request as { has?: unknown[] }).has ? [true] : 50),
  );
  await connect(node, dripping);
  await connect(node, honest);
  const enough = new AbortController();
  const [one, two] = [{}, {}];
  const stuck = await Promise.all(
    [one, one, one, two, two]
      .map(async (asker, i) => {
        const { cid } = await dripping.store.importFile(utf8(`never ${i}`));
        return node.exchange.fetch(cid, { asker, signal: enough.signal });
      })
      .map(async (each) => ({
        ended: each.then(
          () => "came",
          (error: Error) => error.message,
        ),
      })),
  );
  for (const asker of [one, {}]) {
    const { cid } = await honest.store.importFile(big.slice(asker === one ? 1 : 2));
    await node.exchange.fetch(cid, { asker, signal: AbortSignal.timeout(30_000) });
    t.ok(await node.store.hasTree(cid));
  }
  enough.abort(new Error("enough"));
  for (const { ended } of stuck) t.equal(await ended, "enough", "each was still on its way");
});

t.test("a tree of chained blocks is not fetched to its end", async (t) => {
  const [a, b] = [await startNode(t), await startNode(t)];
  const chain = nest(200, leaf(utf8("x")), (below) => directory([["x", below]]));
  for (const { cid, bytes } of chain) await a.store.blocks.put(cid, bytes);
  await connect(b, a);
  await t.rejects(b.exchange.fetch(String(chain.at(-1)!.cid)), { code: "data-limit" });
  t.equal(b.store.blocks.stats().blocks, 2 * TREE_LIMITS.depth + 1);
});

t.test("a block that the disk spoilt is noticed when it is read, and fetched again", async (t) => {
  const [a, b] = [await startNode(t), await startNode(t)];
  const { cid } = await importSample(a.store);
  await connect(b, a);
  await b.exchange.fetch(cid, { pin: { holder: "job" } });
  const { blocks } = await outputRoot(new Map([["big", big]]));
  const bytes = blocks.find((block) => parseCid(block.cid).code === RAW)!.bytes;
  const leaf = (await a.store.importFile(bytes)).cid;
  const key = Uint8Array.of(1, ...parseCid(leaf).bytes);
  t.ok(b.db.get(key));
  await b.db.batch([{ key, value: utf8("spoilt") }]);
  await t.rejects(b.store.readFile(cid, "big"), { code: "data-missing" });
  t.notOk(await b.store.hasTree(cid));
  await b.exchange.fetch(cid);
  t.ok(equalBytes(await b.store.readFile(cid, "big"), big));
});

t.test("who has a tree's folders and none of its files is soon asked for no more", async (t) => {
  const [source, node] = [await openDataStore(memoryDb()), await startNode(t)];
  const liar = await startNode(t, { serves: false });
  const FILES = 4_000;
  const files = Array.from({ length: FILES }, (_, i) => ({ path: `${i % 8}/${i}`, bytes: utf8(`file ${i}`) }));
  const { cid } = await source.importTree(files);
  let asked = 0;
  let gave = 0;
  await serve(
    liar.host,
    protocol,
    () => true,
    (request) => {
      const { has, want } = request as { has?: unknown[]; want?: Uint8Array[] };
      if (has) return has.map(() => true);
      return want!.map((bytes) => {
        const of = CID.decode(bytes);
        if (of.code === RAW) asked += 1;
        else gave += 1;
        return of.code === RAW ? null : source.blocks.get(of)!;
      });
    },
  );
  await connect(node, liar);
  await t.rejects(node.exchange.fetch(cid), { code: "data-missing" });
  t.equal(gave, 9);
  t.ok(asked > 1_024 && asked < 1_024 + 3 * 128, `${asked} of ${FILES} asked for`);
});
