import "../../helpers/plain-spawn.ts";
import { readFileSync } from "node:fs";
import t from "tap";
import { compileModule, runInstance } from "../../../vm/wasm/instance.ts";
import { prepareModule } from "../../../vm/wasm/rewrite.ts";
import { STATUS } from "../../../vm/wasm/status.ts";
import type { Task } from "../../../vm/wasm/task.ts";
import { NEWEST_RULES, type VmRules } from "../../../vm/wasm/versions.ts";
import { build, i32, op } from "../../helpers/wasm-builder.ts";

t.setTimeout(120_000);
const TASK: Task = {
  taskid: `0x${"11".repeat(32)}`,
  args: [],
  inputs: [],
  gasLimit: 2_000_000_000,
  startTime: 1_700_000_000,
  hasCallback: false,
};
const together = (jumpsTogether: number): VmRules => ({
  ...NEWEST_RULES,
  limits: { ...NEWEST_RULES.limits, jumpsTogether },
});
t.test("the apps do what they did where no two branches meet at one label", async (t) => {
  const read = (name: string): Uint8Array => readFileSync(new URL(`../../../apps/${name}`, import.meta.url));
  const inputs = [{ name: "positions.csv", bytes: read("option-pricing/positions.csv") }];
  const tasks: Readonly<Record<string, Partial<Task>>> = {
    "option-pricing": { args: ["--paths", "2000"], inputs },
    plasma: { args: ["--time", "1"] },
    "wind-tunnel": { args: ["--time", "1"] },
    "word-count": { inputs },
  };
  for (const [app, more] of Object.entries(tasks)) {
    const module = read(`${app}/${app}.wasm`);
    const task = { ...TASK, ...more };
    const [apart, met] = [1, 20_000].map((jumpsTogether) => compileModule(module, together(jumpsTogether)));
    const [written, otherwise] = [1, 20_000].map((jumps) => prepareModule(module, together(jumps)).bytes);
    t.not(Buffer.compare(written!, otherwise!), 0, `${app} is written in another way`);
    const { gasUsed: _, ...outcome } = runInstance(apart!, task);
    t.match(runInstance(met!, task), outcome, app);
    t.equal(outcome.status, STATUS.ok);
  }
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
