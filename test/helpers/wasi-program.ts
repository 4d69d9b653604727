/** Programs that make a list of WASI calls. */
import { WASI_SIGNATURES } from "../../vm/wasm/wasi-abi.ts";
import { i32, type ModuleSource, op } from "./wasm-builder.ts";

/** Where texts stand in memory; each call that names one takes its address and length. */
const TEXT = 4_096;
/** Where calls of programs put what they answer. */
export const RESULT = 32;
export type Step = readonly [name: string, ...values: (number | bigint | string)[]];

/** Makes a program of WASI calls, which exits with the first error; `again` does the steps from there for ever. */
export const program = (steps: readonly Step[], again?: number): ModuleSource => {
  const imports = [...new Set([...steps.map(([name]) => name), "proc_exit"])];
  let text = "";
  const code = steps.map(([name, ...values]) => {
    const letters = WASI_SIGNATURES.get(name)!.split(">")[0]!;
    const flat = values.flatMap((value) => {
      if (typeof value !== "string") return [value];
      const at = TEXT + Buffer.byteLength(text);
      text += value;
      return [at, Buffer.byteLength(value)];
    });
    const push = flat.map((value, i) => (letters[i] === "I" ? op.i64(BigInt(value)) : op.i32(Number(value))));
    const fails = op.if([...op.get(0), ...op.call(imports.indexOf("proc_exit"))]);
    return [push.flat(), op.call(imports.indexOf(name)), op.tee(0), fails].flat();
  });
  return {
    imports,
    memory: [16, 16],
    data: [{ at: TEXT, bytes: [...Buffer.from(text)] }],
    functions: [
      {
        locals: [i32],
        code: again === undefined ? code : [...code.slice(0, again), op.loop(...code.slice(again), op.br(0))],
      },
    ],
  };
};
