import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { memoryDb } from "../../chain/db.ts";
import { openState } from "../../chain/state.ts";
import { buildGenesis } from "../../consensus/genesis-state.ts";
import { blsPublicKey } from "../../lib/bls.ts";
import { ZERO_HASH } from "../../lib/bytes.ts";
import { validatorCommand } from "../../node/cli/validator.ts";
import { writeNodeFolder } from "../../node/folder.ts";
import { adoptGenesis, openGenesis, readGenesisFile } from "../../node/genesis-file.ts";
import { deriveValidator, readSeed } from "../../node/key-derivation.ts";
import { openSlashingProtection } from "../../node/slashing-protection.ts";
import { testGenesis } from "../helpers/chain.ts";

/** Runs a command of `rolec validator` in this process; gives what it prints. */
const run = async (...args: string[]): Promise<string> => {
  // What the test itself reports goes out before.
  await new Promise((resolve) => setImmediate(resolve));
  const written = t.capture(process.stdout, "write");
  try {
    await validatorCommand().exitOverride().parseAsync(args, { from: "user" });
  } finally {
    written.restore();
  }
  return written
    .args()
    .map(([text]) => String(text))
    .join("");
};

const { genesis, keys, document } = testGenesis(2);
const genesisHash = buildGenesis(genesis, openState(memoryDb())).block.hash;
const folder = mkdtempSync(join(tmpdir(), "rolec-validator-"));
t.teardown(() => rmSync(folder, { recursive: true }));
const at = (...names: string[]): string => join(folder, ...names);
const list = async (of: string) => JSON.parse(await run("keys", "list", "--keystores", of, "--json"));

t.test("keys made from words are the same wherever the words go, and leave as they came", async (t) => {
  const flags = (name: string) => ["--keystores", at(name), "--password-file", at("password"), "--kdf", "pbkdf2"];
  await run("keys", "new", ...flags("one"), "--count", "2", "--seed-file", at("words"));
  for (const secret of ["words", "password"]) t.equal(statSync(at(secret)).mode & 0o777, 0o600);
  const words = readFileSync(at("words"), "utf8");
  t.equal(words.trim().split(" ").length, 24);
  const made = [0, 1].map((index) => deriveValidator(readSeed(words), index));
  const names = made.map(({ address, bls }) => ({ address, blsPublicKey: blsPublicKey(bls) }));
  t.same(new Set(await list(at("one"))), new Set(names));
  await run("keys", "new", ...flags("two"), "--seed-file", at("words"), "--first", "1");
  t.same(await list(at("two")), [names[1]]);
  await t.rejects(run("keys", "new", ...flags("two"), "--seed-file", at("words"), "--first", "1"), /exists already/);

  const exporting = ["keys", "export", ...flags("one").slice(0, 4), "--out", at("plain.json")];
  await run(...exporting, "--validator", made[0]!.address);
  t.same(JSON.parse(readFileSync(at("plain.json"), "utf8")), made[0]);
  t.equal(statSync(at("plain.json")).mode & 0o777, 0o600);
  await run("keys", "import", ...flags("two"), at("plain.json"));
  t.equal((await list(at("two"))).length, 2);
  const files = ["bls", "secp256k1"].map((kind) => at("two", `${made[1]!.address}-${kind}.json`));
  await run("keys", "import", ...flags("three"), ...files);
  t.same(await list(at("three")), [names[1]]);
  await t.rejects(run(...exporting, "--validator", keys[0]!.address), /has no keys of/);
  const twice = [files[0]!, files[0]!];
  await t.rejects(run("keys", "import", ...flags("four"), ...twice), /one secp256k1 key .* and one BLS key/);
  await t.rejects(run("keys", "new", ...flags("four"), "--seed-file", at("password")), /words of BIP-39/);
  t.notOk(existsSync(at("four")));
});

t.test("what was signed goes from one stopped node to another, never while one runs", async (t) => {
  const { address } = keys[0]!;
  const [from, to] = [at("from"), at("to")];
  for (const datadir of [from, to]) writeNodeFolder(datadir, document, keys[0]);
  const running = await openSlashingProtection(join(from, "slashing-protection"), genesisHash);
  await running.allowProposal(address, 9, ZERO_HASH);
  await running.allowVote(address, 1, 2, ZERO_HASH);
  await t.rejects(run("protection", "export", at("i.json"), "--datadir", from), /stop the node of .* first/);
  await running.close();
  await run("protection", "export", at("i.json"), "--datadir", from);
  t.equal(JSON.parse(readFileSync(at("i.json"), "utf8")).metadata.genesis_validators_root, genesisHash);
  t.match(await run("protection", "import", at("i.json"), "--datadir", to), /1 validators taken in/);
  const next = await openSlashingProtection(join(to, "slashing-protection"), genesisHash);
  await t.rejects(next.allowProposal(address, 9, genesisHash), /slot 9 was/);
  await t.rejects(next.allowVote(address, 1, 2, genesisHash), /one for 2 was/);
  await next.close();

  mkdirSync(at("other"));
  writeNodeFolder(at("other"), document, keys[1]);
  t.match(await run("protection", "import", at("i.json"), "--datadir", at("other")), /left out, .*0x/);
  writeNodeFolder(at("foreign"), testGenesis(1).document, keys[0]);
  await t.rejects(run("protection", "import", at("i.json"), "--datadir", at("foreign")), /of the network with genesis/);
  writeFileSync(at("broken.json"), "{");
  await t.rejects(run("protection", "import", at("broken.json"), "--datadir", to), /broken\.json is not JSON/);
  rmSync(join(to, "validator.json"));
  await t.rejects(run("protection", "import", at("i.json"), "--datadir", to), /--keystores <folder>/);
});

t.test("a folder takes the genesis document of one network, and no other's", async (t) => {
  const [one, other] = [at("one.json"), at("other.json")];
  writeFileSync(one, JSON.stringify(document));
  writeFileSync(other, JSON.stringify(testGenesis(1).document));
  adoptGenesis(at("fresh"), one);
  adoptGenesis(at("fresh"), one);
  t.equal(openGenesis(at("fresh")).genesisHash, readGenesisFile(one).genesisHash);
  t.throws(() => adoptGenesis(at("fresh"), other), /is of another network than/);
  writeFileSync(other, "{}");
  t.throws(() => adoptGenesis(at("new"), other), /genesis/);
  t.throws(() => adoptGenesis(at("new"), at("nowhere.json")), /nowhere\.json does not exist/);
  t.notOk(existsSync(at("new")));
});
