import { isDiskFull } from "../../lib/disk.ts";
import { nearest } from "../../lib/whole-file.ts";

/** What the system says of a path, as a person would. */
const SYSTEM: Readonly<Record<string, (path: string) => string>> = {
  ENOTDIR: (path) => `${nearest(path)} is a file, not a folder`,
  EISDIR: (path) => `${path} is a folder, not a file`,
  EEXIST: (path) => `${path} exists already`,
  ENOENT: (path) => `${path} does not exist`,
  EACCES: (path) => `${path} is not open to this user`,
  EPERM: (path) => `${path} is not open to this user`,
  EROFS: (path) => `${path} is on a disk that is only read`,
};
/** How Node words them: "ENOENT: no such file or directory, open '/path'", at the end of what others say before it. */
const OF_SYSTEM = /\b(E[A-Z]+): [^']*, \w+ '(.+?)'(?: -> '.+')?$/s;

const REVERT = /^execution reverted(?:: )?/;

/** Says in a person's words why a command ends, where the system, a library or a node has words of its own. */
export const explain = (error: Error): string => {
  const { message } = error;
  if (isDiskFull(error) && !message.includes("is full")) return `${message}: the disk is full, make room on it`;
  if (REVERT.test(message)) return `the chain refuses it: ${message.replace(REVERT, "") || "it says no reason"}`;
  return message.replace(OF_SYSTEM, (all, code: string, path: string) => SYSTEM[code]?.(path) ?? all);
};
