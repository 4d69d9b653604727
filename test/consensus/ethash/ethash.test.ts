import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { createEthash } from "../../../consensus/ethash/ethash.ts";
import { allocate, openKernel } from "../../../consensus/ethash/kernel.ts";
import { ethashEpoch, seedHash } from "../../../consensus/ethash/sizes.ts";
import { fromHex, type Hex, toHex } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { decodeRlp, encodeRlp, type Item } from "../../../lib/rlp.ts";
import { clangObstacle, withWasmOpt } from "../../helpers/clang.ts";
import { referenceCache, referenceHash } from "../../helpers/ethash-reference.ts";

t.setTimeout(120_000);

/** Ethereum's starting sizes. */
const ETHEREUM = { ethashCacheBytes: 2 ** 24, ethashDatasetBytes: 2 ** 30 };
/** Small ones, as a genesis may choose them. */
const SMALL = { ethashCacheBytes: 2 ** 14, ethashDatasetBytes: 2 ** 17 };

t.test("sizes are those of Ethereum's table of data sizes", async (t) => {
  // ethereum/wiki, Ethash, data sizes: epoch, cache, dataset.
  const table = [
    [0, 16_776_896, 1_073_739_904],
    [14, 18_611_392, 1_191_180_416],
    [158, 37_486_528, 2_399_139_968],
    [350, 62_651_584, 4_009_751_168],
    [530, 86_244_416, 5_519_703_424],
    [1_818, 255_065_792, 16_324_230_016],
    [2_047, 285_081_536, 18_245_220_736],
  ] as const;
  for (const [number, cacheBytes, datasetBytes] of table)
    t.same(ethashEpoch(number, ETHEREUM), { number, cacheBytes, datasetBytes });
});

t.test("smaller starting sizes follow the same rule", async (t) => {
  t.same(ethashEpoch(0, SMALL), { number: 0, cacheBytes: 251 * 64, datasetBytes: 1_021 * 128 });
  // 2^14 + 2^7*8 = 17,408 bytes, 272 items: 271 is prime. 2^17 + 2^10*8 = 139,264 bytes, 1,088 pages: 1,087 is prime.
  t.same(ethashEpoch(8, SMALL), { number: 8, cacheBytes: 271 * 64, datasetBytes: 1_087 * 128 });
});

t.test("seeds are those of Ethereum's epochs, in any order", async (t) => {
  const seeds = [
    [2_048, "0x20a7678ca7b50829183baac2e1e3c43fa3c4bcbc171b11cf5a9f30bebd172920"],
    [1, "0x290decd9548b62a8d60345a988386fc84ba6bc95484008f6362f93160ef3e563"],
    [171, "0xa9b0e0c9aca72c07ba06b5bbdae8b8f69e61878301508473379bb4f71807d707"],
    [0, "0x0000000000000000000000000000000000000000000000000000000000000000"],
  ] as const;
  for (const [epoch, seed] of seeds) t.equal(seedHash(epoch), seed, `epoch ${epoch}`);
});

/** Ethereum's test vectors PoWTests/ethash_tests.json, both of epoch 0. */
const POW_TESTS = [
  {
    seal: "0x2a8de2adf89af77358250bf908bf04ba94a6e8c3ba87775564a41d269a05e4ce",
    nonce: "0x4242424242424242",
    mixHash: "0x58f759ede17a706c93f13030328bcea40c1d1341fb26f2facd21ceb0dae57017",
    result: "0xdd47fd2d98db51078356852d7c4014e6a5d6c387c35f40e2875b74a256ed7906",
  },
  {
    seal: "0x100cbec5e5ef82991290d0d93d758f19082e71f234cf479192a8b94df6da6bfe",
    nonce: "0x307692cf71b12f6d",
    mixHash: "0xe55d02c555a7969361cf74a9ec6211d8c14e4517930a00442f171bdb1698d175",
    result: "0xab9b13423cface72cbec8424221651bc2e384ef0f7a560e038fc68c8d8684829",
  },
] as const;
/** keccak256 of the whole cache of epoch 0, of the same file. */
const CACHE_HASH = "0x35ded12eecf2ce2e8da2e15c06d463aae9b84cb2530a00b932e4bbc484cde353";
const MAX = 2n ** 256n - 1n;

