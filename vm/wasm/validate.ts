import { makesNan, type Origin, type Origins, observesOperands, type Tracker } from "./canonical-nan.ts";
import type { Code } from "./decode.ts";
import type { WasmModule } from "./module.ts";
import { NAN } from "./nan-kinds.ts";
import { accessType, F32, F64, I32, I64, numericOf, OP, V128 } from "./opcodes.ts";
import { type Prefixed, prefixedOf } from "./prefixed.ts";
import { Reader } from "./reader.ts";
import { WasmRefused } from "./refusal.ts";

/** What the rewriter needs to know of a body that is valid. */
export interface Facts {
  /** The most operands that were ever on the stack. */
  readonly maxHeight: number;
  /** The sum of squares of how many `br` meet: what joining them costs V8. */
  readonly jumpSquares: number;
  /** How many blocks are written in place of one, at the number of its operation: as many as its `br` need. */
  readonly blocks: ReadonlyMap<number, number>;
  /** Bytes in loops, each byte as often as there are loops around it. */
  readonly loopBytes: number;
  readonly origins: Origins;
}

interface Frame {
  readonly op: number;
  readonly params: Uint8Array;
  readonly results: Uint8Array;
  /** Operands below the frame's own. */
  readonly height: number;
  /** Number of the operation that opens it. */
  readonly index: number;
  unreachable: boolean;
  branches: number;
  jumps: number;
}

const NONE = new Uint8Array(0);
const SINGLE = new Map([I32, I64, F32, F64, V128].map((type) => [type, Uint8Array.of(type)]));
/** Type of an operand in code that cannot be reached: it matches every type. */
const ANY = 0;
const NAMES = new Map([
  [I32, "i32"],
  [I64, "i64"],
  [F32, "f32"],
  [F64, "f64"],
  [V128, "v128"],
]);

