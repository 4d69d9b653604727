import { statSync } from "node:fs";

/**
 * Throws where a file that holds a secret lets others than its owner, who is this user, read or write it, with the command
 * that mends that: as ssh does with keys. Who does not own a file cannot mend it (a container's mounted secret), and Windows
 * has no such modes.
 */
export const mustBePrivate = (path: string): void => {
  const { mode, uid } = statSync(path);
  if (process.platform === "win32" || uid !== process.getuid?.() || (mode & 0o077) === 0) return;
  const octal = (mode & 0o777).toString(8).padStart(4, "0");
  throw new Error(`${path} holds a secret that others may read or change (mode ${octal}): chmod 600 ${path}`);
};
