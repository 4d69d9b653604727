import { FileError, fail } from "./file-nodes.ts";
import type { VmRules } from "./versions.ts";
import { ERRNO, RIGHT } from "./wasi-abi.ts";
import type { Descriptors } from "./wasi-descriptors.ts";
import { Halt, type Host } from "./wasi-host.ts";

const SUBSCRIPTION_BYTES = 48;
const EVENT_BYTES = 32;
const TAG = { clock: 0, fdRead: 1, fdWrite: 2 } as const;
const ABSOLUTE = 1;
const HANG_UP = 1;

/** Tells whether there is a clock of that number: realtime, monotonic and the two of CPU time all show the same. */
export const isClock = (id: number): boolean => id >= 0 && id <= 3;

interface Subscription {
  readonly userdata: bigint;
  readonly tag: number;
  /** Nanoseconds; files and streams are always ready. */
  readonly deadline: bigint;
  readonly errno: number;
  readonly bytes: number;
  readonly hangUp: boolean;
}

/** Makes poll_oneoff: it sleeps until the first deadline, which costs its nanoseconds as gas. */
export const createPoll = (
  host: Host,
  descriptors: Descriptors,
  { taskLimits: limits, gas }: VmRules,
  now: () => bigint,
) => {
  const fileSubscription = (userdata: bigint, tag: number, fd: number): Subscription => {
    try {
      const { node, offset } = descriptors.having(fd, RIGHT.pollFdReadwrite);
      const bytes = tag === TAG.fdRead && node?.kind === "file" ? Math.max(0, node.size - offset) : 0;
      return { userdata, tag, deadline: 0n, errno: ERRNO.success, bytes, hangUp: tag === TAG.fdRead && !node };
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      return { userdata, tag, deadline: 0n, errno: error.errno, bytes: 0, hangUp: false };
    }
  };
  const subscription = (at: number): Subscription => {
    const tag = host.slice(at + 8, 1)[0]!;
    const userdata = host.readU64(at);
    if (tag > TAG.fdWrite) return fail(ERRNO.inval);
    if (tag !== TAG.clock) return fileSubscription(userdata, tag, host.readU32(at + 16));
    const timeout = host.readU64(at + 24);
    const deadline = host.readU16(at + 40) & ABSOLUTE ? timeout : now() + timeout;
    const isKnown = isClock(host.readU32(at + 16));
    const errno = isKnown ? ERRNO.success : ERRNO.inval;
    return { userdata, tag, deadline: isKnown ? deadline : 0n, errno, bytes: 0, hangUp: false };
  };

  return (inAt: number, outAt: number, count: number, eventsAt: number): number => {
    if (count === 0 || count >>> 0 > limits.subscriptions) return ERRNO.inval;
    host.charge(count * gas.subscription);
    const subscriptions = Array.from({ length: count }, (_, i) => subscription((inAt >>> 0) + SUBSCRIPTION_BYTES * i));
    host.slice(eventsAt, 4);
    host.slice(outAt, EVENT_BYTES * count);
    const wake = subscriptions.reduce((least, { deadline }) => (deadline < least ? deadline : least), 1n << 65n);
    const sleep = wake - now();
    if (sleep > 0n) {
      if (sleep > BigInt(Number.MAX_SAFE_INTEGER)) throw new Halt("gas");
      host.charge(Number(sleep));
    }
    const time = now();
    let events = 0;
    for (const { userdata, tag, deadline, errno, bytes, hangUp } of subscriptions) {
      if (deadline > time) continue;
      const at = (outAt >>> 0) + EVENT_BYTES * events++;
      host.slice(at, EVENT_BYTES).fill(0);
      host.u64(at, userdata);
      host.u16(at + 8, errno);
      host.u8(at + 10, tag);
      host.u64(at + 16, BigInt(bytes));
      host.u16(at + 24, hangUp ? HANG_UP : 0);
    }
    host.u32(eventsAt, events);
    return ERRNO.success;
  };
};
