import "../helpers/plain-spawn.ts";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import loadWabt from "wabt";

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
    t.same(JSON.parse(rolec("run", file, "--json", "--time", `${receipt.startTime}`).stdout), receipt);
    writeFileSync(file, "this is no module");
    const refused = rolec("run", file);
    t.equal(refused.status, 1);
    t.match(refused.stdout, /^status +INVALID: .*not a WebAssembly module/m);
  },
);

/** A program that writes the eight bytes of its clock, nanoseconds, to standard output. */
const CLOCK = `(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\08\\00\\00\\00")
  (func (export "_start")
    (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 16)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))`;

t.test("the clock of a run begins now, or where it is told to, and the run says where", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-run-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "clock.wasm");
  writeFileSync(file, (await loadWabt()).parseWat("clock.wat", CLOCK).toBinary({}).buffer);
  const run = (...options: string[]) => {
    const { status, stdout, stderr } = rolec("run", file, "--out", folder, ...options);
    t.equal(status, 0, stderr);
    const clock = Number(readFileSync(join(folder, "stdout")).readBigUInt64LE() / 1_000_000_000n);
    return { clock, stdout, digest: /^digest +(0x[0-9a-f]{64})/m.exec(stdout)?.[1] };
  };
  const before = Math.floor(Date.now() / 1000);
  const now = run();
  t.ok(now.clock >= before && now.clock <= Date.now() / 1000, `${now.clock}`);
  const [, said] = /^clock +from 20.*--time (\d+)$/m.exec(now.stdout) ?? [];
  t.equal(run("--time", said!).digest, now.digest, "what it says repeats it");
  const old = run("--time", "0");
  t.equal(old.clock, 0);
  t.match(old.stdout, /^clock +from 1970-01-01T00:00:00/m);
});

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
  t.match(short.stdout, /^status +OUT_OF_GAS \(it needs more than 1000 gas\)$/m);
  t.match(short.stdout, /^gas +1000 of 1000, \d+ executed: --gas gives more$/m);
});

/** Counts down from four hundred million. */
const LONG = `(module
  (memory (export "memory") 1)
  (func (export "_start") (local $i i32)
    (local.set $i (i32.const 400000000))
    (loop $again (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))))`;

t.test("a run that takes more gas than a job gives unless told says what to tell it", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-run-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "long.wasm");
  writeFileSync(file, (await loadWabt()).parseWat("long.wat", LONG).toBinary({}).buffer);
  const { status, stdout } = rolec("run", file);
  t.equal(status, 0, stdout);
  const [, used, told] = /^gas +(\d+) of \d+, \d+ executed: rolec job run needs --gas (\d+)$/m.exec(stdout) ?? [];
  t.ok(Number(used) > 2_000_000_000, stdout);
  t.equal(told, used);
});

t.test("files that a job could not have are refused before anything runs, by name", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-run-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const [module, one] = [join(folder, "empty.wasm"), join(folder, "x")];
  writeFileSync(module, EMPTY_PROGRAM);
  writeFileSync(one, "");
  mkdirSync(join(folder, "in"));
  writeFileSync(join(folder, "in", "x"), "");
  const refused = (reason: string, ...options: string[]): void => {
    const { status, stdout, stderr } = rolec("run", module, ...options);
    t.same([status, stdout, stderr], [1, "", `rolec: ${reason}\n`]);
  };
  refused(`${one} has a name that no input can have: /out/x`, "--input", `${one}=/out/x`);
  refused(`${folder}/in/x and ${one} would both be /in/x`, "--dir", `in=${folder}/in`, "--input", one);
  refused(`${one} and ${folder}/in/x would both be /in/x`, "--input", one, "--dataset", join(folder, "in", "x"));
  refused(`${one} would be /a, where others need a folder`, "--input", `${one}=/a`, "--input", `${folder}/in=/a/b`);
  t.end();
});

t.test("wrong input gets one line that says what is wrong", async (t) => {
  const refused = (args: string[], reason: RegExp) => {
    const { status, stderr, stdout } = rolec(...args);
    t.not(status, 0);
    t.match(stderr + stdout, reason, args.join(" "));
    t.notMatch(stderr, /at .*\.ts:\d+/, "no stack trace");
  };
  const module = fileURLToPath(new URL("../../apps/assemblyscript/sample/word-count.wasm", import.meta.url));
  refused(["run", "/nowhere.wasm"], /nowhere\.wasm does not exist/);
  refused(["run", module, "--dir", "/data"], /in=<folder> or out=<folder> is expected/);
  refused(["run", module, "--dir", "in=/nowhere"], /nowhere does not exist/);
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
