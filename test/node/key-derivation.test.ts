import fc from "fast-check";
import t from "tap";
import { mnemonicToAccount } from "viem/accounts";
import { blsPublicKey } from "../../lib/bls.ts";
import { fromHex, type Hex, toHex, word } from "../../lib/bytes.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import {
  blsPathOf,
  deriveBls,
  deriveBlsChild,
  deriveBlsMaster,
  deriveSecp256k1,
  deriveValidator,
  newMnemonic,
  parseBlsPath,
  readSeed,
  secpPathOf,
} from "../../node/key-derivation.ts";

const WORDS = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

t.test("the test cases of EIP-2333 give its master keys and children", async (t) => {
  const cases: [seed: Hex, master: bigint, index: number, child: bigint][] = [
    [
      "0xc55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e53495531f09a6987599d18264c1e1c92f2cf141630c7a3c4ab7c81b2f001698e7463b04",
      6083874454709270928345386274498605044986640685124978867557563392430687146096n,
      0,
      20397789859736650942317412262472558107875392172444076792671091975210932703118n,
    ],
    [
      "0x3141592653589793238462643383279502884197169399375105820974944592",
      29757020647961307431480504535336562678282505419141012933316116377660817309383n,
      3141592653,
      25457201688850691947727629385191704516744796114925897962676248250929345014287n,
    ],
    [
      "0x0099ff991111002299dd7744ee3355bbdd8844115566cc55663355668888cc00",
      27580842291869792442942448775674722299803720648445448686099262467207037398656n,
      4294967295,
      29358610794459428860402234341874281240803786294062035874021252734817515685787n,
    ],
    [
      "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
      19022158461524446591288038168518313374041767046816487870552872741050760015818n,
      42,
      31372231650479070279774297061823572166496564838472787488249775572789064611981n,
    ],
  ];
  for (const [seed, master, index, child] of cases) {
    t.equal(deriveBlsMaster(fromHex(seed)), word(master));
    t.equal(deriveBlsChild(word(master), index), word(child));
  }
  t.equal(toHex(readSeed(WORDS, "TREZOR")), cases[0]![0], "the words of BIP-39 that the first seed is made of");
});

t.test("paths of EIP-2334 are walked level by level, and no others are taken", async (t) => {
  const seed = new Uint8Array(32).fill(7);
  const walked = [12381, 3600, 5, 0, 0].reduce(deriveBlsChild, deriveBlsMaster(seed));
  t.equal(deriveBls(seed, "m/12381/3600/5/0/0"), walked);
  t.equal(blsPathOf(5), "m/12381/3600/5/0/0");
  t.equal(blsPublicKey(walked).length, 98, "it is a key that signs");
  const bad = ["", "m", "m/12381/3600/0", "m/12381'/3600/0/0", "m/12381/3600/0/-1", "m/12381/3600/0/4294967296"];
  for (const path of [...bad, "n/12381/3600/0/0", "m/12381/3600/00/0", `m${"/12381".repeat(17)}`, "m/12381/3600//0/0"])
    t.throws(() => parseBlsPath(path), /no path of EIP-2334/, path);
  t.throws(() => parseBlsPath("m/44/60/0/0"), /purpose 44/);
  t.throws(() => deriveBls(new Uint8Array(31), "m/12381/3600/0/0"), /32 to 1024 bytes, this one 31/);
});

t.test("secp256k1 keys are where BIP-32 says and wallets look", async (t) => {
  // BIP-32, test vector 2: public keys are not printed alone, so the private ones that its extended keys hold.
  const seed = fromHex(
    "0xfffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a29f9c999693908d8a8784817e7b7875726f6c696663605d5a5754514e4b484542",
  );
  t.equal(deriveSecp256k1(seed, "m"), "0x4b03d6fc340455b363f51020ad3ecca4f0850280cf436c70c727923f6db46c3e");
  t.equal(deriveSecp256k1(seed, "m/0"), "0xabe74a98f6c7eabee0428f53798f0ab8aa1bd37873999041703c742f15ac7e1e");
  t.equal(
    deriveSecp256k1(seed, "m/0/2147483647'/1/2147483646'/2"),
    "0xbb7d39bdb83ecf58f2fd82b6d918341cbef428661ef01ab97c28a4842125ac23",
  );
  for (const index of [0, 1, 7])
    t.equal(
      addressOf(deriveSecp256k1(readSeed(WORDS), secpPathOf(index))),
      mnemonicToAccount(WORDS, { addressIndex: index }).address.toLowerCase(),
    );
  for (const path of ["44'/60'", "m/", "m/-1", "m/2147483648", "m/1h", "m/01"])
    t.throws(() => deriveSecp256k1(seed, path), /no path of BIP-32/, path);
});

t.test("words are taken in any case and spacing, and a wrong one is refused", async (t) => {
  const seed = toHex(readSeed(WORDS));
  t.equal(toHex(readSeed(`  ${WORDS.toUpperCase().replaceAll(" ", "\n  ")}\n`)), seed);
  t.not(toHex(readSeed(WORDS, "x")), seed);
  for (const text of [WORDS.replace("about", "abandon"), WORDS.replace("about", "abuot"), "abandon", "", "0x0", "1234"])
    t.throws(() => readSeed(text), /words of BIP-39/, text);
  t.throws(() => readSeed("0x1234"), /32 to 1024 bytes, this one 2/);
  const words = newMnemonic();
  t.equal(words.split(" ").length, 24);
  t.not(newMnemonic(), words);
  const [first, second] = [0, 1].map((index) => deriveValidator(readSeed(words), index));
  t.same(deriveValidator(readSeed(words), 0), first);
  t.equal(new Set([first!.address, second!.address, first!.bls, second!.bls]).size, 4);
});

t.test("every seed and index gives keys in range", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 64 }), fc.nat(), (seed, index) => {
      const { address, secp, bls } = deriveValidator(seed, index);
      return addressOf(secp) === address && blsPublicKey(bls).length === 98;
    }),
    { numRuns: 5 },
  );
});
