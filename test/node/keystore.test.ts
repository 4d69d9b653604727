import { createCipheriv, createHash, scryptSync } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { blsKeygen, blsPublicKey } from "../../lib/bls.ts";
import { type Hex, utf8 } from "../../lib/bytes.ts";
import { addressOf, randomPrivateKey } from "../../lib/secp256k1.ts";
import {
  type Kdf,
  KeystoreError,
  lightKdf,
  openKeystore,
  openKeystoreFile,
  sealBls,
  sealSecp256k1,
  strongKdf,
} from "../../node/keystore.ts";

const vectors = process.env.ROLEC_VECTORS;
const file = join(vectors ?? "", "ethereum", "KeyStoreTests", "basic_tests.json");
const skip = vectors && existsSync(file) ? false : "ROLEC_VECTORS is not set: Ethereum's keystore vectors are skipped";

const SALT = new Uint8Array(32).fill(7);
const QUICK: Kdf[] = [
  { name: "scrypt", n: 1_024, r: 8, p: 1, salt: SALT },
  { name: "pbkdf2", c: 1_000, salt: SALT },
];

t.test("Ethereum's key files open", { skip }, async (t) => {
  const tests = JSON.parse(readFileSync(file, "utf8")) as Record<
    string,
    { json: object; password: string; priv: string }
  >;
  for (const [name, { json, password, priv }] of Object.entries(tests)) {
    const key = await openKeystore(json, password);
    t.match(key, { kind: "secp256k1", secret: `0x${priv}`, address: addressOf(`0x${priv}`) }, name);
  }
});

t.test("a key whose file leaves out the zeros it begins with is that key", async (t) => {
  const salt = "07".repeat(32);
  const web3 = {
    version: 3,
    id: "11111111-1111-4111-8111-111111111111",
    crypto: {
      cipher: "aes-128-ctr",
      cipherparams: { iv: "09".repeat(16) },
      ciphertext: "82684e19b0e8aec8f3bc70922e4e79693f93e756130a4cf356cb81596ad3a8",
      kdf: "scrypt",
      kdfparams: { dklen: 32, n: 2, r: 8, p: 1, salt },
      mac: "62cf70859bf4b46778dbac70096731cd36d0ea85dd15b668bdf5256bebe0624b",
    },
  };
  const secret: Hex = `0x00${"5a".repeat(31)}`;
  const address = "0x35ae92a7bde86f27e771fa3209f856b173576eb7";
  t.same(await openKeystore(web3, "foo"), { kind: "secp256k1", secret, address });
  await t.rejects(openKeystore(web3, "bar"), /wrong password/);

  // The same of a BLS key: only the bytes of the message change, by the cipher's stream.
  const derived = scryptSync("foo", "salt", 32, { N: 2, r: 8, p: 1 });
  const iv = "09".repeat(16);
  const cipher = createCipheriv("aes-128-ctr", derived.subarray(0, 16), Buffer.from(iv, "hex"));
  const message = cipher.update(Buffer.from("5a".repeat(30), "hex"));
  const checksum = createHash("sha256").update(derived.subarray(16)).update(message).digest("hex");
  const bls = eip2335(
    { function: "scrypt", params: { dklen: 32, n: 2, r: 8, p: 1, salt: Buffer.from("salt").toString("hex") } },
    checksum,
    message.toString("hex"),
  ) as { pubkey?: string; crypto: { cipher: { params: { iv: string } } } };
  bls.crypto.cipher.params.iv = iv;
  delete bls.pubkey;
  t.match(await openKeystore(bls, "foo"), { kind: "bls", secret: `0x0000${"5a".repeat(30)}` });
});

