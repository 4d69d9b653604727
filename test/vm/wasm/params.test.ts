import "../../helpers/plain-spawn.ts";
import t from "tap";
import { parseParams, parseReference, splitArgs } from "../../../vm/wasm/params.ts";
import { environmentOf, type Task } from "../../../vm/wasm/task.ts";
import { NEWEST_RULES, rulesOf } from "../../../vm/wasm/versions.ts";

const HASH = "ab".repeat(32);
const CID = "bafybeigroawwmgibzntuqeclonl7syqsvcbez3i77qhqw6tusrrzosewby";

t.test("arguments are split at white space, and quotes hold together", async (t) => {
  t.same(splitArgs(""), []);
  t.same(splitArgs("  a  b\tc\n"), ["a", "b", "c"]);
  t.same(splitArgs(`--name "a b" 'c "d"' x"y z"w ""`), ["--name", "a b", 'c "d"', "xy zw", ""]);
  t.throws(() => splitArgs(`a "b`), /not closed/);
});

t.test("data is named by content", async (t) => {
  t.same(parseReference(`/ipfs/${CID}`), { kind: "ipfs", cid: CID, name: CID });
  t.same(parseReference(`/ipfs/${CID}?filename=book%20.csv`), { kind: "ipfs", cid: CID, name: "book .csv" });
  t.same(parseReference("/ipfs/QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n"), {
    kind: "ipfs",
    cid: "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
    name: "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
  });
  t.same(parseReference(`https://example.org/a/b.csv?x=1#sha256=${HASH.toUpperCase()}`), {
    kind: "url",
    url: "https://example.org/a/b.csv?x=1",
    sha256: `0x${HASH}`,
    name: "b.csv",
  });
  t.match(parseReference(`https://exa_mple.org:99999/x/%C3%A4.csv#sha256=${HASH}`), { kind: "url", name: "ä.csv" });
  for (const bad of [
    `https:///a.csv#sha256=${HASH}`,
    `https://example.org?a.csv#sha256=${HASH}`,
    `https://example.org/a\\b.csv#sha256=${HASH}`,
    "https://example.org/a.csv",
    `ftp://example.org/a#sha256=${HASH}`,
    "/ipfs/nothing",
    `https://example.org/#sha256=${HASH}`,
    `https://example.org/..%2f#sha256=${HASH}`,
    `/ipfs/${CID}?filename=a%2Fb`,
    "/etc/passwd",
  ])
    t.throws(() => parseReference(bad), { name: "WasmRefused" }, bad);
});

t.test("parameters are JSON with iExec's names", async (t) => {
  t.same(parseParams("", NEWEST_RULES), { args: [], inputs: [], env: {} });
  t.same(parseParams("{}", NEWEST_RULES), { args: [], inputs: [], env: {} });
  const params = parseParams(
    JSON.stringify({
      iexec_args: "a 'b c'",
      iexec_input_files: [`/ipfs/${CID}?filename=x`],
      iexec_result_storage_provider: "ipfs",
      iexec_result_encryption: false,
      iexec_secrets: {},
    }),
    NEWEST_RULES,
  );
  t.same(params.args, ["a", "b c"]);
  t.doesNotThrow(() => parseParams(`{"iexec_developer_logger":${"[".repeat(63)}${"]".repeat(63)}}`, NEWEST_RULES));
  t.doesNotThrow(
    () => parseParams(`{"iexec_developer_logger":[${"0,".repeat(32_000)}0]}`, NEWEST_RULES),
    "long is not deep",
  );
  t.equal(params.inputs[0]!.name, "x");
  const file = `/ipfs/${CID}`;
  for (const [bad, reason] of [
    ["{", /not JSON/],
    ["[]", /not a JSON object/],
    ["1", /not a JSON object/],
    ['{"iexec_args":1}', /not a text/],
    ['{"iexec_args":"\\u0000"}', /not a text/],
    ['{"iexec_args":"\\ud800"}', /not a text/],
    ['{"iexec_input_files":"x"}', /not a list/],
    [JSON.stringify({ iexec_input_files: [file, file] }), /same name/],
    [JSON.stringify({ iexec_input_files: new Array(257).fill(file) }), /256 input files/],
    ['{"iexec_secrets":{"1":"a"}}', /not supported/],
    ['{"iexec_result_storage_provider":"dropbox"}', /ipfs only/],
    ['{"other":1}', /unknown parameter other/],
    [`{"iexec_developer_logger":${"[".repeat(64)}${"]".repeat(64)}}`, /more than 64 levels deep/],
    [`{"iexec_secrets":${'{"a":'.repeat(8_000)}1${"}".repeat(8_000)}}`, /more than 64 levels deep/],
    [JSON.stringify({ iexec_args: "x ".repeat(40_000) }), /65536 bytes/],
    [JSON.stringify({ iexec_args: "x ".repeat(2_000) }), /1024 arguments/],
  ] as const)
    t.throws(() => parseParams(bad, NEWEST_RULES), reason);
});

