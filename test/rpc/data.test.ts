import { execFileSync } from "node:child_process";
import { EventEmitter } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { memoryDb } from "../../chain/db.ts";
import { concat, equalBytes, utf8 } from "../../lib/bytes.ts";
import { createDisk } from "../../lib/disk.ts";
import { RuleError } from "../../lib/rule-error.ts";
import { dataPort } from "../../node/data-port.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { dataRoute } from "../../rpc/data.ts";
import { directoryFormat, rangeOf } from "../../rpc/gateway.ts";
import { isTooSlow } from "../../rpc/http.ts";
import { pinMethods } from "../../rpc/pins.ts";
import { startRpc } from "../helpers/rpc.ts";
import { directory, file, leaf, names, nest } from "../helpers/trees.ts";

const big = new Uint8Array(3 * 1024 * 1024 + 5).map((_, i) => (i >>> 20) + i);
const store = await openDataStore(memoryDb(), { limits: { bytes: 8 * 1024 * 1024, entries: 2_000 } });
t.setTimeout(120_000);
const data = dataPort(store, undefined);
const node = await startRpc([], { routes: [dataRoute(data)], methods: pinMethods(data) });
t.teardown(() => node.stop());
const { cid } = await store.importTree([
  { path: "out/big.csv", bytes: big },
  { path: "out/page <i>.html", bytes: utf8("<script>alert(1)</script>") },
  { path: "out/empty" },
  { path: "stdout", bytes: utf8("hi\n") },
]);
const get = (path: string, headers: Record<string, string> = {}, method = "GET") =>
  fetch(`${node.url}/ipfs/${path}`, { headers, method });
const bytesOf = async (response: Response) => new Uint8Array(await response.arrayBuffer());

t.test("a file comes with its length, kind and tag, and not again to who has it", async (t) => {
  const file = await get(`${cid}/out/big.csv`);
  t.equal(file.status, 200);
  t.ok(equalBytes(await bytesOf(file), big));
  t.equal(file.headers.get("content-type"), "text/csv; charset=utf-8");
  t.equal(file.headers.get("content-length"), String(big.length));
  const etag = file.headers.get("etag")!;
  const again = await get(`${cid}/out/big.csv`, { "if-none-match": `"x", ${etag}` });
  t.equal(again.status, 304);
  t.equal((await bytesOf(again)).length, 0);
  const head = await get(`${cid}/out/big.csv`, {}, "HEAD");
  t.equal(head.headers.get("content-length"), String(big.length));
  t.equal((await bytesOf(head)).length, 0);
  t.equal((await get(`${cid}/out/nothing`)).status, 404);
  t.equal((await get("nonsense")).status, 400);
  t.equal((await get("%ff")).status, 400);
  t.equal((await get(cid, {}, "DELETE")).status, 405);
});

t.test("a part of a file comes for a range, and only for one that there is", async (t) => {
  const part = async (range: string, more: Record<string, string> = {}) => {
    const answer = await get(`${cid}/out/big.csv`, { range, ...more });
    return { status: answer.status, range: answer.headers.get("content-range"), bytes: await bytesOf(answer) };
  };
  for (const [from, to] of [
    [0, 0],
    [5, 1_048_575],
    [1_048_575, 1_048_576],
    [1_048_576, 3_145_728],
    [big.length - 1, big.length - 1],
  ] as const) {
    const { status, range, bytes } = await part(`bytes=${from}-${to}`);
    t.equal(status, 206);
    t.equal(range, `bytes ${from}-${to}/${big.length}`);
    t.ok(equalBytes(bytes, big.subarray(from, to + 1)));
  }
  t.ok(equalBytes((await part("bytes=-7")).bytes, big.subarray(-7)));
  t.ok(equalBytes((await part("bytes=3145000-")).bytes, big.subarray(3_145_000)));
  t.match(await part(`bytes=${big.length}-`), { status: 416, range: `bytes */${big.length}` });
  t.equal((await part("bytes=1-2,5-6")).status, 200);
  t.equal((await part("bytes=1-2", { "if-range": '"other"' })).status, 200);
  t.same(rangeOf("bytes=0-99", 10), { start: 0, end: 10 });
  for (const bad of [undefined, "", "bytes=-", "bytes=5-4", "lines=1-2", "bytes=a-b"])
    t.equal(rangeOf(bad, 10), undefined);
});

