import { span } from "./span.ts";

/** A state that should not last. */
export interface Condition {
  /** Names it among the others. */
  readonly key: string;
  /** How long it may last before it is told. */
  readonly afterMs: number;
  /** What is told when it is over. */
  readonly over: string;
}

/** Who is told: a log, or whatever prints lines. */
export interface Teller {
  warn(fields: object, line: string): void;
  info(line: string): void;
}

/** Tells what is wrong: once when it has lasted its time, then every ten minutes, and once when it is over. */
export interface Alarms {
  /** Looks at a condition: `say` words it, given how long it has lasted in ms; undefined where all is well. */
  check(condition: Condition, say: ((lastedMs: number) => string) | undefined, fields?: object): void;
  /** Forgets since when conditions last that were not told yet: nobody looked meanwhile, or the clock was set. */
  restart(): void;
}

const REPEAT_MS = 600_000;
/** What comes and goes is told once a minute at most. */
const QUIET_MS = 60_000;

interface Lasting {
  sinceMs: number | undefined;
  toldMs: number;
  isTold: boolean;
}

/** Makes the alarms of a program; `now` in ms. */
export const createAlarms = ({ log, now }: { log: Teller; now: () => number }): Alarms => {
  const all = new Map<string, Lasting>();
  return {
    check: ({ key, afterMs, over }, say, fields = {}) => {
      const at = now();
      const known = all.get(key);
      if (!say) {
        if (known?.isTold && known.sinceMs !== undefined) log.info(`${over}, after ${span(at - known.sinceMs)}`);
        if (known) Object.assign(known, { sinceMs: undefined, isTold: false });
        return;
      }
      const lasting: Lasting = known ?? { sinceMs: at, toldMs: Number.NEGATIVE_INFINITY, isTold: false };
      all.set(key, lasting);
      lasting.sinceMs ??= at;
      const lastedMs = at - lasting.sinceMs;
      if (lastedMs < afterMs || at - lasting.toldMs < (lasting.isTold ? REPEAT_MS : QUIET_MS)) return;
      Object.assign(lasting, { toldMs: at, isTold: true });
      log.warn(fields, say(lastedMs));
    },
    restart: () => {
      for (const lasting of all.values()) {
        if (!lasting.isTold) lasting.sinceMs = undefined;
        lasting.toldMs = Math.min(lasting.toldMs, now());
      }
    },
  };
};
