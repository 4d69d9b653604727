import type { Code } from "./decode.ts";
import { TASK_LIMITS } from "./limits.ts";
import { OP } from "./opcodes.ts";
import type { Facts } from "./validate.ts";

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
  inputByte: 1,
  /** A page of 64 KiB of the initial memory. */
  initialPage: 8_192,
  /** V8 takes up to 0.6 ms to grow a memory, whatever the amount. */
  growBase: 1_500_000,
  growPage: 8_192,
  /** A bulk operation adds this to each byte's 1. */
  bulkBase: 20,
  hostCall: 2_000,
  hostByte: 1,
  /** A byte of randomness: Keccak-256 makes about 32 in a microsecond. */
  randomByte: 32,
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
/** Weight of each operation, by its number (opcodes.ts). Structure costs nothing: what branches to it pays. */
export const WEIGHTS: Uint16Array = new Uint16Array(OPERATIONS).fill(1);
const weigh = (weight: number, ...ops: readonly (number | readonly [number, number])[]): void => {
  for (const op of ops)
    if (typeof op === "number") WEIGHTS[op] = weight;
    else WEIGHTS.fill(weight, op[0], op[1] + 1);
};
/** Conversions of floats to integers. */
const TO_INTEGER = [
  [0xa8, 0xab],
  [0xae, 0xb1],
  [OP.truncSatFirst, OP.truncSatLast],
] as const;
weigh(0, OP.nop, OP.block, OP.loop, OP.else, OP.end);
weigh(2, OP.if, OP.br, OP.brIf, OP.return, OP.globalGet, OP.globalSet);
weigh(10, [OP.firstLoad, 0x35]); // a load may wait for memory, a store does not
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
  { compileLoopKib }: GasPrices,
): number => {
  const { marked } = facts.origins;
  let gas = GAS.compileFunction + GAS.compileSquare * facts.jumpSquares;
  gas += Math.ceil((compileLoopKib * facts.loopBytes) / 1024);
  let joins = 0;
  for (let i = 0; i < count; i++) {
    const one = op[i]!;
    gas += COMPILE[one]! + marked[i]! * GAS.compileBranch;
    if (one === OP.brTable) gas += GAS.compileBranch * immediate[i]!;
    if (one >= OP.loop && one <= OP.return) joins++;
  }
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
