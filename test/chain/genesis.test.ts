import { readFileSync } from "node:fs";
import t from "tap";
import { canonicalJson, devGenesis, readGenesis } from "../../chain/genesis.ts";
import { eraOf, paramsAt, slotOf, timestampOf } from "../../chain/params.ts";
import { decayQ64, TESTNET_PARAMS } from "../../chain/profiles.ts";
import { blsKeygen, blsProve, blsPublicKey } from "../../lib/bls.ts";
import { type Hex, utf8 } from "../../lib/bytes.ts";

const address = (i: number): Hex => `0x${i.toString(16).padStart(40, "1")}`;
const validator = (i: number) => {
  const secret = blsKeygen(utf8(`validator ${i}`));
  return {
    address: address(i),
    owner: address(i),
    blsPublicKey: blsPublicKey(secret),
    proofOfPossession: blsProve(secret),
    bond: (10n ** 22n).toString(),
  };
};
const validators = [validator(1), validator(2)];
const make = () => devGenesis({ genesisTime: 1000, validators, accounts: [], slots: [] }) as Record<string, never>;
const change = (path: string, value: unknown) => {
  const document = structuredClone(make()) as never as Record<string, unknown>;
  const parts = path.split(".");
  let at = document as Record<string, Record<string, unknown>>;
  for (const part of parts.slice(0, -1)) at = at[part] as never;
  (at as Record<string, unknown>)[parts.at(-1)!] = value;
  return document;
};

t.test("the development profile is possible, and all of the supply is given out", async (t) => {
  const genesis = readGenesis(make());
  t.equal(genesis.validators.length, 2);
  t.equal(genesis.params.burnQ16, 16_384n);
  t.equal(slotOf(genesis, timestampOf(genesis, 17)), 17);
  t.equal(eraOf(genesis, 17), 2);
});

t.test("an impossible document is refused with the field and the reason", async (t) => {
  const refused: [string, unknown, RegExp][] = [
    ["params.trustingEpochs", 80, /trustingEpochs < evidenceEpochs/],
    ["params.epochsPerEra", 3, /params.epochsPerEra: a whole number from 4/],
    ["params.slotSeconds", 5, /over 4 \* workShareSeconds/],
    ["params.weiPerGas", "1", /overpaying would earn weight/],
    ["params.burnQ16", "70000", /burnQ16/],
    ["params.contributionDecayQ64", (1n << 64n).toString(), /never fade/],
    ["params.ethashCacheBytes", 10_000, /ethashCacheBytes: is no multiple of 8192/],
    ["params.ethashDatasetBytes", 2 ** 20 + 8_192, /ethashDatasetBytes: is no multiple of 16384/],
    ["params.mystery", 1, /no such parameter/],
    ["params.toString", 1, /toString: no such parameter/],
    [
      "slots",
      Array.from({ length: 17 }, (_, i) => ({ worker: address(100 + i), validator: address(1), count: 4_096 })),
      /69632 slots in all, at most 65536/,
    ],
    ["params.gasLimit", undefined, /gasLimit/],
    ["params.schedule", [{ era: 0, work: "1", contribution: "1", stake: "1" }], /add up to 65536/],
    ["params.schedule", [{ era: 1, work: "65536", contribution: "0", stake: "0" }], /not at era 0/],
    ["validators", [], /no block could ever be made/],
    ["validators", [validators[0], { ...validators[1], address: address(1) }], /twice/],
    ["validators", [{ ...validators[0], bond: "5" }], /under minBondWei/],
    ["validators", [{ ...validators[0], proofOfPossession: validators[1]!.proofOfPossession }], /possession/],
    ["reserveWei", "0", /87000000000000000000000000/],
    ["slots", [{ worker: address(5), validator: address(9), count: 1 }], /no validator of this document/],
    ["upgrades", [{ era: 1, slotSeconds: 2 }], /never changes/],
    ["chainId", "77216", /chainId/],
    ["upgrade", [], /no such field/],
    ["params.maxValidators", 5_000, /from 1 to 1024/],
    ["params.slotsPerEpoch", 1e15, /slotsPerEpoch/],
    ["params.genesisDifficulty", "9".repeat(78), /at most 77 digits/],
    ["params.silencePenaltyNrlc", "999999999999", /over slotStakeNrlc/],
    ["accounts", [{ address: `0x${"1006".padStart(40, "0")}`, balance: "1" }], /address of the system/],
  ];
  for (const [path, value, reason] of refused) t.throws(() => readGenesis(change(path, value)), reason, path);
  t.throws(() => readGenesis(undefined), /an object is expected/);
});

t.test("upgrades change parameters from their era on, and not the identity of the chain", async (t) => {
  const before = readGenesis(make());
  const after = readGenesis(change("upgrades", [{ era: 3, gasLimit: 1_000_000 }]));
  t.equal(before.extraData, after.extraData);
  t.equal(paramsAt(after, 2).gasLimit, 300_000_000);
  t.equal(paramsAt(after, 3).gasLimit, 1_000_000);
  t.equal(paramsAt(after, 3).upgradesInForce, 1);
  t.not(readGenesis(change("genesisTime", 1001)).extraData, before.extraData);
});

t.test("decay factors are exact floors", async (t) => {
  t.equal(decayQ64(10, 10), 1n << 63n, "one half-life halves");
  const factor = decayQ64(16, 120);
  t.ok(factor ** 15n <= 1n << 958n && (factor + 1n) ** 15n > 1n << 958n);
});

t.test("canonical JSON sorts its keys at every depth", async (t) => {
  t.equal(canonicalJson({ b: [1, { d: "x", c: null }], a: true }), '{"a":true,"b":[1,{"c":null,"d":"x"}]}');
});

t.test("the testnet's document in the repository is possible, and has the testnet profile", async (t) => {
  const document = JSON.parse(readFileSync(new URL("../../genesis.json", import.meta.url), "utf8"));
  const genesis = readGenesis(document);
  t.equal(genesis.chainId, 77_216);
  t.same(document.params, JSON.parse(JSON.stringify(TESTNET_PARAMS)));
  t.equal(TESTNET_PARAMS.workDecayQ64, decayQ64(512, 86_400).toString());
  t.equal(TESTNET_PARAMS.contributionDecayQ64, decayQ64(512, 2_592_000).toString());
});
