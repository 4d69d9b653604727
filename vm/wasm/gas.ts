import { FIRST_ATOMIC } from "./atomics.ts";
import type { Code } from "./decode.ts";
import { TASK_LIMITS } from "./limits.ts";
import { OP } from "./opcodes.ts";
import type { Facts } from "./validate.ts";
import { FIRST_VECTOR } from "./vectors.ts";

/**
 * Prices of the compute VM, in gas. A gas is about the time of one simple operation: ordinary code runs 5 to 12
 * thousand million a second on one core. What V8 does slowly costs what it takes there (docs/spec.md section 11).
 */
export const GAS = {
  /** Starting a job: process, compilation, receipt. */
  job: 30_000_000,
  moduleByte: 20,
  /** What V8 takes to compile beside the bytes, at 30 to 60 gas a microsecond (docs/gas.md). */
  compileFunction: 2_000,
  compileLoop: 5_000,
  compileIndirect: 1_500,
  /** memory.grow, bulk operations, conversions of floats to integers. */
  compileLarge: 1_200,
  compileIf: 600,
  compileCall: 500,
  /** Other branches, each target of a br_table, NaNs made canonical. */
  compileBranch: 300,
  /** A branch again, for each local that may differ where it joins others. */
  compileJoin: 2,
  /** The square of how many `br` meet at one label (limits.ts: jumpsTogether). */
  compileSquare: 2,
  /** A KiB of what a loop holds: V8 looks at all of it for each of the loops that it is in. */
  compileLoopKib: 512,
  /** An atomic operation; and 1,024 of the square of how many a function has: V8 takes a square of time where one waits for another. */
  compileAtomic: 300,
  compileAtomicSquares: 128,
  /** A byte of input: it is fetched, hashed and copied. */
  inputByte: 4,
  /** A page of 64 KiB of the initial memory: it is touched, and hashed at the end. */
  initialPage: 65_536,
  /** V8 takes up to 0.6 ms to grow a memory, whatever the amount. */
  growBase: 1_500_000,
  growPage: 65_536,
  /** A bulk operation adds this to each byte's 1. */
  bulkBase: 20,
  hostCall: 2_000,
  hostByte: 1,
  /** A byte that the file tree allocates, zeroes, copies or gives back. */
  treeByte: 1,
  /** A byte of randomness: Keccak-256 makes 12 to 32 in a microsecond. */
  randomByte: 128,
  /** A byte of a path: it is decoded, split and compared. */
  pathByte: 8,
  /** A name on a path: it is looked for in a directory. */
  pathPart: 1_000,
  /** A buffer of a vectored call. */
  buffer: 512,
  /** A subscription of a poll. */
  subscription: 2_048,
  /** An argument or a variable of the environment, beside its bytes. */
  text: 256,
  /** An entry of a directory that is opened for listing; one that is listed, beside its bytes. */
  heldEntry: 64,
  listedEntry: 1_024,
  /** An entry below a directory that is renamed: its depth is looked at. */
  renamedEntry: 256,
  /** An entry of a directory in which one is made, removed or renamed: those behind it move. */
  movedEntry: 2,
  /** A byte of output, which each proved seat hashes, keeps and serves until nobody may ask for it (docs/gas.md). */
  outputByte: 32,
  /** A file or directory beside its bytes: a block of its own, and a name of up to 255 bytes. */
  outputEntry: 40_000,
} as const;
export type GasPrices = Readonly<Record<keyof typeof GAS, number>>;

/** Bytes of a tree without output: four blocks, each with a kibibyte for its entry in the store. */
const LEAST_OUTPUT = 8_192;
/** Bytes of the largest tree: an entry is a block and a name, and pays for as much. */
const MOST_OUTPUT =
  LEAST_OUTPUT + TASK_LIMITS.outputBytes + (TASK_LIMITS.outputEntries * GAS.outputEntry) / GAS.outputByte;

