import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import { join } from "node:path";
import t from "tap";
import { equalBytes, utf8 } from "../../lib/bytes.ts";
import { Unobtainable } from "../../node/worker/unobtainable.ts";
import { isInternetAddress, NotAsked, streamUrl } from "../../node/worker/web.ts";
import { TASK_LIMITS } from "../../vm/wasm/limits.ts";
import { type InputReference, parseReference } from "../../vm/wasm/params.ts";
import { patience, startSources } from "../helpers/sources.ts";

const big = new Uint8Array(3_000_000).map((_, i) => (i >>> 16) ^ i);
const sha = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const answers: Record<string, RequestListener> = {
  "/book.csv": (_, response) => response.end(big),
  "/hop": (_, response) => response.writeHead(302, { location: "/book.csv" }).end(),
  "/loop": (_, response) => response.writeHead(307, { location: "/loop" }).end(),
  "/away": (_, response) => response.writeHead(302, { location: "file:///etc/passwd" }).end(),
  "/gone": (_, response) => response.writeHead(404).end(),
  "/zipped": (_, response) => response.writeHead(200, { "content-encoding": "gzip" }).end("x"),
  "/endless": (_, response) => {
    const piece = Buffer.alloc(1024 * 1024);
    const more = (): void => {
      while (!response.destroyed && response.write(piece));
    };
    response.on("drain", more);
    more();
  },
  "/cut": (_, response) => {
    response.writeHead(200, { "content-length": 100 });
    response.write("half");
    setTimeout(() => response.destroy(), 20);
  },
};
const { base, asked, store, open } = await startSources(answers);
const signal = AbortSignal.timeout(60_000);
const reference = (path: string, bytes: Uint8Array): InputReference => ({
  kind: "url",
  url: `${base}${path}`,
  sha256: `0x${sha(bytes)}`,
  name: "book.csv",
});

t.test("a URL is fetched, over redirects too, and taken where it has its checksum", async (t) => {
  const { inputs } = open();
  const parsed = parseReference(`${base}/book.csv#sha256=${sha(big)}`);
  for (const each of [parsed, reference("/hop", big)]) {
    const { path, bytes, digest } = await inputs.fetch(each, patience());
    t.ok(equalBytes(readFileSync(path), big));
    t.same([bytes, digest], [big.length, sha(big)]);
  }
});

t.test(
  "another checksum, or more than a task may have, is a URL that is asked again, and a task that is not invalid",
  async (t) => {
    const { inputs, folder } = open();
    for (const [each, what] of [
      [reference("/book.csv", utf8("x")), /with the checksum/],
      [reference("/endless", big), new RegExp(`more than ${TASK_LIMITS.inputBytes} bytes`)],
    ] as const) {
      const error = await inputs.fetch(each, patience()).catch((one: Error) => one);
      t.match(error, { message: what });
      t.notOk(error instanceof Unobtainable);
    }
    t.same(readdirSync(folder), [], "nothing is left of it");
  },
);

t.test("a URL that never comes keeps nobody from the same content elsewhere", async (t) => {
  const { inputs } = open();
  const stop = new AbortController();
  const stuck = inputs.fetch(reference("/never answered", big), { signal: stop.signal, until: Date.now() + 60_000 });
  t.ok((await inputs.fetch(reference("/book.csv", big), patience())).path);
  stop.abort(new Error("enough"));
  await t.rejects(stuck, { message: "enough" });
});

t.test("what cannot be had is an error: the worker asks again, and then declines", async (t) => {
  const { inputs } = open();
  for (const path of ["/loop", "/zipped", "/cut"])
    await t.rejects(inputs.fetch(reference(path, big), patience()), Error, path);
  await t.rejects(inputs.fetch(reference("/gone", big), patience()), Unobtainable, "no is no");
  await t.rejects(inputs.fetch(reference("/away", big), patience()), NotAsked, "no other protocol");
  const never = reference("/never answered", big);
  await t.rejects(inputs.fetch(never, patience(200)), { name: "TimeoutError" }, "the lot's time is over");
});