t.test("the cache of Ethereum's epoch 0 and hashes by it are those of PoWTests", async (t) => {
  const epoch = ethashEpoch(0, ETHEREUM);
  const memory = allocate(epoch, 1, false);
  const kernel = openKernel(memory, 0);
  kernel.makeCache();
  const end = 3 * 65_536 + epoch.cacheBytes;
  t.equal(keccak256(new Uint8Array(memory.memory.buffer).slice(3 * 65_536, end)), CACHE_HASH);
  for (const { seal, nonce, mixHash, result } of POW_TESTS) t.same(kernel.hash(seal, nonce), { mixHash, result });
});

t.test("blocks of Ethereum's main network carry valid work of their difficulty", async (t) => {
  const ethash = createEthash();
  const empty = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";
  // Block 1: its hash, which the encoding must give, is known everywhere.
  const unsealed: Hex[] = [
    "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
    "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "0x05a56e2d52c817161883f50c441c3228cfe54d9f",
    "0xd67e4d450343046425ae4271474353857ab860dbc0a1dde64b41b5cd3a532bf3",
    empty,
    empty,
    `0x${"00".repeat(256)}`,
    "0x03ff800000",
    "0x01",
    "0x1388",
    "0x",
    "0x55ba4224",
    "0x476574682f76312e302e302f6c696e75782f676f312e342e32",
  ];
  const mixHash = "0x969b900de27b6ac6a67742365dd65f55a0526c41fd18e1b16f1a1215c2e66f59";
  const nonce = "0x539bd4979fef1ec4";
  const hashOf = (fields: readonly Hex[]): Hex => keccak256(encodeRlp(fields.map(fromHex)));
  t.equal(hashOf([...unsealed, mixHash, nonce]), "0x88e96d4537bea4d9c05d12549907b32561d3bf31f45aae734cdc119f13406cb6");
  const first = await ethash.hash(ethashEpoch(0, ETHEREUM), hashOf(unsealed), nonce);
  t.equal(first.mixHash, mixHash);
  t.ok(BigInt(first.result) <= MAX / 0x3ff800000n, "the result is within block 1's target");
  // Block 5,306,861 (epoch 176): seal, nonce, mix and result.
  t.same(
    await ethash.hash(
      ethashEpoch(176, ETHEREUM),
      "0x53a005f209a4dc013f022a5078c6b38ced76e767a30367ff64725f23ec652a9f",
      "0xd337f82001e992c5",
    ),
    {
      mixHash: "0x26c64f063dac85ae3585526b446be6754faf044876aa3e20f770bea567e04d1d",
      result: "0x00000000000003f1554d8071ff0903268fcb70f30f4af3bf7ec7dc69cdf509f3",
    },
  );
  await ethash.stop();
});

t.test("hashes over the whole dataset are those by the cache, and threads share one dataset", async (t) => {
  const epoch = ethashEpoch(3, SMALL);
  const memory = allocate(epoch, 2, true);
  const [a, b] = [openKernel(memory, 0), openKernel(memory, 1)];
  a.makeCache();
  const pages = epoch.datasetBytes / 128;
  a.makePages(0, 500);
  b.makePages(500, pages - 500);
  const light = openKernel(allocate(epoch, 1, false), 0);
  light.makeCache();
  for (const { seal, nonce } of POW_TESTS) {
    t.same(a.hash(seal, nonce), light.hash(seal, nonce));
    t.same(b.hash(seal, nonce), light.hash(seal, nonce));
  }
  const { seal } = POW_TESTS[0];
  const found = a.search(seal, MAX / 64n, 2n ** 64n - 5n, 10_000);
  if (!found) return t.fail("one of 64 nonces is enough");
  t.same(b.search(seal, MAX / 64n, 2n ** 64n - 5n, 10_000), found);
  const answer = light.hash(seal, found.nonce);
  t.equal(answer.mixHash, found.mixHash);
  t.ok(BigInt(answer.result) <= MAX / 64n);
  t.equal(a.search(seal, 0n, 0n, 100), undefined, "no result is zero");
});

