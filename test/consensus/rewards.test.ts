import fc from "fast-check";
import t from "tap";
import { PHASE_1 } from "../../chain/profiles.ts";
import { ONLY } from "../../chain/records.ts";
import { leakOf, nextScore } from "../../consensus/leak.ts";
import { bondsBurned, reserve, withScore } from "../../consensus/records.ts";
import { budgetOf, type Earned, type Payment, rewardsOf } from "../../consensus/rewards.ts";
import type { Address } from "../../lib/bytes.ts";
import { RLC } from "../../lib/units.ts";
import { VALIDATORS } from "../../vm/addresses.ts";
import { validators } from "../../vm/validator-store.ts";
import { createTestNetwork, EPOCHS, testGenesis } from "../helpers/chain.ts";

t.setTimeout(180_000);

const INCLUDER: Address = "0x00000000000000000000000000000000000000aa";
const { genesis } = testGenesis(1);
const shares = { work: BigInt(PHASE_1.work), contribution: BigInt(PHASE_1.contribution) };
const member = (index: number, bond: bigint, contribution: bigint) => ({
  index,
  power: 1n,
  votePower: 1n,
  bond,
  contribution,
});
const base: Earned = {
  params: genesis.params,
  shares,
  reserve: 8_700_000n * RLC,
  burnedBefore: 10n ** 12n,
  members: [member(3, 10n * RLC, 1n), member(5, 30n * RLC, 3n)],
  votes: [],
  workShares: [],
};
const total = (payments: readonly Payment[]): bigint => payments.reduce((sum, payment) => sum + payment.wei, 0n);
const of = (payments: readonly Payment[], index: number): bigint =>
  total(payments.filter((payment) => "index" in payment && payment.index === index));

t.test("an epoch issues by share, and nothing that was not earned", async (t) => {
  const budget = budgetOf(base);
  const issued = 4n * RLC;
  t.same(budget, {
    work: (issued * shares.work) >> 16n,
    contribution: (issued * shares.contribution) >> 16n,
    stake: issued - ((issued * shares.work) >> 16n) - ((issued * shares.contribution) >> 16n),
  });
  t.equal(
    budgetOf({ ...base, burnedBefore: 16n }).contribution,
    (3n * 16n * 10n ** 9n) / 16n,
    "3/4 of what was burned",
  );
  t.equal(budgetOf({ ...base, burnedBefore: 0n }).contribution, 0n);
  t.same(budgetOf({ ...base, reserve: 5n }), { work: 1n, contribution: 1n, stake: 3n }, "no more than is left");
  t.same(rewardsOf(base), [], "nobody voted, nobody mined");
});

t.test("a vote is paid by bond and contribution, an eighth of it to the block that included it", async (t) => {
  const budget = budgetOf(base);
  const whole = (budget.stake * 30n) / 40n + (budget.contribution * 3n) / 4n;
  const paid = rewardsOf({ ...base, votes: [{ index: 5, includer: INCLUDER }] });
  t.same(paid, [
    { to: INCLUDER, wei: whole / 8n },
    { index: 5, wei: whole - whole / 8n },
  ]);
  t.same(rewardsOf({ ...base, votes: [{ index: 9, includer: INCLUDER }] }), [], "one of the set before alone");
  const noContribution = base.members.map((each) => ({ ...each, contribution: 0n }));
  const stakeAlone = rewardsOf({ ...base, members: noContribution, votes: [{ index: 3, includer: INCLUDER }] });
  t.equal(total(stakeAlone), (budget.stake * 10n) / 40n, "a zero sum pays nothing");
});

t.test("work shares are paid by difficulty", async (t) => {
  const workShares = [
    { index: 3, difficulty: 100n, includer: INCLUDER },
    { index: 7, difficulty: 300n, includer: INCLUDER },
  ];
  const paid = rewardsOf({ ...base, workShares });
  const { work } = budgetOf(base);
  const [one, three] = [work / 4n, (work * 3n) / 4n];
  t.equal(of(paid, 3), one - one / 8n);
  t.equal(of(paid, 7), three - three / 8n);
});

t.test("whatever was voted and mined, no more is paid than the epoch issues", async (t) => {
  const amount = fc.bigInt({ min: 0n, max: 10n ** 26n });
  const check = fc.check(
    fc.property(
      fc.array(fc.record({ bond: amount, contribution: amount, voted: fc.boolean(), work: amount }), { maxLength: 20 }),
      amount,
      amount,
      (validators, left, burnedBefore) => {
        const earned = {
          ...base,
          reserve: left,
          burnedBefore,
          members: validators.map(({ bond, contribution }, i) => member(i, bond, contribution)),
          votes: validators.flatMap(({ voted }, index) => (voted ? [{ index, includer: INCLUDER }] : [])),
          workShares: validators.map(({ work }, index) => ({ index, difficulty: work, includer: INCLUDER })),
        };
        const budget = budgetOf(earned);
        return (
          total(rewardsOf(earned)) <= budget.work + budget.contribution + budget.stake &&
          total(rewardsOf(earned)) <= left
        );
      },
    ),
  );
  t.notOk(check.failed, fc.defaultReportMessage(check) ?? "holds");
});

