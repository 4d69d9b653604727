/**
 * What the operating system puts around the process of a lot, beside V8 and Node's permission model: each where it can be
 * had without installing anything and without being root. Found out once, by trying.
 */
import { execFile } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
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

/** Arguments: paths to show, `--`, command. Makes a root that holds nothing but these paths, read only. */
const OWN_ROOT = `
set -e
mount -t tmpfs -o mode=755,size=1m rolec /mnt
while [ "$1" != -- ]; do
  if [ ! -e "/mnt$1" ]; then
    if [ -d "$1" ]; then mkdir -p "/mnt$1"; else mkdir -p "/mnt\${1%/*}"; : > "/mnt$1"; fi
    mount --rbind "$1" "/mnt$1"
    mount -o remount,bind,ro "/mnt$1" || mount -o remount,bind,ro,nosuid,nodev "/mnt$1"
  fi
  shift
done
shift
mount -o remount,ro /mnt
cd /mnt
exec chroot /mnt "$@"
`;

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
  const limits = prlimit
    ? [prlimit, `--data=${DATA_BYTES}`, "--core=0", "--fsize=0", `--nofile=${OPEN_FILES}`, "--"]
    : [];
  const privileges = setpriv ? [setpriv, "--no-new-privs", "--pdeathsig", "KILL", "--"] : [];
  const dropAll = setpriv
    ? [setpriv, "--no-new-privs", "--pdeathsig", "KILL", "--bounding-set=-all", "--inh-caps=-all", "--"]
    : [];
  const namespaces = unshare ? [unshare, "--user", "--net", "--ipc", "--uts", "--"] : [];
  const shown = [
    ...new Set(
      [...LIBRARIES.filter((path) => existsSync(path)), ...programFiles(), NODE].concat(
        setpriv ? [realpathSync(setpriv)] : [],
      ),
    ),
  ];
  const ownRoot =
    unshare && setpriv
      ? [unshare, "--user", "--map-root-user", "--net", "--ipc", "--uts", "--mount", "--"].concat(
          ["/bin/sh", "-c", OWN_ROOT, "sh"],
          shown,
          "--",
        )
      : [];
  const [hasLimits, hasPrivileges, hasNamespaces, hasOwnRoot] = await Promise.all([
    limits.length > 0 && works(limits),
    privileges.length > 0 && works(privileges),
    namespaces.length > 0 && works(namespaces),
    ownRoot.length > 0 && works([...ownRoot, ...dropAll]),
  ]);
  const prefix = [...(hasLimits ? limits : [])];
  const barriers = hasLimits ? [`${DATA_BYTES / 2 ** 30} GiB of memory`, "writes no files"] : [];
  if (hasOwnRoot) {
    prefix.push(...ownRoot, ...dropAll);
    barriers.push("no network", "sees no files but its program", "no privileges");
  } else {
    if (hasNamespaces) {
      prefix.push(...namespaces);
      barriers.push("no network");
    }
    if (hasPrivileges) {
      prefix.push(...privileges);
      barriers.push("no new privileges");
    }
  }
  return { prefix, barriers };
};

let found: Promise<Sandbox> | undefined;

/** Finds out which barriers this system has; the first call tries each, which takes some 0.1 s. */
export const findSandbox = (): Promise<Sandbox> => {
  found ??= find();
  return found;
};