t.test("this machine and its networks are not asked, unless the owner allows it", async (t) => {
  const { inputs } = open({ allowPrivate: false });
  const before = asked();
  const port = base.split(":")[2];
  for (const host of ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433", "0.0.0.0"]) {
    const each: InputReference = { kind: "url", url: `http://${host}:${port}/x`, sha256: `0x${sha(big)}`, name: "x" };
    await t.rejects(inputs.fetch(each, patience()), NotAsked, host);
  }
  t.equal(asked(), before, "nothing was asked");
  const drain = async (url: string) => {
    for await (const _ of streamUrl(url, { signal, allowPrivate: false }));
  };
  await t.rejects(drain("http://user:secret@8.8.8.8/x"), /password/);
  await t.rejects(drain("http://8.8.8.8:25/x"), /port/);
  const inside = [
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
  ];
  for (const address of [
    ...inside,
    "fe80::1",
    "fd00::1",
    "::",
    "::ffff:8.8.8.8",
    "64:ff9b::a00:1",
    "2002:7f00:1::",
    "x",
  ])
    t.notOk(isInternetAddress(address), address);
  for (const address of ["8.8.8.8", "172.32.0.1", "2606:4700::1111"]) t.ok(isInternetAddress(address), address);
});

t.test("an input is fetched once for all lots that name it, and again where the disk spoilt it", async (t) => {
  const { inputs, folder } = open();
  const { cid } = await store.importFile(big);
  const each: InputReference = { kind: "ipfs", cid, name: "book.csv" };
  const [one, two] = await Promise.all([inputs.fetch(each, patience()), inputs.fetch(each, patience())]);
  t.same(one, two);
  const [name] = readdirSync(folder);
  t.equal(readdirSync(folder).length, 1);
  writeFileSync(join(folder, name!), "spoilt");
  t.same(await inputs.fetch(each, patience()), one);
  t.ok(equalBytes(readFileSync(join(folder, name!)), big));
  const { cid: none } = await store.importTree([{ path: "a", bytes: utf8("a") }]);
  await t.rejects(inputs.fetch({ kind: "ipfs", cid: none, name: "a" }, patience()), Unobtainable);
});

t.test("the folder stays within its size, and the longest unused goes first", async (t) => {
  const { inputs, folder } = open({ cacheBytes: 2_500 });
  for (let i = 0; i < 4; i++) {
    const { cid } = await store.importFile(new Uint8Array(1_000).fill(i));
    await inputs.fetch({ kind: "ipfs", cid, name: "x" }, patience());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  t.equal(readdirSync(folder).length, 2);
});

t.test("what a lot holds stays however much others fetch, and who finds no room waits for it", async (t) => {
  const { inputs } = open({ cacheBytes: 2_500 });
  const files = await Promise.all(
    Array.from({ length: 8 }, (_, i) => store.importFile(new Uint8Array(1_000).fill(100 + i))),
  );
  const at = (i: number): InputReference => ({ kind: "ipfs", cid: files[i]!.cid, name: "x" });
  const [first, second, third] = [inputs.hold(), inputs.hold(), inputs.hold()];
  const held = [await first.fetch(at(0), patience()), await second.fetch(at(1), patience())];
  for (let i = 2; i < 7; i++) await inputs.fetch(at(i), patience());
  t.same(
    held.map(({ path }) => existsSync(path)),
    [true, true],
  );
  await t.rejects(third.fetch(at(7), patience(100)), { name: "TimeoutError" }, "it does not begin");
  const waits = third.fetch(at(7), patience());
  first.release();
  first.release();
  t.ok(existsSync((await waits).path), "it begins once there is room");
  t.ok(existsSync(held[1]!.path));
  for (const each of [second, third]) each.release();
  for (let i = 2; i < 5; i++) await inputs.fetch(at(i), patience());
  t.notOk(existsSync(held[1]!.path), "what nobody holds makes way");
});
