import { declareScratch, takesLong, writeCanonical, writeNans } from "./canonical-nan.ts";
import type { Code } from "./decode.ts";
import type { Weights } from "./gas.ts";
import { WASM_LIMITS as LIMITS } from "./limits.ts";
import type { Locals, WasmModule } from "./module.ts";
import { I32, I64, OP } from "./opcodes.ts";
import { Reader } from "./reader.ts";
import { WasmRefused } from "./refusal.ts";
import type { Facts } from "./validate.ts";
import type { Writer } from "./writer.ts";

/** What the rewritten module's status global says after a trap that the rewriter put there. */
export const STOP = { none: 0, unreachable: 1, stack: 2, gas: 3 } as const;

/** Where the rewriter's own functions, types and globals stand in the new module. */
export interface Layout {
  /** Moves an index of a function to the new module: its metered form. */
  readonly functionIndex: (index: number) => number;
  /** Moves the index of a function's type to its metered form, which takes gas and stack and gives gas. */
  readonly meteredType: (type: number) => number;
  /** Grows the memory by the rules of the VM: takes pages and gas, gives what memory.grow does and gas. */
  readonly growFunction: number;
  readonly gasGlobal: number;
  readonly statusGlobal: number;
  /** Index of the type () -> results. */
  readonly blockType: (results: Uint8Array) => number;
}

/** A block, loop or if that is open. */
interface Label {
  /** Blocks that are written in its place. */
  readonly own: number;
  /** Blocks beyond one for each that is open, itself the last. */
  readonly more: number;
  jumps: number;
}

/**
 * Numbers labels anew where several blocks stand in place of one, so that only so many `br` meet at each: the first of them go to the
 * innermost. All of them end at one place.
 */
const createLabels = ({ blocks }: Facts, jumpsTogether: number) => {
  const open: Label[] = [];
  const more = (): number => open.at(-1)?.more ?? 0;
  const to = (label: number): Label | undefined => open[open.length - 1 - label];
  const of = (label: number): number => label + more() - (to(label)?.more ?? 0);
  return {
    /** Notes what operation `index` opens; gives how many are written. */
    enter(index: number): number {
      const own = blocks.get(index) ?? 1;
      open.push({ own, more: more() + own - 1, jumps: 0 });
      return own;
    },
    /** Gives how many ends are written in place of one. */
    leave: (): number => open.pop()?.own ?? 1,
    /** Gives the new number of a label. */
    of,
    /** Gives the new number of a label that a `br` goes to, which is not the function's own. */
    jump(label: number): number {
      const target = to(label)!;
      return of(label) + Math.min(target.own - 1, Math.floor(target.jumps++ / jumpsTogether));
    },
  };
};

/** What a metered function takes after its own parameters: gas left, and bytes of stack left. */
export const METER_PARAMS: readonly number[] = [I64, I32];
/** What it gives after its own results: gas left. */
export const METER_RESULTS: readonly number[] = [I64];

/** A function without calls and loops that costs at most this is not checked: what calls it is. */
const UNCHECKED_GAS = 1_000;

/** Tells whether the rewriter charges anew after an operation: what follows it may not run as often as it. */
const endsBlock = (op: number): boolean =>
  op === OP.loop ||
  op === OP.if ||
  op === OP.else ||
  op === OP.end ||
  op === OP.brIf ||
  op === OP.call ||
  op === OP.callIndirect ||
  op === OP.memoryGrow;

const neverFallsThrough = (op: number): boolean =>
  op === OP.br || op === OP.brTable || op === OP.return || op === OP.unreachable;

/** Gas of each basic block, at the number of the operation that it starts after; the first block's is `entry`. */
interface Plan {
  readonly entry: number;
  readonly after: Float64Array;
  /** Operations that cannot be reached, which are left out. */
  readonly dead: Uint8Array;
  readonly calls: boolean;
  readonly indirect: boolean;
  readonly bulk: boolean;
  /** Nothing in it can take more gas than UNCHECKED_GAS without a check of its own. */
  readonly small: boolean;
}

