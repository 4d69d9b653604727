import "../../helpers/plain-spawn.ts";
import fc from "fast-check";
import t from "tap";
import loadWabt from "wabt";
import { compileModule, LocalFault, runInstance } from "../../../vm/wasm/instance.ts";
import { STATUS } from "../../../vm/wasm/status.ts";
import type { Task } from "../../../vm/wasm/task.ts";
import { NEWEST_RULES, type VmRules } from "../../../vm/wasm/versions.ts";
import { build, i32, op } from "../../helpers/wasm-builder.ts";
import { generateProgram } from "./determinism/generator.ts";

const TASK: Task = {
  taskid: `0x${"11".repeat(32)}`,
  args: [],
  inputs: [],
  gasLimit: 100_000_000,
  startTime: 1_700_000_000,
  hasCallback: false,
};
const together = (jumpsTogether: number): VmRules => ({
  ...NEWEST_RULES,
  limits: { ...NEWEST_RULES.limits, jumpsTogether },
});
/** Undefined for a recursion that this thread's stack is too small for: a worker's is not. */
const outcomeOf = (module: Uint8Array, rules: VmRules) => {
  try {
    const { status, code, gasExecuted, stateRoot, files } = runInstance(compileModule(module, rules), TASK);
    return { status, code, gasExecuted, stateRoot, files: [...files] };
  } catch (error) {
    if (error instanceof LocalFault) return undefined;
    throw error;
  }
};

t.test("a module whose branches meet at several blocks does what it did", async (t) => {
  const wabt = await loadWabt();
  const tapes = fc.sample(fc.array(fc.nat(0xffff), { minLength: 20, maxLength: 200 }), { numRuns: 60, seed: 7 });
  let split = 0;
  for (const tape of tapes) {
    const features = { bulk_memory: true, multi_value: true, sat_float_to_int: true, sign_extension: true };
    const source = wabt.parseWat("generated.wat", generateProgram(tape), features);
    const module = source.toBinary({}).buffer.slice();
    source.destroy();
    const one = compileModule(module, together(1)).prepared.bytes;
    if (Buffer.compare(one, compileModule(module, together(20_000)).prepared.bytes) !== 0) split++;
    t.same(outcomeOf(module, together(1)), outcomeOf(module, together(20_000)));
  }
  t.ok(split > 0, `${split} of them have such branches`);
});

t.test("each of 10,000 branches to one label goes to its end, past blocks within and around it", async (t) => {
  const COUNT = 10_000;
  /** Leaves by branch `which`, from a block in the block that is left, and says so. */
  const module = (which: number): Uint8Array => {
    const ways = Array.from({ length: COUNT }, (_, i) => [
      ...op.get(0),
      ...op.i32(i),
      0x46,
      ...op.if(op.block(op.i32(0), op.i32(i + 1), op.store32(), op.br(2))),
    ]);
    const inner = op.block(...ways, op.i32(0), op.i32(-1), op.store32());
    const outer = op.block(
      inner,
      op.i32(4),
      op.i32(7),
      op.store32(),
      op.get(0),
      op.brIf(0),
      op.i32(8),
      op.i32(9),
      op.store32(),
    );
    return build({ functions: [{ locals: [i32], code: [op.i32(which), op.set(0), outer] }] });
  };
  for (const which of [0, 1, 255, 256, 5_000, COUNT - 1, COUNT]) {
    const rules = together(256);
    const compiled = compileModule(module(which), rules);
    const expected = build({
      functions: [
        {
          code: [
            op.i32(0),
            op.i32(which === COUNT ? -1 : which + 1),
            op.store32(),
            op.i32(4),
            op.i32(7),
            op.store32(),
          ].concat(which === 0 ? [op.i32(8), op.i32(9), op.store32()] : []),
        },
      ],
    });
    const { status, stateRoot } = runInstance(compiled, TASK);
    t.equal(status, STATUS.ok);
    t.equal(stateRoot, runInstance(compileModule(expected, rules), TASK).stateRoot, `branch ${which}`);
  }
});
