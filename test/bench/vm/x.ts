import { setFlagsFromString } from "node:v8";
import loadWabt from "wabt";
import { EXPORTS, IMPORTS, prepareModule } from "../../../vm/wasm/rewrite.ts";

setFlagsFromString("--no-liftoff");
const wabt = await loadWabt();
const cpu = (run: () => void): number => {
  const f = process.cpuUsage();
  run();
  const u = process.cpuUsage(f);
  return (u.user + u.system) / 1e3;
};
const S: Record<string, string> = {
  nothing: "(local.set $a (i32.add (local.get $a) (global.get $g)))",
  grow: "(local.set $a (memory.grow (local.get $a)))",
  call: "(call $f)",
  callr: "(local.set $a (call $h (local.get $a)))",
  indirect: "(call_indirect (type $t) (local.get $a))",
  truncsat: "(local.set $a (i32.trunc_sat_f64_u (f64.convert_i32_u (local.get $a))))",
  truncsat64: "(local.set $l (i64.trunc_sat_f64_u (f64.convert_i64_u (local.get $l))))",
  trunc: "(local.set $l (i64.trunc_f64_u (f64.convert_i64_u (local.get $l))))",
  minmax: "(local.set $x (f64.min (f64.max (local.get $x) (f64.const 0.5)) (local.get $y)))",
  canon: "(f64.store (local.get $a) (f64.add (local.get $x) (f64.load (local.get $a))))",
  div: "(local.set $a (i32.div_s (local.get $a) (global.get $g)))",
  div64: "(local.set $l (i64.rem_s (local.get $l) (i64.extend_i32_s (global.get $g))))",
  load: "(local.set $a (i32.load (local.get $a)))",
  store: "(i32.store (local.get $a) (local.get $b))",
  copy: "(memory.copy (local.get $a) (local.get $b) (local.get $a))",
  fill: "(memory.fill (local.get $a) (local.get $b) (local.get $a))",
  select: "(local.set $x (select (local.get $x) (f64.load (local.get $a)) (local.get $a)))",
  iselect: "(local.set $a (select (local.get $a) (global.get $g) (local.get $a)))",
  if: "(if (global.get $g) (then (local.set $a (i32.add (local.get $a) (i32.const 3)))))",
  ifelse: "(if (global.get $g) (then (local.set $a (i32.const 3))) (else (local.set $a (i32.const 4))))",
  block: "(block (br_if 0 (global.get $g)) (local.set $a (i32.const 3)))",
  ret: "(if (global.get $g) (then (return)))",
  unreach: "(if (global.get $g) (then (unreachable)))",
  host: "(drop (call $w (local.get $a) (local.get $a)))",
  size: "(local.set $a (i32.add (local.get $a) (memory.size)))",
  popcnt: "(local.set $l (i64.popcnt (i64.add (local.get $l) (i64.const 5))))",
  nearest: "(local.set $x (f64.nearest (f64.add (local.get $x) (f64.const 0.7))))",
};
for (const [name, st] of Object.entries(S)) {
  if (process.argv[2] && name !== process.argv[2]) continue;
  const cells: string[] = [];
  for (const n of process.argv[3] ? process.argv[3].split(",").map(Number) : [2000, 10000, 40000]) {
    const m = wabt.parseWat(
      "x",
      `(module (import "wasi_snapshot_preview1" "random_get" (func $w (param i32 i32) (result i32))) (type $t (func)) (table 4 funcref) (elem (i32.const 0) $f $f) (global $g (mut i32) (i32.const 0)) (memory 1 10)
     (func (export "_start") (local $a i32) (local $b i32) (local $l i64) (local $x f64) (local $y f64) (if (global.get $g) (then ${st.repeat(n)}))) (func $f) (func $h (param i32) (result i32) (local.get 0)))`,
      { sat_float_to_int: true, bulk_memory: true } as any,
    );
    const bytes = m.toBinary({}).buffer.slice();
    m.destroy();
    let p: any;
    try {
      p = prepareModule(bytes);
    } catch (e) {
      cells.push((e as Error).message);
      continue;
    }
    const inst: any = new WebAssembly.Instance(new WebAssembly.Module(p.bytes), {
      wasi_snapshot_preview1: {
        random_get() {
          return 0;
        },
      },
      [IMPORTS.own]: { [IMPORTS.fault]: () => undefined },
    }).exports;
    inst[EXPORTS.gas].value = 2n ** 52n;
    const c = cpu(() => inst._start());
    const gas = bytes.length * 20 + p.compileGas;
    cells.push(`${n}: ${((c * 1e3) / n).toFixed(1)} us, ${((c / 1e3 / gas) * 1e9).toFixed(0)} s/Ggas`);
  }
  console.log(name.padEnd(12), cells.join(" | "));
}
