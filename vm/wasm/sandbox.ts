/**
 * What the operating system puts around the process of a lot, beside V8 and Node's permission model: each where it can be
 * had without installing anything and without being root. Found out once, by trying.
 */
import { execFile } from "node:child_process";
import { existsSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** How a process is started behind the barriers of this system. */
export interface Sandbox {
  /** Program and arguments that the command line of the process follows; empty where there are no barriers. */
  readonly prefix: readonly string[];
  /** The barriers for a person to read. */
  readonly barriers: readonly string[];
}

/** The program that runs it, by its own name: links to it do not exist in a root of its own. */
export const NODE = realpathSync(process.execPath);
/** Bytes of private memory of a process: the most that a job within its limits was seen to need, twice. */
const DATA_BYTES = 4 * 1024 * 1024 * 1024;
const OPEN_FILES = 256;
const PROBE_TIMEOUT_MS = 5_000;
const LIBRARIES = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/nix/store", "/etc/ld.so.cache"];

/** Folders that every system has and programs rarely live in: one is hidden by the new root. */
const MOUNT_POINTS = ["/mnt", "/media", "/srv", "/opt"];

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** Writes the script that runs its arguments in a root which holds nothing but these paths, read only. */
const ownRootScript = (paths: readonly string[]): string | undefined => {
  const root = MOUNT_POINTS.find((at) => existsSync(at) && !paths.some((path) => path.startsWith(`${at}/`)));
  if (!root) return undefined;
  const isFolder = (path: string): boolean => statSync(path).isDirectory();
  const folders = paths.map((path) => quote(root + (isFolder(path) ? path : dirname(path))));
  const files = paths.filter((path) => !isFolder(path)).map((path) => quote(root + path));
  return [
    "set -e",
    `mount -t tmpfs -o mode=755,size=1m rolec ${root}`,
    `mkdir -p ${folders.join(" ")}`,
    ...files.map((file) => `: > ${file}`),
    ...paths.map((path) => `mount -o rbind,ro ${quote(path)} ${quote(root + path)}`),
    `mount -o remount,ro ${root}`,
    `cd ${root}`,
    `exec chroot ${root} "$@"`,
  ].join("\n");
};

/** Leaves out paths that are another name of one before. */
const distinct = (paths: readonly string[]): string[] => {
  const seen = new Set<string>();
  return paths.filter((path) => {
    const real = existsSync(path) ? realpathSync(path) : undefined;
    if (real === undefined || seen.has(real)) return false;
    seen.add(real);
    return true;
  });
};

const programPath = (name: string): string | undefined =>
  ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/run/current-system/sw/bin"]
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));

/** Gives the package.json that Node reads to know what the files in a folder are. */
const packageOf = (folder: string): string | undefined => {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, "package.json"))) return join(at, "package.json");
    if (dirname(at) === at) return undefined;
  }
};

/** Lists what the process of a lot reads: the code of the VM, and the packages that it imports. */
export const programFiles = (): string[] => {
  const vm = dirname(dirname(fileURLToPath(import.meta.url)));
  const root = dirname(vm);
  const files = new Set([vm, join(root, "lib")]);
  const description = packageOf(root);
  if (description) files.add(description);
  // It may be a link to a folder elsewhere; both names are looked up.
  if (existsSync(join(root, "node_modules"))) files.add(join(root, "node_modules"));
  for (const name of ["hash-wasm", "multiformats/cid"]) {
    const path = fileURLToPath(import.meta.resolve(name));
    const at = path.lastIndexOf("node_modules");
    if (at >= 0) files.add(path.slice(0, at + "node_modules".length));
  }
  return [...files];
};

/** Tells whether Node starts behind a prefix. */
const works = (prefix: readonly string[]): Promise<boolean> =>
  new Promise((resolve) => {
    const [program, ...args] = [...prefix, NODE, "--version"];
    execFile(program!, args, { env: {}, timeout: PROBE_TIMEOUT_MS }, (error) => resolve(!error));
  });

const find = async (): Promise<Sandbox> => {
  if (process.platform !== "linux") return { prefix: [], barriers: [] };
  const [unshare, setpriv, prlimit] = ["unshare", "setpriv", "prlimit"].map(programPath);
  const namespaces = unshare ? [unshare, "--user", "--net", "--ipc", "--uts"] : undefined;
  const privileges = setpriv ? [setpriv, "--no-new-privs", "--pdeathsig", "KILL"] : undefined;
  const limits = prlimit
    ? [prlimit, `--data=${DATA_BYTES}`, "--core=0", "--fsize=0", `--nofile=${OPEN_FILES}`, "--"]
    : undefined;
  const script = ownRootScript(distinct([...LIBRARIES, ...programFiles(), NODE, ...(setpriv ? [setpriv] : [])]));
  const ownRoot =
    namespaces && privileges && script
      ? [...namespaces, "--map-root-user", "--mount", "--", "/bin/sh", "-c", script, "sh"].concat([
          ...privileges,
          "--bounding-set=-all",
          "--inh-caps=-all",
          "--",
        ])
      : undefined;
  const candidates = [limits, ownRoot, namespaces && [...namespaces, "--"], privileges && [...privileges, "--"]];
  // Most systems have the first two: one try, not four.
  const hasBest = limits !== undefined && ownRoot !== undefined && (await works([...limits, ...ownRoot]));
  const [hasLimits, hasOwnRoot, hasNamespaces, hasPrivileges] = hasBest
    ? [true, true, true, true]
    : await Promise.all(candidates.map((prefix) => prefix !== undefined && works(prefix)));
  const parts: readonly (readonly [boolean | undefined, readonly string[] | undefined, readonly string[]])[] = [
    [hasLimits, limits, [`${DATA_BYTES / 2 ** 30} GiB of memory`, "writes no files"]],
    [hasOwnRoot, ownRoot, ["no network", "sees no files but its program", "no privileges"]],
    [!hasOwnRoot && hasNamespaces, candidates[2], ["no network"]],
    [!hasOwnRoot && hasPrivileges, candidates[3], ["no new privileges"]],
  ];
  const used = parts.filter(([isUsed]) => isUsed);
  return {
    prefix: used.flatMap(([, prefix]) => prefix ?? []),
    barriers: used.flatMap(([, , barriers]) => barriers),
  };
};

let found: Promise<Sandbox> | undefined;

/** Finds out which barriers this system has; the first call tries them, which takes some 0.1 s. */
export const findSandbox = (): Promise<Sandbox> => {
  found ??= find();
  return found;
};