/** Numbers of operations are below this (opcodes.ts). */
const OPERATIONS = 0x400;
type Operations = readonly (number | readonly [number, number])[];
/** Weight of each operation, by its number (opcodes.ts). Structure costs nothing: what branches to it pays. */
export type Weights = Readonly<Uint16Array>;
export const WEIGHTS: Uint16Array = new Uint16Array(OPERATIONS).fill(1);
const weigh = (weight: number, ...ops: Operations): void => {
  for (const op of ops)
    if (typeof op === "number") WEIGHTS[op] = weight;
    else WEIGHTS.fill(weight, op[0], op[1] + 1);
};
/** Vectors cost what V8 takes for all their lanes; an atomic access waits for memory, a store too. */
const weighBehindPrefixes = (): void => {
  const vector = (weight: number, ...numbers: Operations): void =>
    weigh(
      weight,
      ...numbers.map((one) =>
        typeof one === "number" ? FIRST_VECTOR + one : ([FIRST_VECTOR + one[0], FIRST_VECTOR + one[1]] as const),
      ),
    );
  vector(10, [0x00, 0x0a], [0x54, 0x57], [0x5c, 0x5d]); // loads
  vector(4, 0x0b, [0x58, 0x5b]); // stores
  vector(2, [0x0f, 0x22], 0x53, [0x63, 0x64], [0x83, 0x84], [0xa3, 0xa4], [0xc3, 0xc4]); // lanes, and tests of all
  vector(3, 0x0d, 0x0e); // shuffle swizzle
  vector(3, [0x41, 0x4c]); // comparisons of floats
  vector(4, 0x62, [0x6b, 0x6d], 0xcc, 0xd5); // popcnt, shifts of bytes, i64x2.shr_s and mul
  vector(2, 0x95, 0xb5, [0x9c, 0x9f], [0xba, 0xbf], [0xdc, 0xdf]); // products
  vector(3, [0x5e, 0x5f], [0xfa, 0xfb], [0xfe, 0xff]); // conversions
  vector(8, [0xf8, 0xf9], [0xfc, 0xfd]); // trunc_sat
  vector(2, [0xe0, 0xe1], [0xec, 0xed]); // abs neg
  vector(5, [0x67, 0x6a], [0x74, 0x75], 0x7a, 0x94); // rounding
  vector(3, [0xe4, 0xe6], [0xf0, 0xf2]); // add sub mul
  vector(8, [0xe8, 0xe9], [0xf4, 0xf5], 0xe3); // min max, f32x4.sqrt
  vector(3, [0xea, 0xeb], [0xf6, 0xf7]); // pmin pmax
  vector(5, 0xe7);
  vector(8, 0xf3); // division
  vector(14, 0xef); // f64x2.sqrt
  weigh(20, [FIRST_ATOMIC + 0x03, FIRST_ATOMIC + 0x4e]);
  weigh(10, [FIRST_ATOMIC + 0x10, FIRST_ATOMIC + 0x16]); // atomic loads
  weigh(100, [FIRST_ATOMIC, FIRST_ATOMIC + 0x02]); // notify and wait
};
/** Conversions of floats to integers. */
const TO_INTEGER = [
  [0xa8, 0xab],
  [0xae, 0xb1],
  [OP.truncSatFirst, OP.truncSatLast],
] as const;
weigh(0, OP.nop, OP.block, OP.loop, OP.else, OP.end);
weigh(2, OP.if, OP.br, OP.brIf, OP.return, OP.globalGet, OP.globalSet);
weigh(10, [OP.firstLoad, OP.firstStore - 1]); // a load may wait for memory
weigh(4, [OP.firstStore, OP.lastStore]); // a store to two pages waits for both
weigh(4, OP.brTable);
weigh(5, OP.call);
weigh(10, OP.callIndirect);
weigh(10, [0x6d, 0x70], [0x7f, 0x82]); // integer division and remainder
weigh(3, [0x5b, 0x66]); // comparisons of floats
weigh(2, [0x8b, 0x8c], 0x98, [0x99, 0x9a], 0xa6); // abs neg copysign
weigh(5, [0x8d, 0x90], [0x9b, 0x9e]); // ceil floor trunc nearest
weigh(5, 0x91);
weigh(8, 0x9f); // square roots
weigh(2, [0x92, 0x94], [0xa0, 0xa2]); // add sub mul
weigh(3, 0x95);
weigh(5, 0xa3); // division of floats
weigh(8, [0x96, 0x97], [0xa4, 0xa5]); // min max
weigh(20, ...TO_INTEGER);
weigh(3, 0xb2, 0xb4, 0xb7, 0xb9); // signed integer to float
weigh(16, 0xb3, 0xb5, 0xb8, 0xba); // unsigned integer to float
weigh(2, 0xb6, 0xbb); // demote promote
weighBehindPrefixes();
weigh(20, OP.memorySize, OP.memoryGrow, OP.dataDrop);
weigh(GAS.bulkBase, OP.memoryInit, OP.memoryCopy, OP.memoryFill);

const COMPILE: Uint16Array = new Uint16Array(OPERATIONS);
COMPILE[OP.loop] = GAS.compileLoop;
COMPILE[OP.if] = GAS.compileIf;
for (const op of [OP.else, OP.br, OP.brIf, OP.brTable, OP.return]) COMPILE[op] = GAS.compileBranch;
COMPILE[OP.call] = GAS.compileCall;
COMPILE[OP.callIndirect] = GAS.compileIndirect;
for (const op of [OP.memoryGrow, OP.memoryInit, OP.memoryCopy, OP.memoryFill]) COMPILE[op] = GAS.compileLarge;
for (const [first, last] of TO_INTEGER) COMPILE.fill(GAS.compileLarge, first, last + 1);

/**
 * Computes what compiling one function costs, beside its bytes; its `facts` tell which NaNs are made canonical,
 * and which branches meet. Linear in its operations.
 */
export const compileGas = (
  { count, op, immediate }: Code,
  locals: number,
  facts: Facts,
  { compileLoopKib, compileAtomic, compileAtomicSquares }: GasPrices,
): number => {
  const { marked } = facts.origins;
  let gas = GAS.compileFunction + GAS.compileSquare * facts.jumpSquares;
  gas += Math.ceil((compileLoopKib * facts.loopBytes) / 1024);
  let joins = 0;
  let atomics = 0;
  for (let i = 0; i < count; i++) {
    const one = op[i]!;
    gas += COMPILE[one]! + marked[i]! * GAS.compileBranch;
    if (one === OP.brTable) gas += GAS.compileBranch * immediate[i]!;
    if (one >= OP.loop && one <= OP.return) joins++;
    else if (one >= FIRST_ATOMIC) atomics++;
  }
  gas += compileAtomic * atomics + Math.ceil((compileAtomicSquares * atomics ** 2) / 1024);
  return gas + GAS.compileJoin * joins * locals;
};

/** Computes what a job pays before its first operation; `compiling` is the sum of compileGas. */
export const startGas = (
  moduleBytes: number,
  compiling: number,
  inputBytes: number,
  initialPages: number,
  gas: GasPrices = GAS,
): number =>
  gas.job + gas.moduleByte * moduleBytes + compiling + gas.inputByte * inputBytes + gas.initialPage * initialPages;

/** Bytes that the results of one task may take where they are kept, whatever they are: what its gas pays for. */
export const outputBound = (gasLimit: number): number =>
  Math.min(MOST_OUTPUT, LEAST_OUTPUT + Math.max(0, Math.floor((gasLimit - GAS.job) / GAS.outputByte)));
