import "../../helpers/plain-spawn.ts";
import t from "tap";
import { fromHex, uint64, utf8 } from "../../../lib/bytes.ts";
import { keccak256Bytes } from "../../../lib/keccak.ts";
import type { DirectoryNode } from "../../../vm/wasm/file-nodes.ts";
import { createFileTree } from "../../../vm/wasm/file-tree.ts";
import { compileModule, type Outcome, runInstance } from "../../../vm/wasm/instance.ts";
import { TASK_LIMITS } from "../../../vm/wasm/limits.ts";
import { STATUS, STATUS_NAMES } from "../../../vm/wasm/status.ts";
import type { Task } from "../../../vm/wasm/task.ts";
import { NEWEST_RULES } from "../../../vm/wasm/versions.ts";
import { ERRNO, FILETYPE } from "../../../vm/wasm/wasi-abi.ts";
import { program, RESULT, type Step } from "../../helpers/wasi-program.ts";
import { build } from "../../helpers/wasm-builder.ts";

const TASK: Task = {
  taskid: `0x${"11".repeat(32)}`,
  args: [],
  inputs: [{ name: "a", bytes: utf8("input") }],
  gasLimit: 20_000_000_000,
  startTime: 1_700_000_000,
  hasCallback: false,
};
/** Where a vector of one buffer is, and the buffer: the last page of the memory of a program. */
const [VECTOR, BUFFER] = [15 * 65_536, 15 * 65_536 + 1_024] as const;

/** Runs calls; one buffer of `length` bytes at VECTOR, filled with `text`. */
const run = (
  steps: readonly Step[],
  { length = 4, text = "abcd", again }: { length?: number; text?: string; again?: number } = {},
): Outcome => {
  const source = program(steps, again);
  const vector = [...new Uint8Array(Uint32Array.of(BUFFER, length).buffer)];
  const data = [...source.data!, { at: VECTOR, bytes: vector }, { at: BUFFER, bytes: [...utf8(text)] }];
  return runInstance(compileModule(build({ ...source, data }), NEWEST_RULES), TASK);
};
const ending = (steps: readonly Step[], options?: Parameters<typeof run>[1]): string => {
  const { status, code } = run(steps, options);
  return `${STATUS_NAMES[status]} ${code}`;
};
const exit = (errno: number): string => (errno === 0 ? "OK 0" : `EXIT ${errno}`);
const ALL = 0xffff_ffffn;
const [CREATE, EXCLUSIVE, TRUNCATE] = [1, 4, 8];
/** Opens a path as the next descriptor, of which 4 is the first. */
const open = (path: string, flags = 0, rights = ALL): Step => [
  "path_open",
  3,
  0,
  path,
  flags,
  rights,
  rights,
  0,
  RESULT,
];
const write = (fd: number): Step => ["fd_write", fd, VECTOR, 1, RESULT];
const read = (fd: number): Step => ["fd_read", fd, VECTOR, 1, RESULT];
const text = ({ files }: Outcome, name: string): string => Buffer.from(files.get(name) ?? []).toString();

t.test("what is in /tmp is read again, and is in no result", async (t) => {
  const steps: Step[] = [
    ["path_create_directory", 3, "tmp/d"],
    open("tmp/d/f", CREATE | EXCLUSIVE),
    write(4),
    ["fd_pread", 4, VECTOR, 1, 0n, RESULT],
    write(1),
  ];
  const outcome = run(steps);
  t.equal(outcome.status, STATUS.ok);
  t.same([...outcome.files.keys()].sort(), ["out/", "stderr", "stdout"]);
  t.equal(text(outcome, "stdout"), "abcd");
  const left = run(steps.slice(0, 3)).gasUsed - run(steps.slice(0, 2)).gasUsed;
  t.ok(left < 10_000, `${left} gas to write to it: it is not kept, so it costs no output`);
});

t.test("a listing shows what there was, and keeps nothing else of what is removed", async (t) => {
  const tree = createFileTree([], NEWEST_RULES);
  for (const area of ["tmp", "out"]) {
    const directory = tree.child(tree.root, area) as DirectoryNode;
    tree.createLink(directory, "l", "x".repeat(4_096));
    tree.createFile(directory, "f");
    const shown = directory.entries.map((entry) => entry.shown);
    for (const name of ["l", "f"]) tree.removeFile(directory, name);
    t.same(
      shown.map(({ bytes, inode, ...more }) => [Buffer.from(bytes).toString(), typeof inode, more]),
      [
        ["f", "bigint", { kind: "file" }],
        ["l", "bigint", { kind: "link" }],
      ],
    );
  }
});

