import "../../helpers/plain-spawn.ts";
import t from "tap";
import { GAS } from "../../../vm/wasm/gas.ts";
import { prepareModule } from "../../../vm/wasm/rewrite.ts";
import { NEWEST_RULES } from "../../../vm/wasm/versions.ts";
import { build, f64, i32, op } from "../../helpers/wasm-builder.ts";

const compiling = (...code: number[][]): number =>
  prepareModule(build({ functions: [{ locals: [i32, f64], code }] }), NEWEST_RULES).compileGas;

t.test("compiling pays for functions, loops, branches, calls and canonical NaNs", async (t) => {
  const base = compiling();
  // A body's last `end` joins too; there are two locals.
  const join = 2 * GAS.compileJoin;
  t.equal(base, GAS.compileFunction + join);
  t.equal(compiling(op.loop()) - base, GAS.compileLoop + 2 * join + 1, "and a KiB of it, begun");
  t.equal(compiling(op.i32(1), op.if()) - base, GAS.compileIf + 2 * join);
  t.equal(compiling(op.call(0)) - base, GAS.compileCall);
  const brTable = op.block(op.i32(0), [0x0e, 2, 0, 0, 0]);
  t.equal(compiling(brTable) - base, 3 * GAS.compileBranch + 2 * join);
  const stored = [op.i32(0), op.get(1), op.get(1), [0xa0], op.storeF64()];
  t.equal(compiling(...stored) - base, GAS.compileBranch, "a sum that is stored");
  t.equal(compiling(op.get(1), op.get(1), [0xa0], op.drop as unknown as number[]) - base, 0, "a sum that is dropped");
});

t.test("branches that meet at one label cost their square, returns do not", async (t) => {
  const jumps = (count: number): number =>
    compiling(op.block(...Array.from({ length: count }, () => [...op.i32(1), ...op.if(op.br(1))])));
  const linear = 2 * (jumps(2) - jumps(1)) - (jumps(3) - jumps(1));
  t.equal(linear, -2 * GAS.compileSquare);
  const returns = (count: number): number =>
    compiling(...Array.from({ length: count }, () => [...op.i32(1), ...op.if([0x0f])]));
  t.equal(returns(3) - returns(2), returns(2) - returns(1));
});

t.test("what a loop holds costs each of the loops around it, whatever it is", async (t) => {
  const NOPS = 10_240;
  const nested = (loops: number): number => {
    const around = (bytes: number[]): number[] => Array.from({ length: loops }, () => bytes).flat();
    return compiling([...around([0x03, 0x40]), ...new Array<number>(NOPS).fill(0x01), ...around([0x0b])]);
  };
  const each = GAS.compileLoop + 4 * GAS.compileJoin + (NOPS / 1024) * GAS.compileLoopKib;
  t.equal(Math.floor((nested(9) - nested(1)) / 8 / each), 1);
  t.throws(() => nested(4_000), /function too complex/);
});

t.test("atomic operations cost their square, for one may wait for another", async (t) => {
  const chained = (count: number): number =>
    compiling(...Array.from({ length: count }, () => [...op.get(0), 0xfe, 0x10, 2, 0, ...op.set(0)]));
  const cost = (count: number): number =>
    GAS.compileAtomic * count + Math.ceil((GAS.compileAtomicSquares * count ** 2) / 1024);
  for (const count of [1, 1_000, 10_000]) t.equal(chained(count) - chained(0), cost(count));
  t.ok(cost(16_000) < NEWEST_RULES.limits.compileGas);
  t.throws(() => chained(18_000), /function too complex/);
  const notified = (count: number): number =>
    compiling(...Array.from({ length: count }, () => [...op.get(0), ...op.get(0), 0xfe, 0, 2, 0, ...op.set(0)]));
  t.equal(notified(100), chained(100), "all of them");
});

t.test("branches beyond what may meet at one label cost an eighth of their square", async (t) => {
  const jumps = (count: number): number =>
    compiling(op.block(...Array.from({ length: count }, () => [...op.i32(1), ...op.if(op.br(1))])));
  const { jumpsTogether } = NEWEST_RULES.limits;
  const one = jumps(jumpsTogether) - jumps(0);
  const more = (GAS.compileSquare * (2 * jumpsTogether) ** 2) / 8;
  t.equal(jumps(2 * jumpsTogether) - jumps(0), 2 * one + more);
  t.ok(jumps(8_000) < NEWEST_RULES.limits.compileGas);
  t.throws(() => jumps(12_000), /function too complex/);
});
