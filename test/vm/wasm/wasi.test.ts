import "../../helpers/plain-spawn.ts";
import t from "tap";
import { createFileTree } from "../../../vm/wasm/file-tree.ts";
import { GAS, outputBound } from "../../../vm/wasm/gas.ts";
import { compileModule, type Outcome, runInstance } from "../../../vm/wasm/instance.ts";
import { TASK_LIMITS } from "../../../vm/wasm/limits.ts";
import { STATUS } from "../../../vm/wasm/status.ts";
import type { Task } from "../../../vm/wasm/task.ts";
import { NEWEST_RULES } from "../../../vm/wasm/versions.ts";
import { ERRNO, WASI_SIGNATURES } from "../../../vm/wasm/wasi-abi.ts";
import { build, i32, type ModuleSource, op } from "../../helpers/wasm-builder.ts";

const TASK: Task = {
  taskid: `0x${"11".repeat(32)}`,
  args: [],
  inputs: [{ name: "a", bytes: new Uint8Array(3) }],
  gasLimit: 2_000_000_000,
  startTime: 1_700_000_000,
  hasCallback: false,
};
const run = (source: ModuleSource, task: Partial<Task> = {}): Outcome =>
  runInstance(compileModule(build(source), NEWEST_RULES), { ...TASK, ...task });

/** Calls one function with constants and exits with what it answers. */
const answer = (name: string, values: readonly number[]): number => {
  const letters = WASI_SIGNATURES.get(name)!.split(">")[0]!;
  const push = [...letters].map((letter, i) =>
    letter === "I" ? op.i64(BigInt(values[i] ?? 0)) : op.i32(values[i] ?? 0),
  );
  const outcome = run({ imports: [name, "proc_exit"], functions: [{ code: [...push, op.call(0), op.call(1)] }] });
  return outcome.status === STATUS.ok ? 0 : outcome.status === STATUS.exit ? outcome.code : -outcome.status;
};

t.test("pointers outside the memory answer EFAULT in every call that takes one", async (t) => {
  const far = 0xffff_fff0;
  t.equal(answer("args_get", [far, far]), ERRNO.fault);
  t.equal(answer("environ_get", [0, 65_530]), ERRNO.fault);
  t.equal(answer("environ_sizes_get", [far, 0]), ERRNO.fault);
  t.equal(answer("clock_time_get", [0, 0, far]), ERRNO.fault);
  t.equal(answer("random_get", [far, 100]), ERRNO.fault);
  t.equal(answer("random_get", [0, 65_537]), ERRNO.fault);
  t.equal(answer("fd_write", [1, far, 1, 0]), ERRNO.fault);
  t.equal(answer("fd_write", [1, 0, 1, far]), ERRNO.fault);
  t.equal(answer("fd_read", [0, far, 1, 0]), ERRNO.fault);
  t.equal(answer("fd_fdstat_get", [1, far]), ERRNO.fault);
  t.equal(answer("fd_prestat_get", [3, far]), ERRNO.fault);
  t.equal(answer("fd_readdir", [3, far, 10, 0, 0]), ERRNO.fault);
  t.equal(answer("path_open", [3, 0, far, 10, 0, 0, 0, 0, 0]), ERRNO.fault);
  t.equal(answer("poll_oneoff", [far, 0, 1, 0]), ERRNO.fault);
});

