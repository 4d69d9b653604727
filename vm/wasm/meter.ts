import { writeCanonical } from "./canonical-nan.ts";
import type { Code } from "./decode.ts";
import { WEIGHTS } from "./gas.ts";
import { WASM_LIMITS as LIMITS } from "./limits.ts";
import type { Locals, WasmModule } from "./module.ts";
import { F32, F64, I32, I64, OP } from "./opcodes.ts";
import { WasmRefused } from "./refusal.ts";
import type { Facts } from "./validate.ts";
import type { Writer } from "./writer.ts";

/** What the rewritten module's status global says after a trap that the rewriter put there. */
export const STOP = { none: 0, unreachable: 1, stack: 2, gas: 3 } as const;

/** Where the rewriter's own functions and globals stand in the new module. */
export interface Layout {
  /** Moves an index of a function to the new module. */
  readonly functionIndex: (index: number) => number;
  /** Grows the memory by the rules of the VM; takes and gives what memory.grow does. */
  readonly growFunction: number;
  readonly gasGlobal: number;
  readonly stackGlobal: number;
  readonly statusGlobal: number;
  /** Index of the type () -> results. */
  readonly blockType: (results: Uint8Array) => number;
}

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
  readonly bulk: boolean;
}

const plan = (code: Code): Plan => {
  const after = new Float64Array(code.count);
  const dead = new Uint8Array(code.count);
  let entry = 0;
  let block = -1;
  let cost = 0;
  let isDead = false;
  let nested = 0;
  let calls = false;
  let bulk = false;
  const close = (next: number): void => {
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
    cost += WEIGHTS[op]!;
    if (op === OP.call || op === OP.callIndirect) calls = true;
    else if (op === OP.memoryInit || op === OP.memoryCopy || op === OP.memoryFill) bulk = true;
    if (neverFallsThrough(op)) {
      close(i);
      isDead = true;
    } else if (endsBlock(op)) close(i);
  }
  if (!isDead) close(-1);
  return { entry, after, dead, calls, bulk };
};

/** Computes the metered bytes of a function's frame. */
export const frameBytes = (locals: number, maxHeight: number): number =>
  Math.max(LIMITS.frameBytes, 64 + 16 * (locals + maxHeight));

/**
 * Writes one function with its meters (spec section 11). The gas left is a global; a function keeps it in a local,
 * spills it before what may read it (calls, its end, `unreachable`) and reloads it after a call. Each basic block is
 * charged as a whole at its start; a negative counter is noticed at function entry, loop headers, bulk operations and
 * before host calls, so that every cycle passes a check. The stack meter is taken and given back at entry and exit, and only
 * checked in functions that call nothing. Throws WasmRefused if the result is too large.
 */
