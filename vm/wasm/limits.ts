/** Limits of the compute VM (spec section 11). Each is far below the limits of V8, so that V8 never decides. */
export const WASM_LIMITS = {
  moduleBytes: 64 * 1024 * 1024,
  types: 65_536,
  imports: 1_024,
  functions: 65_536,
  bodyBytes: 1024 * 1024,
  /** A body after rewriting; V8 refuses more than 7,654,321. */
  rewrittenBodyBytes: 4 * 1024 * 1024,
  rewrittenCodeBytes: 128 * 1024 * 1024,
  locals: 8_192,
  parameters: 64,
  results: 16,
  nesting: 4_096,
  branchTargets: 16_384,
  /** Branches to one label, each target of a br_table counted: V8 dies of more than 65,535. */
  labelBranches: 20_000,
  /**
   * `br` that the rewriter lets meet at the label of one block, of which it makes several for more: V8 takes a square of time and memory,
   * 1.1 GiB for 10,000 of them, as a large generated lexer has.
   */
  jumpsTogether: 256,
  /** Operands on the stack of a function: V8 runs no frame near its --stack-size of 984 KiB. */
  operands: 16_384,
  /** Gas of compiling one function (gas.ts): V8 has no memory for functions of several hundred thousand branches or calls. */
  compileGas: 40_000_000,
  globals: 4_096,
  exports: 65_536,
  tableEntries: 65_536,
  /** Of data, which is as many as V8 takes, and of elements, which the rewriter joins. */
  segments: 100_000,
  /** Pages of 64 KiB: `min(declared maximum, memoryPages)`, or memoryPagesUndeclared. */
  memoryPages: 4_096,
  memoryPagesUndeclared: 4_096,
  /** Metered bytes of stack, and the least that a frame takes. */
  stackBytes: 8 * 1024 * 1024,
  frameBytes: 128,
  /** The longest store: one that leaves the memory may have written what of it is inside, on some machines. */
  storeBytes: 16,
} as const;
export type WasmLimits = Readonly<Record<keyof typeof WASM_LIMITS, number>>;

/** Limits of what a task may be given and may write (spec section 11). */
export const TASK_LIMITS = {
  /** Bytes of all inputs and the data set. */
  inputBytes: 256 * 1024 * 1024,
  inputFiles: 256,
  /** Names in the path of an input that has a place of its own; 0: all are in `/in`. */
  inputDepth: 16,
  /** Variables that the parameters add to the environment. */
  variables: 256,
  arguments: 1_024,
  argumentBytes: 64 * 1024,
  environmentBytes: 64 * 1024,
  /** Bytes of files, standard output and standard error, with outputEntryBytes for each file and directory. */
  outputBytes: 16 * 1024 * 1024,
  outputEntryBytes: 64,
  outputEntries: 4_096,
  outputDepth: 16,
  /** `/tmp`; where it has no entries, there is neither `/tmp` nor `/dev`. */
  scratchBytes: 64 * 1024 * 1024,
  scratchEntries: 4_096,
  scratchDepth: 64,
  /** A directory's UnixFS block stays below the size at which importers start to shard it. */
  directoryBytes: 256 * 1024 - 64,
  nameBytes: 255,
  pathBytes: 4_096,
  openFiles: 1_024,
  /** Entries in all listings that descriptors hold, of directories as they were: several times what there is to list. */
  listedEntries: 65_536,
  /** Symbolic links that one path may lead through. */
  symbolicLinks: 32,
  /** Buffers of one vectored call, and subscriptions of one poll. */
  buffers: 1_024,
  subscriptions: 4_096,
  callbackBytes: 1_024,
} as const;
export type TaskLimits = Readonly<Record<keyof typeof TASK_LIMITS, number>>;

export const PAGE_BYTES = 65_536;
