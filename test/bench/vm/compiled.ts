/** Modules that are slow to check, rewrite and compile for what they pay: 20 gas a byte. */
import { WASM_LIMITS } from "../../../vm/wasm/limits.ts";
import { leb, section, sleb } from "../../helpers/wasm-builder.ts";

const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const END = 0x0b;
export const join = (...parts: readonly (readonly number[])[]): number[] => {
  const out: number[] = [];
  for (const part of parts) for (const byte of part) out.push(byte);
  return out;
};
const sized = (bytes: readonly number[]): number[] => join(leb(bytes.length), bytes);
export const repeat = (times: number, of: (i: number) => readonly number[]): number[] => {
  const out: number[] = [];
  for (let i = 0; i < times; i++) for (const byte of of(i)) out.push(byte);
  return out;
};

/** A module of functions () -> () of which the first is `_start`; `locals` are i32, or of `type`. */
export const moduleOf = (bodies: readonly (readonly number[])[], locals: number, type = 0x7f): Uint8Array =>
  Uint8Array.from(
    join(
      HEADER,
      section(1, [1, 0x60, 0, 0]),
      section(
        3,
        join(
          leb(bodies.length),
          repeat(bodies.length, () => [0]),
        ),
      ),
      section(5, [1, 1, 1, 1]),
      section(6, [1, 0x7f, 1, 0x41, 0, END]),
      section(7, [1, 6, ...Buffer.from("_start"), 0, 0]),
      section(
        10,
        join(leb(bodies.length), ...bodies.map((code) => sized(join([1], leb(locals), [type], code, [END])))),
      ),
    ),
  );

const get = (local: number): number[] => [0x20, ...leb(local)];
const set = (local: number): number[] => [0x21, ...leb(local)];
export const BODY = WASM_LIMITS.bodyBytes - 64;
const LOCALS = WASM_LIMITS.locals;
/** Code that V8 cannot fold away: reads a global. */
const unknown = [0x23, 0];