t.test("a directory is a zip to iExec's tools and to who says nothing", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-gateway-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  for (const accept of ["application/zip", "*/*"]) {
    const answer = await get(cid, { accept });
    t.equal(answer.headers.get("content-type"), "application/zip");
    const archive = await bytesOf(answer);
    t.equal(answer.headers.get("content-length"), String(archive.length));
    writeFileSync(join(folder, "a.zip"), archive);
    t.match(execFileSync("unzip", ["-t", "a.zip"], { cwd: folder, encoding: "utf8" }), /No errors detected/);
    t.ok(equalBytes(execFileSync("unzip", ["-p", "a.zip", "out/big.csv"], { cwd: folder, maxBuffer: 1e7 }), big));
  }
  const below = await get(`${cid}/out?format=zip`);
  writeFileSync(join(folder, "b.zip"), await bytesOf(below));
  t.match(execFileSync("unzip", ["-l", "b.zip"], { cwd: folder, encoding: "utf8" }), /empty\//);
  writeFileSync(join(folder, "c.tar"), await bytesOf(await get(`${cid}?format=tar`)));
  t.ok(equalBytes(execFileSync("tar", ["xOf", "c.tar", "out/big.csv"], { cwd: folder, maxBuffer: 1e7 }), big));
  t.equal((await get(`${cid}?format=exe`)).status, 400);
  t.equal(directoryFormat(null, "text/html,application/xhtml+xml,*/*;q=0.8"), "html");
});

t.test("a directory is listed for programs, and as a page for people", async (t) => {
  const listed = (await (await get(cid, { accept: "application/json" })).json()) as { entries: { path: string }[] };
  t.match(
    listed.entries.find((entry) => entry.path === "out/big.csv"),
    { kind: "file", size: big.length },
  );
  const below = (await (await get(`${cid}/out?format=json`)).json()) as { entries: { path: string }[] };
  t.same(below.entries.map(({ path }) => path).sort(), ["big.csv", "empty", "page <i>.html"]);
  const page = await get(`${cid}/out`, { accept: "text/html" });
  t.match(page.headers.get("content-type"), "text/html");
  const text = await page.text();
  t.notMatch(text, "<i>");
  t.match(text, `href="/ipfs/${cid}/out/page%20%3Ci%3E.html"`);
});

t.test("foreign pages and programs are downloads, and nothing of them runs", async (t) => {
  const page = await get(`${cid}/out/page <i>.html`);
  t.equal(page.headers.get("content-type"), "application/octet-stream");
  t.match(page.headers.get("content-disposition"), /^attachment; filename\*=UTF-8''page%20%3Ci%3E.html$/);
  t.match(page.headers.get("content-security-policy"), /default-src 'none'.*sandbox/);
  t.equal(page.headers.get("x-content-type-options"), "nosniff");
  t.match((await get(`${cid}/stdout`)).headers.get("content-disposition"), /^inline/);
  t.match(
    (await get(`${cid}/stdout?download=true&filename=a"b\r\n`)).headers.get("content-disposition"),
    /^attachment/,
  );
});

t.test("what goes wrong is never kept by a cache, and says what it is", async (t) => {
  const inner = directory([["leaf", leaf(utf8("never put"))]]);
  const missing = directory([["inner", inner]]);
  const repeats = nest(5, leaf(utf8("x")), (below) => directory(names(100, below)));
  const broken = file([["", leaf(utf8("x")), 1]], [1, 1]);
  for (const { cid: each, bytes } of [missing, inner, ...repeats, broken]) await store.blocks.put(each, bytes);
  const whole = `${cid}/out/big.csv`;
  for (const [status, path, headers] of [
    [404, missing.cid, {}],
    [404, `${inner.cid}/leaf`, {}],
    [404, `${cid}/nothing`, {}],
    [404, leaf(utf8("nowhere")).cid, {}],
    [413, repeats.at(-1)!.cid, {}],
    [413, `${cid}/${"a/".repeat(40)}`, {}],
    [422, broken.cid, {}],
    [400, "nonsense", {}],
    [400, `${cid}?format=exe`, {}],
    [416, whole, { range: `bytes=${big.length}-` }],
  ] as const)
    for (const method of ["GET", "HEAD"]) {
      const answer = await get(String(path), headers, method);
      t.match(
        [answer.status, answer.headers.get("cache-control"), answer.headers.get("etag")],
        [status, "no-store", null],
        `${method} ${status} ${path}`,
      );
      await answer.arrayBuffer();
    }
  t.match((await get(whole)).headers.get("cache-control"), "immutable");
});

t.test("a tree that repeats itself is refused while the node answers", async (t) => {
  const repeats = nest(4, leaf(utf8("x")), (below) => directory(names(500, below)));
  for (const { cid: each, bytes } of repeats) await store.blocks.put(each, bytes);
  const asked = ["zip", "tar", "json", "html"].map((format) => get(`${repeats.at(-1)!.cid}?format=${format}`));
  t.equal(await node.client.call("eth_blockNumber"), "0x0");
  t.same(
    (await Promise.all(asked)).map(({ status }) => status),
    [413, 413, 413, 413],
  );
});

