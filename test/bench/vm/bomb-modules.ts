/** The modules of bombs.ts, by name. */
import { WASM_LIMITS } from "../../../vm/wasm/limits.ts";
import { HEADER, leb, sleb } from "../../helpers/wasm-builder.ts";

type Bytes = readonly number[] | Uint8Array;

const [END, DROP, NOP] = [0x0b, 0x1a, 0x01];
const [I32, I64, F64, NOTHING] = [0x7f, 0x7e, 0x7c, 0x40];
const join = (...parts: readonly Bytes[]): Uint8Array => Buffer.concat(parts.map((part) => Uint8Array.from(part)));
const times = (count: number, pattern: Bytes): Uint8Array =>
  Buffer.alloc(count * pattern.length, Uint8Array.from(pattern));
const each = (count: number, of: (i: number) => Bytes): Uint8Array =>
  join(...Array.from({ length: count }, (_, i) => of(i)));
const sized = (content: Bytes): Uint8Array => join(leb(content.length), content);
const vector = (count: number, items: Bytes): Uint8Array => join(leb(count), items);
const section = (id: number, content: Bytes): Uint8Array => join([id], sized(content));
const body = (code: Bytes, locals: Bytes = [0]): Uint8Array => sized(join(locals, code, [END]));

interface Parts {
  /** Types behind type 0, which is () -> (). */
  readonly types?: readonly Bytes[];
  /** Functions of type 0 with their bodies, how many and what; the first is `_start`. */
  readonly bodies?: readonly (readonly [number, Bytes])[];
  /** Type of all functions but the first. */
  readonly type?: number;
  readonly pages?: number;
  readonly sections?: Readonly<Record<number, Bytes>>;
  /** A last function that is wrong makes the module INVALID after all else was validated. */
  readonly isWrong?: boolean;
  readonly custom?: Bytes;
}

const moduleOf = ({
  types = [],
  bodies = [[1, body([])]],
  type = 0,
  pages = 1,
  sections = {},
  isWrong,
  custom,
}: Parts): Uint8Array => {
  const all = isWrong ? [...bodies, [1, body([DROP])] as const] : bodies;
  const count = all.reduce((sum, [many]) => sum + many, 0);
  const own: Record<number, Bytes> = {
    1: vector(types.length + 1, join([0x60, 0, 0], ...types)),
    3: vector(count, join([0], times(count - 1, leb(type)))),
    5: [1, 1, ...leb(pages), ...leb(pages)],
    6: [1, I32, 1, 0x41, 0, END],
    7: vector(1, join(sized(Buffer.from("_start")), [0, 0])),
    10: vector(count, join(...all.map(([many, one]) => times(many, one)))),
    ...sections,
  };
  return join(
    HEADER,
    ...[1, 3, 4, 5, 6, 7, 9, 10, 11].map((id) => (own[id] ? section(id, own[id]) : [])),
    custom ?? [],
  );
};

const many = (count: number, type: number): Uint8Array => times(count, [type]);
const signature = (params: Bytes, results: Bytes = []): Uint8Array => join([0x60], sized(params), sized(results));
const WIDE = signature(many(64, I64));
const ROUND = signature(many(16, I64), many(16, I64));
const locals = (count: number, type: number): Bytes => [1, ...leb(count), type];
const fill = (pattern: Bytes, head: Bytes = [], tail: Bytes = []): Uint8Array =>
  body(
    join(
      head,
      times(Math.floor((WASM_LIMITS.bodyBytes - 64 - head.length - tail.length) / pattern.length), pattern),
      tail,
    ),
  );
const constants = (count: number): Uint8Array => times(count, [0x42, 0]);

/** `count` br_tables of 16,000 targets, each in a loop of its own that takes 64 operands, which the targets are. */
const tables = (count: number): Uint8Array =>
  body(times(count, join(constants(64), [0x03, 1, 0x41, 0, 0x0e], vector(16_000, many(16_001, 0)), [END])));
const nested = (depth: number, open: Bytes, inner: Bytes): Bytes =>
  join(times(depth, open), inner, times(depth, [END]));
/** As many `br` out of an `if` to one label as a function can pay for. */
const MEETING = 9_500;
const meeting = (): Bytes => {
  return body(join([0x02, NOTHING], times(MEETING, [0x23, 0, 0x04, NOTHING, 0x41, 1, 0x24, 0, 0x0c, 1, END]), [END]));
};
const elements = (segments: number, length: number): Bytes =>
  vector(segments, times(segments, join([0, 0x41, 0, END], vector(length, times(length, [0])))));

