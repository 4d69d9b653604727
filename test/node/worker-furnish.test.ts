import { createHash } from "node:crypto";
import type { RequestListener, ServerResponse } from "node:http";
import { multiaddr } from "@multiformats/multiaddr";
import { CID } from "multiformats/cid";
import t from "tap";
import "../helpers/plain-spawn.ts";
import { equalBytes, type Hash, utf8, ZERO_HASH } from "../../lib/bytes.ts";
import { deadlinesOf, MESSAGE_SECONDS } from "../../node/worker/deadline.ts";
import { createDealRooms } from "../../node/worker/deals.ts";
import { furnish } from "../../node/worker/furnish.ts";
import { Unobtainable } from "../../node/worker/unobtainable.ts";
import { RAW } from "../../p2p/data/cid.ts";
import { createProcessPool } from "../../vm/wasm/process-pool.ts";
import { NEWEST_RULES, rulesOf } from "../../vm/wasm/versions.ts";
import { type DealWords, dealClient } from "../helpers/deal-client.ts";
import { patience, startSources } from "../helpers/sources.ts";

t.setTimeout(120_000);
const MIB = 1024 * 1024;
const sha = (bytes: Uint8Array): Hash => `0x${createHash("sha256").update(bytes).digest("hex")}`;
const good = utf8("the right input\n");
let served = 0;
const dripping: ServerResponse[] = [];
const answers: Record<string, RequestListener> = {
  "/fickle": (_, response) => response.end(served++ === 0 ? "other bytes" : good),
  "/liar": (_, response) => response.end("other bytes"),
  "/gone": (_, response) => response.writeHead(410).end(),
  "/drip": (_, response) => {
    dripping.push(response);
    response.write("x");
  },
};
const { base, store, open } = await startSources(answers);
const url = (path: string, hash = sha(good)) => `${base}${path}#sha256=${hash.slice(2)}`;
const source = () => open().inputs;
const { cid: app } = await store.importFile(utf8("a module"));
const params = (...files: string[]) => JSON.stringify({ iexec_input_files: files });
const get = async (words: Partial<DealWords>, inputs = source(), rules = NEWEST_RULES) => {
  const client = dealClient({ app: `/ipfs/${app}`, ...words });
  const { load, ...rest } = await furnish({ client, inputs }, ZERO_HASH, rules, patience());
  return { ...rest, ...(await load()) };
};

t.test("what a URL gives is its server's word to one worker, and makes no task invalid", async (t) => {
  const inputs = source();
  const words = { params: params(url("/fickle")) };
  await t.rejects(get(words, inputs), /checksum/);
  t.same((await get(words, inputs)).inputs[0]!.bytes, good, "asked again, it has what it says");
  for (const each of [{ params: params(url("/liar")) }, { dataset: url("/liar") }]) {
    const error = await get(each).catch((one: Error) => one);
    t.match(error, { message: /checksum/ });
    t.notOk(error instanceof Unobtainable, "another try may bring it");
  }
});

t.test("what no later try brings is known at the first", async (t) => {
  const { cid: folder } = await store.importTree([{ path: "a", bytes: good }]);
  const wrong = { app: url("/fickle") };
  for (const words of [
    { params: params(`/ipfs/${folder}`) },
    { params: params(url("/gone")) },
    { params: params(`https://[bad/x#sha256=${"ab".repeat(32)}`) },
    { app: `/ipfs/${folder}` },
    { dataset: `/ipfs/${folder}` },
    { app: "nowhere" },
    wrong,
  ])
    await t.rejects(get(words), Unobtainable, JSON.stringify(words));
  const dead = `/ipfs/${CID.createV1(RAW, CID.parse(app).multihash)}`.replace(/.{4}$/, "aaaa");
  const error = await get({ params: params(dead) }).catch((one: Error) => one);
  t.ok(error instanceof Error && !(error instanceof Unobtainable), "what nobody has may be on its way");
});

t.test("what is named by content is counted before it is read, and each content is there once", async (t) => {
  const big = await store.importFile(new Uint8Array(2 * MIB));
  const names = (count: number) =>
    params(...Array.from({ length: count }, (_, i) => `/ipfs/${big.cid}?filename=f${i}`));
  const over = await get({ params: names(256) });
  t.match(
    over,
    { refused: /inputs of more than/, held: 8, module: { length: 8 } },
    "256 names of one file are 512 MiB",
  );
  const many = await get({ params: names(128) });
  t.match([many.refused, many.held, many.inputs.length], [undefined, 2 * MIB + 8, 128]);
  t.equal(new Set(many.inputs.map(({ bytes }) => bytes)).size, 1);
  const both = await get({ params: names(128), dataset: `/ipfs/${app}` });
  t.match([both.refused, both.held], [/inputs of more than/, 8], "the dataset counts too");
  for (const [version, most] of [
    [1, 32 * MIB],
    [2, 64 * MIB],
  ] as const) {
    const module = await store.importFile(new Uint8Array(most + 1));
    const large = await get({ app: `/ipfs/${module.cid}` }, source(), rulesOf(version));
    t.match([large.refused, large.held, large.module.length], [/a module of more than/, most, most]);
  }
});

