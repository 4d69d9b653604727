import { PAGE_BYTES } from "./limits.ts";
import { type FunctionType, KIND, KIND_NAMES, type WasmModule } from "./module.ts";
import { F32, F64, I32, I64 } from "./opcodes.ts";
import { WasmRefused } from "./refusal.ts";
import { WASI_SIGNATURES } from "./wasi-abi.ts";

/** What makes a valid module a job: its entry, and the pages that its memory may have. */
export interface Command {
  /** Index of the exported `_start`. */
  readonly entry: number;
  readonly initialPages: number;
  readonly maxPages: number;
}

export const WASI_MODULE = "wasi_snapshot_preview1";

const signatureOf = ({ params, results }: FunctionType): string => {
  const letter = (type: number): string =>
    type === I32 ? "i" : type === I64 ? "I" : type === F32 ? "f" : type === F64 ? "d" : "v";
  return `${Array.from(params, letter).join("")}>${Array.from(results, letter).join("")}`;
};

const checkImports = ({ imports, types }: WasmModule): void => {
  for (const { module, name, kind, type, at } of imports) {
    const refuse = (rule: string): never => {
      throw new WasmRefused(rule, { section: "import", offset: at });
    };
    if (kind !== KIND.function) refuse(`an imported ${KIND_NAMES[kind]} is not allowed`);
    const expected = module === WASI_MODULE ? WASI_SIGNATURES.get(name) : undefined;
    if (expected === undefined) refuse(`unknown import ${module}.${name}`);
    const got = signatureOf(types[type]!);
    if (got !== expected) refuse(`import ${name} has type ${got}, not ${expected}`);
  }
};

const checkTable = ({ table, elements, rules: { limits } }: WasmModule): void => {
  if (!table) return;
  if (table.min > limits.tableEntries)
    throw new WasmRefused(`table of ${table.min} entries, at most ${limits.tableEntries}`, {
      section: "table",
      offset: table.at,
    });
  for (const { offset, functions, at } of elements)
    if (offset.value! + functions.length > table.min)
      throw new WasmRefused("element segment does not fit the table", { section: "element", offset: at });
};

const memoryPages = ({ memory, data, rules: { limits } }: WasmModule): { initialPages: number; maxPages: number } => {
  if (!memory) return { initialPages: 0, maxPages: 0 };
  const { min, max, at } = memory;
  const maxPages = max === undefined ? limits.memoryPagesUndeclared : Math.min(max, limits.memoryPages);
  if (min > maxPages)
    throw new WasmRefused(
      `memory of ${min} pages, at most ${maxPages}${max === undefined ? " where no maximum is declared" : ""}`,
      { section: "memory", offset: at },
    );
  for (const { offset, from, to, at } of data)
    if (offset && offset.value! + to - from > min * PAGE_BYTES)
      throw new WasmRefused("data segment does not fit the memory", { section: "data", offset: at });
  return { initialPages: min, maxPages };
};

const entryOf = ({ exports, types, functionTypes }: WasmModule): number => {
  const entry = exports.find(({ name }) => name === "_start");
  if (!entry) throw new WasmRefused("no _start: not a WASI command", { section: "export" });
  const type = entry.kind === KIND.function ? types[functionTypes[entry.index]!] : undefined;
  if (!type || type.params.length + type.results.length > 0)
    throw new WasmRefused("_start is not a function without parameters and results", {
      section: "export",
      offset: entry.at,
    });
  return entry.index;
};

/**
 * Checks that a module is a WASI command that imports nothing but functions of preview 1, so that all its segments
 * fit and nothing of its start can fail (spec section 11). Throws WasmRefused.
 */
export const checkCommand = (module: WasmModule): Command => {
  checkImports(module);
  checkTable(module);
  return { ...memoryPages(module), entry: entryOf(module) };
};
