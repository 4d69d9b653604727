import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createSocketServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { memoryDb } from "../../chain/db.ts";
import { utf8 } from "../../lib/bytes.ts";
import { dataPort } from "../../node/data-port.ts";
import { jobInputs, localInputs } from "../../node/job-inputs.ts";
import { streamUrl } from "../../node/worker/web.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { dataRoute } from "../../rpc/data.ts";
import { parseParams } from "../../vm/wasm/params.ts";
import { NEWEST_RULES } from "../../vm/wasm/versions.ts";
import { startRpc } from "../helpers/rpc.ts";

const book = utf8("bought,1\n");
const sha = createHash("sha256").update(book).digest("hex");
let asked = 0;
const web = createServer((_, response) => {
  asked += 1;
  response.end(book);
});
await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${(web.address() as AddressInfo).port}/a/book.csv?x=1`;
const store = await openDataStore(memoryDb());
const node = await startRpc([], { routes: [dataRoute(dataPort(store, undefined))] });
const root = mkdtempSync(join(tmpdir(), "rolec-job-inputs-"));
t.teardown(async () => {
  web.closeAllConnections();
  web.close();
  await node.stop();
  rmSync(root, { recursive: true, force: true });
});
const folder = join(root, "my data");
mkdirSync(folder);
for (const name of ["b.csv", "a #1.csv"]) writeFileSync(join(folder, name), name);
const nested = join(root, "nested");
mkdirSync(join(nested, "below"), { recursive: true });
const make = (given: string[], keepUrls = false) => jobInputs(node.url, given, { keepUrls });
/** What workers make of the names. */
const read = async (references: string[]) =>
  Promise.all(
    parseParams(JSON.stringify({ iexec_input_files: references }), NEWEST_RULES).inputs.map(async (input) =>
      input.kind === "ipfs" ? [input.name, new TextDecoder().decode(await store.readFile(input.cid))] : input.url,
    ),
  );

t.test("files and folders are put into the node's store, each file under its name", async (t) => {
  const single = join(root, "c.csv");
  writeFileSync(single, "c");
  t.same(await read(await make([single, folder])), [
    ["c.csv", "c"],
    ["a #1.csv", "a #1.csv"],
    ["b.csv", "b.csv"],
  ]);
  await t.rejects(make([nested]), /below is no file: a job's \/in holds files alone/);
  await t.rejects(make([join(root, "none")]), /does not exist/);
  rmSync(join(nested, "below"), { recursive: true });
  symlinkSync(join(root, "none"), join(nested, "dangling"));
  await t.rejects(make([nested]), /dangling is no file/);
  rmSync(join(nested, "dangling"));
  await t.rejects(make([nested]), /is empty/);
});

t.test("files and folders may have paths of their own", async (t) => {
  const share = join(root, "share");
  mkdirSync(join(share, "ice40"), { recursive: true });
  writeFileSync(join(share, "techmap.v"), "map");
  writeFileSync(join(share, "ice40", "cells.v"), "cells");
  t.same(await read(await make([`${join(share, "techmap.v")}=/lib/map one.v`, `${share}=/share/yosys/`])), [
    ["/lib/map one.v", "map"],
    ["/share/yosys/ice40/cells.v", "cells"],
    ["/share/yosys/techmap.v", "map"],
  ]);
  t.same(await read(await make([`${url}#path=/books/a.csv`])), [["/books/a.csv", "bought,1\n"]]);
  t.same(await make([`${url}#sha256=${sha}&path=/books/a.csv`], true), [`${url}#sha256=${sha}&path=/books/a.csv`]);
  symlinkSync(join(share, "techmap.v"), join(share, "link.v"));
  t.same((await read(await make([`${share}=/s`]))).at(-2), ["/s/link.v", "map"], "a link to a file is that file");
  symlinkSync(join(share, "ice40"), join(share, "same"));
  await t.rejects(make([`${share}=/s`]), /same is a link to a folder, which is not followed: .* cp -rL/);
  rmSync(join(share, "same"));
  await t.rejects(make([`${share}=/out/x`]), /a name that no input can have/);
  await t.rejects(make([`${join(share, "techmap.v")}=/a`, `${share}=/a`]), /would be \/a, where others need a folder/);
});

