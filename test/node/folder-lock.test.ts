import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import "../helpers/plain-spawn.ts";
import { createProgram } from "../../node/cli/program.ts";
import { readStatus } from "../../node/cli/worker-status.ts";
import { isFolderInUse, lockFolder } from "../../node/folder-lock.ts";
import { testKey } from "../helpers/chain.ts";

t.setTimeout(120_000);
const ADDRESS = `0x${"11".repeat(20)}`;
const MAIN = fileURLToPath(new URL("../../node/cli/main.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "rolec-lock-"));
const started: ChildProcess[] = [];
t.teardown(() => {
  for (const child of started) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

t.test("a folder is one program's until its process is gone, however it ends", async (t) => {
  const datadir = join(folder, "worker");
  const start = () => {
    const args = [MAIN, "worker", "start", "--datadir", datadir, "--node", "http://127.0.0.1:1"];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    started.push(child);
    const [out, error] = [[] as string[], [] as string[]];
    child.stdout.on("data", (chunk) => out.push(String(chunk)));
    child.stderr.on("data", (chunk) => error.push(String(chunk)));
    const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
    const works = new Promise<void>((resolve) => child.stdout.once("data", () => resolve()));
    return { child, ended, works, out: () => out.join(""), error: () => error.join("") };
  };
  const first = start();
  await first.works;
  const second = start();
  t.equal(await second.ended, 1);
  t.match(second.error(), `${datadir} is in use by process ${first.child.pid} (rolec worker start)`);
  first.child.kill("SIGKILL");
  await first.ended;
  const third = start();
  await third.works;
  t.match(third.out(), /^worker 0x/);
  third.child.kill("SIGTERM");
  t.equal(await third.ended, 0);
});

t.test("a process id that somebody else has by now holds no folder", async (t) => {
  const datadir = join(folder, "recycled");
  mkdirSync(join(datadir, "lock"), { recursive: true });
  writeFileSync(join(datadir, "lock", "holder.json"), JSON.stringify({ pid: process.pid, program: "worker start" }));
  const lock = await lockFolder(datadir, "node");
  await t.rejects(lockFolder(datadir, "node"), {
    name: "FolderInUseError",
    message: `process ${process.pid} (rolec node)`,
  });
  t.equal(await isFolderInUse(datadir), true);
  await lock.release();
  t.equal(await isFolderInUse(datadir), false);
  await (await lockFolder(datadir, "node")).release();
  t.equal(await isFolderInUse(join(folder, "none")), undefined);
});

t.test("who asks for a folder in vain changes nothing of it but LevelDB's own log", async (t) => {
  const datadir = join(folder, "asked");
  const lock = await lockFolder(datadir, "node");
  const files = () =>
    Object.fromEntries(
      readdirSync(datadir, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && !/^LOG(\.old)?$/.test(entry.name))
        .map(({ parentPath, name }) => [name, readFileSync(join(parentPath, name), "utf8")]),
    );
  const before = files();
  for (let i = 0; i < 3; i++) {
    await t.rejects(lockFolder(datadir, "worker start"), { name: "FolderInUseError" });
    t.equal(await isFolderInUse(datadir), true);
  }
  t.same(files(), before);
  t.ok(Object.keys(before).includes("holder.json"));
  await lock.release();
});

t.test("a worker whose process id somebody else has by now does not run", async (t) => {
  const datadir = join(folder, "gone");
  const lock = await lockFolder(datadir, "worker start");
  const status = {
    pid: process.pid,
    node: "http://127.0.0.1:1",
    address: ADDRESS,
    writtenAt: new Date().toISOString(),
  };
  writeFileSync(join(datadir, "status.json"), JSON.stringify(status));
  t.equal((await readStatus(datadir)).running, true);
  await lock.release();
  t.equal((await readStatus(datadir)).running, false);
});

t.test(
  "every program that writes into a folder asks for it first, and touches nothing in one that is another's",
  async (t) => {
    const datadir = join(folder, "used");
    const members = ["validator-1", "worker-1"].map((name) => join(datadir, name));
    for (const each of members) mkdirSync(each, { recursive: true });
    const files = [join(members[0]!, "node.json"), join(members[1]!, "status.json")];
    for (const file of files) writeFileSync(file, "{}");
    writeFileSync(join(datadir, "genesis.json"), "{}");
    const lock = await lockFolder(datadir, "testnet");
    const refused = async (...args: string[]) =>
      t.rejects(
        (await createProgram(args)).parseAsync(args, { from: "user" }),
        { name: "FolderInUseError", message: `${datadir} is in use by process ${process.pid} (rolec testnet)` },
        args.join(" "),
      );
    const key = testKey("account");
    const away = ["--node", "http://127.0.0.1:1"];
    await refused("testnet", "--datadir", datadir, "--port", "39545", "--p2p-port", "39645");
    await refused("pool", "start", `0x${"0d".repeat(20)}`, "--key", key, "--datadir", datadir, ...away);
    await refused("order", "match", "--key", key, "--datadir", datadir, ...away);
    await refused("signer", "--datadir", datadir);
    await refused("node", "--datadir", datadir);
    await refused("worker", "start", "--datadir", datadir, ...away);
    for (const file of files) t.ok(existsSync(file), file);
    t.notOk(existsSync(join(datadir, "worker.json")), "no key is made");
    await lock.release();
  },
);

t.test("a slip in a worker's folder makes no other worker, nor a folder", async (t) => {
  const missing = join(folder, "typo");
  await (await createProgram()).parseAsync(["worker", "install-service", "--datadir", missing], { from: "user" });
  t.notOk(existsSync(missing));
  const args = [MAIN, "worker", "join", "--datadir", missing, "--validator", `0x${"11".repeat(20)}`];
  const child = spawn(process.execPath, [...args, "--node", "http://127.0.0.1:1"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  started.push(child);
  let error = "";
  child.stderr.on("data", (chunk) => {
    error += chunk;
  });
  t.equal(await new Promise((resolve) => child.once("close", resolve)), 1);
  t.match(error, /typo.* does not exist: rolec worker start/);
  t.notOk(existsSync(missing));
});
