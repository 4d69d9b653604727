import "../../helpers/plain-spawn.ts";
import { execFileSync } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WASI } from "node:wasi";
import t from "tap";
import { fromHex, uint64, utf8 } from "../../../lib/bytes.ts";
import { keccak256Bytes } from "../../../lib/keccak.ts";
import { runTask, type TaskResult } from "../../../vm/wasm/host.ts";
import { STATUS } from "../../../vm/wasm/status.ts";
import type { Task } from "../../../vm/wasm/task.ts";
import { VM_VERSION } from "../../../vm/wasm/versions.ts";

const FOLDER = mkdtempSync(join(tmpdir(), "rolec-programs-"));
t.teardown(() => rmSync(FOLDER, { recursive: true }));

/** Compiles a C program; undefined where this machine has no clang for WASI. */
const compile = (name: string): Uint8Array | undefined => {
  const out = join(FOLDER, `${name}.wasm`);
  const source = new URL(`./programs/${name}.c`, import.meta.url).pathname;
  const features = ["-mbulk-memory", "-msign-ext", "-mnontrapping-fptoint", "-ftls-model=local-exec"];
  try {
    execFileSync("clang", ["--target=wasm32-wasi", "-O2", ...features, "-o", out, source], { stdio: "pipe" });
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: Buffer };
    if (code === "ENOENT" || /wasm-ld|file not found|crt1|builtins/.test(String(stderr))) return undefined;
    throw new Error(String(stderr));
  }
  return new Uint8Array(readFileSync(out));
};
const unless = (module: Uint8Array | undefined) => ({
  skip: module ? false : "no clang with lld and wasi-libc on this machine",
});
const files = compile("files");
const kernels = compile("kernels");
const scratch = compile("scratch");

const TASK: Task = {
  taskid: `0x${"11".repeat(32)}`,
  args: ["one", "two words"],
  inputs: [{ name: "book.csv", bytes: utf8("a,1\nb,2\n") }],
  gasLimit: 20_000_000_000,
  startTime: 1_700_000_000,
  hasCallback: false,
};
const run = (module: Uint8Array, tier: "optimizing" | "baseline" = "optimizing"): Promise<TaskResult> =>
  runTask({ vmVersion: VM_VERSION, module, timeoutMs: 120_000, tier }, TASK);
const text = (result: TaskResult, name: string): string => Buffer.from(result.files.get(name) ?? []).toString();

t.test("a C program sees its files, environment, clock and randomness, and nothing else", unless(files), async (t) => {
  const module = files!;
  const result = await run(module);
  t.equal(result.status, STATUS.ok);
  const random = Buffer.from(keccak256Bytes(utf8("rolec/random"), fromHex(TASK.taskid), uint64(0)));
  t.same(text(result, "stdout").trimEnd().split("\n"), [
    "arg 0 app",
    "arg 1 one",
    "arg 2 two words",
    `task ${TASK.taskid}, file book.csv`,
    "stdin -1",
    "line a,1",
    "line b,2",
    "seek 1 tell 3",
    "write to /in: Read-only file system",
    "new in /: Read-only file system",
    "escape: Capabilities insufficient",
    "rename into itself: -1 Invalid argument",
    "rmdir full: -1 Directory not empty",
    "gap 6",
    "log 7 1",
    "link 4 c/f1 to 1",
    "absolute link: -1 Capabilities insufficient",
    "link to /in: Read-only file system",
    "hard link 0, of /in -1",
    "time 6.7, links 2",
    "/: . .. dev in out tmp",
    "/out: . .. .hidden b c empty in link log log2",
    "/out/c: . .. f1 f2",
    "/nowhere: No such file or directory",
    "time 1700000000",
    "time 1700000002",
    `random ${random.subarray(0, 4).toString("hex")}`,
  ]);
  t.equal(text(result, "stderr"), "done\n");
  t.same(
    [...result.files.keys()],
    ["out/.hidden", "out/b/moved", "out/c/f1", "out/c/f2", "out/empty/", "out/log", "out/log2", "stderr", "stdout"],
  );
  t.equal(text(result, "out/log"), "0123end");
  t.equal(text(result, "out/log2"), "0123end");
  t.equal(text(result, "out/.hidden"), "x\0\0\0\0y");
  t.equal(text(result, "out/b/moved"), "0\n");
  t.equal((await run(module)).digest, result.digest);
});

t.test(
  "a C program computes what it computes without meters, under both compilers of V8",
  unless(kernels),
  async (t) => {
    const module = kernels!;
    const result = await run(module);
    t.match(result, { status: STATUS.exit, code: 7 });
    t.equal((await run(module, "baseline")).digest, result.digest);

    const path = join(FOLDER, "plain.txt");
    const wasi = new WASI({ version: "preview1", returnOnExit: true, stdout: openSync(path, "w") });
    const { instance } = await WebAssembly.instantiate(
      module as Uint8Array<ArrayBuffer>,
      wasi.getImportObject() as WebAssembly.Imports,
    );
    t.equal(wasi.start(instance), 7);
    const plain = readFileSync(path, "utf8").split("\n");
    const metered = text(result, "stdout").split("\n");
    // The last line shows the bits of a NaN: the profile has one answer, engines several.
    t.match(metered.at(-2), "bits 7ff8000000000000");
    t.same(metered.slice(0, -2), plain.slice(0, -2));
  },
);

t.test("a C program has temporary files, /dev/null and an end of its room that it sees", unless(scratch), async (t) => {
  const result = await run(scratch!);
  t.equal(result.status, STATUS.ok, text(result, "stderr"));
  t.same(text(result, "stdout").trimEnd().split("\n"), [
    "new 1, again -1 File exists",
    "unlink 0",
    "read kept gone",
    "rename -1 Cross-device link",
    "null: put 1, flush 0, get -1",
    "null: stat 0, device 1, tty 0",
    "null: opened to write 1",
    "random 4",
    "by /dev/stdout",
    "stdin -1",
    "full after 63 MiB: No space left on device",
    "unlink 0",
  ]);
  t.same([...result.files.keys()], ["out/result", "stderr", "stdout"]);
  t.equal(text(result, "out/result"), "result\n");
});
