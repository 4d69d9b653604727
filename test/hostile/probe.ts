/**
 * Loaded into a node by NODE_OPTIONS=--import, beside a program that knows nothing of it: how long the main thread computes
 * without a turn for others, in CPU time, so that a busy machine makes no difference; and what it computed then, by samples
 * of the profiler. SIGUSR2 ends a window, writes what was seen in it, and begins the next.
 */
import { renameSync, writeFileSync } from "node:fs";
import { type Profiler, Session } from "node:inspector";
import { join } from "node:path";
import { isMainThread } from "node:worker_threads";

/** A turn of the event loop: between two moments of the monotonic clock, in us, and its CPU in ms. */
export interface RawTurn {
  readonly fromUs: number;
  readonly toUs: number;
  readonly ms: number;
}

/** What the probe writes of a window, to be read by who has the time. */
export interface Raw {
  readonly seconds: number;
  readonly cpuMs: number;
  readonly turns: readonly RawTurn[];
  readonly profile: Profiler.Profile;
}

const TICK_MS = 3;
const SAMPLE_US = 1_000;
/** Shorter turns are not told apart. */
const LEAST_MS = 5;
const MOST_TURNS = 4_000;

const folder = process.env.HOSTILE_PROBE;

const watch = (to: string): void => {
  const session = new Session();
  session.connect();
  const post = (method: string, params?: object): unknown => {
    let result: unknown;
    // Within one process, answers come at once.
    session.post(method, params, (_error, value) => {
      result = value;
    });
    return result;
  };
  const nowUs = (): number => Number(process.hrtime.bigint() / 1_000n);
  const cpuMs = (): number => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1_000;
  };

  let turns: RawTurn[] = [];
  let last = { us: nowUs(), cpu: cpuMs() };
  let start = last;
  const mark = (): void => {
    const now = { us: nowUs(), cpu: cpuMs() };
    const ms = now.cpu - last.cpu;
    if (ms >= LEAST_MS && turns.length < MOST_TURNS) turns.push({ fromUs: last.us, toUs: now.us, ms });
    last = now;
  };
  // A timer's turn ends with the poll for input and output, whose end an immediate sees.
  setInterval(() => {
    mark();
    setImmediate(mark);
  }, TICK_MS).unref();

  const begin = (): void => {
    post("Profiler.start");
    turns = [];
    last = { us: nowUs(), cpu: cpuMs() };
    start = last;
  };
  const finish = (): Raw => {
    mark();
    const end = last;
    const { profile } = post("Profiler.stop") as { profile: Profiler.Profile };
    return { seconds: (end.us - start.us) / 1e6, cpuMs: end.cpu - start.cpu, turns, profile };
  };
  post("Profiler.enable");
  post("Profiler.setSamplingInterval", { interval: SAMPLE_US });
  begin();
  let window = 0;
  process.on("SIGUSR2", () => {
    const path = join(to, `${process.pid}.${window++}.json`);
    writeFileSync(`${path}.new`, JSON.stringify(finish()));
    renameSync(`${path}.new`, path);
    begin();
  });
};

if (folder && isMainThread) watch(folder);
