/** Runs modules of the specification suite as the rewriter leaves them, and calls them without losing a bit. */
import { STOP } from "../../../../vm/wasm/meter.ts";
import { KIND, type WasmModule } from "../../../../vm/wasm/module.ts";
import { parseModule } from "../../../../vm/wasm/parse.ts";
import { EXPORTS, IMPORTS, rewriteModule } from "../../../../vm/wasm/rewrite.ts";
import { NEWEST_RULES, type VmRules } from "../../../../vm/wasm/versions.ts";
import { type Assembler, bitsOfHalves, type Value } from "./assembler.ts";

/** What the suite asks beyond a job's limits. */
const RULES: VmRules = {
  ...NEWEST_RULES,
  limits: { ...NEWEST_RULES.limits, branchTargets: 65_520, parameters: 1_000 },
};
const MOST_PAGES = 65_536;
const PLENTY = 2n ** 53n - 1n;

/** A module that was accepted, and its rewritten form. */
export interface Accepted {
  readonly module: WasmModule;
  readonly rewritten: (maxPages: number) => Uint8Array;
}

/** Parses, validates and rewrites. Throws WasmRefused. */
export const acceptModule = (bytes: Uint8Array): Accepted => {
  const module = parseModule(bytes, RULES);
  const rewritten = (maxPages: number): Uint8Array =>
    rewriteModule(module, { exports: module.exports, maxPages, gas: Number(PLENTY) }).bytes;
  const first = rewritten(module.memory?.max ?? MOST_PAGES);
  if (Buffer.compare(first, rewritten(module.memory?.max ?? MOST_PAGES)) !== 0)
    throw new Error("two rewritings of one module differ");
  return { module, rewritten };
};

/** A module that runs. */
export interface Running {
  readonly module: WasmModule;
  readonly exports: WebAssembly.Exports;
}

/** How a call ended, beside returning. */
export class Stopped extends Error {
  readonly stop: number;
  constructor(reason: string, stop: number) {
    super(reason);
    this.stop = stop;
  }
}

type Type = "i32" | "i64" | "f32" | "f64" | "v128";
/** What each type passes through JavaScript as. */
const INTEGERS: Readonly<Record<string, readonly ("i32" | "i64")[]>> = {
  i32: ["i32"],
  i64: ["i64"],
  f32: ["i32"],
  f64: ["i64"],
  v128: ["i64", "i64"],
};
const TYPE_NAMES: Readonly<Record<number, Type>> = {
  123: "v128",
  127: "i32",
  126: "i64",
  125: "f32",
  124: "f64",
};

