import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

let collect: (() => void) | undefined;

/**
 * Frees what this thread does not hold any more, memories of jobs above all. Gives the bytes that its process has then; undefined
 * where it may not see them.
 */
export const collectGarbage = (): number | undefined => {
  if (!collect) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  collect();
  try {
    return process.memoryUsage.rss();
  } catch {
    return undefined;
  }
};
