import t from "tap";
import { openSession } from "../../../vm/wasm/host.ts";
import { ComputeFault } from "../../../vm/wasm/process.ts";
import { rulesOf, VM_VERSION } from "../../../vm/wasm/versions.ts";

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
