import "../../helpers/plain-spawn.ts";
import t from "tap";
import { compareReceipts, otherNodes } from "./determinism.ts";

const PROGRAMS = 50;

t.test("generated programs and the apps have one receipt under every compiler of V8", async (t) => {
  const { programs, statuses, apps, differences } = await compareReceipts(PROGRAMS, 20_261_125, []);
  t.same(differences, []);
  t.ok(programs > PROGRAMS);
  t.same(apps, { "option-pricing": "OK 0", plasma: "OK 0", "wind-tunnel": "OK 0", "word-count": "OK 0" });
  t.ok(statuses["status 0"]! > PROGRAMS / 4, `${statuses["status 0"]} end well`);
});

const nodes = otherNodes();
t.test(
  "and under other versions of Node",
  { skip: nodes.length > 0 ? false : "ROLEC_NODES names no programs of other versions of Node" },
  async (t) => {
    const { configurations, differences } = await compareReceipts(PROGRAMS, 7, nodes);
    t.equal(configurations.length, 3 * (1 + nodes.length));
    t.same(differences, []);
  },
);