t.test("what the chain says of content is the same for every worker", async (t) => {
  t.match(await get({ appChecksum: sha(good) }), { refused: /module has another checksum/, module: { length: 8 } });
  t.match(await get({ appChecksum: sha(utf8("a module")) }), { refused: undefined });
  const { cid } = await store.importFile(good);
  t.match(await get({ dataset: `/ipfs/${cid}`, datasetChecksum: sha(utf8("x")) }), { refused: /dataset has another/ });
  const found = await get({ dataset: `/ipfs/${cid}`, datasetChecksum: sha(good) });
  t.same(found.dataset?.bytes, good);
});

t.test("an entry that leaves its kind open is read alike, whatever a peer gives first", async (t) => {
  const bytes = new Uint8Array(1.5 * MIB).fill(7);
  const tree = CID.parse((await store.importFile(bytes)).cid);
  const block = CID.createV1(RAW, tree.multihash);
  await store.blocks.put(block, store.blocks.get(tree)!);
  const dataset = multiaddr(`/ipfs/${CID.createV0(tree.multihash as never)}`).bytes;
  for (let i = 0; i < 5; i++) t.ok(equalBytes((await get({ dataset })).dataset!.bytes, bytes), "the tree");
  const single = CID.parse((await store.importFile(good)).cid);
  t.equal(single.code, RAW);
  const small = multiaddr(`/ipfs/${CID.createV0(single.multihash as never)}`).bytes;
  t.same((await get({ dataset: small })).dataset!.bytes, good, "a block that is no tree");
});

t.test("a deal is furnished once for all its lots, and no longer than the last of them waits", async (t) => {
  const pool = createProcessPool(0);
  const client = dealClient({ app: `/ipfs/${app}`, params: params(url("/drip")) });
  const rooms = createDealRooms({ client, pool, inputs: source() });
  t.teardown(() => {
    rooms.close();
    pool.close();
  });
  const [first, second] = [new AbortController(), new AbortController()];
  const wait = ({ signal }: AbortController) =>
    rooms.of(ZERO_HASH, 1, { signal, until: Date.now() + 60_000 }).then(
      () => "came",
      (error: Error) => error.message,
    );
  const waits = [wait(first), wait(second)];
  while (dripping.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  const closed = new Promise((resolve) => dripping[0]!.once("close", resolve));
  first.abort(new Error("the first lot's time is over"));
  t.equal(await waits[0], "the first lot's time is over");
  t.notOk(dripping[0]!.destroyed, "the other waits on");
  second.abort(new Error("the second's too"));
  t.equal(await waits[1], "the second's too");
  await closed;
  t.equal(dripping.length, 1, "the server was asked once, and is left");
});

t.test("a lot that waits for its place keeps its deal's files", async (t) => {
  const pool = createProcessPool(0);
  const { inputs } = open({ cacheBytes: 64 });
  const rooms = createDealRooms({ client: dealClient({ app: `/ipfs/${app}` }), pool, inputs });
  t.teardown(() => {
    rooms.close();
    pool.close();
  });
  const room = await rooms.of(ZERO_HASH, 1, patience());
  const others = async () => {
    for (const word of ["one", "two", "three"]) {
      const { cid } = await store.importFile(utf8(word.repeat(20)));
      await inputs.fetch({ kind: "ipfs", cid, name: word }, patience());
    }
  };
  await others();
  t.same((await room.load()).module, utf8("a module"));
  room.leave();
  room.leave();
  const again = await rooms.of(ZERO_HASH, 1, patience());
  t.same((await again.load()).module, utf8("a module"), "what is read is read once");
  again.leave();
});

t.test("a round's time is for fetching, for computing, and for the answer", async (t) => {
  const now = 1_700_000_000_000;
  const of = (seconds: number) => {
    const { fetchBy, answerBy } = deadlinesOf({ roundEnd: now / 1000 + seconds }, now);
    return [fetchBy - now, answerBy - now];
  };
  t.same(of(20), [8_500, 17_000]);
  t.same(of(2_000), [950_000, 1_900_000]);
  t.ok(
    of(MESSAGE_SECONDS - 1).every((ms) => ms <= 0),
    "too late to begin, not to decline",
  );
});
