import "../../helpers/plain-spawn.ts";
import t from "tap";
import { freeload, receiptsOfJobs, selfish, WAYS } from "../../bench/security/freeloading.ts";

/** What an RLC of credit earns in issuance at most (docs/security.md). */
const EARNS = 0.88;

t.setTimeout(240_000);

t.test("whoever does no useful work loses money, whatever the way", async (t) => {
  const receipts = await receiptsOfJobs();
  for (const [name, way] of Object.entries(WAYS)) {
    const { net, gas, credit, issued, paid, spent } = freeload(way, receipts, {
      ...{ lots: 30, share: 0.2, seed: "freeloader", earns: EARNS },
    });
    t.ok(gas > 0, `${name}: its seats did something`);
    t.ok(net <= 0 && net - gas < 0, `${name}: ${JSON.stringify({ spent, paid, credit, issued, net })}`);
  }
  for (const share of [0.01, 0.1, 0.4]) t.ok(selfish(share) < 0, "own certificates and work shares alone");
});
