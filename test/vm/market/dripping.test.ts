import t from "tap";
import { dripping, hiding, silence } from "../../bench/security/absence.ts";
import { BURN } from "../../bench/security/dealing.ts";

const LOTS = 40;

t.test("a dealer whose inputs drip pays for each lot, as one who lets others decline", (t) => {
  const sums = dripping("always", 0.1, 2n, LOTS, 1);
  t.match(sums, { lots: LOTS, failed: 38, unserved: 38, othersSilent: 77 });
  t.ok(-(sums.requester + sums.colluders) >= LOTS, "all of what a lot pays that is served");
  t.ok(-sums.others <= -(sums.requester + sums.colluders), "which is more than the honest lose");
  t.ok(sums.price > 12.7, `${sums.price}: no less than who withholds by choice`);
  t.end();
});

t.test("who is silent on purpose, or agrees and hides, loses more than the requesters do", (t) => {
  for (const [play, failed] of [
    [silence, 4],
    [hiding, 1],
  ] as const) {
    const sums = play(0.2, 2n, LOTS, 1);
    t.equal(sums.failed, failed, "lots that failed");
    t.ok(
      -sums.colluders + LOTS * 0.2 * (1 - BURN) > sums.unserved,
      "the silent lose more, with the pay that they forgo",
    );
  }
  t.end();
});