for (const [epochs, params] of EPOCHS)
  t.test(`validators that vote are paid out of the reserve, and supply is conserved (${epochs})`, async (t) => {
    const { nodes, run, keys, genesis: made } = await createTestNetwork(4, [], params);
    const { engine } = nodes[0]!;
    await run(40, new Set([3]));
    const state = engine.stateOf(engine.head());
    const left = reserve.get(state, ONLY)!;
    const first = engine.stateOf(engine.store.block(engine.genesisHash)!);
    const earned = keys.map(({ address }) => state.balance(address) - first.balance(address));
    t.ok(earned.slice(0, 3).every((wei) => wei > 0n));
    t.equal(earned[3], 0n, "who did nothing got nothing");
    const bonds = validators.all(state).reduce((sum, each) => sum + each.bond, 0n);
    t.equal(state.balance(VALIDATORS), bonds + left, "the account holds bonds and reserve");
    t.equal(
      made.reserveWei - left,
      earned.reduce((sum, wei) => sum + wei, 0n),
      "what left the reserve is what was earned",
    );
    t.equal(bondsBurned.get(state, ONLY) ?? 0n, 0n, "finality held: nobody leaks");
  });

t.test("a score rises in the leak alone, falls with a vote and faster once finality is back", (t) => {
  t.equal(nextScore(0, false, false), 0);
  t.equal(nextScore(0, false, true), 4);
  t.equal(nextScore(8, true, true), 7);
  t.equal(nextScore(40, false, false), 24);
  t.equal(nextScore(40, true, false), 23);
  t.equal(nextScore(3, true, false), 0);
  t.equal(leakOf(1_000n, 8, 16n), 500n);
  t.equal(leakOf(1_000n, 80, 16n), 1_000n, "never more than there is");
  t.end();
});

for (const [epochs, params] of EPOCHS)
  t.test(
    `with 40 % silent finality comes back, and the silent lose to the wei what the rule says (${epochs})`,
    async (t) => {
      const { nodes, run, genesis } = await createTestNetwork(5, [], params);
      const { engine } = nodes[0]!;
      await run(12);
      const silent = new Set([3, 4]);
      const before = engine.finalized().epoch;
      const { leakQuotient, slotsPerEpoch } = genesis.params;
      let [bond, score] = [10_000n * RLC, 0];
      // The epoch that was closed last, by the state's own account; both sides of the comparison go epoch by epoch.
      let epochs = 0;
      while (engine.finalized().epoch < before + 8 && epochs * slotsPerEpoch < 480) {
        await run(slotsPerEpoch, silent);
        epochs += 1;
      }
      t.ok(engine.finalized().epoch >= before + 8, `final again after ${epochs} epochs`);
      const state = engine.stateOf(engine.head());
      const lost = validators.get(state, 3)!;
      t.equal(lost.bond, validators.get(state, 4)!.bond, "equals are treated as equals");
      const losses = validators.all(state).map((each) => 10_000n * RLC - each.bond);
      t.equal(
        bondsBurned.get(state, ONLY),
        losses.reduce((sum, wei) => sum + wei, 0n),
      );
      // A vote can miss its epoch's end where the silent were to propose: that costs little.
      for (const index of [0, 1, 2]) t.ok(losses[index]! * 100n < losses[3]!, `${losses[index]} wei`);
      // Replays the rule: silent in each epoch since; find the number of leaking epochs that explains what is left.
      const explained: bigint[] = [];
      for (let leaking = 0; leaking <= epochs; leaking++) {
        explained.push(bond);
        score = nextScore(score, false, true);
        bond -= leakOf(bond, score, leakQuotient);
      }
      const [after, tail] = [lost.bond, lost.inactivityScore];
      // After the leak the score falls by 16 an epoch while they stay silent, and still costs.
      const reachable = explained.some((start, leaking) => {
        let [x, s] = [start, 4 * leaking];
        for (let calm = 0; calm <= 200; calm++) {
          if (x === after && s === tail) return true;
          s = nextScore(s, false, false);
          x -= leakOf(x, s, leakQuotient);
        }
        return false;
      });
      t.ok(reachable, `${after} wei at score ${tail}`);
      const set = validators.activeSet(state);
      const [voting, silentPower] = [0, 3].map((index) => set.find((each) => each.index === index)?.votePower ?? 0n);
      t.ok(silentPower! < voting!, "their votes weigh less");
      // Those who come back are forgiven, epoch by epoch, until nobody has a score: the chain goes on through that too.
      for (let i = 0; i < 60 && withScore.get(engine.stateOf(engine.head()), ONLY) !== 0; i++) await run(slotsPerEpoch);
      t.equal(withScore.get(engine.stateOf(engine.head()), ONLY), 0);
      const number = engine.head().header.number;
      await run(2 * slotsPerEpoch);
      t.equal(engine.head().header.number, number + 2 * slotsPerEpoch);
    },
  );
