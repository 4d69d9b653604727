import "../helpers/plain-spawn.ts";
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { createDisk } from "../../lib/disk.ts";
import { openRewritten, type RewrittenOptions } from "../../node/worker/rewritten.ts";
import type { Rewritten } from "../../vm/wasm/rewritten-store.ts";

t.setTimeout(120_000);
const MIB = 1024 * 1024;
const root = mkdtempSync(join(tmpdir(), "rolec-rewritten-"));
t.teardown(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const open = (options: Partial<RewrittenOptions> = {}) => {
  const folder = options.folder ?? join(root, String(folders++));
  const errors: (Error | undefined)[] = [];
  const store = openRewritten({
    folder,
    secret: "0x01",
    leastBytes: 0,
    onWrite: (error) => errors.push(error),
    ...options,
  });
  const files = (): string[] => (existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []);
  return { put: store.put, get: async (name: string) => brief(await store.get(name)), folder, files, errors };
};
/** With a hash in the place of the bytes: they are compared sooner. */
const brief = (found: Rewritten | undefined) =>
  found && { ...found, bytes: createHash("sha256").update(found.bytes).digest("hex") };
const sealed = (...given: Parameters<typeof rewritten>) => brief(rewritten(...given));
const rewritten = (fill: number, size = 2 * MIB + 5): Rewritten => ({
  bytes: new Uint8Array(size).fill(fill),
  originalBytes: 9,
  compileGas: 8,
  initialPages: 7,
  hasMemory: true,
  hasStart: false,
});

t.test("what is kept comes back as it was, for who has the secret", async (t) => {
  const { get, put, folder, files, errors } = open();
  t.equal(await get("a"), undefined);
  await put("a", rewritten(1));
  await put("b", rewritten(2, 0));
  t.same([await get("a"), await get("b"), await get("c")], [sealed(1), sealed(2, 0), undefined]);
  t.same(await open({ folder }).get("a"), sealed(1), "after a restart");
  const other = open({ folder, secret: "0x02" });
  t.equal(await other.get("a"), undefined, "another worker believes its own files alone");
  await other.put("a", rewritten(3));
  t.same([await get("a"), await other.get("a")], [sealed(1), sealed(3)], "and disturbs nobody");
  t.equal(files().length, 3);
  t.same(errors, [undefined, undefined]);
  if (process.platform !== "win32")
    t.same([statSync(folder).mode & 0o777, statSync(files()[0]!).mode & 0o777], [0o700, 0o600]);
  const choosy = open({ leastBytes: 10 * MIB });
  await choosy.put("a", rewritten(1));
  t.same(choosy.files(), [], "what is small is rewritten sooner than read");
});

t.test("a file that is torn, altered or another's is thrown away, and never given", async (t) => {
  const { get, put, files } = open();
  const spoilt: Record<string, (path: string) => void> = {
    empty: (path) => truncateSync(path, 0),
    "cut in its head": (path) => truncateSync(path, 20),
    "cut after it": (path) => truncateSync(path, 34),
    "cut at its end": (path) => truncateSync(path, statSync(path).size - 1),
    longer: (path) => writeFileSync(path, "x", { flag: "a" }),
    "without an end": (path) => truncateSync(path, 300 * MIB),
    "a folder": (path) => {
      rmSync(path);
      mkdirSync(join(path, "full"), { recursive: true });
    },
  };
  for (const at of [0, 31, 32, 40, 60, MIB, 2 * MIB])
    spoilt[`byte ${at}`] = (path) => {
      const bytes = readFileSync(path);
      bytes[at]! ^= 1;
      writeFileSync(path, bytes);
    };
  if (process.platform !== "win32") {
    spoilt["a link"] = (path) => {
      copyFileSync(path, join(root, "elsewhere"));
      rmSync(path);
      symlinkSync(join(root, "elsewhere"), path);
    };
    spoilt["a pipe"] = (path) => {
      rmSync(path);
      execFileSync("mkfifo", [path]);
    };
  }
  for (const [how, spoil] of Object.entries(spoilt)) {
    await put("a", rewritten(1));
    spoil(files()[0]!);
    t.equal(await get("a"), undefined, how);
    t.same(files(), [], `${how}: thrown away`);
  }
  await put("a", rewritten(1));
  const [a] = files();
  await put("b", rewritten(2));
  copyFileSync(a!, files().find((path) => path !== a)!);
  t.equal(await get("b"), undefined, "whole, but of another module");
  t.same(await get("a"), sealed(1));
});

t.test("the folder is bounded: the longest unused go first, and what a dead worker left", async (t) => {
  const { get, put, folder, files } = open({ cacheBytes: 5 * MIB });
  await put("a", rewritten(1));
  await put("b", rewritten(2));
  const past = new Date(Date.now() - 1_000_000);
  for (const path of files()) utimesSync(path, past, past);
  const [old, fresh] = [join(folder, "old.part"), join(folder, "fresh.part")];
  for (const path of [old, fresh]) writeFileSync(path, "x");
  utimesSync(old, past, past);
  t.same(await get("a"), sealed(1));
  await put("c", rewritten(3));
  t.same([await get("a"), await get("b"), await get("c")], [sealed(1), undefined, sealed(3)]);
  t.same([existsSync(old), existsSync(fresh)], [false, true]);
});

t.test("a disk without room keeps nothing, and a folder that cannot be written is told", async (t) => {
  let free = 300 * MIB;
  const full = open({ disk: createDisk(() => free, 256) });
  await full.put("a", rewritten(1));
  free = 257 * MIB;
  await full.put("b", rewritten(2));
  t.same(
    [await full.get("b"), full.files(), full.errors],
    [undefined, [], [undefined, undefined]],
    "what was kept makes way",
  );
  const blocked = join(root, "a file");
  writeFileSync(blocked, "");
  const nowhere = open({ folder: join(blocked, "below") });
  await nowhere.put("a", rewritten(1));
  t.equal(await nowhere.get("a"), undefined);
  t.match(nowhere.errors, [{ code: "ENOTDIR" }]);
});

t.test("two workers write and read in one folder at the same time", async (t) => {
  const one = open();
  const two = open({ folder: one.folder });
  const [a, b] = [rewritten(1, 4 * MIB), rewritten(2, 4 * MIB)];
  await Promise.all([one.put("a", a), two.put("a", a), one.put("b", b), two.put("b", b), one.put("a", a)]);
  t.same([await two.get("a"), await one.get("b")], [brief(a), brief(b)]);
  t.equal(one.files().length, 2);
});

t.test("kill -9 while a file is written leaves no file that is not whole", async (t) => {
  const { get, put, folder, files } = open();
  mkdirSync(folder);
  const helper = fileURLToPath(new URL("../helpers/slow-writer.ts", import.meta.url));
  for (let round = 0; round < 3; round++) {
    const writer = spawn(process.execPath, [helper, folder], { stdio: ["ignore", "pipe", "inherit"] });
    await once(writer.stdout, "data");
    const before = new Set(files());
    while (!files().some((path) => path.endsWith(".part") && !before.has(path)))
      await new Promise((resolve) => setTimeout(resolve, 1));
    writer.kill("SIGKILL");
    await once(writer, "exit");
    const whole = files().filter((path) => !path.endsWith(".part"));
    const found = await Promise.all([0, 1, 2].map((i) => get(`module-${i}`)));
    t.equal(found.filter((one) => one !== undefined).length, whole.length, "each is whole or not there");
  }
  await put("module-0", rewritten(1));
  t.same(await get("module-0"), sealed(1));
});