t.test("the kernel computes what plain JavaScript does, whatever the sizes", async (t) => {
  for (const number of [0, 1, 77]) {
    const epoch = ethashEpoch(number, { ethashCacheBytes: 2 ** 13, ethashDatasetBytes: 2 ** 16 });
    const kernel = openKernel(allocate(epoch, 1, false), 0);
    kernel.makeCache();
    const cache = referenceCache(epoch);
    for (const nonce of ["0x0000000000000000", "0x00000000ffffffff", "0xfedcba9876543210"] as const)
      t.same(kernel.hash(seedHash(5), nonce), referenceHash(epoch, cache, seedHash(5), nonce), `${number} ${nonce}`);
  }
});

t.test("at most three caches are held, whatever is asked, and every answer comes", async (t) => {
  const ethash = createEthash();
  const { seal, nonce } = POW_TESTS[0];
  const epochs = Array.from({ length: 8 }, (_, number) => ethashEpoch(number, SMALL));
  ethash.prepare(epochs[1]!);
  const asked = [...epochs, ...epochs].map((epoch) => ethash.hash(epoch, seal, nonce));
  t.ok(ethash.caches <= 3);
  const answers = await Promise.all(asked);
  t.ok(ethash.caches <= 3);
  t.same(answers.slice(0, 8), answers.slice(8));
  t.equal(new Set(answers.map(({ mixHash }) => mixHash)).size, 8, "each epoch has answers of its own");
  await ethash.stop();
  await t.rejects(ethash.hash(epochs[0]!, seal, nonce), { message: "Ethash is stopped" });
});

t.test("an epoch whose cache cannot be made is an error for those who ask, and for nobody else", async (t) => {
  const ethash = createEthash();
  const { seal, nonce } = POW_TESTS[0];
  const absurd = { number: 0, cacheBytes: 2 ** 40, datasetBytes: 128 };
  const asked = [ethash.hash(absurd, seal, nonce), ethash.hash(ethashEpoch(0, SMALL), seal, nonce)] as const;
  await t.rejects(asked[0], Error);
  t.match(await asked[1], { mixHash: /^0x[0-9a-f]{64}$/ });
  t.equal(ethash.caches, 1);
  await ethash.stop();
});

const folder = fileURLToPath(new URL("../../../consensus/ethash/", import.meta.url));
const BARE = ["--target=wasm32-unknown-unknown", "-nostdlib", "-Wl,--no-entry"];

t.test(
  "kernel.wasm is what build.sh makes of kernel.c, where a wasm-opt is installed too",
  { skip: clangObstacle(BARE, "int one(void) { return 1; }") },
  async (t) => {
    const out = mkdtempSync(join(tmpdir(), "rolec-kernel-"));
    t.teardown(() => rmSync(out, { recursive: true }));
    execFileSync(join(folder, "build.sh"), [join(out, "kernel.wasm")], { stdio: "pipe", env: withWasmOpt(out) });
    t.equal(toHex(readFileSync(join(out, "kernel.wasm"))), toHex(readFileSync(join(folder, "kernel.wasm"))));
  },
);

const vectors = process.env.ROLEC_VECTORS;

t.test(
  "Ethereum's PoWTests hold, seals taken from the headers",
  { skip: vectors ? false : "ROLEC_VECTORS is not set" },
  async (t) => {
    const tests = JSON.parse(readFileSync(join(vectors!, "ethereum/PoWTests/ethash_tests.json"), "utf8")) as Record<
      string,
      Record<"nonce" | "mixHash" | "header" | "seed" | "result" | "header_hash", string> &
        Record<"cache_size" | "full_size", number>
    >;
    const ethash = createEthash();
    for (const [name, test] of Object.entries(tests)) {
      const fields = decodeRlp(fromHex(`0x${test.header}`)) as Item[];
      const seal = keccak256(encodeRlp(fields.slice(0, -2)));
      t.equal(seal, `0x${test.header_hash}`, name);
      const epoch = ethashEpoch(0, ETHEREUM);
      t.same([epoch.cacheBytes, epoch.datasetBytes], [test.cache_size, test.full_size]);
      t.equal(seedHash(0), `0x${test.seed}`);
      const answer = await ethash.hash(epoch, seal, `0x${test.nonce}`);
      t.same(answer, { mixHash: `0x${test.mixHash}`, result: `0x${test.result}` });
    }
    await ethash.stop();
  },
);
