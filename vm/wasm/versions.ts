import { GAS, type GasPrices, WEIGHTS, type Weights } from "./gas.ts";
import { TASK_LIMITS, type TaskLimits, WASM_LIMITS, type WasmLimits } from "./limits.ts";
import { OP } from "./opcodes.ts";

/** Parts of WebAssembly that are allowed beside those that always were. */
export interface Features {
  /** Vectors of 128 bits, without the relaxed operations. */
  readonly simd: boolean;
  /** Atomic operations, on the one thread and the unshared memory of a job. */
  readonly atomics: boolean;
}

/**
 * The rules of the compute VM that a receipt depends on. A deal's snapshot names their version (spec section 10), so that a task has
 * the same receipt for as long as anybody may compute it, whatever later versions say.
 */
export interface VmRules {
  readonly version: number;
  readonly features: Features;
  readonly limits: WasmLimits;
  readonly taskLimits: TaskLimits;
  readonly gas: GasPrices;
  /** Gas of each operation, by its number. */
  readonly weights: Weights;
}

/** What the tools use, and the genesis profiles give new deals. */
export const NEWEST_RULES: VmRules = {
  version: 2,
  features: { simd: true, atomics: true },
  limits: WASM_LIMITS,
  taskLimits: TASK_LIMITS,
  gas: GAS,
  weights: WEIGHTS,
};

/** What old deals keep: where a later version has another limit or price, the one that they were made under. */
const VERSION_1: VmRules = {
  ...NEWEST_RULES,
  version: 1,
  features: { simd: false, atomics: false },
  limits: {
    ...WASM_LIMITS,
    storeBytes: 8,
    moduleBytes: 32 * 1024 * 1024,
    nesting: 1_024,
    jumpsTogether: WASM_LIMITS.labelBranches,
    segments: 65_536,
    memoryPagesUndeclared: 1_024,
  },
  taskLimits: {
    ...TASK_LIMITS,
    scratchBytes: 0,
    scratchEntries: 0,
    scratchDepth: 0,
    inputDepth: 0,
    variables: 0,
    listedEntries: 1_024 * 4_098,
  },
  gas: {
    ...GAS,
    compileLoopKib: 0,
    compileAtomic: 0,
    compileAtomicSquares: 0,
    treeByte: 0,
    randomByte: 32,
    pathByte: 8,
    pathPart: 0,
    buffer: 64,
    subscription: 256,
    text: 4,
    heldEntry: 64,
    listedEntry: 64,
    renamedEntry: 16,
    movedEntry: 0,
    inputByte: 1,
    initialPage: 8_192,
    growPage: 8_192,
  },
  weights: WEIGHTS.map((weight, op) => (op >= OP.firstStore && op <= OP.lastStore ? 1 : weight)),
};

const VERSIONS: readonly VmRules[] = [VERSION_1, NEWEST_RULES];

export const VM_VERSION: number = NEWEST_RULES.version;

/** Gives the rules of a version. Throws a RangeError for one that is not known. */
export const rulesOf = (version: number): VmRules => {
  const rules = VERSIONS.find((one) => one.version === version);
  if (!rules)
    throw new RangeError(`unknown vmVersion ${version}, known: ${VERSIONS.map(({ version }) => version).join(", ")}`);
  return rules;
};