export const BOMBS: ReadonlyMap<string, () => Uint8Array> = new Map<string, () => Uint8Array>([
  [
    "br_table of 64 operands, invalid",
    () =>
      moduleOf({
        types: [WIDE],
        bodies: [
          [1, body([])],
          [60, tables(7)],
        ],
        isWrong: true,
      }),
  ],
  [
    "br_table of 64 operands",
    () =>
      moduleOf({
        types: [WIDE],
        bodies: [
          [1, body([])],
          [4, tables(7)],
        ],
      }),
  ],
  [
    "br_table of labels that differ, dead, invalid",
    () =>
      moduleOf({
        types: Array.from({ length: 64 }, (_, i) => signature(each(64, (at) => [at === i ? I32 : I64]))),
        bodies: [
          [1, body([])],
          [
            16,
            body(
              join(
                each(64, (i) => join([0x00, 0x03], sleb(i + 1))),
                times(
                  64,
                  join(
                    [0x00, 0x0e],
                    vector(
                      16_000,
                      each(16_001, (i) => [i & 63]),
                    ),
                  ),
                ),
                times(64, [0x00, END]),
              ),
            ),
          ],
        ],
        isWrong: true,
      }),
  ],
  [
    "br_if of 64 operands, dead, invalid",
    () =>
      moduleOf({
        types: [WIDE],
        bodies: [
          [1, body([])],
          [8, body(times(20, join([0x00, 0x03, 1], times(15_000, [0x00, 0x0d, 0]), [0x00, END])))],
        ],
        isWrong: true,
      }),
  ],
  [
    "br_if of 16 operands, invalid",
    () =>
      moduleOf({
        types: [ROUND],
        bodies: [
          [1, body([])],
          [
            8,
            body(
              join(
                constants(16),
                times(12, join([0x03, 1], times(20_000, [0x41, 0, 0x0d, 0]), [END])),
                times(16, [DROP]),
              ),
            ),
          ],
        ],
        isWrong: true,
      }),
  ],
  [
    "blocks of 16 operands, invalid",
    () =>
      moduleOf({
        types: [ROUND],
        bodies: [
          [1, body([])],
          [8, fill([0x02, 1, END], constants(16), times(16, [DROP]))],
        ],
        isWrong: true,
      }),
  ],
  [
    "dead calls of 64 operands, invalid",
    () =>
      moduleOf({
        types: [signature(many(64, I64), many(16, I64))],
        type: 1,
        bodies: [
          [1, body([])],
          [8, body(times(60_000, [0x00, 0x10, 1]))],
        ],
        isWrong: true,
      }),
  ],
  [
    "calls of 16 operands, invalid",
    () =>
      moduleOf({
        types: [ROUND],
        type: 1,
        bodies: [
          [1, body([])],
          [8, body(join(constants(16), times(60_000, [0x10, 1]), times(16, [DROP])))],
        ],
        isWrong: true,
      }),
  ],
  [
    "65,000 functions of 8,192 locals, invalid",
    () => moduleOf({ bodies: [[65_000, body([], locals(8_192, F64))]], isWrong: true }),
  ],
  [
    "65,000 functions of 8,192 locals, one written",
    () => moduleOf({ bodies: [[65_000, body([0x20, 0, 0x21, 0], locals(8_192, F64))]], isWrong: true }),
  ],
  ["65,000 functions of 8,192 locals", () => moduleOf({ bodies: [[65_000, body([], locals(8_192, F64))]] })],
  ["65,000 functions", () => moduleOf({ bodies: [[65_000, body([])]] })],
  ["65,000 functions, invalid", () => moduleOf({ bodies: [[65_000, body([])]], isWrong: true })],
  [
    "65,000 types of 64 parameters",
    () =>
      moduleOf({
        types: Array.from({ length: 65_000 }, (_, i) =>
          signature(
            each(64, (at) => [(i >> at) & 1 && at < 16 ? I32 : I64]),
            many(16, I64),
          ),
        ),
      }),
  ],
  [
    "256 MiB of memory, one store a page",
    () =>
      moduleOf({
        pages: 4_096,
        bodies: [
          [
            1,
            body(
              join(
                [0x03, NOTHING, 0x20, 0, 0x41, 1, 0x36, 2, 0, 0x20, 0, 0x41],
                sleb(65_536),
                [0x6a, 0x22, 0, 0x41],
                sleb(4_096 * 65_536),
                [0x49, 0x0d, 0, END],
              ),
              locals(1, I32),
            ),
          ],
        ],
      }),
  ],
  [
    "60,000 element segments of 400",
    () => moduleOf({ sections: { 4: [1, 0x70, 0, ...leb(65_536)], 9: elements(60_000, 400) } }),
  ],
  [
    "480 element segments of 65,000",
    () => moduleOf({ sections: { 4: [1, 0x70, 0, ...leb(65_536)], 9: elements(480, 65_000) } }),
  ],
  [
    "data segments, as many as may be",
    () =>
      moduleOf({ sections: { 11: vector(WASM_LIMITS.segments, times(WASM_LIMITS.segments, [0, 0x41, 0, END, 0])) } }),
  ],
  [
    "65,000 exports",
    () =>
      moduleOf({
        sections: {
          7: vector(
            65_001,
            join(
              sized(Buffer.from("_start")),
              [0, 0],
              each(65_000, (i) => join(sized(Buffer.from(String(i))), [0, 0])),
            ),
          ),
        },
      }),
  ],
  [
    "blocks in each other, as deep as may be",
    () =>
      moduleOf({
        bodies: [
          [1, body([])],
          [100, body(nested(WASM_LIMITS.nesting - 2, [0x02, NOTHING], []))],
        ],
      }),
  ],
  [
    "blocks in each other, run",
    () => moduleOf({ bodies: [[1, body(nested(WASM_LIMITS.nesting - 2, [0x02, NOTHING], []))]] }),
  ],
  [
    "ifs in each other, run",
    () => moduleOf({ bodies: [[1, body(nested(WASM_LIMITS.nesting - 2, [0x23, 0, 0x04, NOTHING], []))]] }),
  ],
  [
    "loops in each other around 1 MiB of nops, run",
    () =>
      moduleOf({
        bodies: [
          [1, fill([NOP], times(WASM_LIMITS.nesting - 2, [0x03, NOTHING]), times(WASM_LIMITS.nesting - 2, [END]))],
        ],
      }),
  ],
  [
    "loops in each other, as deep as may be, run",
    () => moduleOf({ bodies: [[1, body(nested(WASM_LIMITS.nesting - 2, [0x03, NOTHING], []))]] }),
  ],
  [
    "loops in each other, each with a way out, run",
    () =>
      moduleOf({
        bodies: [
          [
            1,
            body(
              join(
                times(1_000, [0x03, NOTHING]),
                each(1_000, () => [0x23, 0, 0x0d, 0, END]),
              ),
              locals(100, I32),
            ),
          ],
        ],
      }),
  ],
  [
    "blocks in each other, a table of all, run",
    () =>
      moduleOf({
        bodies: [
          [
            1,
            body(
              join(
                times(WASM_LIMITS.nesting - 2, [0x02, NOTHING]),
                [0x23, 0, 0x0e],
                vector(WASM_LIMITS.nesting - 2, each(WASM_LIMITS.nesting - 1, leb)),
                times(WASM_LIMITS.nesting - 2, [END]),
              ),
            ),
          ],
        ],
      }),
  ],
  ["branches that meet, as many as may be, run", () => moduleOf({ bodies: [[1, meeting()]] })],
  [
    "branches that meet, in eight functions, run",
    () =>
      moduleOf({
        bodies: [
          [1, body(each(8, (i) => [0x10, i + 1]))],
          [8, meeting()],
        ],
      }),
  ],
  [
    "8 MiB of nops",
    () =>
      moduleOf({
        bodies: [
          [1, body([])],
          [8, fill([NOP])],
        ],
      }),
  ],
  [
    "8 MiB of constants",
    () =>
      moduleOf({
        bodies: [
          [1, body([])],
          [8, fill([0x41, 0, DROP])],
        ],
      }),
  ],
  [
    "8 MiB of local.tee",
    () =>
      moduleOf({
        bodies: [
          [1, body([])],
          [8, body(join([0x42, 0], times(500_000, [0x22, 0]), [DROP]), locals(1, I64))],
        ],
      }),
  ],
  ["9 million custom sections", () => moduleOf({ custom: times(9_000_000, [0, 1, 0]) })],
  [
    "a module of custom sections, as large as may be",
    () => moduleOf({ custom: times(Math.floor((WASM_LIMITS.moduleBytes - 1_000) / 3), [0, 1, 0]) }),
  ],
  [
    "a data segment of nearly the module",
    () =>
      moduleOf({
        pages: 1_024,
        sections: { 11: vector(1, join([0, 0x41, 0, END], sized(Buffer.alloc(WASM_LIMITS.moduleBytes - 1_000, 7)))) },
      }),
  ],
  [
    "a custom section of nearly the module",
    () => moduleOf({ custom: section(0, join([0], Buffer.alloc(WASM_LIMITS.moduleBytes - 1_000))) }),
  ],
]);
