import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import "../helpers/plain-spawn.ts";
import { memoryDb } from "../../chain/db.ts";
import { isPart } from "../../lib/whole-file.ts";
import { downloadFile, statData, uploadData } from "../../node/data-client.ts";
import { addPath, getPath } from "../../node/data-files.ts";
import { dataPort } from "../../node/data-port.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { dataRoute } from "../../rpc/data.ts";
import { pinMethods } from "../../rpc/pins.ts";
import { startWatched } from "../helpers/memory.ts";
import { startRpc } from "../helpers/rpc.ts";

t.setTimeout(120_000);

const store = await openDataStore(memoryDb(), { limits: { bytes: 4 * 1024 * 1024 } });
const data = dataPort(store, undefined);
const node = await startRpc([], { routes: [dataRoute(data)], methods: pinMethods(data) });
const folder = mkdtempSync(join(tmpdir(), "rolec-data-"));
t.teardown(async () => {
  await node.stop();
  rmSync(folder, { recursive: true, force: true });
});
const source = join(folder, "source");
mkdirSync(join(source, "a", "empty"), { recursive: true });
writeFileSync(join(source, "a", "ä file"), "text");
writeFileSync(join(source, ".hidden"), new Uint8Array(2_000_000));

t.test("a folder comes back as it was, and its CID does not depend on how it was added", async (t) => {
  let last = 0;
  const cid = await addPath(node.url, source, {}, (done, total) => {
    last = done;
    t.equal(total, 2_000_004);
  });
  t.equal(last, 2_000_004);
  t.equal(
    cid,
    await uploadData(node.url, [
      [".hidden", new Uint8Array(2_000_000)],
      ["a/empty", null],
      ["a/ä file", new TextEncoder().encode("text")],
    ]),
  );
  const out = join(folder, "out");
  t.equal((await getPath(node.url, cid, "", out)).length, 2);
  t.equal(readFileSync(join(out, "a", "ä file"), "utf8"), "text");
  t.same(readdirSync(join(out, "a", "empty")), []);
  t.same(await getPath(node.url, cid, "a/ä file", join(folder, "one")), [join(folder, "one")]);
  t.equal(readFileSync(join(folder, "one"), "utf8"), "text");
  t.match(await statData(node.url, cid, "a/ä file"), { kind: "file", size: 4 });
  await t.rejects(downloadFile(node.url, cid), /is a directory/);
});

t.test("names as long as a disk takes them come back as they were", async (t) => {
  const names = ["a".repeat(254), "b".repeat(255), `${"ä".repeat(127)}`];
  // Where a job's results lie, too.
  const from = join(folder, "long", "out");
  mkdirSync(from, { recursive: true });
  for (const name of names) writeFileSync(join(from, name), name);
  const cid = await addPath(node.url, join(folder, "long"));
  const out = join(folder, "long-again");
  t.equal((await getPath(node.url, cid, "", out)).length, names.length);
  t.same(readdirSync(join(out, "out")).sort(), [...names].sort());
  for (const name of names) {
    t.equal(readFileSync(join(out, "out", name), "utf8"), name);
    const one = await addPath(node.url, join(from, name));
    const alone = join(folder, name);
    t.same(await getPath(node.url, one, "", alone), [alone]);
    t.equal(readFileSync(alone, "utf8"), name);
    t.same(await getPath(node.url, cid, `out/${name}`, alone), [alone]);
  }
  writeFileSync(join(folder, "x.part"), "another's");
  await getPath(node.url, cid, `out/${names[0]}`, join(folder, "x"));
  t.equal(readFileSync(join(folder, "x.part"), "utf8"), "another's", "what lies beside is left alone");
});

t.test("a node that ends before it answers is an error, and nothing waits for it", async (t) => {
  const server = createServer((socket) => socket.once("data", () => socket.destroy()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await t.rejects(
    downloadFile(url, "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"),
    /socket hang up|ECONNRESET/,
  );
  await t.rejects(uploadData(url, new Uint8Array(10)), /socket hang up|ECONNRESET|EPIPE|Premature close/);
});

t.test("a link is not followed, and what the node refuses is said", async (t) => {
  symlinkSync("/etc/passwd", join(source, "link"));
  await t.rejects(addPath(node.url, source), /neither a file nor a folder/);
  rmSync(join(source, "link"));
  writeFileSync(join(folder, "large"), new Uint8Array(5_000_000));
  await t.rejects(addPath(node.url, join(folder, "large")), /413|EPIPE|ECONNRESET/);
  const unknown = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
  await t.rejects(getPath(node.url, unknown, "", folder), new RegExp(`404 data-missing: ${unknown} is not here`));
  await t.rejects(getPath(node.url, "nonsense", "", folder), /400 data-cid: "nonsense" is no CID/);
  await t.rejects(statData(node.url, unknown), /404 data-missing/);
  t.notOk(readdirSync(folder).some(isPart));
});

/** Runs `rolec data`. */
const run = async (...args: string[]) => {
  const command = startWatched(["data", ...args, "--node", node.url], 256);
  const status = await command.ended;
  return { status, output: command.output(), errors: command.errors() };
};

t.test(
  "names of others steer no terminal, and JSON has them as they are",
  { skip: process.platform === "win32" },
  async (t) => {
    const name = "a\u001b[2J\u202efdp.exe\nb";
    const cid = await uploadData(node.url, [[name, new Uint8Array(3)]]);
    const shown = "a\\u001b[2J\\u202efdp.exe\\u000ab";
    t.equal((await run("ls", cid)).output.split("\n")[2], `    3  ${shown}`);
    const out = join(folder, "theirs");
    t.equal((await run("get", cid, "--out", out)).output, `${join(out, shown)}\n`);
    t.same(readdirSync(out), [name]);
    const { output } = await run("ls", cid, "--json");
    t.equal(JSON.parse(output).entries[0].path, name);
    t.notMatch(output, /\u202e/);
  },
);

t.test("the commands show what is kept, keep it for others too, and let go of it", async (t) => {
  const added = await run("add", join(folder, "one"), "--for", "1000");
  const cid = added.output.split("\n")[0]!;
  t.match(added.output, `/ipfs/${cid}?filename=one`);
  t.match((await run("pin", `/ipfs/${cid}`, "--holder", "me")).output, "kept for me");
  const listed = (await run("ls")).output;
  t.match(listed, new RegExp(`${cid} +rpc +20`));
  t.match(listed, new RegExp(`${cid} +me +removed`));
  t.match((await run("ls", cid)).output, "a file of 4 bytes");
  t.equal((await run("rm", cid, "--json")).status, 0);
  t.match(await run("rm", cid), { status: 1, errors: /is not kept for rpc/ });
  t.match(await run("get", "nonsense", "--out", join(folder, "x")), { status: 1, errors: /400/ });
});