/** The operand stack and the frames of one body, and the rules that both keep. */
const createMachine = (module: WasmModule, functionIndex: number, locals: Uint8Array, code: Code, track: Tracker) => {
  let types = new Uint8Array(256);
  let origins = new Int32Array(256);
  let height = 0;
  let maxHeight = 0;
  let jumpSquares = 0;
  let loopBytes = 0;
  const blocks = new Map<number, number>();
  const frames: Frame[] = [];
  let index = 0;

  const refuse = (rule: string): never => {
    throw new WasmRefused(rule, { section: "code", functionIndex, offset: code.at[index]! });
  };
  const room = (count: number): void => {
    if (height + count <= types.length) return;
    const moreTypes = new Uint8Array((height + count) * 2);
    moreTypes.set(types);
    types = moreTypes;
    const moreOrigins = new Int32Array((height + count) * 2);
    moreOrigins.set(origins);
    origins = moreOrigins;
  };
  const noteHeight = (): void => {
    if (height <= maxHeight) return;
    maxHeight = height;
    if (height > module.rules.limits.operands)
      refuse(`more than ${module.rules.limits.operands} operands on the stack`);
  };
  const push = (type: number, origin: Origin): void => {
    room(1);
    types[height] = type;
    origins[height] = origin;
    height++;
    noteHeight();
  };
  /** Type and origin of the operand that pop took last. */
  let origin: Origin = 0;
  const popAny = (): number => {
    const frame = frames[frames.length - 1]!;
    if (height === frame.height) {
      if (!frame.unreachable) refuse("the operand stack is empty");
      origin = 0;
      return ANY;
    }
    height--;
    origin = origins[height]!;
    return types[height]!;
  };
  const mismatch = (expected: number, got: number): never =>
    refuse(`type mismatch: expected ${NAMES.get(expected)}, got ${NAMES.get(got)}`);
  const pop = (expected: number): number => {
    const type = popAny();
    if (type !== expected && type !== ANY) mismatch(expected, type);
    return type;
  };
  const observe = (expected: number, kinds: number = NAN.any): void => {
    pop(expected);
    track.observe(origin, kinds);
  };
  /** Checks the operands on top of the stack against a list as long as they are, last first. */
  const matchTop = (list: Uint8Array): void => {
    const from = height - list.length;
    for (let i = list.length - 1; i >= 0; i--) {
      const type = types[from + i]!;
      if (type !== list[i] && type !== ANY) mismatch(list[i]!, type);
    }
  };
  // Two bytes of code can take and leave 64 operands: in one sweep that is as cheap as what else two bytes do.
  const observeAll = (list: Uint8Array): void => {
    const from = height - list.length;
    if (from < frames[frames.length - 1]!.height) {
      for (let i = list.length - 1; i >= 0; i--) observe(list[i]!);
      return;
    }
    matchTop(list);
    for (let i = from; i < height; i++) if (origins[i] !== 0) track.observe(origins[i]!);
    height = from;
  };
  const pushAll = (list: Uint8Array): void => {
    room(list.length);
    for (let i = 0; i < list.length; i++) {
      types[height] = list[i]!;
      origins[height] = 0;
      height++;
    }
    noteHeight();
  };
  const enter = (op: number, params: Uint8Array, results: Uint8Array): void => {
    frames.push({ op, params, results, height, index, unreachable: false, branches: 0, jumps: 0 });
    pushAll(params);
  };
  const join = ({ op, index, jumps }: Frame): void => {
    const together = op === OP.block ? module.rules.limits.jumpsTogether : jumps;
    if (jumps <= together) {
      jumpSquares += jumps ** 2;
      return;
    }
    const whole = Math.floor(jumps / together);
    const rest = jumps % together;
    // Of what V8 takes for the square an eighth is left: the blocks that jump are as many as ever.
    jumpSquares += whole * together ** 2 + rest ** 2 + Math.ceil(jumps ** 2 / 8);
    blocks.set(index, rest > 0 ? whole + 1 : whole);
  };
  const leave = (): Frame => {
    const frame = frames[frames.length - 1]!;
    observeAll(frame.results);
    if (height !== frame.height) refuse("operands are left at the end of a block");
    frames.pop();
    // Branches to the function's own label are written as returns, which do not meet.
    if (frames.length > 0) join(frame);
    if (frame.op === OP.loop) loopBytes += code.at[index]! - code.at[frame.index]!;
    return frame;
  };
  const unreachable = (): void => {
    const frame = frames[frames.length - 1]!;
    height = frame.height;
    frame.unreachable = true;
  };
  const label = (depth: number): Uint8Array => {
    const frame = frames[frames.length - 1 - depth];
    if (!frame) return refuse(`unknown label ${depth}`);
    if (++frame.branches > module.rules.limits.labelBranches)
      refuse(`more than ${module.rules.limits.labelBranches} branches to one label`);
    return frame.op === OP.loop ? frame.params : frame.results;
  };
  const isKnown = (type: number): boolean => NAMES.has(type) && (type !== V128 || module.rules.features.simd);
  const blockType = (immediate: number): { params: Uint8Array; results: Uint8Array } => {
    if (immediate === -64) return { params: NONE, results: NONE };
    if (immediate < 0) {
      const type = immediate + 128;
      return { params: NONE, results: isKnown(type) ? SINGLE.get(type)! : refuse("unknown block type") };
    }
    return module.types[immediate] ?? refuse(`unknown type ${immediate}`);
  };
  const localType = (local: number): number => locals[local] ?? refuse(`unknown local ${local}`);

  const branchTable = (targets: number): void => {
    pop(I32);
    const reader = new Reader(module.bytes, code.at[index]! + 1, code.at[index + 1]!);
    reader.u32();
    const first = label(reader.u32());
    // The first target takes its operands and puts back what it found; the others can only find the same.
    const found = Array.from(first, () => 0);
    for (let i = first.length - 1; i >= 0; i--) {
      found[i] = pop(first[i]!);
      track.observe(origin);
    }
    if (targets > 0) for (const type of found) push(type, 0);
    for (let left = targets; left > 0; left--) {
      const list = label(reader.u32());
      if (list === first) continue;
      if (list.length !== first.length) refuse("targets of br_table take different numbers of operands");
      matchTop(list);
    }
    unreachable();
  };

  const select = (typed: number | undefined): void => {
    pop(I32);
    if (typed !== undefined) {
      if (!isKnown(typed)) refuse("reference values are not allowed");
      observe(typed);
      observe(typed);
      push(typed, 0);
      return;
    }
    const first = popAny();
    track.observe(origin);
    const second = popAny();
    track.observe(origin);
    if (first !== second && first !== ANY && second !== ANY) refuse("select takes two operands of one type");
    push(first === ANY ? second : first, 0);
  };

  const needsMemory = (): void => {
    if (!module.memory) refuse("the module has no memory");
  };
  const needsData = (segment: number): void => {
    if (module.dataCount === undefined) refuse("the module has no data count");
    if (segment >= module.dataCount!) refuse(`unknown data segment ${segment}`);
  };

  const control = (op: number, immediate: number): void => {
    switch (op) {
      case OP.block:
      case OP.loop:
      case OP.if: {
        const { params, results } = blockType(immediate);
        if (op === OP.if) pop(I32);
        observeAll(params);
        enter(op, params, results);
        break;
      }
      case OP.else: {
        if (frames[frames.length - 1]!.op !== OP.if) refuse("else without if");
        const { params, results } = leave();
        enter(OP.else, params, results);
        break;
      }
      case OP.end: {
        const frame = leave();
        if (frame.op === OP.if && !sameTypes(frame.params, frame.results))
          refuse("an if without else must leave what it takes");
        if (frames.length > 0) pushAll(frame.results);
        break;
      }
      case OP.br:
        observeAll(label(immediate));
        frames[frames.length - 1 - immediate]!.jumps++;
        unreachable();
        break;
      case OP.brIf: {
        pop(I32);
        const list = label(immediate);
        observeAll(list);
        pushAll(list);
        break;
      }
      case OP.brTable:
        branchTable(immediate);
        break;
      case OP.return:
        observeAll(label(frames.length - 1));
        unreachable();
        break;
      case OP.unreachable:
        unreachable();
        break;
      case OP.call:
      case OP.callIndirect: {
        if (op === OP.callIndirect) {
          if (!module.table) refuse("the module has no table");
          pop(I32);
        }
        const type = op === OP.call ? module.functionTypes[immediate] : immediate;
        if (type === undefined) refuse(`unknown function ${immediate}`);
        const signature = module.types[type!] ?? refuse(`unknown type ${type}`);
        observeAll(signature.params);
        pushAll(signature.results);
        break;
      }
    }
  };

  const prefixed = ({ params, result, immediate, observes, makes, passes }: Prefixed): void => {
    if (immediate === "access" || immediate === "access and lane") needsMemory();
    for (let i = params.length - 1; i >= 0; i--) observe(params[i]!, observes);
    if (result !== undefined) push(result, makes !== NAN.none ? index + 1 : passes ? origin : 0);
  };

  const step = (op: number, immediate: number): void => {
    const numeric = numericOf(op);
    if (numeric) {
      const observes = observesOperands(op);
      for (let i = 0; i < numeric.operands; i++) {
        pop(numeric.operand);
        if (observes) track.observe(origin);
      }
      push(numeric.result, makesNan(op) ? index + 1 : 0);
      return;
    }
    const behindPrefix = prefixedOf(op);
    if (behindPrefix) {
      prefixed(behindPrefix);
      return;
    }
    if (op >= OP.firstLoad && op <= OP.lastStore) {
      needsMemory();
      if (op >= OP.firstStore) {
        observe(accessType(op));
        pop(I32);
      } else {
        pop(I32);
        push(accessType(op), 0);
      }
      return;
    }
    switch (op) {
      case OP.localGet: {
        const type = localType(immediate);
        push(type, type === F32 || type === F64 || type === V128 ? -immediate - 1 : 0);
        break;
      }
      case OP.localSet:
        pop(localType(immediate));
        track.write(immediate, origin);
        break;
      case OP.localTee: {
        pop(localType(immediate));
        track.write(immediate, origin);
        push(localType(immediate), origin);
        break;
      }
      case OP.globalGet:
        push((module.globals[immediate] ?? refuse(`unknown global ${immediate}`)).type, 0);
        break;
      case OP.globalSet: {
        const { type, mutable } = module.globals[immediate] ?? refuse(`unknown global ${immediate}`);
        if (!mutable) refuse(`global ${immediate} is not mutable`);
        observe(type);
        break;
      }
      case OP.i32Const:
        push(I32, 0);
        break;
      case OP.i64Const:
        push(I64, 0);
        break;
      case OP.f32Const:
        push(F32, 0);
        break;
      case OP.f64Const:
        push(F64, 0);
        break;
      case OP.drop:
        popAny();
        break;
      case OP.select:
        select(undefined);
        break;
      case OP.selectTyped:
        select(immediate);
        break;
      case OP.memorySize:
        needsMemory();
        push(I32, 0);
        break;
      case OP.memoryGrow:
        needsMemory();
        pop(I32);
        push(I32, 0);
        break;
      case OP.memoryInit:
      case OP.memoryCopy:
      case OP.memoryFill:
        needsMemory();
        if (op === OP.memoryInit) needsData(immediate);
        pop(I32);
        pop(I32);
        pop(I32);
        break;
      case OP.dataDrop:
        needsData(immediate);
        break;
      case OP.nop:
        break;
      default:
        control(op, immediate);
    }
  };

  return {
    run(results: Uint8Array): Omit<Facts, "origins"> {
      frames.push({
        op: OP.block,
        params: NONE,
        results,
        height: 0,
        index: 0,
        unreachable: false,
        branches: 0,
        jumps: 0,
      });
      for (index = 0; index < code.count; index++) step(code.op[index]!, code.immediate[index]!);
      return { maxHeight, jumpSquares, blocks, loopBytes };
    },
  };
};

const sameTypes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((type, i) => type === b[i]);

/**
 * Checks a decoded body against the type rules of WebAssembly (the specification's validation algorithm) and follows
 * where its floats go; the facts hold until `track` begins with another body. Throws WasmRefused with the function, the offset and the
 * rule. Cost: linear in the bytes of the operations, times the operands that one of them takes: a label or a signature has up to 64.
 */
export const validateBody = (
  module: WasmModule,
  functionIndex: number,
  locals: Uint8Array,
  code: Code,
  track: Tracker,
): Facts => {
  track.begin(code, locals.length);
  const { results } = module.types[module.functionTypes[functionIndex]!]!;
  const measures = createMachine(module, functionIndex, locals, code, track).run(results);
  return { ...measures, origins: track.finish() };
};
