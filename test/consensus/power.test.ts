import t from "tap";
import type { Params } from "../../chain/params.ts";
import { chooseSet, decayPower, type Earner, fadeAndMint, mixPower } from "../../consensus/power.ts";
import { drawProposer, epochSeed } from "../../consensus/proposer.ts";
import { sharesAt } from "../../consensus/schedule.ts";
import { uint64 } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { RLC } from "../../lib/units.ts";
import { testGenesis } from "../helpers/chain.ts";

const { params } = testGenesis(1).genesis;
const withShares = (work: bigint, contribution: bigint): Params => ({
  ...params,
  schedule: [{ era: 0, work, contribution, stake: 65_536n - work - contribution }],
});
const earner = (index: number, bond: bigint, workCredit = 0n, contributionCredit = 0n): Earner => ({
  index,
  bond,
  workCredit,
  contributionCredit,
  pendingContribution: 0n,
});

/** Draws proposers of many slots and counts them by index. */
const propose = (of: Params, earners: readonly Earner[], slots: number): Map<number, number> => {
  const members = chooseSet(of, earners, 0);
  const counts = new Map<number, number>();
  for (let slot = 0; slot < slots; slot++) {
    const epoch = Math.floor(slot / 8);
    const { index } = drawProposer(epochSeed(epoch, keccak256(uint64(epoch))), slot, members);
    counts.set(index, (counts.get(index) ?? 0) + 1);
  }
  return counts;
};

const SLOTS = 10_000;
/** Five standard deviations of a binomial count. */
const tolerance = (share: number): number => 5 * Math.sqrt(SLOTS * share * (1 - share));

t.test("a validator's share of blocks is its share of power, for each resource alone and for all together", (t) => {
  const bond = 100_000n * RLC;
  const rich = 10n ** 20n;
  const cases: [string, Params, Earner[], number[]][] = [
    ["stake", withShares(0n, 0n), [1n, 2n, 3n, 4n].map((n, i) => earner(i, n * bond)), [0.1, 0.2, 0.3, 0.4]],
    ["work", withShares(65_536n, 0n), [1n, 2n, 3n, 4n].map((n, i) => earner(i, bond, n * rich)), [0.1, 0.2, 0.3, 0.4]],
    [
      "contribution",
      withShares(0n, 65_536n),
      [1n, 2n, 3n, 4n].map((n, i) => earner(i, bond, 0n, n * rich)),
      [0.1, 0.2, 0.3, 0.4],
    ],
    [
      "all three",
      withShares(21_000n, 21_845n),
      [earner(0, bond, rich), earner(1, bond, 0n, rich), earner(2, 2n * bond)],
      // Two halves of stake in four parts; work and contribution whole.
      [21_000 / 65_536 + 22_691 / 65_536 / 4, 21_845 / 65_536 + 22_691 / 65_536 / 4, 22_691 / 65_536 / 2],
    ],
  ];
  for (const [name, of, earners, expected] of cases) {
    const counts = propose(of, earners, SLOTS);
    for (const [i, share] of expected.entries()) {
      const got = counts.get(i) ?? 0;
      t.ok(Math.abs(got - share * SLOTS) < tolerance(share), `${name}: ${got} blocks of ${share * SLOTS} expected`);
    }
  }
  t.end();
});

t.test("one operator split into a hundred gains nothing beyond a thousandth", (t) => {
  const of = withShares(21_000n, 21_845n);
  const others = Array.from({ length: 20 }, (_, i) => earner(i, 50_000n * RLC, 10n ** 12n, 10n ** 19n));
  const whole = { bond: 100_000n * RLC, work: 9n * 10n ** 12n, contribution: 7n * 10n ** 19n };
  const powerOf = (parts: bigint): bigint => {
    const split = Array.from({ length: Number(parts) }, (_, i) =>
      earner(100 + i, whole.bond / parts, whole.work / parts, whole.contribution / parts),
    );
    const mixed = mixPower(of, [...others, ...split], 0);
    const sum = (from: number) =>
      mixed.filter((each) => each.index >= from).reduce((all, each) => all + each.power, 0n);
    return (sum(100) * 10n ** 9n) / sum(0);
  };
  const [one, hundred] = [powerOf(1n), powerOf(100n)];
  const gain = Number(hundred - one) / Number(one);
  t.ok(gain <= 0.001, `${gain}`);
  t.ok(Math.abs(gain) < 0.001, "and loses nothing either");
  t.end();
});

t.test("power is capped by leverage times the share of bonds", (t) => {
  const [poor, rich] = mixPower(
    withShares(65_536n, 0n),
    [earner(0, 1_000n * RLC, 10n ** 30n), earner(1, 99_000n * RLC)],
    0,
  );
  t.equal(poor?.power, (params.leverage * 1_000n * 10n ** 9n) / 40_000n, "measured against the ceiling of bonds");
  t.equal(rich?.power, 0n);
  t.end();
});

t.test("what nobody has earned yet is stake's", (t) => {
  const [first, second] = mixPower(withShares(21_000n, 21_845n), [earner(0, 3n * RLC), earner(1, RLC)], 0);
  t.equal(first?.power, 750_000_000n);
  t.equal(second?.power, 250_000_000n);
  t.end();
});

t.test("between schedule points shares are linear, after the last they stay", (t) => {
  const schedule = [
    { era: 0, work: 21_000n, contribution: 21_845n, stake: 22_691n },
    { era: 10, work: 1_000n, contribution: 31_845n, stake: 32_691n },
    { era: 13, work: 0n, contribution: 32_768n, stake: 32_768n },
  ];
  t.match(sharesAt(schedule, 0), { work: 21_000n, contribution: 21_845n });
  t.match(sharesAt(schedule, 5), { work: 11_000n, contribution: 26_845n });
  t.match(sharesAt(schedule, 10), { work: 1_000n, contribution: 31_845n });
  t.match(sharesAt(schedule, 11), { work: 667n, contribution: 32_152n }, "floored toward zero from the point before");
  t.match(sharesAt(schedule, 99), { work: 0n, contribution: 32_768n });
  t.end();
});

t.test("credits fade by square and multiply, each product floored, and pending mints at most M", (t) => {
  const half = 1n << 63n;
  t.equal(decayPower(half, 3), 1n << 61n);
  t.equal(decayPower(half, 0), 1n << 64n);
  const of = { ...params, workDecayQ64: half, contributionDecayQ64: half, mintDivisor: 10n, mintFloorWei: 5n };
  const earners = [
    { ...earner(0, 1n, 9n, 101n), pendingContribution: 30n },
    { ...earner(1, 1n, 8n, 51n), pendingContribution: 10n },
  ];
  // 50 and 25 are left, M = 75/10 + 5 = 12, of which 30 and 10 of 40 get 9 and 3.
  t.match(fadeAndMint(of, earners, 1), [
    { workCredit: 4n, contributionCredit: 59n, pendingContribution: 0n },
    { workCredit: 4n, contributionCredit: 28n, pendingContribution: 0n },
  ]);
  const little = earners.map((each) => ({ ...each, pendingContribution: 1n }));
  t.match(fadeAndMint(of, little, 1), [{ contributionCredit: 51n }, { contributionCredit: 26n }], "all of it below M");
  t.end();
});