t.test("a full /tmp answers ENOSPC, and the task goes on", async (t) => {
  const most = BigInt(TASK_LIMITS.scratchBytes - 64);
  const full: Step[] = [open("tmp/f", CREATE), ["fd_allocate", 4, 0n, most]];
  t.equal(ending(full), exit(0));
  t.equal(ending([...full, ["fd_allocate", 4, most, 1n]]), exit(ERRNO.nospc));
  t.equal(ending([...full, ["fd_filestat_set_size", 4, 1n << 40n]]), exit(ERRNO.nospc));
  t.equal(ending([...full, ["fd_pwrite", 4, VECTOR, 1, most, RESULT]]), exit(ERRNO.nospc));
  t.equal(ending([...full, open("tmp/g", CREATE)]), exit(ERRNO.nospc));
  t.equal(ending([...full, ["path_unlink_file", 3, "tmp/f"], open("tmp/g", CREATE)]), exit(ERRNO.nospc), "still open");
  const given: Step[] = [...full, ["fd_close", 4], ["path_unlink_file", 3, "tmp/f"], ...full];
  t.equal(ending(given), exit(0), "what is removed is given back");
  t.equal(ending([...full, open("out/f", CREATE), write(5)]), exit(0), "/out has room of its own");
  const deep = Array.from({ length: 66 }, (_, i): Step => ["path_create_directory", 3, `tmp${"/d".repeat(i + 1)}`]);
  t.equal(ending(deep.slice(0, TASK_LIMITS.scratchDepth)), exit(0));
  t.equal(ending(deep), exit(ERRNO.nospc));
});

t.test("between /tmp and /out there is EXDEV, as between file systems, and both stay where they are", async (t) => {
  const made: Step[] = [open("tmp/f", CREATE), open("out/f", CREATE)];
  const rename = (from: string, to: string): Step => ["path_rename", 3, from, 3, to];
  t.equal(ending([...made, rename("tmp/f", "out/g")]), exit(ERRNO.xdev));
  t.equal(ending([...made, rename("out/f", "tmp/g")]), exit(ERRNO.xdev));
  t.equal(ending([...made, ["path_link", 3, 0, "tmp/f", 3, "out/g"]]), exit(ERRNO.xdev));
  t.equal(ending([...made, rename("tmp/f", "tmp/g"), open("tmp/g")]), exit(0));
  t.equal(ending([...made, rename("tmp/f", "in/g")]), exit(ERRNO.rofs));
  t.equal(ending([rename("tmp", "out/tmp")]), exit(ERRNO.rofs));
  t.equal(ending([["path_remove_directory", 3, "tmp"]]), exit(ERRNO.rofs));
  t.equal(ending([...made, rename("tmp/f", "dev/null")]), exit(ERRNO.rofs));
});

t.test("/dev/null has nothing to read, and takes what is written", async (t) => {
  t.equal(ending([open("dev/null", CREATE | TRUNCATE), write(4), ["fd_seek", 4, 0n, 2, RESULT]]), exit(0));
  const outcome = run([open("dev/null"), write(4), read(4), write(1)]);
  t.equal(text(outcome, "stdout"), "abcd", "the buffer is as it was");
  t.equal(ending([open("dev/null"), ["fd_filestat_set_size", 4, 1n]]), exit(ERRNO.inval));
  t.equal(ending([open("dev/null", CREATE | EXCLUSIVE)]), exit(ERRNO.exist));
  t.equal(ending([open("dev/null/x")]), exit(ERRNO.notdir));
  t.equal(ending([open("dev/x", CREATE)]), exit(ERRNO.rofs));
  t.equal(ending([["path_unlink_file", 3, "dev/null"]]), exit(ERRNO.rofs));
  t.equal(ending([open("dev/null"), write(4)], { length: 0 }), exit(0));
  const kind: Step[] = [["path_filestat_get", 3, 0, "dev/null", BUFFER], write(1)];
  const stat = run(kind, { length: 64 }).files.get("stdout")!;
  t.equal(stat[16], FILETYPE.characterDevice);
});

t.test("/dev/urandom and /dev/random go on in the task's randomness, and cost as much", async (t) => {
  const stream = [0, 1].map((i) => keccak256Bytes(utf8("rolec/random"), fromHex(TASK.taskid), uint64(i)));
  for (const name of ["random", "urandom"]) {
    const outcome = run([["random_get", 0, 16], open(`dev/${name}`), read(4), write(1)], { length: 48 });
    t.same(outcome.files.get("stdout"), new Uint8Array(Buffer.concat(stream).subarray(16)), name);
  }
  const gas = (...steps: Step[]): number => run(steps, { length: 60_000 }).gasUsed;
  t.ok(gas(open("dev/random"), read(4)) - gas(open("dev/random")) > 60_000 * NEWEST_RULES.gas.randomByte);
  const endless = run([open("dev/urandom"), ["fd_read", 4, VECTOR, 1, RESULT]], { length: 60_000, again: 1 });
  t.equal(endless.status, STATUS.outOfGas);
});

t.test("/dev/stdin, stdout and stderr are the streams", async (t) => {
  const outcome = run([open("dev/stdout", TRUNCATE), write(1), write(4), open("dev/stderr"), write(5)]);
  t.same([text(outcome, "stdout"), text(outcome, "stderr")], ["abcdabcd", "abcd"]);
  t.equal(ending([open("dev/stdin"), read(4)]), exit(0));
  t.equal(ending([open("dev/stdin"), write(4)]), exit(ERRNO.badf));
  t.equal(ending([open("dev/stdout"), read(4)]), exit(ERRNO.badf));
});
