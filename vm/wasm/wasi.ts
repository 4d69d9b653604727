import { fromHex, type Hash, uint64, utf8 } from "../../lib/bytes.ts";
import { keccak256Bytes } from "../../lib/keccak.ts";
import { type DirectoryNode, FileError, OutputLimit } from "./file-nodes.ts";
import type { FileTree } from "./file-tree.ts";
import type { GasPrices } from "./gas.ts";
import type { VmRules } from "./versions.ts";
import { ERRNO, WASI_SIGNATURES } from "./wasi-abi.ts";
import { createDescriptors } from "./wasi-descriptors.ts";
import { createFdCalls } from "./wasi-fd.ts";
import { Halt, type Host } from "./wasi-host.ts";
import { createPathCalls } from "./wasi-path.ts";
import { createPoll, isClock } from "./wasi-poll.ts";

/** What a task sees of the world: nothing that is not given here. */
export interface World {
  readonly taskid: Hash;
  /** Arguments, the program's name first. */
  readonly args: readonly string[];
  /** The environment as `NAME=value`, in order. */
  readonly environment: readonly string[];
  /** Unix seconds at which the task's clock starts. */
  readonly startTime: number;
  readonly tree: FileTree;
  /** What the task sees as `/`; undefined: no files at all. */
  readonly root: DirectoryNode | undefined;
}

const RANDOM = utf8("rolec/random");

/** Makes the task's random bytes, and charges for them: keccak256("rolec/random" || taskid || uint64 i) for i = 0, 1, … */
const createRandom = (host: Host, taskid: Hash, { randomByte }: GasPrices) => {
  const seed = fromHex(taskid);
  let index = 0;
  let block: Uint8Array = new Uint8Array(0);
  return (out: Uint8Array): void => {
    host.charge(out.length * randomByte);
    for (let at = 0; at < out.length; ) {
      if (block.length === 0) block = keccak256Bytes(RANDOM, seed, uint64(index++));
      const count = Math.min(block.length, out.length - at);
      out.set(block.subarray(0, count), at);
      block = block.subarray(count);
      at += count;
    }
  };
};

const createStringCalls = (host: Host, strings: readonly string[], { text: price }: GasPrices) => {
  const encoded = strings.map((text) => utf8(`${text}\0`));
  const total = encoded.reduce((sum, bytes) => sum + bytes.length, 0);
  return {
    sizes: (countAt: number, sizeAt: number): number => {
      host.u32(countAt, encoded.length);
      host.u32(sizeAt, total);
      return ERRNO.success;
    },
    get: (pointersAt: number, stringsAt: number): number => {
      host.charge(total + price * encoded.length);
      host.slice(pointersAt, 4 * encoded.length);
      let at = stringsAt >>> 0;
      for (const [i, bytes] of encoded.entries()) {
        host.u32((pointersAt >>> 0) + 4 * i, at);
        host.slice(at, bytes.length).set(bytes);
        at += bytes.length;
      }
      return ERRNO.success;
    },
  };
};

type Call = (...args: never[]) => number;

/**
 * Makes the imports of a task: the virtual WASI preview 1 of spec section 11. Clocks show the start time plus a
 * nanosecond for each gas used; sleeping uses gas; randomness follows from the task's id. There are no
 * sockets (ENOTSOCK) and no signals (ENOSYS). A call outside the memory answers EFAULT.
 */
export const createWasi = (host: Host, world: World, rules: VmRules): Record<string, Call> => {
  const startNs = BigInt(world.startTime) * 1_000_000_000n;
  const now = (): bigint => startNs + BigInt(host.used());
  const random = createRandom(host, world.taskid, rules.gas);
  const args = createStringCalls(host, world.args, rules.gas);
  const environment = createStringCalls(host, world.environment, rules.gas);

  world.tree.meter(host.charge);
  const descriptors = createDescriptors(world.tree, world.root, rules);
  /** There are no sockets, so no descriptor is one. */
  const socketCall = (fd: number): number => {
    descriptors.get(fd);
    return ERRNO.notsock;
  };

  const calls: Record<string, Call> = {
    ...createFdCalls({ host, tree: world.tree, descriptors, rules, random, startNs, now }),
    ...createPathCalls(host, world.tree, descriptors, rules, startNs, now),
    args_sizes_get: args.sizes,
    args_get: args.get,
    environ_sizes_get: environment.sizes,
    environ_get: environment.get,
    clock_res_get: (id: number, at: number) => {
      if (!isClock(id)) return ERRNO.inval;
      host.u64(at, 1n);
      return ERRNO.success;
    },
    clock_time_get: (id: number, _precision: bigint, at: number) => {
      if (!isClock(id)) return ERRNO.inval;
      host.u64(at, now());
      return ERRNO.success;
    },
    random_get: (at: number, length: number) => {
      random(host.slice(at, length));
      return ERRNO.success;
    },
    poll_oneoff: createPoll(host, descriptors, rules, now),
    sched_yield: () => ERRNO.success,
    sock_accept: socketCall,
    sock_recv: socketCall,
    sock_send: socketCall,
    sock_shutdown: socketCall,
    proc_exit: (code: number) => {
      throw new Halt("exit", code >>> 0);
    },
  };

  const guarded: Record<string, Call> = {};
  for (const name of WASI_SIGNATURES.keys()) {
    const call = calls[name] as ((...args: unknown[]) => number) | undefined;
    guarded[name] = ((...values: unknown[]): number => {
      if (!call) return ERRNO.nosys;
      try {
        return call(...values);
      } catch (error) {
        if (error instanceof FileError) return error.errno;
        if (error instanceof OutputLimit) throw new Halt("output");
        throw error;
      }
    }) as Call;
  }
  return guarded;
};
