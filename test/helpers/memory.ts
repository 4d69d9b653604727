import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../node/cli/main.ts", import.meta.url));
const SAMPLE_MS = 20;

/** Reads the memory of a process that no file backs, in bytes; 0 once it is gone. Linux alone. */
const anonymousBytes = (pid: number): number => {
  try {
    return Number(/RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
};

export const canWatchMemory = existsSync("/proc/self/status");

/** Starts `rolec` with a heap of so many MiB, and watches how much memory it takes. */
export const startWatched = (args: readonly string[], heapMib: number) => {
  const child: ChildProcess = spawn(process.execPath, [`--max-old-space-size=${heapMib}`, MAIN, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [output, errors] = ["", ""];
  child.stdout!.on("data", (text) => {
    output += text;
  });
  child.stderr!.on("data", (text) => {
    errors = (errors + text).slice(-10_000);
  });
  const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  let peak = 0;
  const timer = setInterval(() => {
    peak = Math.max(peak, anonymousBytes(child.pid!));
  }, SAMPLE_MS);
  void ended.then(() => clearInterval(timer));
  return {
    ended,
    output: () => output,
    errors: () => errors,
    now: () => anonymousBytes(child.pid!),
    /** The most since it was last asked, in bytes. */
    peak: (): number => {
      const most = peak;
      peak = anonymousBytes(child.pid!);
      return most;
    },
    /** Waits until a file is there. */
    untilFile: async (path: string): Promise<void> => {
      for (let i = 0; i < 600 && !existsSync(path); i++) await sleep(50);
      if (!existsSync(path)) throw new Error(`no ${path}:\n${errors}`);
    },
    stop: async (): Promise<void> => {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await ended;
      clearTimeout(timer);
    },
  };
};