t.test(
  "descriptors that are not open answer EBADF, no descriptor is a socket, and signals answer ENOSYS",
  async (t) => {
    for (const name of ["fd_close", "fd_sync", "fd_tell", "fd_fdstat_get", "fd_filestat_get", "fd_seek", "fd_write"])
      t.equal(answer(name, [99]), ERRNO.badf, name);
    t.equal(answer("fd_write", [0]), ERRNO.badf);
    t.equal(answer("fd_read", [1]), ERRNO.badf);
    t.equal(answer("fd_write", [-1]), ERRNO.badf);
    t.equal(answer("proc_raise", [9]), ERRNO.nosys);
    for (const name of ["sock_accept", "sock_recv", "sock_send", "sock_shutdown"]) {
      t.equal(answer(name, [1]), ERRNO.notsock, name);
      t.equal(answer(name, [99]), ERRNO.badf, name);
    }
    t.equal(answer("sched_yield", []), 0);
    t.equal(answer("fd_seek", [1]), ERRNO.spipe);
    t.equal(answer("clock_time_get", [9]), ERRNO.inval);
    t.equal(answer("poll_oneoff", [0, 0, 0, 0]), ERRNO.inval);
  },
);

t.test("vectors and polls have a greatest length", async (t) => {
  t.equal(answer("fd_write", [1, 0, 0xffff_ffff, 0]), ERRNO.inval);
  t.equal(answer("fd_write", [1, 0, 1_025, 0]), ERRNO.inval);
  t.equal(answer("fd_write", [1, 0, 1_024, 0]), 0);
  t.equal(answer("fd_read", [0, 0, 1_025, 0]), ERRNO.inval);
  t.equal(answer("poll_oneoff", [0, 0, 0xffff_ffff, 0]), ERRNO.inval);
  t.equal(answer("poll_oneoff", [0, 0, 4_097, 0]), ERRNO.inval);
  t.equal(answer("random_get", [0, 65_536]), 0);
});

t.test("a module without memory runs, and its calls answer EFAULT", async (t) => {
  const outcome = run({
    memory: "none",
    imports: ["random_get", "proc_exit"],
    functions: [{ code: [op.i32(0), op.i32(1), op.call(0), op.call(1)] }],
  });
  t.match(outcome, { status: STATUS.exit, code: ERRNO.fault });
});

/** Opens `out/a…`, whose letters count up, again and again, closing none or each; then what the loop ends with. */
const openFiles = (close: boolean): ModuleSource => ({
  imports: ["path_open", "fd_close", "proc_exit"],
  data: [{ at: 64, bytes: [...Buffer.from("out/aaaaaaaa")] }],
  functions: [
    {
      locals: [i32, i32],
      code: [
        op.loop(
          // Bytes 68… of the name become the digits of the counter in base 16, from `a`.
          ...[0, 4, 8, 12].map((shift, i) => [
            ...op.i32(68 + i),
            ...[...op.get(0), ...op.i32(shift), 0x76, ...op.i32(15), 0x71, ...op.i32(97), 0x6a],
            ...[0x3a, 0, 0],
          ]),
          [...op.get(0), ...op.i32(1), 0x6a, ...op.set(0)],
          [...op.i32(3), ...op.i32(0), ...op.i32(64), ...op.i32(12), ...op.i32(1), ...op.i64(64n), ...op.i64(0n)],
          [...op.i32(0), ...op.i32(32), ...op.call(0), ...op.tee(1)],
          op.if([...op.get(1), ...op.call(2)]),
          close ? [...op.i32(32), ...op.load32(), ...op.call(1), 0x1a] : [],
          op.br(0),
        ),
      ],
    },
  ],
});

t.test("open files and entries of the output are bounded", async (t) => {
  t.match(run(openFiles(false)), { status: STATUS.exit, code: ERRNO.mfile });
  const full = run(openFiles(true));
  t.equal(full.status, STATUS.outputLimit);
  t.equal([...full.files.keys()].filter((name) => name.startsWith("out/")).length, 4_096);
});