export const COMPILED: readonly { readonly name: string; readonly build: () => Uint8Array }[] = [
  {
    name: "compile: 60,000 functions, all called",
    build: () =>
      moduleOf(
        [
          repeat(60_000, (i) => [0x10, ...leb(i + 1)]),
          ...Array.from({ length: 60_000 }, (_, i) => join(unknown, [0x41], sleb(i), [0x6a, 0x24, 0])),
        ],
        1,
      ),
  },
  {
    name: "compile: 1 MiB of straight code",
    build: () =>
      moduleOf(
        [
          repeat(Math.floor(BODY / 12), (i) =>
            join(get(i % 7), unknown, [0x6a], get((i + 3) % 7), [0x73], set((i + 1) % 7)),
          ),
        ],
        8,
      ),
  },
  {
    name: "compile: 50,000 ifs over 2 locals",
    build: () =>
      moduleOf([repeat(50_000, (i) => join(unknown, [0x04, 0x40], get(0), [0x41, i & 63, 0x6a], set(0), [END]))], 2),
  },
  {
    name: "compile: 40,000 ifs over 64 locals",
    build: () =>
      moduleOf(
        [
          repeat(40_000, (i) =>
            join(unknown, [0x04, 0x40], get(i & 63), [0x41, i & 63, 0x6a], set((i * 7) & 63), [END]),
          ),
        ],
        64,
      ),
  },
  {
    name: "compile: 8,000 ifs over 1,000 locals",
    build: () =>
      moduleOf(
        [
          repeat(8_000, (i) =>
            join(unknown, [0x04, 0x40], get(i % 1000), [0x41, i & 63, 0x6a], set((i * 7) % 1000), [END]),
          ),
        ],
        1_000,
      ),
  },
  {
    name: "compile: 100 loops in each other, 8,192 locals",
    build: () =>
      moduleOf(
        [
          join(
            repeat(100, () => [0x03, 0x40]),
            repeat(LOCALS, (i) => join(get(i), unknown, [0x6a], set((i + 1) % LOCALS))),
            repeat(100, () => [...unknown, 0x45, 0x45, 0x0d, 0, END]),
          ),
        ],
        LOCALS,
      ),
  },
  {
    name: "compile: 3,000 loops in a row, 1,000 locals",
    build: () =>
      moduleOf(
        [
          join(
            repeat(3_000, (i) =>
              join([0x03, 0x40], get(i % 1_000), unknown, [0x6a], set((i * 7) % 1_000), unknown, [0x0d, 0, END]),
            ),
            unknown,
            [0x04, 0x40],
            repeat(1_000, (i) => join(get(i), [0x24, 0])),
            [END],
          ),
        ],
        1_000,
      ),
  },
  {
    name: "compile: 16,000 targets of br_table, 8 times",
    build: () =>
      moduleOf(
        [
          repeat(8, () =>
            join(
              repeat(64, () => [0x02, 0x40]),
              unknown,
              [0x0e],
              leb(16_000),
              repeat(16_001, (i) => [i & 63]),
              repeat(64, () => [...unknown, 0x24, 0, END]),
            ),
          ),
        ],
        1,
      ),
  },
  {
    name: "compile: 1,000 loops in each other, 1,000 locals",
    build: () =>
      moduleOf(
        [
          join(
            repeat(1_000, () => [0x03, 0x40]),
            repeat(1_000, (i) => join(get(i), unknown, [0x6a], set((i + 1) % 1_000))),
            repeat(1_000, () => [...unknown, 0x45, 0x45, 0x0d, 0, END]),
          ),
        ],
        1_000,
      ),
  },
  {
    name: "compile: 6,000 loops in a row",
    build: () =>
      moduleOf([repeat(6_000, () => join([0x03, 0x40], get(0), unknown, [0x6a], set(0), unknown, [0x0d, 0, END]))], 2),
  },
  {
    name: "compile: 20,000 branches to one label",
    build: () =>
      moduleOf(
        [
          join(
            [0x02, 0x40],
            repeat(20_000, () => join(unknown, [0x0d, 0], get(0), unknown, [0x6a], set(0))),
            [END],
          ),
        ],
        2,
      ),
  },
  {
    name: "compile: 4,000 branches out of ifs to one label",
    build: () =>
      moduleOf(
        [
          join(
            [0x02, 0x40],
            repeat(4_000, () => join(unknown, [0x04, 0x40, 0x0c, 1, END])),
            [END],
          ),
        ],
        2,
      ),
  },
  {
    name: "compile: 30,000 memory.grow",
    build: () =>
      moduleOf(
        [
          join(
            unknown,
            [0x04, 0x40],
            repeat(30_000, () => [...unknown, 0x40, 0, 0x1a]),
            [END],
          ),
        ],
        1,
      ),
  },
  {
    name: "compile: 60,000 calls",
    build: () =>
      moduleOf(
        [
          join(
            unknown,
            [0x04, 0x40],
            repeat(60_000, () => [0x10, 1]),
            [END],
          ),
          [],
        ],
        1,
      ),
  },
  {
    name: "compile: 512 KiB of stored float sums",
    build: () =>
      moduleOf(
        [
          repeat(Math.floor(BODY / 2 / 16), (i) =>
            join(
              [0x41, 0, 0x41, 0, 0x2b, 3],
              leb((i % 60) * 8),
              [0x41, 0, 0x2b, 3, 8, 0xa0, 0x39, 3],
              leb((i % 50) * 8),
            ),
          ),
        ],
        1,
      ),
  },
  {
    name: "compile: 30,000 conversions",
    build: () =>
      moduleOf(
        [
          join(
            unknown,
            repeat(30_000, () => [0xb8, 0xfc, 3]),
            [0x24, 0],
          ),
        ],
        1,
      ),
  },
  {
    name: "compile: 16,000 operands that meet at the end",
    build: () =>
      moduleOf(
        [
          join(
            repeat(16_000, (i) => [...unknown, 0x28, 2, ...leb((i % 60) * 4)]),
            repeat(15_999, () => [0x6a]),
            [0x24, 0],
          ),
        ],
        1,
      ),
  },
];
