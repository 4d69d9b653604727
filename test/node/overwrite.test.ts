import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { createProgram } from "../../node/cli/program.ts";
import { devKey, validatorKeys, writeNodeFolder } from "../../node/folder.ts";
import { startTestnet } from "../../node/testnet.ts";

const folder = mkdtempSync(join(tmpdir(), "rolec-overwrite-"));
t.teardown(() => rmSync(folder, { recursive: true }));
const at = (...names: string[]): string => join(folder, ...names);
const read = (...names: string[]): string => readFileSync(at(...names), "utf8");

/** Runs a command of `rolec` in this process, silently. */
const run = async (...args: string[]): Promise<void> => {
  // What the test itself reports goes out before.
  await new Promise((resolve) => setImmediate(resolve));
  const written = t.capture(process.stdout, "write");
  try {
    await (await createProgram(args)).exitOverride().parseAsync(args, { from: "user" });
  } finally {
    written.restore();
  }
};

t.test("a network is not made where one lies, unless it is to be replaced", async (t) => {
  const make = ["genesis", "new", "--validators", "1", "--out"];
  mkdirSync(at("net"));
  writeFileSync(at("net", "notes.txt"), "what else lies there is no network");
  await run(...make, at("net"));
  const keys = read("net", "validator-1", "validator.json");
  await t.rejects(run(...make, at("net")), /net\/genesis\.json exists; --force replaces/);
  rmSync(at("net", "genesis.json"));
  await t.rejects(run(...make, at("net")), /validator-1\/genesis\.json exists; --force/);
  await t.rejects(run(...make, at("net", "validator-1")), /genesis\.json exists; --force/, "a node's own folder");
  rmSync(at("net", "validator-1", "genesis.json"));
  await t.rejects(run(...make, at("net")), /validator-1\/validator\.json exists; --force/);
  t.equal(read("net", "validator-1", "validator.json"), keys);
  await run(...make, at("net"), "--force");
  t.not(read("net", "validator-1", "validator.json"), keys);
  t.equal(read("net", "validator-1", "genesis.json"), read("net", "genesis.json"));
});

t.test("no command writes over keys, or over what was signed, unless it is to", async (t) => {
  await run("validator", "new", "--out", at("keys.json"));
  const keys = read("keys.json");
  await t.rejects(run("validator", "new", "--out", at("keys.json")), /keys\.json exists; --force replaces it/);
  t.equal(read("keys.json"), keys);
  await run("validator", "new", "--out", at("keys.json"), "--force");
  t.not(read("keys.json"), keys);

  const sealed = ["--keystores", at("sealed"), "--password-file", at("password")];
  await run("validator", "keys", "import", at("keys.json"), ...sealed, "--kdf", "pbkdf2");
  const { address } = JSON.parse(read("keys.json"));
  const plain = ["validator", "keys", "export", ...sealed, "--validator", address, "--out"];
  await run(...plain, at("keys.json"));
  writeFileSync(at("other.json"), "{}");
  await t.rejects(run(...plain, at("other.json")), /other\.json exists; --force/);
  await run(...plain, at("other.json"), "--force");
  t.equal(read("other.json"), read("keys.json"));

  await run("genesis", "new", "--validators", "1", "--out", at("own"));
  const datadir = at("own", "validator-1");
  const exporting = ["validator", "protection", "export", at("signed.json"), "--datadir", datadir];
  writeFileSync(at("signed.json"), "another validator's");
  await t.rejects(run(...exporting), /signed\.json exists; --force/);
  t.equal(read("signed.json"), "another validator's");
  await run(...exporting, "--force");
  await run(...exporting);
});

t.test("the well-known keys of development replace no others", async (t) => {
  await run("genesis", "new", "--validators", "1", "--out", at("real"));
  const keys = read("real", "validator-1", "validator.json");
  const testnet = { workers: 0, slotsPerWorker: 1, accounts: 1, rpcPort: 24_545, p2pPort: 24_745 };
  await t.rejects(startTestnet({ ...testnet, datadir: at("real"), validators: 1 }), /exists and is not replaced/);
  t.equal(read("real", "validator-1", "validator.json"), keys);
  const own = at("new");
  mkdirSync(own);
  writeFileSync(join(own, "validator.json"), keys);
  t.throws(() => writeNodeFolder(own, {}, validatorKeys(devKey("validator", 0))), /exists and is not replaced/);
  t.same(readdirSync(own), ["validator.json"]);
});