/** Keeps the instances of one script: what is registered, what was named, what ran last. */
export const createLinker = ({ toBytes }: Assembler) => {
  const maxPagesOf = new WeakMap<WebAssembly.Memory, number>();
  const doors = new Map<string, WebAssembly.Module>();
  const instances: Running[] = [];
  const print = (): void => {};
  const host = new WebAssembly.Instance(
    new WebAssembly.Module(
      toBytes(`(module (global (export "global_i32") i32 (i32.const 666)) (global (export "global_i64") i64 (i64.const 666))
        (global (export "global_f32") f32 (f32.const 666.6)) (global (export "global_f64") f64 (f64.const 666.6))
        (table (export "table") 10 20 funcref) (memory (export "memory") 1 2)
        (func (export "print")) (func (export "print_i32") (param i32)) (func (export "print_i64") (param i64))
        (func (export "print_f32") (param f32)) (func (export "print_f64") (param f64))
        (func (export "print_i32_f32") (param i32 f32)) (func (export "print_f64_f64") (param f64 f64)))`) as Uint8Array<ArrayBuffer>,
    ),
    { host: { print } },
  ).exports;
  maxPagesOf.set(host.memory as WebAssembly.Memory, 2);
  const registered = new Map<string, WebAssembly.Exports>([["spectest", host]]);

  const meter = (running: Running, name: string): WebAssembly.Global => running.exports[name] as WebAssembly.Global;
  const refill = (): void => {
    for (const running of instances) {
      meter(running, EXPORTS.gas).value = PLENTY;
      meter(running, EXPORTS.status).value = STOP.none;
    }
  };
  /** Calls with full meters; a trap becomes Stopped with what the meters say. */
  const guarded = <T>(call: () => T): T => {
    refill();
    try {
      const result = call();
      for (const running of instances) {
        if ((meter(running, EXPORTS.gas).value as unknown as bigint) > PLENTY) throw new Error("gas was made");
      }
      return result;
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      const stop = instances.map((one) => meter(one, EXPORTS.status).value as number).find((value) => value !== 0);
      throw new Stopped(error.message, stop ?? STOP.none);
    }
  };

  /** A door to functions of one type that takes and gives floats and vectors as integers, so that no NaN passes through JavaScript. */
  const doorTo = (params: readonly string[], results: readonly string[]): WebAssembly.Module => {
    const key = `${params}>${results}`;
    let door = doors.get(key);
    if (!door) {
      let taken = 0;
      const inward = params.map((type) => {
        const get = `(local.get ${taken++})`;
        if (type === "v128") return `(i64x2.replace_lane 1 (i64x2.splat ${get}) (local.get ${taken++}))`;
        return type.startsWith("f") ? `(${type}.reinterpret_${INTEGERS[type]} ${get})` : get;
      });
      const outward = results.map((type, i) => {
        const get = `(local.get $r${i})`;
        if (type === "v128") return `(i64x2.extract_lane 0 ${get}) (i64x2.extract_lane 1 ${get})`;
        return type.startsWith("f") ? `(${INTEGERS[type]}.reinterpret_${type} ${get})` : get;
      });
      const integers = (types: readonly string[]): string => types.flatMap((type) => INTEGERS[type]!).join(" ");
      door = new WebAssembly.Module(
        toBytes(`(module (import "door" "f" (func $f (param ${params.join(" ")}) (result ${results.join(" ")})))
          (func (export "call") (param ${integers(params)}) (result ${integers(results)})
            ${results.map((type, i) => `(local $r${i} ${type})`).join(" ")}
            (call $f ${inward.join(" ")}) ${[...results.keys()]
              .reverse()
              .map((i) => `(local.set $r${i})`)
              .join(" ")}
            ${outward.join(" ")}))`) as Uint8Array<ArrayBuffer>,
      );
      doors.set(key, door);
    }
    return door;
  };

  const valueFrom = (type: Type, raw: number | bigint): Value => ({
    type,
    bits: BigInt.asUintN(type.endsWith("32") ? 32 : 64, BigInt(raw)),
  });

  return {
    register(name: string, running: Running): void {
      registered.set(name, running.exports);
    },
    /** Makes an instance and runs its start function. Throws LinkError, or Stopped where that traps. */
    instantiate({ module, rewritten }: Accepted): Running {
      const imports: WebAssembly.Imports = {
        [IMPORTS.own]: { [IMPORTS.fault]: () => Promise.reject(new Error("fault")) },
      };
      let maxPages = module.memory?.max ?? MOST_PAGES;
      for (const { module: from, name, kind } of module.imports) {
        const found = registered.get(from)?.[name];
        if (found === undefined) throw new WebAssembly.LinkError(`no ${from}.${name}`);
        imports[from] ??= {};
        imports[from][name] = found as WebAssembly.ImportValue;
        if (kind === KIND.memory) maxPages = maxPagesOf.get(found as WebAssembly.Memory) ?? maxPages;
      }
      const compiled = new WebAssembly.Module(rewritten(maxPages) as Uint8Array<ArrayBuffer>);
      return guarded(() => {
        const { exports } = new WebAssembly.Instance(compiled, imports);
        const running = { module, exports };
        instances.push(running);
        for (const value of Object.values(exports))
          if (value instanceof WebAssembly.Memory && !maxPagesOf.has(value)) maxPagesOf.set(value, maxPages);
        refill();
        if (module.start !== undefined) (exports[EXPORTS.start] as () => void)();
        return running;
      });
    },
    /** Calls an exported function. Throws Stopped, or Error where there is none. */
    invoke({ module, exports }: Running, name: string, args: readonly Value[]): Value[] {
      const exported = module.exports.find((one) => one.name === name && one.kind === KIND.function);
      if (!exported) throw new Error(`no function ${name}`);
      const type = module.types[module.functionTypes[exported.index]!]!;
      const params = Array.from(type.params, (one) => TYPE_NAMES[one]!);
      const results = Array.from(type.results, (one) => TYPE_NAMES[one]!);
      const door = new WebAssembly.Instance(doorTo(params, results), { door: { f: exports[name] as () => void } })
        .exports;
      const raw = guarded(() =>
        (door.call as (...args: (number | bigint)[]) => unknown)(
          ...args.flatMap(({ type, bits }) =>
            INTEGERS[type]!.map((integer, i) =>
              integer === "i32" ? Number(BigInt.asIntN(32, bits)) : BigInt.asIntN(64, bits >> BigInt(64 * i)),
            ),
          ),
        ),
      );
      const list = raw === undefined ? [] : typeof raw === "object" ? [...(raw as Iterable<number | bigint>)] : [raw];
      let given = 0;
      const next = (): number | bigint => list[given++] as number | bigint;
      return results.map((type) =>
        type === "v128" ? { type, bits: bitsOfHalves([next() as bigint, next() as bigint]) } : valueFrom(type, next()),
      );
    },
    /** Reads an exported global. */
    read({ module, exports }: Running, name: string): Value {
      const exported = module.exports.find((one) => one.name === name && one.kind === KIND.global);
      if (!exported) throw new Error(`no global ${name}`);
      const type = TYPE_NAMES[module.globals[exported.index]!.type]!;
      const value = (exports[name] as WebAssembly.Global).value as number | bigint;
      if (type === "f32") return valueFrom(type, new Int32Array(Float32Array.of(value as number).buffer)[0]!);
      if (type === "f64") return valueFrom(type, new BigInt64Array(Float64Array.of(value as number).buffer)[0]!);
      return valueFrom(type, value);
    },
  };
};
export type Linker = ReturnType<typeof createLinker>;
