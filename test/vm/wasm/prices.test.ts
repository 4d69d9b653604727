import "../../helpers/plain-spawn.ts";
import t from "tap";
import type { DirectoryNode } from "../../../vm/wasm/file-nodes.ts";
import { createFileTree } from "../../../vm/wasm/file-tree.ts";
import { GAS } from "../../../vm/wasm/gas.ts";
import { compileModule, runInstance } from "../../../vm/wasm/instance.ts";
import { STATUS } from "../../../vm/wasm/status.ts";
import type { Task } from "../../../vm/wasm/task.ts";
import { NEWEST_RULES } from "../../../vm/wasm/versions.ts";
import { program, RESULT, type Step } from "../../helpers/wasi-program.ts";
import { build } from "../../helpers/wasm-builder.ts";

const MIB = 1024 * 1024;

/** A tree whose payer has a purse; gives what was paid since it was last asked. */
const createPaid = () => {
  const tree = createFileTree([], NEWEST_RULES);
  let [paid, means] = [0, Number.POSITIVE_INFINITY];
  tree.meter((gas) => {
    if (paid + gas > means) throw new Error("not enough");
    paid += gas;
  });
  const directory = (name: string): DirectoryNode => tree.child(tree.root, name) as DirectoryNode;
  return {
    tree,
    tmp: directory("tmp"),
    out: directory("out"),
    limit(gas: number): void {
      means = paid + gas;
    },
    paid(): number {
      const all = paid;
      paid = 0;
      means = Number.POSITIVE_INFINITY;
      return all;
    },
  };
};

t.test("what the tree allocates, zeroes and copies is paid, byte by byte, before it is done", async (t) => {
  const { tree, tmp, paid, limit } = createPaid();
  const file = tree.createFile(tmp, "f");
  const steps: [name: string, run: () => void, gas: number][] = [
    ["growing from nothing", () => tree.resize(file, 10 * MIB), 10 * MIB],
    ["growing by a byte moves all, and makes room", () => tree.resize(file, 10 * MIB + 1), 30 * MIB],
    ["growing into that room", () => tree.resize(file, 20 * MIB), 0],
    ["shrinking by a little zeroes what goes", () => tree.resize(file, 18 * MIB), 2 * MIB],
    ["shrinking by much moves the rest", () => tree.resize(file, 2 * MIB), 4 * MIB],
    ["a byte far behind the end", () => tree.write(file, 40 * MIB - 1, Uint8Array.of(1)), 42 * MIB + 1],
    ["a byte at the end", () => tree.write(file, 40 * MIB - 1, Uint8Array.of(1)), 1],
    ["a large write", () => tree.write(file, 0, new Uint8Array(MIB)), MIB],
    ["truncating gives all back", () => tree.resize(file, 0), 0],
    ["a first byte", () => tree.write(file, 0, Uint8Array.of(1)), 257],
  ];
  paid();
  for (const [name, run, gas] of steps) {
    const [size, capacity] = [file.size, file.data.length];
    if (gas > 0) {
      limit(gas - 1);
      t.throws(run, { message: "not enough" }, name);
      t.same([file.size, file.data.length], [size, capacity], "not done where it cannot be paid");
      paid();
    }
    run();
    t.equal(paid(), gas, name);
  }
});

t.test("no file has much more room than contents, whatever it held before", async (t) => {
  const { tree, tmp } = createPaid();
  for (let i = 0; i < 50; i++) {
    const file = tree.createFile(tmp, `${i}`);
    tree.resize(file, 48 * MIB);
    tree.resize(file, 1_000);
    t.ok(file.data.length <= 2_000);
  }
});

