import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { memoryDb } from "../../chain/db.ts";
import { timestampOf } from "../../chain/params.ts";
import { createEngine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { blsPublicKey } from "../../lib/bls.ts";
import { ZERO_HASH } from "../../lib/bytes.ts";
import { writeSecret } from "../../node/folder.ts";
import { type Kdf, sealBls } from "../../node/keystore.ts";
import { protectWith } from "../../node/slashing-protection.ts";
import { listKeystores, openKeystores, readOrMakeSecret, sealValidator } from "../../node/validator-keystores.ts";
import { namesOf, openSigners, readValidatorSource } from "../../node/validator-source.ts";
import { silent, testGenesis } from "../helpers/chain.ts";

const { genesis, keys } = testGenesis(2);
const [A, B] = keys as [(typeof keys)[0], (typeof keys)[0]];
const quick = { kdf: (): Kdf => ({ name: "pbkdf2", c: 10, salt: crypto.getRandomValues(new Uint8Array(32)) }) };
const names = keys.map(({ address, bls }) => ({ address, blsPublicKey: blsPublicKey(bls) }));

const folderOf = (t: Pick<Test, "teardown">): string => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-keys-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  return folder;
};
t.test("validators' keys lie in two files each, for their owner alone, and open with the password", async (t) => {
  const folder = join(folderOf(t), "keystores");
  for (const each of keys) await sealValidator(folder, each, "secret", quick);
  t.equal(readdirSync(folder).length, 4);
  t.equal(statSync(folder).mode & 0o777, 0o700);
  for (const name of readdirSync(folder)) {
    t.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
    const text = readFileSync(join(folder, name), "utf8");
    for (const { secp, bls } of keys) t.notOk(text.includes(secp.slice(2)) || text.includes(bls.slice(2)));
  }
  const byAddress = (a: { address: string }, b: { address: string }): number => (a.address < b.address ? -1 : 1);
  t.same(listKeystores(folder), names.toSorted(byAddress));
  t.same(await openKeystores(folder, "secret"), keys.toSorted(byAddress));
  await t.rejects(openKeystores(folder, "guess"), /-secp256k1\.json: keystore: wrong password/);
  await t.rejects(sealValidator(folder, A, "secret", quick), /exists already/);
  await t.rejects(sealValidator(folder, { ...A, address: B.address.replace("0x0", "0x1") as never }, "x", quick));
});

t.test("a folder that is not what its names say is refused, and the file is named", async (t) => {
  const good = folderOf(t);
  await sealValidator(good, A, "x", quick);
  const [bls, secp] = readdirSync(good).sort() as [string, string];
  const refused = async (change: (folder: string) => void | Promise<void>, reason: RegExp): Promise<void> => {
    const folder = folderOf(t);
    cpSync(good, folder, { recursive: true });
    await change(folder);
    await t.rejects(openKeystores(folder, "x"), reason);
  };
  const other = (name: string): string => name.replace(A.address, B.address);
  await refused((folder) => rmSync(join(folder, bls)), /-bls\.json is missing: a validator has two keys/);
  await refused((folder) => rmSync(join(folder, secp)), /-secp256k1\.json is missing/);
  await refused((folder) => writeFileSync(join(folder, "key.json"), "{}"), /key\.json is not named as a validator's/);
  await refused((folder) => writeFileSync(join(folder, bls), "{}"), /does not say its public key/);
  await refused((folder) => cpSync(join(folder, bls), join(folder, secp)), /does not hold the key of/);
  await refused((folder) => {
    for (const name of [bls, secp]) renameSync(join(folder, name), join(folder, other(name)));
  }, /does not hold the key of/);
  await refused(async (folder) => {
    await sealValidator(folder, B, "x", quick);
    writeFileSync(join(folder, other(bls)), JSON.stringify(await sealBls(A.bls, "x", quick.kdf())));
  }, /holds the BLS key of another validator/);
  await t.rejects(sealValidator(good, { ...B, bls: A.bls }, "x", quick), /already, under another address/);
  t.throws(() => listKeystores(join(good, "nowhere")), /nowhere does not exist/);
});

t.test("validator.json holds plain keys, or says where the key files are", async (t) => {
  const datadir = folderOf(t);
  const write = (json: unknown): void => writeSecret(join(datadir, "validator.json"), JSON.stringify(json));
  t.equal(readValidatorSource(datadir), undefined);
  write(A);
  t.same(readValidatorSource(datadir), { kind: "plain", keys: A });
  t.same(await namesOf({ kind: "plain", keys: A }), [names[0]]);
  write({ ...A, address: B.address });
  t.throws(() => readValidatorSource(datadir), /the key secp is that of/);
  write({ address: A.address, secp: A.secp });
  t.throws(() => readValidatorSource(datadir), /holds no keys of a validator/);
  write({ keystores: "keys", passwordFile: "password" });
  const source = readValidatorSource(datadir)!;
  t.same(source, { kind: "keystores", folder: join(datadir, "keys"), passwordFile: join(datadir, "password") });
  await sealValidator(join(datadir, "keys"), B, "x", quick);
  await t.rejects(openSigners(source, ZERO_HASH), /password does not exist/);
  t.same(await namesOf(source), [names[1]]);
  writeSecret(join(datadir, "password"), "\n");
  await t.rejects(openSigners(source, ZERO_HASH), /password is empty/);
  writeSecret(join(datadir, "password"), "x".repeat(2_000));
  await t.rejects(openSigners(source, ZERO_HASH), /larger than 1024 bytes/);
  rmSync(join(datadir, "password"));
  t.match(
    readOrMakeSecret(join(datadir, "password"), () => "x"),
    { secret: "x", isNew: true },
  );
  t.match(
    readOrMakeSecret(join(datadir, "password"), () => "y"),
    { secret: "x", isNew: false },
  );
  t.same(
    (await openSigners(source, ZERO_HASH)).map(({ address }) => address),
    [B.address],
  );
  rmSync(join(datadir, "keys"), { recursive: true });
  await t.rejects(openSigners(source, ZERO_HASH), /keys does not exist/);
});

t.test("a node works for all validators of its folder: alone they make every block and finality", async (t) => {
  const datadir = folderOf(t);
  for (const each of keys) await sealValidator(join(datadir, "keys"), each, "x", quick);
  writeSecret(join(datadir, "password"), "x\n");
  writeSecret(join(datadir, "validator.json"), JSON.stringify({ keystores: "keys", passwordFile: "password" }));
  let nowMs = genesis.genesisTime * 1000;
  const engine = await createEngine({ db: memoryDb(), genesis, now: () => nowMs, log: silent });
  const producer = createProducer({
    engine,
    signers: await openSigners(readValidatorSource(datadir)!, engine.genesisHash),
    protection: protectWith(memoryDb()),
    publishBlock: () => undefined,
    publishVote: () => undefined,
    log: silent,
  });
  for (let slot = 1; slot <= 20; slot++) {
    nowMs = timestampOf(genesis, slot) * 1000;
    await producer.onSlot(slot);
    producer.onHalfSlot(slot);
  }
  t.equal(engine.head().header.number, 20);
  const proposers = Array.from({ length: 20 }, (_, i) => {
    const hash = engine.store.canonical(i + 1)!;
    return engine.store.block(hash)!.header.beneficiary;
  });
  t.same(new Set(proposers), new Set(keys.map(({ address }) => address)));
  t.equal(engine.finalized().epoch, 3);
});
