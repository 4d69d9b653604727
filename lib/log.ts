import { type Logger, pino } from "pino";
import { plain } from "./plain.ts";

export type Log = Logger;

const LEVELS: readonly string[] = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];

/** Bytes of lines that wait for a disk that does not take them. */
const MAX_HELD_BYTES = 1024 * 1024;

/** Makes a logger that writes one JSON line per event to standard error, or to `path`. Throws for an unknown level. */
export const createLog = ({ level = "info", path }: { level?: string; path?: string } = {}): Log => {
  if (!LEVELS.includes(level)) throw new Error(`no log level "${level}": ${LEVELS.join(", ")} are`);
  const out = pino.destination({ dest: path ?? 2, sync: true, mkdir: true, maxLength: MAX_HELD_BYTES });
  // A log that cannot be written, as on a full disk, stops nothing: lines are lost until it can.
  out.on("error", () => {});
  const hooks = { streamWrite: plain };
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, hooks }, out);
};