t.test("a directory's entries pay for moving where one is made, removed or renamed", async (t) => {
  const { tree, tmp, paid } = createPaid();
  for (let i = 0; i < 100; i++) tree.createFile(tmp, `f${i}`);
  paid();
  const each = GAS.movedEntry;
  const cost = (run: () => void): number => {
    run();
    return paid() / each;
  };
  t.equal(
    cost(() => tree.createDirectory(tmp, "d")),
    100,
  );
  t.equal(
    cost(() => tree.createLink(tmp, "l", "f1")),
    101,
  );
  t.equal(
    cost(() => tree.addName(tree.child(tmp, "f1")!, tmp, "g")),
    102,
  );
  t.equal(
    cost(() => tree.removeFile(tmp, "g")),
    103,
  );
  t.equal(
    cost(() => tree.removeFile(tmp, "l")),
    102,
  );
  t.equal(
    cost(() => tree.rename(tmp, "f1", tmp, "f2")),
    202,
  );
  t.equal(
    cost(() => tree.rename(tmp, "f3", tree.child(tmp, "d") as DirectoryNode, "f")),
    100,
  );
  tree.createDirectory(tmp, "e");
  paid();
  t.equal(
    cost(() => tree.removeDirectory(tmp, "e")),
    100,
  );
});

const TASK: Task = {
  taskid: `0x${"11".repeat(32)}`,
  args: [],
  inputs: [],
  gasLimit: 4_000_000_000,
  startTime: 1_700_000_000,
  hasCallback: false,
};
const gasOf = (steps: readonly Step[], task: Partial<Task> = {}): number => {
  const { status, code, gasUsed } = runInstance(compileModule(build(program(steps)), NEWEST_RULES), {
    ...TASK,
    ...task,
  });
  if (status !== STATUS.ok) throw new Error(`ends with ${status} ${code}`);
  return gasUsed;
};
const open = (path: string, flags: number, rights = 0xffff_ffffn): Step => [
  "path_open",
  ...[3, 0, path, flags],
  ...[rights, rights],
  ...[0, RESULT],
];
/** Gas of the last step, with what it adds to the module's bytes and code. */
const lastOf = (steps: readonly Step[], task: Partial<Task> = {}): number =>
  gasOf(steps, task) - gasOf(steps.slice(0, -1), task);

t.test("each call that changes a file's size pays for the bytes, however it does it", async (t) => {
  const size = 16_000_000n;
  const made = open("tmp/a", 1);
  const full: Step[] = [made, ["fd_allocate", 4, 0n, size]];
  t.ok(lastOf(full) > Number(size));
  t.ok(lastOf([made, ["fd_filestat_set_size", 4, size]]) > Number(size));
  t.ok(lastOf([...full, ["fd_filestat_set_size", 4, 9_000_000n]]) > 7_000_000, "zeroed");
  t.ok(lastOf([...full, ["fd_filestat_set_size", 4, 7_000_000n]]) > 14_000_000, "moved");
  t.ok(lastOf([...full, ["fd_allocate", 4, size, 1n]]) > 48_000_000, "moved to twice the room");
  t.ok(lastOf([...full, open("tmp/a", 8), ["fd_allocate", 5, 0n, size]]) > Number(size), "truncated, and made again");
});

t.test("names, buffers, arguments, subscriptions and entries are counted", async (t) => {
  const names = (path: string): number => lastOf([["path_filestat_get", 3, 0, path, RESULT]]);
  t.ok(names("in/../in/../in") > 5 * GAS.pathPart);
  t.ok(names("./././././././") < 2 * GAS.pathPart + 32_000, "what names nothing is paid by the byte alone");
  const linked: Step[] = [["path_symlink", "../in/../in", 3, "tmp/l"]];
  t.ok(
    lastOf([...linked, ["path_filestat_get", 3, 1, "tmp/l", RESULT]]) > 5 * GAS.pathPart,
    "names of a link's target",
  );
  t.ok(lastOf([["fd_write", 1, 65_536, 1_000, RESULT]]) > 1_000 * GAS.buffer);
  t.ok(lastOf([["args_get", 65_536, 131_072]], { args: Array<string>(1_000).fill("") }) > 1_000 * GAS.text);
  t.ok(lastOf([["poll_oneoff", 65_536, 524_288, 1_000, RESULT]]) > 1_000 * GAS.subscription);
  t.ok(lastOf([["random_get", 65_536, 1_000]]) > 1_000 * GAS.randomByte);
});
