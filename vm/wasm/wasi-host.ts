import { FileError } from "./file-nodes.ts";
import { ERRNO } from "./wasi-abi.ts";

/** The task ends inside a host call: proc_exit, gas or output at their limit. Thrown through the module's frames. */
export class Halt extends Error {
  readonly reason: "exit" | "gas" | "output";
  readonly code: number;
  constructor(reason: "exit" | "gas" | "output", code = 0) {
    super(reason);
    this.reason = reason;
    this.code = code;
  }
}

/** What host calls do to the instance: its memory, bounds checked, and its gas. */
export interface Host {
  /** The bytes [at, at + length) of memory. Throws FileError(fault) outside it. */
  slice(at: number, length: number): Uint8Array;
  /** Takes gas. Throws Halt("gas") where not enough is left. */
  charge(gas: number): void;
  /** Gas used since the job's start. */
  used(): number;
  /** Gas that was charged here: for bytes, entries, randomness and sleep, not for the module's own operations. */
  charged(): number;
  u8(at: number, value: number): void;
  u16(at: number, value: number): void;
  u32(at: number, value: number): void;
  u64(at: number, value: bigint): void;
  readU16(at: number): number;
  readU32(at: number): number;
  readU64(at: number): bigint;
}

/** Wraps an instance's memory and gas. Both are asked for at each call, since the instance comes after its imports. */
export const createHost = (
  memory: () => WebAssembly.Memory | undefined,
  gas: () => WebAssembly.Global<"i64">,
  gasLimit: number,
): Host => {
  let charged = 0;
  let cached = new DataView(new ArrayBuffer(0));
  /** A view of the memory, in which `length` bytes at `at` are inside it. Growing gives the memory another buffer. */
  const view = (at: number, length: number): DataView => {
    const buffer = memory()?.buffer;
    if (!buffer || at + length > buffer.byteLength) throw new FileError(ERRNO.fault);
    if (cached.buffer !== buffer) cached = new DataView(buffer);
    return cached;
  };
  return {
    slice(at, length) {
      const buffer = memory()?.buffer;
      if (!buffer || (at >>> 0) + (length >>> 0) > buffer.byteLength) throw new FileError(ERRNO.fault);
      return new Uint8Array(buffer, at >>> 0, length >>> 0);
    },
    charge(amount) {
      const left = gas().value - BigInt(amount);
      if (left < 0n) throw new Halt("gas");
      gas().value = left;
      charged += amount;
    },
    charged: () => charged,
    used: () => gasLimit - Number(gas().value),
    u8: (at, value) => view(at >>> 0, 1).setUint8(at >>> 0, value),
    u16: (at, value) => view(at >>> 0, 2).setUint16(at >>> 0, value, true),
    u32: (at, value) => view(at >>> 0, 4).setUint32(at >>> 0, value, true),
    u64: (at, value) => view(at >>> 0, 8).setBigUint64(at >>> 0, value, true),
    readU16: (at) => view(at >>> 0, 2).getUint16(at >>> 0, true),
    readU32: (at) => view(at >>> 0, 4).getUint32(at >>> 0, true),
    readU64: (at) => view(at >>> 0, 8).getBigUint64(at >>> 0, true),
  };
};
