import fc from "fast-check";
import t from "tap";
import { firstCommittee, isAgreed, seatsToSettle } from "../../../vm/market/committee.ts";

t.test("a first round has as many seats as settle it where all agree, at least two", (t) => {
  const seats: [bigint, number][] = [
    [1n, 2],
    [2n, 2],
    [3n, 2],
    [4n, 2],
    [5n, 3],
    [10n, 4],
    [100n, 7],
    [10_000n, 14],
  ];
  for (const [trust, count] of seats) {
    t.equal(firstCommittee(trust), count, `trust ${trust}`);
    t.ok(isAgreed(count, [], trust));
  }
  t.notOk(isAgreed(1, [], 1n), "one seat verifies nothing");
  t.end();
});

t.test("dissent needs a lead of about log2 of the trust", (t) => {
  t.notOk(isAgreed(3, [1], 4n), "8*4 > 11*3 does not hold");
  t.ok(isAgreed(4, [1], 4n), "16*4 > 19*3");
  t.ok(isAgreed(3, [1], 3n), "8*3 > 11*2, as iExec's contracts have it");
  t.notOk(isAgreed(2, [1], 3n));
  t.equal(seatsToSettle(1, [1], 4n), 3);
  t.equal(seatsToSettle(0, [], 100n), 7);
  t.equal(seatsToSettle(6, [], 100n), 1);
  t.end();
});

t.test("the seats that would settle it do, and one less does not", (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 20 }),
      fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 4 }),
      fc.bigInt({ min: 1n, max: 10_000n }),
      (size, others, trust) => {
        const more = seatsToSettle(size, others, trust);
        return isAgreed(size + more, others, trust) && (more === 1 || !isAgreed(size + more - 1, others, trust));
      },
    ),
  );
  t.end();
});

/** Runs committees where a share of the seats always tells the same lie. */
const simulate = (share: number, trust: bigint, runs: number) => {
  let state = 12_345;
  const random = (): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return ((state >> 8) % 65_536) / 65_536;
  };
  let wrong = 0;
  for (let run = 0; run < runs; run++) {
    let lies = 0;
    let truths = 0;
    let wanted = firstCommittee(trust);
    for (;;) {
      for (let i = 0; i < wanted; i++) {
        if (random() < share) lies += 1;
        else truths += 1;
      }
      const [most, least] = [Math.max(lies, truths), Math.min(lies, truths)];
      const others = least > 0 ? [least] : [];
      if (isAgreed(most, others, trust)) {
        if (lies > truths) wrong += 1;
        break;
      }
      if (lies + truths >= 64) break;
      wanted = Math.min(seatsToSettle(most, others, trust), 64 - lies - truths);
    }
  }
  return wrong / runs;
};

t.test("wrong results are at most one in `trust` while colluders hold at most a third of the seats", (t) => {
  // The table of the market's rationale, with room for chance.
  const table: [number, bigint, number, number][] = [
    [0.1, 4n, 0.003, 0.03],
    [0.2, 4n, 0.03, 0.08],
    [0.33, 4n, 0.13, 0.25],
    [0.33, 10n, 0.03, 0.1],
    [0.33, 100n, 0.002, 0.02],
    [0.2, 100n, 0, 0.002],
  ];
  for (const [share, trust, least, most] of table) {
    const wrong = simulate(share, trust, 4_000);
    t.ok(wrong >= least && wrong <= most, `${share} of the seats at trust ${trust}: ${wrong} wrong`);
    t.ok(wrong <= 1 / Number(trust) + 0.01);
  }
  t.end();
});