/** The vectors of EIP-2335. */
const eip2335 = (kdf: object, checksum: string, message: string): object => ({
  crypto: {
    kdf,
    checksum: { function: "sha256", params: {}, message: checksum },
    cipher: { function: "aes-128-ctr", params: { iv: "264daa3f303d7259501c93d997d84fe6" }, message },
  },
  pubkey: "9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27f4ae4040902382ae2910c15e2b420d07",
  path: "m/12381/60/0/0",
  uuid: "64625def-3331-4eea-ab6f-782f3ed16a83",
  version: 4,
});
const EIP_SALT = "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3";
const EIP_FILES = {
  scrypt: eip2335(
    { function: "scrypt", params: { dklen: 32, n: 262_144, p: 1, r: 8, salt: EIP_SALT }, message: "" },
    "d2217fe5f3e9a1e34581ef8a78f7c9928e436d36dacc5e846690a5581e8ea484",
    "06ae90d55fe0a6e9c5c3bc5b170827b2e5cce3929ed3f116c2811e6366dfe20f",
  ),
  pbkdf2: eip2335(
    { function: "pbkdf2", params: { dklen: 32, c: 262_144, prf: "hmac-sha256", salt: EIP_SALT }, message: "" },
    "8a9f5d9912ed7e75ea794bc5a89bca5f193721d30868ade6f73043c6ea6febf1",
    "cee03fde2af33149775b7223e7845e4fb2c8ae1792e5f99fe9ecf474cc8c16ad",
  ),
};

t.test("the key files of EIP-2335 open, with its password in either normal form", async (t) => {
  const secret = "0x000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
  for (const [name, json] of Object.entries(EIP_FILES))
    t.match(await openKeystore(json, "𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑"), { kind: "bls", secret }, name);
  t.match(await openKeystore(EIP_FILES.pbkdf2, "test\u0007password\u0080🔑"), { secret });
  await t.rejects(openKeystore(EIP_FILES.pbkdf2, "testpassword"), /wrong password/);
});

t.test("what is sealed opens again with the password and no other", async (t) => {
  const secp = randomPrivateKey();
  const bls = blsKeygen(utf8("a seed of at least thirty-two bytes"));
  for (const kdf of QUICK) {
    const web3 = JSON.parse(JSON.stringify(await sealSecp256k1(secp, "pässword", kdf)));
    t.same(await openKeystore(web3, "pässword"), { kind: "secp256k1", secret: secp, address: addressOf(secp) });
    await t.rejects(
      openKeystore(web3, "password"),
      new KeystoreError("keystore: wrong password, or the file is damaged"),
    );
    const eip = JSON.parse(JSON.stringify(await sealBls(bls, "pässword", kdf)));
    t.same(await openKeystore(eip, "pa\u0308ssword"), { kind: "bls", secret: bls, publicKey: blsPublicKey(bls) });
    await t.rejects(openKeystore(eip, ""), /wrong password/);
    t.not(JSON.stringify(web3).includes(secp.slice(2)), true);
  }
});

t.test("two files of one key share neither salt nor initial vector", async (t) => {
  const quick = (): Kdf => ({ name: "pbkdf2", c: 10, salt: crypto.getRandomValues(new Uint8Array(32)) });
  const secret = randomPrivateKey();
  const [a, b] = [await sealSecp256k1(secret, "x", quick()), await sealSecp256k1(secret, "x", quick())];
  type Web3 = { crypto: { cipherparams: { iv: string }; ciphertext: string } };
  t.not((a as unknown as Web3).crypto.cipherparams.iv, (b as unknown as Web3).crypto.cipherparams.iv);
  t.not((a as unknown as Web3).crypto.ciphertext, (b as unknown as Web3).crypto.ciphertext);
});