t.test("a transfer may pause, but not keep its place for ever", (t) => {
  t.notOk(isTooSlow(59_000, 0));
  t.ok(isTooSlow(61_000, 0));
  t.notOk(isTooSlow(120_000, 1024 * 1024));
  t.ok(isTooSlow(180_000, 1024 * 1024));
  t.end();
});

const post = (body: Uint8Array, type: string, query = "") =>
  fetch(`${node.url}/data${query}`, { method: "POST", headers: { "content-type": type }, body: new Uint8Array(body) });

t.test("what is uploaded is kept for its holder until its time", async (t) => {
  const answer = await post(big, "application/octet-stream", "?holder=worker:1&until=4000000000");
  const kept = ((await answer.json()) as { cid: string }).cid;
  t.equal(kept, (await store.importFile(big)).cid);
  const pins = (await node.client.call("rolec_pins")) as { pins: { cid: string }[]; pinnedBytes: number };
  t.match(pins.pins, [{ cid: kept, holder: "worker:1", until: 4_000_000_000 }]);
  t.ok(pins.pinnedBytes > big.length);
  await node.client.call("rolec_pin", [kept]);
  await node.client.call("rolec_unpin", [kept, "worker:1"]);
  t.match(((await node.client.call("rolec_pins")) as typeof pins).pins, [{ cid: kept, holder: "rpc", until: 0 }]);
  await store.expire(5_000_000_000);
  await node.client.call("rolec_unpin", [kept]);
  t.match(await node.client.call("rolec_pins"), { pins: [], pinnedBytes: 0 });
  await t.rejects(node.client.call("rolec_pin", [kept, "bad holder"]), { code: -32602 });
  await t.rejects(node.client.call("rolec_pin", ["nonsense"]), { code: -32000 });
});

