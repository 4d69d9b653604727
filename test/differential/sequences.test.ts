import t from "tap";
import { compareSequences, reportText } from "./main.ts";

// Rolec's native market against iExec's published contracts in an EVM, call by call; `main.ts` runs as many as one likes.
t.setTimeout(900_000);

t.test(
  "a hundred and fifty random sequences of calls do the same as iExec's contracts, RLC being the coin",
  async (t) => {
    const report = await compareSequences("native", 150, 1, (line) => t.comment(line));
    t.comment(reportText(report));
    t.same([...report.differences.keys()], []);
    t.ok(report.succeeded > report.sequences * 8, "the calls of the sequences mostly do something");
    for (const name of [
      "matchOrders",
      "contribute",
      "reveal",
      "finalize",
      "contributeAndFinalize",
      "claim",
      "reopen",
    ]) {
      const counted = [...report.coverage].find(([signature]) => signature.startsWith(`${name}(`))?.[1] ?? [0, 0];
      t.ok(counted[0] > 0 && counted[1] > 0, `${name} both worked and reverted`);
    }
  },
);

t.test("fifty do the same where RLC is a token", async (t) => {
  const report = await compareSequences("token", 50, 2, (line) => t.comment(line));
  t.comment(reportText(report));
  t.same([...report.differences.keys()], []);
});
