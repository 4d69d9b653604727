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
  const view = (at: number, length: number): DataView => {
    const buffer = memory()?.buffer;
    if (!buffer || (at >>> 0) + length > buffer.byteLength) throw new FileError(ERRNO.fault);
    return new DataView(buffer, at >>> 0, length);
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
    },
    used: () => gasLimit - Number(gas().value),
    u8: (at, value) => view(at, 1).setUint8(0, value),
    u16: (at, value) => view(at, 2).setUint16(0, value, true),
    u32: (at, value) => view(at, 4).setUint32(0, value, true),
    u64: (at, value) => view(at, 8).setBigUint64(0, value, true),
    readU16: (at) => view(at, 2).getUint16(0, true),
    readU32: (at) => view(at, 4).getUint32(0, true),
    readU64: (at) => view(at, 8).getBigUint64(0, true),
  };
};
