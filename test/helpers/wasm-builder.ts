/** A tiny assembler of WebAssembly modules for tests: code is a list of bytes, made with the helpers below. */
import { WASI_SIGNATURES } from "../../vm/wasm/wasi-abi.ts";

export const i32 = 0x7f;
export const i64 = 0x7e;
export const f32 = 0x7d;
export const f64 = 0x7c;
export const v128 = 0x7b;

/** Encodes an unsigned LEB128. */
export const leb = (value: number): number[] => {
  const out: number[] = [];
  let left = value;
  do {
    const byte = left % 128;
    left = Math.floor(left / 128);
    out.push(left > 0 ? byte | 0x80 : byte);
  } while (left > 0);
  return out;
};
/** Encodes a signed LEB128. */
export const sleb = (value: number | bigint): number[] => {
  const out: number[] = [];
  for (let left = BigInt(value); ; ) {
    const byte = Number(left & 0x7fn);
    left >>= 7n;
    if ((left === 0n && byte < 0x40) || (left === -1n && byte >= 0x40)) return [...out, byte];
    out.push(byte | 0x80);
  }
};
const sized = (bytes: readonly number[]): number[] => [...leb(bytes.length), ...bytes];
const vector = (items: readonly (readonly number[])[]): number[] => [...leb(items.length), ...items.flat()];
const named = (text: string): number[] => sized([...Buffer.from(text)]);
export const section = (id: number, content: readonly number[]): number[] => [id, ...sized(content)];
export const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

export const op = {
  unreachable: [0x00],
  end: [0x0b],
  drop: [0x1a],
  return: [0x0f],
  block: (...code: number[][]) => [0x02, 0x40, ...code.flat(), 0x0b],
  loop: (...code: number[][]) => [0x03, 0x40, ...code.flat(), 0x0b],
  if: (...code: number[][]) => [0x04, 0x40, ...code.flat(), 0x0b],
  br: (label: number) => [0x0c, ...leb(label)],
  brIf: (label: number) => [0x0d, ...leb(label)],
  call: (index: number) => [0x10, ...leb(index)],
  callIndirect: (type: number) => [0x11, ...leb(type), 0x80, 0x80, 0x00],
  get: (local: number) => [0x20, ...leb(local)],
  set: (local: number) => [0x21, ...leb(local)],
  tee: (local: number) => [0x22, ...leb(local)],
  i32: (value: number) => [0x41, ...sleb(value | 0)],
  i64: (value: bigint) => [0x42, ...sleb(value)],
  f64: (value: number) => [0x44, ...new Uint8Array(Float64Array.of(value).buffer)],
  f32: (value: number) => [0x43, ...new Uint8Array(Float32Array.of(value).buffer)],
  load32: (offset = 0) => [0x28, 2, ...leb(offset)],
  store32: (offset = 0) => [0x36, 2, ...leb(offset)],
  store64: (offset = 0) => [0x37, 3, ...leb(offset)],
  storeF64: (offset = 0) => [0x39, 3, ...leb(offset)],
  storeF32: (offset = 0) => [0x38, 2, ...leb(offset)],
  grow: [0x40, 0],
  size: [0x3f, 0],
  copy: [0xfc, 0x0a, 0, 0],
  fill: [0xfc, 0x0b, 0],
} as const;

export interface FunctionSource {
  readonly params?: readonly number[];
  readonly results?: readonly number[];
  /** Types of the locals. */
  readonly locals?: readonly number[];
  /** Operations without the last `end`. */
  readonly code: readonly number[][];
}

export interface ModuleSource {
  /** Names of WASI functions; they come first in the index space. */
  readonly imports?: readonly string[];
  readonly functions: readonly FunctionSource[];
  /** Pages; without it [1, 4]. */
  readonly memory?: readonly [number, number?] | "none";
  readonly data?: readonly { readonly at: number; readonly bytes: readonly number[] }[];
  /** Functions of the table, by their index. */
  readonly table?: readonly number[];
  /** Index of the start function among `functions`. */
  readonly start?: number;
  /** Sections appended as they are. */
  readonly extra?: readonly number[];
}

const LETTERS: Record<string, number> = { i: i32, I: i64, f: f32, d: f64 };

/** Assembles a module whose first function is `_start`. Type i is that of function i, the imports first. */
export const build = (source: ModuleSource): Uint8Array => {
  const imports = source.imports ?? [];
  const types = [
    ...imports.map((name) => {
      const [params, results] = WASI_SIGNATURES.get(name)!.split(">") as [string, string];
      return [params, results].map((letters) => [...letters].map((letter) => LETTERS[letter]!));
    }),
    ...source.functions.map(({ params, results }) => [[...(params ?? [])], [...(results ?? [])]]),
  ];
  const memory = source.memory ?? [1, 4];
  const exports = [[...named("_start"), 0, ...leb(imports.length)]];
  if (memory !== "none") exports.push([...named("memory"), 2, 0]);
  const out = [
    ...HEADER,
    ...section(1, vector(types.map(([params, results]) => [0x60, ...sized(params!), ...sized(results!)]))),
    ...(imports.length === 0
      ? []
      : section(
          2,
          vector(imports.map((name, i) => [...named("wasi_snapshot_preview1"), ...named(name), 0, ...leb(i)])),
        )),
    ...section(3, vector(source.functions.map((_, i) => leb(imports.length + i)))),
    ...(source.table ? section(4, [1, 0x70, 0, ...leb(source.table.length)]) : []),
    ...(memory === "none"
      ? []
      : section(5, [
          1,
          ...(memory[1] === undefined ? [0] : [1]),
          ...leb(memory[0]),
          ...(memory[1] === undefined ? [] : leb(memory[1])),
        ])),
    ...section(6, vector([[i32, 1, 0x41, 0, 0x0b]])),
    ...section(7, vector(exports)),
    ...(source.start === undefined ? [] : section(8, leb(imports.length + source.start))),
    ...(source.table ? section(9, vector([[0, ...op.i32(0), 0x0b, ...vector(source.table.map(leb))]])) : []),
    ...section(
      10,
      vector(
        source.functions.map(({ locals, code }) =>
          sized([...vector((locals ?? []).map((type) => [1, type])), ...code.flat(), 0x0b]),
        ),
      ),
    ),
    ...(source.data
      ? section(11, vector(source.data.map(({ at, bytes }) => [0, ...op.i32(at), 0x0b, ...sized(bytes)])))
      : []),
    ...(source.extra ?? []),
  ];
  return Uint8Array.from(out);
};

/** Makes `fd_write(fd, [text at 64], 1)` with the text in memory; the iovec is put at 0 and the count at 16. */
export const writeText = (fdWrite: number, fd: number, at: number, length: number): number[][] => [
  op.i32(0),
  op.i32(at),
  op.store32(),
  op.i32(0),
  op.i32(length),
  op.store32(4),
  op.i32(fd),
  op.i32(0),
  op.i32(1),
  op.i32(16),
  op.call(fdWrite),
  op.drop as unknown as number[],
];
