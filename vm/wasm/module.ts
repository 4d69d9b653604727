import { Reader } from "./reader.ts";
import { readValueType } from "./value-types.ts";
import type { VmRules } from "./versions.ts";

export interface FunctionType {
  readonly params: Uint8Array;
  readonly results: Uint8Array;
}

/** A range of the module's bytes. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** What an import or export may be, as the binary format numbers it. */
export const KIND = { function: 0, table: 1, memory: 2, global: 3 } as const;
export const KIND_NAMES = ["function", "table", "memory", "global", "tag"] as const;

export interface Import {
  readonly module: string;
  readonly name: string;
  readonly kind: number;
  /** Type index of a function. */
  readonly type: number;
  /** Offset of the import, and where its kind and type stand. */
  readonly at: number;
  readonly description: Range;
}

export interface Export {
  readonly name: string;
  readonly kind: number;
  readonly index: number;
  readonly at: number;
}

/** A constant expression, its `end` included; `value` where it is an i32.const, unsigned. */
export interface Constant extends Range {
  readonly value: number | undefined;
}

export interface GlobalType {
  readonly type: number;
  readonly mutable: boolean;
  /** Undefined for an imported global. */
  readonly initial: Constant | undefined;
}

export interface Sizes {
  readonly min: number;
  readonly max: number | undefined;
  readonly imported: boolean;
  readonly at: number;
}

/** A body's declarations of locals. */
export interface Locals {
  /** Types of the parameters and locals. */
  readonly types: Uint8Array;
  /** How many groups the module declares, where they start, and where the code starts after them. */
  readonly groups: number;
  readonly from: number;
  readonly codeFrom: number;
}

export interface ElementSegment {
  readonly offset: Constant;
  readonly functions: Uint32Array;
  readonly at: number;
}

export interface DataSegment extends Range {
  /** Where an active segment goes; undefined for a passive one. */
  readonly offset: Constant | undefined;
  readonly at: number;
}

/** A module whose sections were parsed and checked; the code is not validated yet. */
export interface WasmModule {
  readonly bytes: Uint8Array;
  readonly rules: VmRules;
  readonly types: readonly FunctionType[];
  readonly imports: readonly Import[];
  readonly importedFunctions: number;
  /** Type index of each function, the imported ones first. */
  readonly functionTypes: Uint32Array;
  readonly table: Sizes | undefined;
  /** Sizes in pages. */
  readonly memory: Sizes | undefined;
  /** The imported ones first. */
  readonly globals: readonly GlobalType[];
  readonly exports: readonly Export[];
  readonly start: number | undefined;
  readonly elements: readonly ElementSegment[];
  readonly dataCount: number | undefined;
  readonly data: readonly DataSegment[];
  /** Where each own function's locals and code stand. */
  readonly bodies: readonly Range[];
}

/** Makes room for the types of a body's locals, to be used again for the next body: a few bytes can declare thousands. */
export const createLocalTypes = ({ rules: { limits } }: WasmModule): Uint8Array =>
  new Uint8Array(limits.locals + limits.parameters);

/** Reads the declarations of locals of one body into `room`. Throws WasmRefused. */
export const readLocals = (module: WasmModule, body: Range, functionIndex: number, room: Uint8Array): Locals => {
  const { bytes, rules } = module;
  const { limits, features } = rules;
  const { params } = module.types[module.functionTypes[functionIndex]!]!;
  const reader = new Reader(bytes, body.from, body.to);
  reader.section = "code";
  reader.functionIndex = functionIndex;
  const groups = reader.count(limits.bodyBytes, "groups of locals");
  const from = reader.at;
  const counts: [number, number][] = [];
  let total = params.length;
  for (let i = 0; i < groups; i++) {
    const at = reader.at;
    const count = reader.u32();
    total += count;
    if (total > limits.locals + params.length) reader.refuse(`more than ${limits.locals} locals`, at);
    counts.push([count, readValueType(reader, features)]);
  }
  const types = room.subarray(0, total);
  types.set(params);
  let filled = params.length;
  for (const [count, local] of counts) {
    types.fill(local, filled, filled + count);
    filled += count;
  }
  return { types, groups, from, codeFrom: reader.at };
};