export const writeFunction = (
  out: Writer,
  module: WasmModule,
  functionIndex: number,
  locals: Locals,
  code: Code,
  facts: Facts,
  layout: Layout,
): void => {
  const { bytes } = module;
  const { results } = module.types[module.functionTypes[functionIndex]!]!;
  const { entry, after, dead, calls, bulk } = plan(code);
  const { gasGlobal, stackGlobal, statusGlobal } = layout;
  const { marked, hasF32, hasF64 } = facts.origins;

  const extra: number[] = [I64];
  const declare = (type: number): number => extra.push(type) - 1 + locals.types.length;
  const gas = locals.types.length;
  const size = bulk ? declare(I32) : 0;
  const f32 = hasF32 ? declare(F32) : 0;
  const f64 = hasF64 ? declare(F64) : 0;
  out.u32(locals.groups + extra.length);
  out.range(bytes, locals.from, locals.codeFrom);
  for (const type of extra) {
    out.byte(1);
    out.byte(type);
  }

  const stop = (status: number): void => {
    out.i32Const(status);
    out.local(OP.globalSet, statusGlobal);
    out.byte(OP.unreachable);
  };
  const stopIf = (status: number): void => {
    out.byte(OP.if);
    out.byte(0x40);
    stop(status);
    out.byte(OP.end);
  };
  const spill = (): void => {
    out.local(OP.localGet, gas);
    out.local(OP.globalSet, gasGlobal);
  };
  /** Subtracts from the counter, read from its local or its global, and leaves it in the local. */
  const charge = (cost: number, from: "local" | "global", check: boolean): void => {
    if (from === "global") out.local(OP.globalGet, gasGlobal);
    else if (cost > 0 || check) out.local(OP.localGet, gas);
    else return;
    if (cost > 0) {
      out.i64Const(cost);
      out.byte(0x7d); // i64.sub
    }
    if (!check) {
      out.local(OP.localSet, gas);
      return;
    }
    out.local(OP.localTee, gas);
    out.i64Const(0);
    out.byte(0x53); // i64.lt_s
    stopIf(STOP.gas);
  };

  const frame = frameBytes(locals.types.length, facts.maxHeight);
  out.local(OP.globalGet, stackGlobal);
  out.i32Const(Math.min(frame, 0x7fffffff));
  out.byte(0x49); // i32.lt_u
  stopIf(STOP.stack);
  if (calls) {
    out.local(OP.globalGet, stackGlobal);
    out.i32Const(frame);
    out.byte(0x6b); // i32.sub
    out.local(OP.globalSet, stackGlobal);
  }
  charge(entry, "global", true);

  // The body stands in a block that takes the place of the function's own label, so that all ways out meet below.
  out.byte(OP.block);
  if (results.length === 0) out.byte(0x40);
  else if (results.length === 1) out.byte(results[0]!);
  else out.signed(layout.blockType(results));

  let depth = 0;
  for (let i = 0; i < code.count; i++) {
    if (dead[i] === 1) continue;
    const op = code.op[i]!;
    const from = code.at[i]!;
    const to = code.at[i + 1]!;
    switch (op) {
      case OP.block:
        depth++;
        out.range(bytes, from, to);
        break;
      case OP.loop:
        depth++;
        out.range(bytes, from, to);
        charge(after[i]!, "local", true);
        break;
      case OP.if:
        depth++;
        out.range(bytes, from, to);
        charge(after[i]!, "local", false);
        break;
      case OP.end:
        out.byte(OP.end);
        if (depth-- > 0) charge(after[i]!, "local", false);
        break;
      case OP.else:
      case OP.brIf:
        out.range(bytes, from, to);
        charge(after[i]!, "local", false);
        break;
      case OP.return:
        out.local(OP.br, depth);
        break;
      case OP.unreachable:
        spill();
        stop(STOP.unreachable);
        break;
      case OP.call:
        spill();
        out.local(OP.call, layout.functionIndex(code.immediate[i]!));
        charge(after[i]!, "global", false);
        break;
      case OP.callIndirect:
        spill();
        out.local(OP.callIndirect, code.immediate[i]!);
        out.byte(0);
        charge(after[i]!, "global", false);
        break;
      case OP.memoryGrow:
        spill();
        out.local(OP.call, layout.growFunction);
        charge(after[i]!, "global", false);
        break;
      case OP.memoryInit:
      case OP.memoryCopy:
      case OP.memoryFill:
        out.local(OP.localTee, size);
        out.local(OP.localGet, gas);
        out.local(OP.localGet, size);
        out.byte(0xad); // i64.extend_i32_u
        out.byte(0x7d);
        out.local(OP.localTee, gas);
        out.i64Const(0);
        out.byte(0x53);
        stopIf(STOP.gas);
        out.range(bytes, from, to);
        break;
      default:
        out.range(bytes, from, to);
        if (marked[i] === 1) writeCanonical(out, op, f32, f64);
    }
  }
  spill();
  if (calls) {
    out.local(OP.globalGet, stackGlobal);
    out.i32Const(frame);
    out.byte(0x6a); // i32.add
    out.local(OP.globalSet, stackGlobal);
  }
  out.byte(OP.end);
  if (out.length > LIMITS.rewrittenBodyBytes)
    throw new WasmRefused(`rewritten body of ${out.length} bytes, at most ${LIMITS.rewrittenBodyBytes}`, {
      section: "code",
      functionIndex,
    });
};
