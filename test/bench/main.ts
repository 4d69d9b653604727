/** Lists the benches, or runs one: npm run -s bench -- [name] [its arguments]. */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

const FOLDER = import.meta.dirname;
/** Benches by name: a file, or a folder with a main.ts; those of the VM stand in a folder of their own. */
const benches = new Map(
  ["", "vm"].flatMap((folder) =>
    readdirSync(join(FOLDER, folder), { withFileTypes: true }).flatMap((entry): [string, string][] => {
      const path = join(folder, entry.isDirectory() ? join(entry.name, "main.ts") : entry.name);
      const isProgram = path.endsWith(".ts") && path !== "main.ts" && existsSync(join(FOLDER, path));
      // What only serves others says nothing.
      const isBench = isProgram && /console\.log|node .*test\/bench/.test(readFileSync(join(FOLDER, path), "utf8"));
      return isBench ? [[join(folder, basename(entry.name, ".ts")), path]] : [];
    }),
  ),
);
/** What a bench says of itself first. */
const about = (path: string): string =>
  /^(?:\/\*\*\n? ?\*?|\/\/) ?(.*)/.exec(readFileSync(join(FOLDER, path), "utf8"))![1]!.replace(/ \*\/$/, "");

const [name, ...args] = process.argv.slice(2);
if (name === undefined) for (const [bench, path] of benches) console.log(`${bench.padEnd(14)} ${about(path)}`);
else {
  const path = benches.get(name);
  if (path === undefined) {
    console.error(`no bench "${name}": ${[...benches.keys()].join(", ")}`);
    process.exitCode = 1;
  } else {
    // Some stand in for parts of the program, before it is loaded.
    const hooks = join(FOLDER, dirname(path), "hooks.ts");
    const flags = existsSync(hooks) ? ["--import", hooks] : [];
    const child = spawn(process.execPath, [...flags, join(FOLDER, path), ...args], { stdio: "inherit" });
    child.on("close", (code) => {
      process.exitCode = code ?? 1;
    });
  }
}
