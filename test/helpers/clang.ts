import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";

/** The version of the compiler whose bytes are committed. */
const CLANG = "14.0.6";

/** Says why this machine cannot build WebAssembly to the same bytes; false where it can. `flags` and `program` are tried. */
export const clangObstacle = (flags: readonly string[], program: string): string | false => {
  const version = spawnSync("clang", ["--version"], { encoding: "utf8" }).stdout ?? "";
  if (!version.includes(`version ${CLANG}`)) return `needs clang ${CLANG}, this is ${version.split("\n")[0] || "none"}`;
  const { status } = spawnSync("clang", [...flags, "-x", "c", "-o", "/dev/null", "-"], { input: program });
  return status === 0 ? false : "needs lld, and what its programs are linked with";
};

/** Puts a wasm-opt into a folder that fails, and gives an environment where clang finds it as it finds binaryen's. */
export const withWasmOpt = (folder: string): NodeJS.ProcessEnv => {
  writeFileSync(join(folder, "wasm-opt"), "#!/bin/sh\necho wasm-opt was called >&2\nexit 1\n", { mode: 0o755 });
  return { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}` };
};
