import t from "tap";
import { mixPower } from "../../consensus/power.ts";
import { sharesAt } from "../../consensus/schedule.ts";
import { validators } from "../../vm/validator-store.ts";
import { createTestNetwork } from "../helpers/chain.ts";
import { EASY_WORK, mineShare } from "../helpers/mining.ts";

t.setTimeout(180_000);

const ERA_SLOTS = 16;
/** Phase 1 for three eras, then over four eras to phase 2, which has no work. */
const SCHEDULE = [
  { era: 0, work: "21000", contribution: "21845", stake: "22691" },
  { era: 3, work: "21000", contribution: "21845", stake: "22691" },
  { era: 7, work: "0", contribution: "32768", stake: "32768" },
];

t.test(
  "a network goes from work to stake by its schedule: no restart, no stop in finality, and miners leave",
  async (t) => {
    const { nodes, run, keys, genesis } = await createTestNetwork(4, [], {
      ...EASY_WORK,
      schedule: SCHEDULE,
      workFloorHashes: "64",
    });
    const { engine } = nodes[0]!;
    const state = () => engine.stateOf(engine.head());
    const miner = 2;
    const finals: number[] = [];
    const minersPower: number[] = [];
    for (let era = 0; era < 10; era++) {
      for (let slot = 0; slot < ERA_SLOTS; slot++) {
        // The one who mines stops when work begins to count less; nobody else ever did.
        if (era < 4 && slot % 4 === 0) {
          const share = mineShare(engine, { beneficiary: keys[miner]!.address });
          for (const node of nodes) await node.engine.addShare(share);
        }
        await run(1);
      }
      finals.push(engine.finalized().epoch);
      const set = validators.activeSet(state());
      const total = set.reduce((sum, each) => sum + each.power, 0n);
      minersPower.push(Number((set.find((each) => each.index === miner)!.power * 1_000n) / total) / 1_000);
    }
    const { epochsPerEra } = genesis.params;
    for (const [era, epoch] of finals.entries())
      t.ok(epoch >= (era + 1) * epochsPerEra - 3, `at the end of era ${era} epoch ${epoch} is final`);
    t.equal(minersPower[0], 0.25, "the set of genesis serves two eras");
    const most = Math.max(...minersPower);
    t.ok(most > 0.3, `work gave the miner up to ${most} of power`);
    t.equal(minersPower.at(-1), 0.25, "and in phase 2 nothing: all have bonded alike");
    t.ok(validators.get(state(), miner)!.workCredit > 0n, "its credit still stands, and fades");
    t.same(sharesAt(genesis.params.schedule, 5), { work: 10_500n, contribution: 27_306n });
    const now = mixPower(genesis.params, validators.all(state()), 9);
    t.ok(now.every((each) => each.work === 0n));
    t.equal(new Set(nodes.map((node) => node.engine.head().hash)).size, 1);
    for (const node of nodes) await node.engine.stop();
  },
);
