/** Runs the public test suite of WASI preview 1 (WebAssembly/wasi-testsuite, branch prod/testsuite-base). */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { DirectoryNode } from "../../vm/wasm/file-nodes.ts";
import { createFileTree, type FileTree } from "../../vm/wasm/file-tree.ts";
import { compileModule, runIn } from "../../vm/wasm/instance.ts";
import { STATUS, STATUS_NAMES } from "../../vm/wasm/status.ts";
import { NEWEST_RULES } from "../../vm/wasm/versions.ts";

export interface SuiteResult {
  /** As `rust/fd_readdir`. */
  readonly name: string;
  /** Undefined: it passed. */
  readonly failure: string | undefined;
}

interface Specification {
  readonly args?: readonly string[];
  readonly root?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly exit_code?: number;
  readonly stdout?: string;
  readonly stderr?: string;
}

const LANGUAGES = ["assemblyscript", "c", "rust"] as const;
const GAS_LIMIT = 60_000_000_000;
const folderOf = (suite: string, language: string): string =>
  join(suite, "tests", language, "testsuite", "wasm32-wasip1");

/** Tells whether a folder holds the suite with its built modules. */
export const isSuite = (suite: string): boolean => LANGUAGES.every((language) => existsSync(folderOf(suite, language)));

/** Copies a folder of this machine into the tree. */
const copyFolder = (tree: FileTree, from: string, to: DirectoryNode): void => {
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const path = join(from, entry.name);
    if (entry.isDirectory()) copyFolder(tree, path, tree.createDirectory(to, entry.name));
    else tree.write(tree.createFile(to, entry.name), 0, readFileSync(path));
  }
};

const runTest = (path: string): string | undefined => {
  const specificationPath = path.replace(/\.wasm$/, ".json");
  const specification: Specification = existsSync(specificationPath)
    ? JSON.parse(readFileSync(specificationPath, "utf8"))
    : {};
  const tree = createFileTree([], NEWEST_RULES);
  // The suite mounts its folder as a writable `/`, which `/out` is to a job.
  const root = tree.child(tree.root, "out") as DirectoryNode;
  if (specification.root) copyFolder(tree, join(path, "..", specification.root), root);
  const world = {
    taskid: `0x${"11".repeat(32)}` as const,
    args: [basename(path), ...(specification.args ?? [])],
    environment: Object.entries(specification.env ?? {}).map(([name, value]) => `${name}=${value}`),
    startTime: 1_700_000_000,
    tree,
    root: specification.root ? root : undefined,
  };
  const { status, code, files } = runIn(compileModule(readFileSync(path), NEWEST_RULES), world, GAS_LIMIT, 0);
  const textOf = (stream: string): string => Buffer.from(files.get(stream) ?? []).toString();
  const exitCode = specification.exit_code ?? 0;
  if ((status !== STATUS.ok && status !== STATUS.exit) || code !== exitCode)
    return `${STATUS_NAMES[status]} ${code}, expected exit ${exitCode}: ${textOf("stderr").trim().slice(0, 300)}`;
  for (const stream of ["stdout", "stderr"] as const) {
    const expected = specification[stream];
    if (expected !== undefined && textOf(stream) !== expected)
      return `${stream} is ${JSON.stringify(textOf(stream))}, expected ${JSON.stringify(expected)}`;
  }
  return undefined;
};

/** Runs every test for preview 1 in the suite's folder, in order. */
export function* runSuite(suite: string): Generator<SuiteResult> {
  for (const language of LANGUAGES) {
    const folder = folderOf(suite, language);
    for (const file of readdirSync(folder).sort()) {
      if (!file.endsWith(".wasm")) continue;
      const name = `${language}/${basename(file, ".wasm")}`;
      let failure: string | undefined;
      try {
        failure = runTest(join(folder, file));
      } catch (error) {
        failure = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      }
      yield { name, failure };
    }
  }
}
