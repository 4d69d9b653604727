import "../helpers/plain-spawn.ts";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";

t.setTimeout(120_000);
const MAIN = fileURLToPath(new URL("../../node/cli/main.ts", import.meta.url));
const rolec = (...args: string[]) =>
  spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8", env: { PATH: process.env.PATH } });
/** (module (memory (export "memory") 1) (func (export "_start"))) */
const EMPTY_PROGRAM = Buffer.from(
  "0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a040102000b",
  "hex",
);

t.test(
  "a program that does nothing has the output root of the empty run, and the same receipt each time",
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "rolec-run-"));
    t.teardown(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "empty.wasm");
    writeFileSync(file, EMPTY_PROGRAM);
    const first = rolec("run", file, "--json", "--out", join(folder, "result"));
    t.equal(first.status, 0, first.stderr);
    const receipt = JSON.parse(first.stdout);
    t.equal(receipt.status, "OK");
    t.equal(receipt.outputRoot, "0xd1702d661901cb6748104b7357f96212a8824ced1ffc0f0b7a7494639748960e");
    t.equal(readFileSync(join(folder, "result", "stdout"), "utf8"), "");
    t.same(JSON.parse(rolec("run", file, "--json").stdout), receipt);
    writeFileSync(file, "this is no module");
    const refused = rolec("run", file);
    t.equal(refused.status, 1);
    t.match(refused.stdout, /^status +INVALID: .*not a WebAssembly module/m);
  },
);

t.test("a run says how it ended, what it cost, and where its output is", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-run-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const module = fileURLToPath(new URL("../../apps/assemblyscript/sample/word-count.wasm", import.meta.url));
  mkdirSync(join(folder, "data"));
  writeFileSync(join(folder, "data", "a.txt"), "one two");
  const { status, stdout, stderr } = rolec("run", module, "--dir", `in=${folder}/data`, "--dir", `out=${folder}/out`);
  t.equal(status, 0, stderr);
  t.match(stdout, /^2 words, 2 different, in 1 files\n/);
  t.match(stdout, /^status +OK$/m);
  t.match(stdout, /^gas +\d+ of 60000000000, \d+ executed$/m);
  t.match(stdout, /^time +[\d.]+ s/m);
  t.match(stdout, new RegExp(`^output +bafy.*: 1 in /out, .* in ${folder}/out$`, "m"));
  t.equal(readFileSync(join(folder, "out", "out", "words.csv"), "utf8"), "word,count\none,1\ntwo,1\n");
  const short = rolec("run", module, "--gas", "1000");
  t.equal(short.status, 1);
  t.match(short.stdout, /^status +OUT_OF_GAS: it needs more than 1000 gas/m);
});

t.test("wrong input gets one line that says what is wrong", async (t) => {
  const refused = (args: string[], reason: RegExp) => {
    const { status, stderr, stdout } = rolec(...args);
    t.not(status, 0);
    t.match(stderr + stdout, reason, args.join(" "));
    t.notMatch(stderr, /at .*\.ts:\d+/, "no stack trace");
  };
  const module = fileURLToPath(new URL("../../apps/assemblyscript/sample/word-count.wasm", import.meta.url));
  refused(["run", "/nowhere.wasm"], /nowhere\.wasm is not read/);
  refused(["run", module, "--dir", "/data"], /in=<folder> or out=<folder> is expected/);
  refused(["run", module, "--dir", "in=/nowhere"], /nowhere is not read/);
  refused(["run", module, "--dir", `in=${fileURLToPath(new URL("..", import.meta.url))}`], /is no file/);
  refused(["run", module, "--task", "0x12"], /a task id is expected/);
  refused(["run", module, "--index", "3", "--bag", "3"], /not in a bag of 3/);
  refused(["run", module, "--timeout", "0"], /a whole number from 1 to 86400/);
  refused(["account", "show", "0x12"], /an address is expected/);
  refused(["account", "show", `0x${"11".repeat(20)}`, "--node", "http://127.0.0.1:9"], /rolec: /);
  refused(["node", "--datadir", "/tmp/rolec-no-such-folder"], /genesis\.json does not exist/);
  refused(["genesis", "check", fileURLToPath(new URL("../../package.json", import.meta.url))], /genesis: /);
  refused(["testnet", "--validators", "0"], /a whole number from 1 to 16/);
  refused(["fly"], /unknown command/);
});
