import { type Logger, pino } from "pino";

export type Log = Logger;

/** Makes a logger that writes one JSON line per event to standard error, or to `path`. */
export const createLog = (options: { level?: string; path?: string } = {}): Log =>
  pino(
    { level: options.level ?? "info", base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: options.path ?? 2, sync: true, mkdir: true }),
  );