const plan = (code: Code, weights: Weights): Plan => {
  const after = new Float64Array(code.count);
  const dead = new Uint8Array(code.count);
  let entry = 0;
  let block = -1;
  let cost = 0;
  let isDead = false;
  let nested = 0;
  let calls = false;
  let indirect = false;
  let bulk = false;
  let loops = false;
  let total = 0;
  const close = (next: number): void => {
    total += cost;
    if (block < 0) entry = cost;
    else after[block] = cost;
    block = next;
    cost = 0;
  };
  for (let i = 0; i < code.count; i++) {
    const op = code.op[i]!;
    if (isDead) {
      if (nested === 0 && (op === OP.end || op === OP.else)) {
        isDead = false;
        block = i;
        cost = 0;
        continue;
      }
      if (op === OP.block || op === OP.loop || op === OP.if) nested++;
      else if (op === OP.end) nested--;
      dead[i] = 1;
      continue;
    }
    cost += weights[op]!;
    if (op === OP.call || op === OP.callIndirect) calls = true;
    if (op === OP.callIndirect) indirect = true;
    else if (op === OP.loop) loops = true;
    else if (op === OP.memoryInit || op === OP.memoryCopy || op === OP.memoryFill) bulk = true;
    if (neverFallsThrough(op)) {
      close(i);
      isDead = true;
    } else if (endsBlock(op)) close(i);
  }
  if (!isDead) close(-1);
  return { entry, after, dead, calls, indirect, bulk, small: !calls && !loops && total <= UNCHECKED_GAS };
};

/** Computes the metered bytes of a function's frame. */
const frameBytes = (locals: number, maxHeight: number): number =>
  Math.max(LIMITS.frameBytes, 64 + 16 * (locals + maxHeight));

const writeStop = (out: Writer, status: number, layout: Layout): void => {
  out.i32Const(status);
  out.local(OP.globalSet, layout.statusGlobal);
  out.byte(OP.unreachable);
};

/**
 * Writes the check of gas in a local that was just set by local.tee. Where too little was left, the host sees what was left before:
 * the operations that `writeCost` puts the price of on the stack were not executed.
 */
export const writeGasCheck = (out: Writer, gas: number, writeCost: () => void, layout: Layout): void => {
  out.i64Const(0);
  out.byte(0x53); // i64.lt_s
  out.byte(OP.if);
  out.byte(0x40);
  out.local(OP.localGet, gas);
  writeCost();
  out.byte(0x7c); // i64.add
  out.local(OP.globalSet, layout.gasGlobal);
  writeStop(out, STOP.gas, layout);
  out.byte(OP.end);
};

/**
 * Writes one function with its meters (spec section 11). It takes the gas and the stack that are left as two more
 * parameters, and gives the gas back as one more result, so that both stay in registers. Each basic block is charged
 * as a whole at its start; a negative counter is noticed at the entry of functions that call, at loop headers, bulk
 * operations and before host calls, so that every cycle passes a check. A function that calls nothing takes no stack:
 * only one such frame exists at a time. Gives the bytes that limits count, in which a module's verdict outlives the form of what is
 * written. Throws WasmRefused if they are too many.
 */
