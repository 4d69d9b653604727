import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { APPS } from "../helpers/apps.ts";
import { clangObstacle, withWasmOpt } from "../helpers/clang.ts";

const NAMES = ["option-pricing", "plasma", "wind-tunnel", "word-count"];

const PROGRAM = "#include <math.h>\nint main(int n, char **a) { return a[n - 1] != 0 && exp(n) < 1; }";
const FLAGS = ["--target=wasm32-wasi", `--sysroot=${process.env.WASI_SYSROOT ?? "/usr"}`];
const reason = clangObstacle(FLAGS, PROGRAM);

for (const name of NAMES) {
  const committed = readFileSync(new URL(`${name}/${name}.wasm`, APPS));
  t.test(
    `building ${name} again gives the committed bytes, where a wasm-opt is installed too`,
    { skip: reason },
    async (t) => {
      const folder = mkdtempSync(join(tmpdir(), "rolec-app-"));
      t.teardown(() => rmSync(folder, { recursive: true }));
      const output = join(folder, "app.wasm");
      execFileSync(fileURLToPath(new URL(`${name}/build.sh`, APPS)), [output], {
        stdio: "pipe",
        env: withWasmOpt(folder),
      });
      t.ok(readFileSync(output).equals(committed));
    },
  );
  t.test(`${name} is small`, async (t) => t.ok(committed.length < 80 * 1024, `${committed.length} bytes`));
}
