import type { WasmLimits } from "./limits.ts";
import {
  type DataSegment,
  type ElementSegment,
  type Export,
  type FunctionType,
  type GlobalType,
  KIND,
  type Range,
  type Sizes,
  type WasmModule,
} from "./module.ts";
import { Reader } from "./reader.ts";
import {
  type Imported,
  readData,
  readElements,
  readExports,
  readFunctions,
  readGlobals,
  readImports,
  readMemories,
  readTables,
  readTypes,
  single,
} from "./sections.ts";
import type { VmRules } from "./versions.ts";

const SECTIONS = [
  "custom",
  "type",
  "import",
  "function",
  "table",
  "memory",
  "global",
  "export",
  "start",
  "element",
  "code",
  "data",
  "data count",
] as const;
type Section = (typeof SECTIONS)[number];
/** The order that the format prescribes. */
const ORDER: readonly Section[] = [
  "type",
  "import",
  "function",
  "table",
  "memory",
  "global",
  "export",
  "start",
  "element",
  "data count",
  "code",
  "data",
];

const readBodies = (reader: Reader, limits: WasmLimits, imported: number, declared: number): Range[] => {
  const bodies: Range[] = [];
  const count = reader.count(limits.functions, "functions");
  if (count !== declared) reader.refuse(`${count} bodies for ${declared} functions`);
  for (let i = 0; i < count; i++) {
    reader.functionIndex = imported + i;
    const size = reader.u32();
    if (size > limits.bodyBytes) reader.refuse(`body of ${size} bytes, at most ${limits.bodyBytes}`);
    const from = reader.at;
    reader.skip(size);
    bodies.push({ from, to: reader.at });
  }
  reader.functionIndex = undefined;
  return bodies;
};

/**
 * Parses a module by the rules of WebAssembly 2.0 and of a version of the VM, without the features that are not allowed, and checks everything
 * but its code. Throws WasmRefused with the place and the rule. Cost: linear in the bytes.
 */
export const parseModule = (bytes: Uint8Array, rules: VmRules): WasmModule => {
  const { limits } = rules;
  const reader = new Reader(bytes);
  if (bytes.length > limits.moduleBytes)
    reader.refuse(`module of ${bytes.length} bytes, at most ${limits.moduleBytes}`);
  if (bytes.length < 8 || Buffer.compare(bytes.subarray(0, 8), Buffer.from("\0asm\x01\0\0\0", "latin1")) !== 0)
    reader.refuse("not a WebAssembly module of version 1");
  reader.at = 8;

  let types: FunctionType[] = [];
  let imported: Imported = { imports: [], tables: [], memories: [], globals: [] };
  let importedFunctions = 0;
  let functionTypes: Uint32Array = new Uint32Array(0);
  let table: Sizes | undefined;
  let memory: Sizes | undefined;
  let globals: readonly GlobalType[] = [];
  let exports: Export[] = [];
  let start: number | undefined;
  let elements: ElementSegment[] = [];
  let dataCount: number | undefined;
  let data: DataSegment[] = [];
  let bodies: Range[] = [];

  const read: Readonly<Record<Exclude<Section, "custom">, () => void>> = {
    type: () => {
      types = readTypes(reader, rules);
    },
    import: () => {
      imported = readImports(reader, rules, types);
      const functions = imported.imports.filter(({ kind }) => kind === KIND.function);
      importedFunctions = functions.length;
      functionTypes = Uint32Array.from(functions, ({ type }) => type);
      table = single(reader, imported.tables, "tables");
      memory = single(reader, imported.memories, "memories");
      globals = imported.globals;
    },
    function: () => {
      functionTypes = Uint32Array.from([...functionTypes, ...readFunctions(reader, limits, types)]);
    },
    table: () => {
      table = single(reader, [...imported.tables, ...readTables(reader, limits)], "tables");
    },
    memory: () => {
      memory = single(reader, [...imported.memories, ...readMemories(reader, limits)], "memories");
    },
    global: () => {
      globals = readGlobals(reader, rules, imported.globals);
    },
    export: () => {
      exports = readExports(reader, limits, [functionTypes.length, table ? 1 : 0, memory ? 1 : 0, globals.length]);
    },
    start: () => {
      const at = reader.at;
      start = reader.u32();
      if (start >= functionTypes.length) reader.refuse(`unknown function ${start}`, at);
      const { params, results } = types[functionTypes[start]!]!;
      if (params.length + results.length > 0) reader.refuse("the start function has parameters or results", at);
    },
    element: () => {
      elements = readElements(reader, rules, functionTypes.length, table, globals);
    },
    "data count": () => {
      dataCount = reader.u32();
    },
    code: () => {
      bodies = readBodies(reader, limits, importedFunctions, functionTypes.length - importedFunctions);
    },
    data: () => {
      data = readData(reader, rules, memory, globals);
    },
  };

  let last = -1;
  while (reader.at < bytes.length) {
    reader.end = bytes.length;
    reader.section = "header";
    const at = reader.at;
    const id = reader.byte();
    const size = reader.u32();
    const from = reader.at;
    reader.skip(size);
    const to = reader.at;
    const section = SECTIONS[id];
    if (section === undefined)
      return reader.refuse(id === 13 ? "exceptions are not allowed" : `unknown section ${id}`, at);
    reader.section = section;
    reader.at = from;
    reader.end = to;
    if (section === "custom") {
      reader.name();
      reader.at = to;
      continue;
    }
    const place = ORDER.indexOf(section);
    if (place <= last) reader.refuse("section out of order or twice", at);
    last = place;
    read[section]();
    if (reader.at !== to) reader.refuse("section size mismatch");
  }
  const declared = functionTypes.length - importedFunctions;
  reader.section = "code";
  if (bodies.length !== declared) reader.refuse(`${bodies.length} bodies for ${declared} functions`);
  if (dataCount !== undefined && dataCount !== data.length)
    reader.refuse(`data count ${dataCount}, but ${data.length} segments`);
  return {
    bytes,
    rules,
    types,
    imports: imported.imports,
    importedFunctions,
    functionTypes,
    table,
    memory,
    globals,
    exports,
    start,
    elements,
    dataCount,
    data,
    bodies,
  };
};