t.test("malformed, damaged and greedy files are refused with the reason, before any work", async (t) => {
  const seal = async (kdf: Kdf) =>
    JSON.parse(JSON.stringify(await sealSecp256k1(randomPrivateKey(), "x", kdf))) as {
      crypto: Record<string, unknown> & { kdfparams: Record<string, unknown>; cipherparams: Record<string, unknown> };
    } & Record<string, unknown>;
  const [scrypt, pbkdf2] = [await seal(QUICK[0]!), await seal(QUICK[1]!)];
  const params = (base: typeof scrypt, change: object): object => ({
    ...base,
    crypto: { ...base.crypto, kdfparams: { ...base.crypto.kdfparams, ...change } },
  });
  const crypto = (change: object): object => ({ ...scrypt, crypto: { ...scrypt.crypto, ...change } });
  const cases: [unknown, RegExp][] = [
    [null, /the file is not an object/],
    [[], /the file is not an object/],
    [{}, /version undefined is not supported/],
    [{ version: 1 }, /version 1 is not supported/],
    [{ version: 3 }, /crypto is not an object/],
    [{ version: 4, crypto: {} }, /kdf is not an object/],
    [crypto({ cipher: "aes-256-cbc" }), /cipher "aes-256-cbc" is not supported/],
    [crypto({ kdf: "md5" }), /key derivation "md5" is not supported/],
    [crypto({ ciphertext: "" }), /ciphertext must be 1 to 32 bytes/],
    [crypto({ ciphertext: "00".repeat(33) }), /ciphertext must be 1 to 32 bytes/],
    [crypto({ ciphertext: "zz".repeat(32) }), /ciphertext must be 1 to 32 bytes/],
    [crypto({ ciphertext: "00" }), /wrong password, or the file is damaged/],
    [crypto({ mac: 5 }), /mac must be 32 bytes/],
    [crypto({ mac: "00".repeat(32) }), /wrong password, or the file is damaged/],
    [crypto({ cipherparams: { iv: "00" } }), /iv must be 16 bytes/],
    [params(scrypt, { n: 2 ** 24, r: 8 }), /too much memory or time/],
    [params(scrypt, { n: 2 ** 18, r: 8, p: 64 }), /too much memory or time/],
    [params(scrypt, { n: 1_000 }), /power of two/],
    [params(scrypt, { n: 1e300 }), /n must be from/],
    [params(scrypt, { p: 0 }), /p must be from/],
    [params(scrypt, { dklen: 64 }), /dklen must be from 32 to 32/],
    [params(pbkdf2, { c: 2 ** 31 }), /c must be from/],
    [params(pbkdf2, { c: 0.5 }), /c must be from/],
    [params(pbkdf2, { prf: "hmac-md5" }), /prf "hmac-md5" is not supported/],
    [{ ...scrypt, address: "00".repeat(20) }, /the key is that of 0x[0-9a-f]{40}, not of/],
  ];
  for (const [json, reason] of cases) await t.rejects(openKeystore(json, "x"), reason, String(reason));
  const none: Hex = `0x${"00".repeat(32)}`;
  await t.rejects(sealSecp256k1(none, "x", QUICK[1]), /not a secret key/);
  await t.rejects(sealBls(none, "x", QUICK[1]), /not a secret key/);
});

t.test("a key file opens by its path, or the error names it", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-keystore-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "a.json");
  await t.rejects(openKeystoreFile(path, "x"), new KeystoreError(`${path} does not exist`));
  writeFileSync(path, JSON.stringify(await sealSecp256k1(randomPrivateKey(), "x", QUICK[1])));
  t.match(await openKeystoreFile(path, "x"), { kind: "secp256k1" });
  await t.rejects(openKeystoreFile(path, "y"), /a\.json: keystore: wrong password/);
  for (const text of ["{", "[]", "5"]) {
    writeFileSync(path, text);
    await t.rejects(openKeystoreFile(path, "x"), /a\.json is no JSON object/);
  }
  writeFileSync(path, " ".repeat(100_000));
  await t.rejects(openKeystoreFile(path, "x"), /a\.json is larger than/);
});

t.test("what new files use takes the cost of the standards", async (t) => {
  t.match(strongKdf(), { name: "scrypt", n: 262_144, r: 8, p: 1 });
  t.match(lightKdf(), { name: "pbkdf2", c: 262_144 });
  t.not(Buffer.from(lightKdf().salt).equals(lightKdf().salt), true);
});