t.test("a name is what it is, and what is no file is never read", { skip: process.platform === "win32" }, async (t) => {
  const odd = join(root, "odd");
  mkdirSync(odd);
  writeFileSync(join(odd, "a\\b"), "");
  t.same(
    localInputs(`${odd}=/odd`).map(({ name }) => name),
    ["/odd/a\\b"],
  );
  await t.rejects(make([`${odd}=/odd`]), /a name that no input can have/);
  const pipe = join(root, "pipe");
  execFileSync("mkfifo", [pipe]);
  for (const text of [pipe, `${pipe}=/p`]) await t.rejects(make([text]), /pipe is neither a file nor a folder/);
  execFileSync("mkfifo", [join(odd, "pipe")]);
  await t.rejects(make([`${odd}=/odd`]), /pipe is neither a file nor a folder/);
});

t.test("a URL is fetched once by the buyer, and named by its content", async (t) => {
  const before = asked;
  t.same(await read(await make([url])), [["book.csv", "bought,1\n"]]);
  t.same(await read(await make([`${url}#sha256=${sha.toUpperCase()}`])), [["book.csv", "bought,1\n"]]);
  await t.rejects(make([`${url}#sha256=${"ab".repeat(32)}`]), /gives a file with the checksum/);
  const away = "http://127.0.0.1:1/away.csv";
  for (const keepUrls of [false, true])
    await t.rejects(make([away], keepUrls), {
      message: /^http:\/\/127\.0\.0\.1:1\/away\.csv is not fetched: connect ECONNREFUSED/,
    });
  await t.rejects(jobInputs("http://127.0.0.1:1", [url]), { message: /^http:\/\/127\.0\.0\.1:1\/data/ });
  t.equal(asked, before + 4);
  t.same(await make([url], true), [`${url}#sha256=${sha}`], "kept, it gets the checksum that it needs");
  t.same(await make([`${url}#sha256=${sha}`], true), [`${url}#sha256=${sha}`]);
  t.equal(asked, before + 5);
});

t.test("a URL that comes by drops ends with its time", async (t) => {
  const drips = createServer((_, response) => {
    const timer = setInterval(() => response.write("x"), 20);
    response.on("close", () => clearInterval(timer));
  });
  /** A server that never ends its headers. */
  const mute = createSocketServer((socket) => {
    socket.on("error", () => undefined);
    socket.write("HTTP/1.1 200 OK\r\nx: ");
    const timer = setInterval(() => socket.write("x"), 20);
    socket.on("close", () => clearInterval(timer));
  });
  for (const server of [drips, mute]) await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    drips.closeAllConnections();
    for (const server of [drips, mute]) server.close();
  });
  const at = (server: typeof mute) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/x`;
  for (const server of [drips, mute])
    for (const keepUrls of [false, true])
      await t.rejects(jobInputs(node.url, [at(server)], { keepUrls, urlMs: 300 }), /\/x has not come in 0\.3 s/);
  const all = { signal: new AbortController().signal, allowPrivate: true, beginMs: 200 };
  await t.rejects(streamUrl(at(mute), all).next(), /has not begun to answer in 0\.2 s/);
});

t.test("what a node has is named by its CID, the files of a directory too", async (t) => {
  const { cid } = await store.importFile(utf8("x"));
  t.same(await make([`/ipfs/${cid}?filename=x.txt`]), [`/ipfs/${cid}?filename=x.txt`]);
  const tree = await store.importTree([
    { path: "p", bytes: utf8("1") },
    { path: "q", bytes: utf8("2") },
  ]);
  t.same(await read(await make([`ipfs://${tree.cid}`])), [
    ["p", "1"],
    ["q", "2"],
  ]);
  const deep = await store.importTree([{ path: "d/p", bytes: utf8("1") }]);
  await t.rejects(make([`/ipfs/${deep.cid}`]), /is a folder/);
});

t.test("names that do not fit into one folder are refused before anything is stored", async (t) => {
  const many = join(root, "many");
  mkdirSync(many);
  for (let i = 0; i < 257; i++) writeFileSync(join(many, `${i}`), "");
  const before = store.blocks.stats().blocks;
  await t.rejects(make([many]), /257 input files, a job has at most 256/);
  await t.rejects(make([folder, join(folder, "b.csv")]), /would both be \/in\/b\.csv/);
  t.equal(store.blocks.stats().blocks, before);
});
