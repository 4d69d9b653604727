import "../../helpers/plain-spawn.ts";
import t from "tap";
import { openSession } from "../../../vm/wasm/host.ts";
import { compileModule, runInstance } from "../../../vm/wasm/instance.ts";
import { ComputeFault } from "../../../vm/wasm/process.ts";
import { STATUS } from "../../../vm/wasm/status.ts";
import { rulesOf, VM_VERSION } from "../../../vm/wasm/versions.ts";
import { ERRNO } from "../../../vm/wasm/wasi-abi.ts";
import { program, RESULT } from "../../helpers/wasi-program.ts";
import { build } from "../../helpers/wasm-builder.ts";

t.test("a version's rules are the same for ever", async (t) => {
  const { limits, taskLimits, gas } = rulesOf(1);
  t.equal(limits.moduleBytes, 32 * 1024 * 1024);
  t.equal(taskLimits.outputBytes, 16 * 1024 * 1024);
  t.match(gas, { job: 30_000_000, moduleByte: 20, hostCall: 2_000, hostByte: 1, outputByte: 32, growPage: 8_192 });
  t.equal(rulesOf(VM_VERSION).version, VM_VERSION);
});

t.test("a version that is not known is this machine's fault, never a result", async (t) => {
  t.throws(() => rulesOf(VM_VERSION + 1), RangeError);
  t.throws(() => openSession({ vmVersion: VM_VERSION + 1, module: new Uint8Array(0) }), ComputeFault);
});

const TASK = {
  taskid: `0x${"11".repeat(32)}`,
  args: [],
  inputs: [{ name: "a", bytes: new Uint8Array(1_000) }],
  gasLimit: 1_000_000_000,
  startTime: 1_700_000_000,
  hasCallback: false,
} as const;

t.test("a deal keeps its version's prices and files", async (t) => {
  const sized = build(
    program([
      ["path_open", 3, 0, "out/f", 1, 0xffff_ffffn, 0xffff_ffffn, 0, RESULT],
      ["fd_allocate", 4, 0n, 1_000_000n],
      ["fd_write", 4, 65_536, 4, RESULT],
      ["path_rename", 3, "out/f", 3, "out/g"],
      ["random_get", 65_536, 100],
      ["args_get", 65_536, 131_072],
      ["fd_filestat_set_size", 4, 10n],
    ]),
  );
  const temporary = build(program([["path_filestat_get", 3, 0, "tmp", RESULT]]));
  const results = [1, 2].map((version) => {
    const [one, two] = [sized, temporary].map((bytes) => runInstance(compileModule(bytes, rulesOf(version)), TASK));
    return [one!.status, one!.gasUsed, one!.gasExecuted, two!.status, two!.code];
  });
  t.same(results, [
    [STATUS.ok, 62_217_018, 14_084, STATUS.exit, ERRNO.noent],
    [STATUS.ok, 64_155_192, 14_084, STATUS.ok, 0],
  ]);
});
