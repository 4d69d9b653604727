/** The attacks on finality of the simulator (test/bench/sim), small: stand-ins sign, all rules are real. */
import "../bench/sim/hooks.ts";
import t from "tap";
import type { Case, Setting } from "../bench/sim/recovery.ts";

const { flood, recover } = await import("../bench/sim/recovery.ts");

const PROFILES = [
  { slotsPerEpoch: 2, epochsPerEra: 8 },
  { slotsPerEpoch: 4, epochsPerEra: 4 },
];
/** Four of ten attack. */
const setting = (profile: (typeof PROFILES)[number], change: Partial<Setting> = {}): Setting => ({
  ...profile,
  validators: 10,
  share: 0.4,
  seed: 1,
  after: 10,
  ...change,
});

t.test("votes that are handed out epochs late stop no finality, and leave nothing behind", async (t) => {
  for (const late of ["all by one", "odd epochs by two"] as const)
    for (const profile of PROFILES) {
      const got = await recover({ late, choice: "all", stays: false }, setting(profile));
      t.ok(got.finalDuring >= 10, `${late}: ${got.finalDuring} of 18 epochs became final`);
      t.ok(got.back !== undefined && got.back <= 4, `then final after ${got.back} epochs`);
      t.same([got.lostBefore, got.lostAfter], [0, 0]);
    }
});

t.test(
  "epochs without a block, then one that includes the newest certificate alone: finality comes back",
  async (t) => {
    for (const profile of PROFILES) {
      const attack: Case = { late: "none", choice: "newest", stays: false, gap: true };
      const got = await recover(attack, setting(profile));
      t.ok(got.back !== undefined && got.back <= 4, `final again after ${got.back} epochs`);
      t.equal(got.lostAfter, 0);
    }
  },
);

t.test("proposers that include their own votes alone neither stop finality nor burn the others' bonds", async (t) => {
  const [profile] = PROFILES;
  const p = 6 / 11;
  const runs = [];
  // Votes were late before, so that the scores of the honest would have risen.
  const attack: Case = { late: "odd epochs by two", choice: "own", stays: true };
  for (const seed of [1, 2])
    runs.push(await recover(attack, setting(profile!, { validators: 11, share: 1 - p, seed, after: 24 })));
  const mean = (runs[0]!.mean + runs[1]!.mean) / 2;
  t.ok(mean <= (1.25 * (1 + p)) / p ** 2, `${mean} epochs`);
  t.same(
    runs.map((each) => each.lostAfter),
    [0, 0],
  );
  t.ok(runs.every((each) => each.isSafe));
});

t.test("copies of a few offences keep no place from the others'", async (t) => {
  const got = await flood(setting(PROFILES[1]!, { validators: 20, after: 6 }));
  t.equal(got.slashed, got.offenders);
  t.equal(got.honestSlashed, 0);
});