t.test("the environment has iExec's names in a fixed order, which a task cannot replace", async (t) => {
  const task: Task = {
    taskid: `0x${HASH}`,
    args: [],
    env: { B: "2", A: "1", IEXEC_OUT: "/elsewhere" },
    inputs: [{ name: "book.csv", bytes: new Uint8Array(0) }],
    dataset: { address: `0x${"12".repeat(20)}`, name: "data", bytes: new Uint8Array(0) },
    gasLimit: 0,
    startTime: 0,
    hasCallback: false,
    bot: { size: 20, first: 0, index: 7 },
  };
  t.notOk(
    environmentOf(task, rulesOf(1)).some((variable) => variable.startsWith("TMPDIR")),
    "which version 1 does not have",
  );
  t.same(environmentOf(task, NEWEST_RULES), [
    `IEXEC_TASK_ID=0x${HASH}`,
    "IEXEC_IN=/in",
    "IEXEC_OUT=/out",
    `IEXEC_DATASET_ADDRESS=0x${"12".repeat(20)}`,
    "IEXEC_DATASET_FILENAME=data",
    "IEXEC_BOT_SIZE=20",
    "IEXEC_BOT_FIRST_INDEX=0",
    "IEXEC_BOT_TASK_INDEX=7",
    "IEXEC_INPUT_FILES_NUMBER=1",
    "IEXEC_INPUT_FILES_FOLDER=/in",
    "IEXEC_INPUT_FILE_NAME_1=book.csv",
    "TMPDIR=/tmp",
    "A=1",
    "B=2",
  ]);
});

t.test(
  "a deal may say where its tasks put what is temporary, and no more of a name is taken than is kept",
  async (t) => {
    const env = parseParams(JSON.stringify({ rolec_env: { TMPDIR: "/out", A: "1" } }), NEWEST_RULES).env;
    const task: Task = {
      taskid: `0x${HASH}`,
      args: [],
      env,
      inputs: [],
      gasLimit: 0,
      startTime: 0,
      hasCallback: false,
    };
    t.same(environmentOf(task, NEWEST_RULES).slice(-2), ["TMPDIR=/out", "A=1"]);
    const named = (length: number) =>
      parseParams(JSON.stringify({ rolec_env: { ["A".repeat(length)]: "x" } }), NEWEST_RULES);
    t.equal(Object.keys(named(255).env)[0]?.length, 255);
    t.throws(() => named(256), /no name of a variable/);
  },
);

t.test("an input may have a path of its own, and none that leads elsewhere", async (t) => {
  const named = (...files: string[]) =>
    parseParams(JSON.stringify({ iexec_input_files: files }), NEWEST_RULES).inputs.map(({ name }) => name);
  const ipfs = (path: string): string => `/ipfs/${CID}?path=${path}`;
  t.same(named(ipfs("/share/techmap.v"), ipfs("%2Fshare%2Fa%20b/c"), ipfs("/in/folder/x"), ipfs("/licence")), [
    "/share/techmap.v",
    "/share/a b/c",
    "/in/folder/x",
    "/licence",
  ]);
  t.same(named(`https://example.org/v1/#sha256=${HASH}&path=/share/techmap.v`), ["/share/techmap.v"]);
  const deep = `${"/d".repeat(16)}`;
  t.same(named(ipfs(deep)), [deep]);
  for (const bad of [
    "share/x",
    "/",
    "//x",
    "/x/",
    "/../x",
    "/a/./x",
    "/a%2F..%2Fx",
    "/out/x",
    "/tmp/x",
    "/dev/null",
    "/out",
    `${deep}/d`,
    `/${"n".repeat(256)}`,
    `/${"n".repeat(250)}`.repeat(17),
    "/a%00b",
    "/a\\b",
  ])
    t.throws(() => named(ipfs(bad)), /no path that an input may have/, bad);
  t.throws(() => named(`/ipfs/${CID}?filename=%2Fshare%2Fx`), /bad file name/);
  for (const clash of [
    [ipfs("/a/b"), ipfs("/a/b")],
    [ipfs("/a/b"), ipfs("/a/b/c")],
    [ipfs("/a/b/c"), ipfs("/a/b")],
    [`/ipfs/${CID}?filename=x`, ipfs("/in/x")],
    [`/ipfs/${CID}?filename=x`, ipfs("/in/x/y")],
    [ipfs("/in")],
  ])
    t.throws(() => named(...clash), /same name, or one is on the way/, clash.join(" "));
  t.throws(() => parseParams(JSON.stringify({ iexec_input_files: [ipfs("/a")] }), rulesOf(1)), { name: "WasmRefused" });
});

t.test("parameters may add variables, but none of iExec's", async (t) => {
  const env = (value: unknown) => parseParams(JSON.stringify({ rolec_env: value }), NEWEST_RULES).env;
  t.same(env({ TMPDIR: "/tmp", _a1: "" }), { TMPDIR: "/tmp", _a1: "" });
  for (const bad of [
    [],
    "A=1",
    null,
    { A: 1 },
    { "": "x" },
    { "1A": "x" },
    { "A=B": "x" },
    { IEXEC_OUT: "/elsewhere" },
    { A: "a\0b" },
    { A: "\ud800" },
    { ["A".repeat(256)]: "x" },
    Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`A${i}`, ""])),
  ])
    t.throws(() => env(bad), { name: "WasmRefused" }, JSON.stringify(bad).slice(0, 60));
  t.throws(() => parseParams('{"rolec_env":{"__proto__":"x"}}', NEWEST_RULES), { name: "WasmRefused" });
  t.throws(() => parseParams('{"rolec_env":{}}', rulesOf(1)), /unknown parameter rolec_env/);
});
