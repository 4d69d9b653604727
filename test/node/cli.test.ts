import "../helpers/plain-spawn.ts";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import type { Address, Hash, Hex } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import { readOrMakeWorkerKey } from "../../node/cli/worker-options.ts";
import { costsOfDeal, dealsOf, lotsOfDeal, outcomesOf } from "../../node/jobs.ts";
import { defaultPolicy } from "../../node/worker/policy.ts";
import { RpcCallError, type RpcClient, rpcClient } from "../../rpc/client.ts";

t.setTimeout(600_000);
const MAIN = fileURLToPath(new URL("../../node/cli/main.ts", import.meta.url));
const PACKAGE = fileURLToPath(new URL("../../package.json", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "rolec-cli-"));
const children: ChildProcess[] = [];
t.teardown(async () => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
});

const rolec = (...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> =>
  new Promise((resolve) => {
    const options = { env: { PATH: process.env.PATH }, timeout: 120_000 };
    execFile(process.execPath, [MAIN, ...args], options, (error, stdout, stderr) =>
      resolve({ status: error ? Number(error.code ?? -1) : 0, stdout, stderr }),
    );
  });
const refused = async (args: string[], reason: RegExp): Promise<void> => {
  const { status, stdout, stderr } = await rolec(...args);
  t.equal(status, 1, `${args.join(" ")}\n${stdout}`);
  t.match(stderr, reason, args.join(" "));
  t.notMatch(stderr, /at .*\.ts:\d+/, "no stack trace");
};
interface Dev {
  readonly rpcUrl: string;
  readonly accounts: { readonly address: Address; readonly privateKey: Hex }[];
}
const startDev = async (datadir: string): Promise<Dev> => {
  const child = spawn(process.execPath, [MAIN, "dev", "--port", "0", "--json", "--datadir", datadir], {
    env: { PATH: process.env.PATH },
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  let text = "";
  for await (const chunk of child.stdout!) {
    text += chunk;
    if (text.trimEnd().endsWith("\n}")) break;
  }
  return JSON.parse(text) as Dev;
};

const datadir = join(folder, "dev");
const { rpcUrl, accounts } = await startDev(datadir);
const [alice, bob] = accounts.map((each) => each.privateKey) as [Hex, Hex];
const client = rpcClient(rpcUrl);
const at = ["--node", rpcUrl];
const poor: Hex = keccak256(new Uint8Array([1]));
const wasm = join(folder, "empty.wasm");
writeFileSync(
  wasm,
  Buffer.from(
    "0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a040102000b",
    "hex",
  ),
);
let app: Address;

t.test("who has no RLC is told which account needs how much", async () => {
  const account = addressOf(poor);
  await refused(
    ["account", "send", account, "5", "--key", poor, ...at],
    new RegExp(`account ${account} has 0 RLC, 5 RLC and the fee are needed: send it RLC first\n$`),
  );
  const worker = join(folder, "worker");
  readOrMakeWorkerKey(worker);
  const validator = (await client.call("rolec_power", [])) as { validator: Address }[];
  await refused(
    ["worker", "join", "--datadir", worker, "--validator", validator[0]!.validator, ...at],
    /^rolec: account 0x[0-9a-f]{40} has 0 RLC, 10 RLC and the fee are needed: send it RLC first/,
  );
});

t.test("a program is published once, and only a program can be bought", async (t) => {
  const deployed = await rolec("app", "deploy", wasm, "--key", alice, "--json", ...at);
  t.equal(deployed.status, 0, deployed.stderr);
  app = JSON.parse(deployed.stdout).app;
  await refused(
    ["app", "deploy", wasm, "--key", alice, ...at],
    new RegExp(`${addressOf(alice)} has published this program under this name already: app ${app}`),
  );
  await refused(["job", "run", addressOf(alice), "--key", alice, ...at], /is no app of this chain; "rolec app deploy/);
  const before = await client.call("eth_getTransactionCount", [addressOf(alice), "latest"]);
  await refused(
    ["job", "run", app, "--args", "'unterminated", "--key", alice, ...at],
    /a quote in iexec_args is not closed/,
  );
  t.equal(await client.call("eth_getTransactionCount", [addressOf(alice), "latest"]), before, "nothing was paid");
});

/** A node that answers fewer blocks, logs and calls at a time: what a long chain and a large job come to. */
const strict = (blocks: number, items: number): { client: RpcClient; requests: () => number } => {
  let requests = 0;
  return {
    requests: () => requests,
    client: {
      ...client,
      call: (method, params = []) => {
        requests += 1;
        const [{ fromBlock = "0x0", toBlock = "0x0" } = {}] = params as [{ fromBlock?: Hex; toBlock?: Hex }?];
        if (
          method === "eth_getLogs" &&
          (toBlock === ("latest" as Hex) || Number(toBlock) - Number(fromBlock) >= blocks)
        )
          return Promise.reject(new RpcCallError(-32602, `block range of more than ${blocks} blocks`, undefined));
        return client.call(method, params);
      },
      batch: (list) => {
        requests += 1;
        t.ok(list.length <= items, `${list.length} calls in a request`);
        return client.batch(list);
      },
    },
  };
};

t.test("jobs are listed and described whatever the length of the chain and their own", async (t) => {
  const run = ["job", "run", app, "--tasks", "450", "--gas", "2000000000", "--key", bob, "--no-wait", "--json", ...at];
  const submitted = await rolec(...run);
  t.equal(submitted.status, 0, submitted.stderr);
  const { dealid } = JSON.parse(submitted.stdout) as { dealid: Hash };
  const { client: slow, requests } = strict(2, 100);
  t.match(await dealsOf(slow, addressOf(bob)), [{ dealid }]);
  t.equal((await dealsOf(slow, addressOf(bob))).length, 1);
  t.same(await costsOfDeal(slow, dealid), []);
  const before = requests();
  const lots = await lotsOfDeal(slow, dealid);
  t.same(
    lots.map(({ index }) => index),
    Array.from({ length: 450 }, (_, i) => i),
  );
  t.equal(requests() - before, 6, "a hundred lots a request");
  t.equal((await outcomesOf(slow, dealid, lots)).length, 450);
  const listed = await rolec("job", "list", "--key", bob, ...at);
  t.match(listed.stdout, dealid, listed.stderr);
  const described = await rolec("job", "describe", dealid, ...at);
  t.match(described.stdout, /450 tasks in 450 lots/, described.stderr);
  await refused(["job", "describe", `0x${"12".repeat(32)}`, ...at], /^rolec: no such deal: 0x12/);
});

t.test("a category that there is not is answered with those that there are", async () => {
  const category = ["--category", "9", "--key", alice, ...at];
  const words = /^rolec: there is no category 9: 0 is ten seconds, 1 is one minute, .*6 is ten hours\n$/;
  await refused(["job", "run", app, ...category], words);
  for (const kind of ["workerpool", "request"]) await refused(["order", "place", kind, app, ...category], words);
  await refused(["pool", "order", app, ...category], words);
  await refused(
    ["iexec-config", "--out", join(folder, "iexec"), "--pool-order", "--category", "9", "--rpc", rpcUrl],
    words,
  );
});

t.test("another account may pay and own a validator's bond", async (t) => {
  const keys = join(folder, "keys.json");
  await rolec("validator", "new", "--out", keys);
  const { address } = JSON.parse(readFileSync(keys, "utf8")) as { address: Address };
  const register = ["validator", "register", "--keys", keys, "--key", bob, ...at];
  await refused([...register, "--bond", "5"], /the bond is at least 1000 RLC/);
  const done = await rolec(...register, "--bond", "1500");
  t.equal(done.status, 0, done.stderr);
  const all = (await client.call("rolec_validators", [])) as { address: Address; owner: Address; bondWei: string }[];
  t.match(
    all.find((each) => each.address === address),
    { owner: addressOf(bob), bondWei: `1500${"0".repeat(18)}` },
  );
  await refused([...register, "--bond", "1500"], /^rolec: the chain refuses it: (?!execution reverted).+\n$/);
  await refused(["validator", "register", "--keys", PACKAGE, "--bond", "1500", ...at], /package\.json holds no keys/);
});

t.test("a reserve that no disk can keep is refused before anything starts", async () => {
  const reserve = ["--disk-reserve", String(2 ** 30)];
  const words = /--disk-reserve 1073741824: the disk of \S+ has \d+ MiB in all/;
  for (const command of ["dev", "testnet"]) await refused([command, "--port", "0", ...reserve], words);
  await refused(["worker", "start", "--datadir", join(folder, "idle"), ...at, ...reserve], words);
  const own = join(folder, "reserve");
  await rolec("genesis", "new", "--out", own, "--validators", "1");
  await refused(["node", "--datadir", join(own, "validator-1"), "--port", "0", ...reserve], words);
});

t.test("a folder or a port that is in use is said to be", async () => {
  const port = new URL(rpcUrl).port;
  await refused(
    ["dev", "--port", port],
    /--port \d+: this port of 127\.0\.0\.1 is taken by another program; --port chooses one/,
  );
  await refused(
    ["dev", "--port", "0", "--datadir", datadir],
    /is in use by process \d+ \(rolec node\): one folder is for one program/,
  );
  const own = join(folder, "p2p");
  await rolec("genesis", "new", "--out", own, "--validators", "1");
  const node = ["node", "--datadir", join(own, "validator-1"), "--port", "0"];
  const nowhere = "192.0.2.1";
  await refused([...node, "--host", nowhere], /--host 192\.0\.2\.1: this machine has no such address/);
  await refused([...node, "--host", "nosuch.invalid"], /--host nosuch\.invalid: /);
  const p2p = ["--p2p-port", "0", "--p2p-host", "127.0.0.1", nowhere];
  await refused([...node, ...p2p], /--p2p-host 192\.0\.2\.1: this machine has no such address/);
  const miners = [...node, "--p2p-port", "0", "--stratum", port];
  await refused(miners, /--stratum \d+: this port of 127\.0\.0\.1 is taken by another program; --stratum chooses/);
  await refused([...miners, "--stratum-host", nowhere], /--stratum-host 192\.0\.2\.1: this machine has no such/);
  await refused(["dev", "--host", nowhere], /--host 192\.0\.2\.1: this machine has no such address/);
  await refused(["testnet", "--host", nowhere], /--host 192\.0\.2\.1: this machine has no such address/);
  await refused([...node, "--bootstrap", "/ip4/127.0.0.1/tcp/1", "here"], /'here' is invalid.*an address of a node/);
  await refused(
    [...node, "--p2p-port", port],
    /--p2p-port \d+: this port of 127\.0\.0\.1 is taken by another program; --p2p-port chooses one/,
  );
});

t.test("a genesis document is kept once it is known to be good, and never exchanged", async (t) => {
  const own = join(folder, "own");
  const node = ["node", "--datadir", own, "--port", "0", "--p2p-port", "0"];
  await refused([...node, "--genesis", PACKAGE], /genesis: /);
  t.notOk(existsSync(join(own, "genesis.json")));
  t.equal((await rolec("genesis", "new", "--out", join(folder, "net"), "--validators", "1")).status, 0);
  const other = join(folder, "net", "validator-1");
  const genesis = join(datadir, "genesis.json");
  await refused(["node", "--datadir", other, "--genesis", genesis], /is of another network than/);
  await refused(
    ["node", "--datadir", other, "--bootstrap", "garbage"],
    /'garbage' is invalid. an address of a node is expected, like \/ip4/,
  );
  await refused(["node", "--datadir", other, "--log-level", "nonsense"], /no log level "nonsense": trace, debug/);
  await refused(["genesis", "new", "--out", "/proc/x"], /folder \/proc\/x.* is not made/);
});

t.test("a worker whose node is down does not claim to have no slots", async (t) => {
  const worker = join(folder, "away");
  const status = {
    pid: 1,
    address: addressOf(poor),
    node: "http://127.0.0.1:9",
    seated: [],
    computing: [],
    policy: defaultPolicy(1),
  };
  await rolec("genesis", "new", "--out", worker, "--validators", "1");
  writeFileSync(join(worker, "status.json"), JSON.stringify(status));
  const shown = await rolec("worker", "status", "--datadir", worker);
  t.match(shown.stdout, /slots +not known: the node does not answer/);
  t.notMatch(shown.stdout, /staking 0/);
});

t.test("a node whose disk fails stops with the reason and status 1", async (t) => {
  const own = join(folder, "disk");
  await rolec("genesis", "new", "--out", own, "--validators", "1", "--profile", "dev", "--start", "0");
  const node = `"${process.execPath}" "${MAIN}" node --datadir "${join(own, "validator-1")}" --port 0 --p2p-port 0`;
  // No file may be larger than 64 KiB: the database fails after a few blocks.
  const child = spawn("bash", ["-c", `ulimit -f 64; exec ${node}`], {
    env: { PATH: process.env.PATH },
    stdio: ["ignore", "ignore", "pipe"],
  });
  children.push(child);
  let text = "";
  child.stderr!.on("data", (data) => {
    text += data;
  });
  const status = await new Promise((resolve) => child.once("close", resolve));
  t.equal(status, 1, text);
  t.match(text, /\nrolec: this node cannot go on and has stopped: .*File too large\n$/);
});
