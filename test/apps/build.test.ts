import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { APPS } from "../helpers/apps.ts";

const CLANG = "14.0.6";
const NAMES = ["option-pricing", "plasma", "wind-tunnel", "word-count"];

/** Why this machine cannot build the apps to the same bytes, false if it can. */
const obstacle = (): string | false => {
  try {
    const version = execFileSync("clang", ["--version"], { encoding: "utf8", stdio: "pipe" });
    if (!version.includes(`version ${CLANG}`)) return `the apps are built with clang ${CLANG}, this is another`;
    const program = "#include <math.h>\nint main(int n, char **a) { return a[n - 1] != 0 && exp(n) < 1; }";
    const target = ["--target=wasm32-wasi", "--sysroot=/usr", "-x", "c", "-o", "/dev/null", "-"];
    execFileSync("clang", target, { input: program, stdio: "pipe" });
    return false;
  } catch {
    return "no clang with lld, wasi-libc and its runtime on this machine";
  }
};
const reason = obstacle();

for (const name of NAMES) {
  const committed = readFileSync(new URL(`${name}/${name}.wasm`, APPS));
  t.test(`building ${name} again gives the committed bytes`, { skip: reason }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "rolec-app-"));
    t.teardown(() => rmSync(folder, { recursive: true }));
    const output = join(folder, "app.wasm");
    execFileSync(fileURLToPath(new URL(`${name}/build.sh`, APPS)), [output], { stdio: "pipe" });
    t.ok(readFileSync(output).equals(committed));
  });
  t.test(`${name} is small`, async (t) => t.ok(committed.length < 80 * 1024, `${committed.length} bytes`));
}
