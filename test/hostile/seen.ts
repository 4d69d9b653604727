import type { Raw } from "./probe.ts";

/** What the probe saw in a window. */
export interface Seen {
  readonly seconds: number;
  /** CPU of the main thread, in ms. */
  readonly cpuMs: number;
  /** Turns of the event loop by their CPU in ms, without the running of blocks: how many were at least so long. */
  readonly turns: Readonly<Record<string, number>>;
  /** The longest turns, longest first. */
  readonly longest: readonly Turn[];
  /** The most that garbage collection took of one turn, in ms. */
  readonly longestGcMs: number;
  /** Samples within the running of blocks: none means that the probe does not know it by its name any more. */
  readonly transitionSamples: number;
  /** The main thread's time by the program's functions, in samples of the whole window, most first. */
  readonly busiest: readonly string[];
}

/** One turn: CPU in ms, without the running of blocks, of garbage collection within it, and in all; and what it was in. */
export interface Turn {
  readonly ms: number;
  readonly gcMs: number;
  readonly allMs: number;
  readonly inside: readonly string[];
}

const STEPS_MS = [5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];
const RUNNING = /\/(?:transition|open-slot)\.ts$/;

/** Tells of each long turn what the profiler saw in it. */
export const readRaw = ({ profile, turns, seconds, cpuMs }: Raw): Seen => {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id])));
  const stacks = new Map<number, string[]>();
  /** Names from the innermost out. */
  const stackOf = (id: number): string[] => {
    const known = stacks.get(id);
    if (known) return known;
    const { functionName, url } = nodes.get(id)!.callFrame;
    const parent = parents.get(id);
    const file = url.split("/").slice(-2).join("/");
    const stack = [`${functionName || "(anonymous)"} ${file}`, ...(parent === undefined ? [] : stackOf(parent))];
    stacks.set(id, stack);
    return stack;
  };
  /** Within what opens slots and runs blocks, but for what is checked before a block is run. */
  const isTransition = (stack: readonly string[]): boolean => {
    const within = stack.filter((each) => RUNNING.test(each));
    return within.length > 0 && !within.some((each) => each.startsWith("openBlock "));
  };
  const isGc = (stack: readonly string[]): boolean => stack[0]!.startsWith("(garbage collector)");
  const isIdle = (stack: readonly string[]): boolean => /^\((?:idle|root)\) /.test(stack[0]!);
  /** The innermost frames that are no library's, else the innermost of all. */
  const ownFrames = (stack: readonly string[]): string =>
    [
      stack[0]!.trim(),
      ...stack
        .slice(1)
        .filter((each) => /\.ts$/.test(each))
        .slice(0, 3),
    ].join(" < ");

  const samples: { us: number; stack: string[] }[] = [];
  let us = profile.startTime;
  for (const [i, id] of (profile.samples ?? []).entries()) {
    us += profile.timeDeltas![i]!;
    samples.push({ us, stack: stackOf(id) });
  }
  const top = (list: readonly { stack: string[] }[], count: number): string[] => {
    const counts = new Map<string, number>();
    for (const { stack } of list) counts.set(ownFrames(stack), (counts.get(ownFrames(stack)) ?? 0) + 1);
    return [...counts]
      .sort((a, b) => b[1] - a[1])
      .slice(0, count)
      .map(([name, n]) => `${n}x ${name}`);
  };
  let next = 0;
  const told = turns.map(({ fromUs, toUs, ms }): Turn => {
    while (next < samples.length && samples[next]!.us <= fromUs) next++;
    const from = next;
    while (next < samples.length && samples[next]!.us <= toUs) next++;
    const within = samples.slice(from, next).filter((each) => !isIdle(each.stack));
    const others = within.filter((each) => !isTransition(each.stack));
    const partOf = (count: number): number => Math.round((ms * count * 10) / Math.max(1, within.length)) / 10;
    const gcMs = partOf(within.filter((each) => isGc(each.stack)).length);
    const allMs = Math.round(ms * 10) / 10;
    return { ms: within.length === 0 ? allMs : partOf(others.length), gcMs, allMs, inside: top(others, 4) };
  });
  const busy = samples.filter(({ stack }) => !isIdle(stack));
  return {
    seconds,
    cpuMs,
    turns: Object.fromEntries(STEPS_MS.map((step) => [step, told.filter(({ ms }) => ms >= step).length])),
    longest: told.sort((a, b) => b.ms - a.ms).slice(0, 5),
    longestGcMs: Math.max(0, ...told.map(({ gcMs }) => gcMs)),
    transitionSamples: busy.filter(({ stack }) => isTransition(stack)).length,
    busiest: top(busy, 6),
  };
};