export const writeFunction = (
  out: Writer,
  module: WasmModule,
  functionIndex: number,
  locals: Locals,
  code: Code,
  facts: Facts,
  layout: Layout,
): number => {
  const { bytes } = module;
  const { params, results } = module.types[module.functionTypes[functionIndex]!]!;
  const { entry, after, dead, calls, indirect, bulk, small } = plan(code, module.rules.weights);
  const { marked } = facts.origins;

  const gas = params.length;
  const stack = gas + 1;
  const extra: number[] = [];
  const declare = (type: number): number => extra.push(type) - 1 + locals.types.length + METER_PARAMS.length;
  const scratch = bulk || indirect ? declare(I32) : 0;
  const canonical = declareScratch(facts.origins, declare);
  out.u32(locals.groups + extra.length);
  out.range(bytes, locals.from, locals.codeFrom);
  for (const type of extra) {
    out.byte(1);
    out.byte(type);
  }

  const charge = (cost: number, check: boolean): void => {
    if (cost === 0 && !check) return;
    out.local(OP.localGet, gas);
    if (cost > 0) {
      out.i64Const(cost);
      out.byte(0x7d); // i64.sub
    }
    if (!check) {
      out.local(OP.localSet, gas);
      return;
    }
    out.local(OP.localTee, gas);
    writeGasCheck(out, gas, () => out.i64Const(cost), layout);
  };
  const pass = (): void => {
    out.local(OP.localGet, gas);
    out.local(OP.localGet, stack);
  };
  /** A return, not a branch to the end: V8 takes a square of time and memory for branches that meet. */
  const leave = (): void => {
    out.local(OP.localGet, gas);
    out.byte(OP.return);
  };
  const spill = (): void => {
    out.local(OP.localGet, gas);
    out.local(OP.globalSet, layout.gasGlobal);
  };

  /** The length of a bulk operation, as i64. */
  const length = (): void => {
    out.local(OP.localGet, scratch);
    out.byte(0xad); // i64.extend_i32_u
  };

  if (calls) {
    out.local(OP.localGet, stack);
    out.i32Const(Math.min(frameBytes(locals.types.length, facts.maxHeight), 0x7fffffff));
    out.byte(0x6b); // i32.sub
    out.local(OP.localTee, stack);
    out.i32Const(0);
    out.byte(0x48); // i32.lt_s
    out.byte(OP.if);
    out.byte(0x40);
    spill();
    writeStop(out, STOP.stack, layout);
    out.byte(OP.end);
  }
  charge(entry, !small);
  writeNans(out, facts.origins, canonical);

  // The body stands in a block that takes the place of the function's own label, for br_if and br_table.
  out.byte(OP.block);
  if (results.length === 0) out.byte(0x40);
  else if (results.length === 1) out.byte(results[0]!);
  else out.signed(layout.blockType(results));

  const asWritten = facts.blocks.size === 0;
  const labels = createLabels(facts, module.rules.limits.jumpsTogether);
  let depth = 0;
  let uncounted = 0;
  /** Whether this basic block has divided or taken a root. */
  let waitsLong = false;
  for (let i = 0; i < code.count; i++) {
    if (dead[i] === 1) continue;
    const op = code.op[i]!;
    const from = code.at[i]!;
    const to = code.at[i + 1]!;
    const immediate = code.immediate[i]!;
    if (endsBlock(op)) waitsLong = false;
    switch (op) {
      case OP.localGet:
      case OP.localSet:
      case OP.localTee:
        out.local(op, immediate < params.length ? immediate : immediate + METER_PARAMS.length);
        break;
      case OP.block:
        depth++;
        for (let left = labels.enter(i); left > 0; left--) out.range(bytes, from, to);
        break;
      case OP.loop:
        depth++;
        labels.enter(i);
        out.range(bytes, from, to);
        charge(after[i]!, true);
        break;
      case OP.if:
        depth++;
        labels.enter(i);
        out.range(bytes, from, to);
        charge(after[i]!, false);
        break;
      case OP.end:
        for (let left = labels.leave(); left > 0; left--) out.byte(OP.end);
        if (depth-- > 0) charge(after[i]!, false);
        break;
      case OP.brIf:
        if (asWritten) out.range(bytes, from, to);
        else out.local(op, labels.of(immediate));
        charge(after[i]!, false);
        break;
      case OP.brTable: {
        if (asWritten) {
          out.range(bytes, from, to);
          break;
        }
        const reader = new Reader(bytes, from + 1, to);
        out.local(op, reader.u32());
        for (let left = immediate; left >= 0; left--) out.u32(labels.of(reader.u32()));
        break;
      }
      case OP.else:
        out.range(bytes, from, to);
        charge(after[i]!, false);
        break;
      case OP.br:
        if (immediate >= depth) leave();
        else if (asWritten) out.range(bytes, from, to);
        else out.local(op, labels.jump(immediate));
        break;
      case OP.return:
        leave();
        break;
      case OP.unreachable:
        spill();
        writeStop(out, STOP.unreachable, layout);
        break;
      case OP.call:
        pass();
        out.local(OP.call, layout.functionIndex(immediate));
        out.local(OP.localSet, gas);
        charge(after[i]!, false);
        break;
      case OP.callIndirect:
        out.local(OP.localSet, scratch);
        pass();
        out.local(OP.localGet, scratch);
        out.local(OP.callIndirect, layout.meteredType(immediate));
        out.byte(0);
        out.local(OP.localSet, gas);
        charge(after[i]!, false);
        break;
      case OP.memoryGrow:
        out.local(OP.localGet, gas);
        out.local(OP.call, layout.growFunction);
        out.local(OP.localSet, gas);
        charge(after[i]!, false);
        break;
      case OP.memoryInit:
      case OP.memoryCopy:
      case OP.memoryFill:
        out.local(OP.localTee, scratch);
        out.local(OP.localGet, gas);
        length();
        out.byte(0x7d);
        out.local(OP.localTee, gas);
        writeGasCheck(out, gas, length, layout);
        out.range(bytes, from, to);
        break;
      default:
        out.range(bytes, from, to);
        if (takesLong(op)) waitsLong = true;
        if (marked[i] === 1) uncounted += writeCanonical(out, op, canonical, waitsLong);
    }
  }
  out.local(OP.localGet, gas);
  out.byte(OP.end);
  const counted = out.length - uncounted;
  if (counted > module.rules.limits.rewrittenBodyBytes)
    throw new WasmRefused(`rewritten body of ${counted} bytes, at most ${module.rules.limits.rewrittenBodyBytes}`, {
      section: "code",
      functionIndex,
    });
  return counted;
};