t.test("an upload that is no file or folder, or too much, is refused", async (t) => {
  t.equal((await post(big, "text/plain")).status, 415);
  t.equal((await post(utf8("no archive"), "application/x-tar")).status, 400);
  t.equal((await post(big, "application/octet-stream", "?until=soon")).status, 400);
  t.equal((await post(big, "application/octet-stream", "?holder=a%20b")).status, 400);
  const folder = mkdtempSync(join(tmpdir(), "rolec-gateway-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "a"), "a");
  const evil = execFileSync("tar", ["c", "--transform", "s,a,../a,", "-P", "a"], { cwd: folder });
  t.equal((await post(evil, "application/x-tar")).status, 400, "a path that leaves the folder");
  const good = await post(execFileSync("tar", ["c", "."], { cwd: folder }), "application/x-tar");
  t.equal((await get(`${((await good.json()) as { cid: string }).cid}/a`)).status, 200);
  const tooMuch = await post(new Uint8Array(9 * 1024 * 1024), "application/octet-stream").catch(() => undefined);
  t.ok(tooMuch === undefined || tooMuch.status === 413);
  t.equal((await get(`${cid}/stdout`)).status, 200, "and it answers on");
});

t.test("a node below its reserve answers 507, gives what it has, and makes blocks", async (t) => {
  let free = 0;
  const full = await openDataStore(memoryDb(), { disk: createDisk(() => free) });
  const port = dataPort(full, undefined);
  const other = await startRpc([], { routes: [dataRoute(port)], methods: pinMethods(port) });
  t.teardown(() => other.stop());
  const send = () =>
    fetch(`${other.url}/data`, {
      method: "POST",
      headers: { "content-type": "application/octet-stream" },
      body: new Uint8Array(10),
    });
  free = Number.MAX_SAFE_INTEGER;
  const { cid: here } = (await (await send()).json()) as { cid: string };
  free = 100;
  const refused = await fetch(`${other.url}/data?holder=x`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream" },
    body: big,
  });
  t.match([refused.status, refused.headers.get("cache-control")], [507, "no-store"]);
  t.match(await refused.text(), "disk-reserve");
  t.equal((await fetch(`${other.url}/ipfs/${here}`)).status, 200);
  await t.rejects(other.client.call("rolec_pin", [here, "another"]), { code: -32000, message: /MiB left/ });
  await other.client.call("rolec_unpin", [here]);
  await other.mine();
  t.equal(await other.client.call("eth_blockNumber"), "0x1");
});

t.test("searches for what nobody has keep nobody from what is here", async (t) => {
  let searching = 0;
  const stop = new AbortController();
  const port = {
    ...data,
    fetch: async (_: string, { signal }: { signal?: AbortSignal | undefined } = {}) => {
      searching += 1;
      stop.signal.throwIfAborted();
      await new Promise<void>((_, reject) => {
        for (const each of [stop.signal, signal]) each?.addEventListener("abort", () => reject(each.reason));
      });
    },
  };
  const other = await startRpc([], { routes: [dataRoute(port)] });
  t.teardown(() => other.stop());
  const slow = new RuleError("data-slow", { verdict: "retry", section: "12" }, "no block in time");
  const search = (i: number) => fetch(`${other.url}/ipfs/${leaf(utf8(`nobody ${i}`)).cid}`);
  const held = Array.from({ length: 48 }, (_, i) => search(i));
  while (searching < 48) await new Promise((resolve) => setTimeout(resolve, 10));
  for (let i = 48; i < 80; i++) {
    const refused = await search(i);
    await refused.arrayBuffer();
    if (refused.status !== 503 || refused.headers.get("retry-after") !== "5") t.fail(`${refused.status}`);
  }
  t.equal(searching, 48, "three quarters of all, since all come from this machine");
  t.equal((await fetch(`${other.url}/ipfs/${cid}/stdout`)).status, 200, "what is here comes");
  stop.abort(slow);
  for (const answer of await Promise.all(held)) t.match([answer.status, answer.headers.get("retry-after")], [504, "5"]);
  t.equal((await search(0)).status, 504, "and there is room again");
});

t.test("one client has room for sixteen searches", async (t) => {
  let searching = 0;
  const stop = new AbortController();
  const wait = new Promise<void>((_, reject) =>
    stop.signal.addEventListener("abort", () => reject(stop.signal.reason)),
  );
  const route = dataRoute({
    ...data,
    fetch: () => {
      searching += 1;
      return wait;
    },
  });
  const asked = (client: object) => {
    const request = { method: "GET", url: "", headers: {}, socket: {} };
    const response = Object.assign(new EventEmitter(), { headersSent: false, setHeader: () => {} });
    return route(request as never, response as never, `/ipfs/${leaf(utf8("nobody")).cid}`, client);
  };
  const [one, two] = [{}, {}];
  const held = Promise.allSettled([one, two].flatMap((each) => Array.from({ length: 16 }, () => asked(each))));
  while (searching < 32) await new Promise((resolve) => setTimeout(resolve, 10));
  await t.rejects(Promise.resolve(asked(one)), { message: /^too many searches at a time: at most 16 of one client/ });
  stop.abort(new Error("enough"));
  t.equal((await held).length, 32);
  await t.rejects(Promise.resolve(asked(one)), { message: "enough" }, "its room is free again");
});

t.test("who asks says how long it waits, and its search ends with that or with its request", async (t) => {
  const signals: AbortSignal[] = [];
  const port = {
    ...data,
    fetch: (_: string, { signal }: { signal?: AbortSignal | undefined } = {}) => {
      signals.push(signal!);
      return new Promise<void>((_, reject) => signal!.addEventListener("abort", () => reject(signal!.reason)));
    },
  };
  const other = await startRpc([], { routes: [dataRoute(port)] });
  t.teardown(() => other.stop());
  const url = `${other.url}/ipfs/${leaf(utf8("nobody")).cid}`;
  const late = await fetch(url, { headers: { prefer: "respond-async, wait=1" } });
  t.match([late.status, late.headers.get("retry-after"), await late.text()], [504, "5", /did not come in time/]);
  t.ok(signals[0]!.aborted);
  const gone = new AbortController();
  const asked = fetch(url, { signal: gone.signal });
  while (signals.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  t.notOk(signals[1]!.aborted);
  gone.abort();
  await t.rejects(asked);
  while (!signals[1]!.aborted) await new Promise((resolve) => setTimeout(resolve, 10));
  t.pass("an abandoned request ends its search");
});

t.test("pins are listed page by page", async (t) => {
  const { cid: kept } = await store.importFile(utf8("kept"), { holder: "a" });
  for (const holder of ["b", "c"]) await store.pin(kept, { holder });
  const all = (await node.client.call("rolec_pins")) as { pins: unknown[] };
  const some = (await node.client.call("rolec_pins", [1, 1])) as typeof all;
  t.same(some.pins, [all.pins[1]]);
  t.same(((await node.client.call("rolec_pins", [all.pins.length])) as typeof all).pins, []);
  for (const holder of ["a", "b", "c"]) await store.unpin(kept, holder);
});

t.test("a client that goes away in the middle of a transfer harms nobody", async (t) => {
  for (const request of [
    `GET /ipfs/${cid} HTTP/1.1\r\nhost: localhost\r\n\r\n`,
    `POST /data HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\ncontent-length: 100000\r\n\r\nabc`,
  ]) {
    const socket = createConnection(node.port, "127.0.0.1");
    await new Promise<void>((resolve) => socket.write(request, () => resolve()));
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.destroy();
  }
  const parts: Uint8Array[] = [];
  for await (const part of (await data.open(cid, "out/big.csv")).read()) parts.push(part);
  t.ok(equalBytes(concat(...parts), big));
  t.equal((await get(`${cid}/stdout`)).status, 200);
  t.same(((await node.client.call("rolec_pins")) as { pins: unknown[] }).pins.length, 1, "half a file is not kept");
});
