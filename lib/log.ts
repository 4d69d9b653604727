import { type Logger, pino } from "pino";

export type Log = Logger;

const LEVELS: readonly string[] = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];

/** Makes a logger that writes one JSON line per event to standard error, or to `path`. Throws for an unknown level. */
export const createLog = ({ level = "info", path }: { level?: string; path?: string } = {}): Log => {
  if (!LEVELS.includes(level)) throw new Error(`no log level "${level}": ${LEVELS.join(", ")} are`);
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: path ?? 2, sync: true, mkdir: true }),
  );
};