t.test("the most that the output has held is paid for, once, before it grows", async (t) => {
  const tree = createFileTree([], { ...NEWEST_RULES, gas: { ...GAS, treeByte: 0, movedEntry: 0 } });
  let [paid, means] = [0, Number.POSITIVE_INFINITY];
  tree.meter((gas) => {
    if (paid + gas > means) throw new Error("not enough");
    paid += gas;
  });
  const out = tree.child(tree.root, "out")!;
  if (out.kind !== "directory") throw new Error("out is a directory");
  const entry = 64 * GAS.outputByte + GAS.outputEntry;
  const file = tree.createFile(out, "f");
  tree.write(file, 0, new Uint8Array(1_000));
  t.equal(paid, entry + 1_000 * GAS.outputByte);
  tree.write(file, 0, new Uint8Array(1_000));
  tree.removeFile(out, "f");
  tree.write(tree.createFile(out, "g"), 0, new Uint8Array(900));
  t.equal(paid, entry + 1_000 * GAS.outputByte, "what takes the place of something else is paid");
  means = paid;
  t.throws(() => tree.resize(tree.stdout, 101), { message: "not enough" });
  t.equal(tree.stdout.size, 0);
  for (const name of ["f", "g"]) tree.child(out, name) && tree.removeFile(out, name);
  means = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 4_096; i++) tree.createFile(out, `${i}`);
  tree.resize(tree.stdout, TASK_LIMITS.outputBytes - 4_096 * 64);
  t.ok(
    outputBound(GAS.job + paid) === outputBound(Number.MAX_SAFE_INTEGER),
    "the largest output pays for the most room",
  );
});

t.test("the tree counts what it holds, gives back what is removed, and bounds depth and directories", async (t) => {
  const tree = createFileTree([], NEWEST_RULES);
  const out = tree.child(tree.root, "out")!;
  if (out.kind !== "directory") throw new Error("out is a directory");
  const file = tree.createFile(out, "f");
  t.throws(() => tree.write(file, 16 * 1024 * 1024, Uint8Array.of(1)), { name: "OutputLimit" });
  t.equal(file.size, 0);
  const room = 16 * 1024 * 1024 - 64;
  tree.resize(file, room);
  t.throws(() => tree.write(tree.stdout, 0, Uint8Array.of(1)), { name: "OutputLimit" });
  t.throws(() => tree.createFile(out, "g"), { name: "OutputLimit" });
  tree.open(file);
  tree.removeFile(out, "f");
  t.throws(() => tree.write(tree.stdout, 0, Uint8Array.of(1)), { name: "OutputLimit" }, "still open, so still counted");
  tree.release(file);
  tree.write(tree.stdout, 0, new Uint8Array(1_000));
  let at = out;
  for (let depth = 0; depth < 16; depth++) {
    tree.createDirectory(at, "d");
    const next = tree.child(at, "d")!;
    if (next.kind !== "directory") throw new Error("d is a directory");
    at = next;
  }
  t.throws(() => tree.createFile(at, "too-deep"), { name: "OutputLimit" });
  tree.createDirectory(out, "e");
  t.throws(() => tree.rename(out, "d", tree.child(out, "e") as typeof out, "d"), { name: "OutputLimit" });
  const named = tree.createFile(out, "n");
  tree.write(named, 0, new Uint8Array(6 * 1024 * 1024));
  tree.addName(named, out, "n2");
  t.throws(() => tree.addName(named, out, "n3"), { name: "OutputLimit" }, "each name counts the contents");
  t.throws(() => tree.resize(named, 9 * 1024 * 1024), { name: "OutputLimit" });
  tree.removeFile(out, "n");
  t.same([named.links, named.size], [1, 6 * 1024 * 1024]);
  tree.resize(named, 9 * 1024 * 1024);
  tree.removeFile(out, "n2");
  tree.createLink(out, "e2", "../in");
  t.notOk(
    [...tree.files().keys()].some((name) => name.includes("e2")),
    "links are not in the results",
  );
  const long = "x".repeat(250);
  t.throws(
    () => {
      for (let i = 0; i < 1_000; i++) tree.createFile(out, `${long}${i}`);
    },
    { name: "OutputLimit" },
  );
  t.ok(out.blockBytes < 256 * 1024);
});
