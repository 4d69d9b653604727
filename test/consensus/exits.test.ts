import t from "tap";
import { epochOf } from "../../chain/params.ts";
import { hasServed } from "../../consensus/sets.ts";
import { RLC } from "../../lib/units.ts";
import { validators } from "../../vm/validators.ts";
import { accountOf, createTestNetwork, EPOCHS } from "../helpers/chain.ts";
import { validatorCall } from "../helpers/validator-call.ts";

t.setTimeout(180_000);

const alice = accountOf("alice");
for (const [epochs, params] of EPOCHS)
  t.test(
    `who asks to leave is unbonded when a confirmed set is without it, and gets its bond back later (${epochs})`,
    async (t) => {
      const { nodes, run, keys, genesis } = await createTestNetwork(4, [alice.address], params);
      const { engine } = nodes[0]!;
      const { slotsPerEpoch, epochsPerEra, unbondingEpochs } = genesis.params;
      const leaver = keys[3]!;
      const state = () => engine.stateOf(engine.head());
      const validator = () => validators.get(state(), 3)!;
      const send = (name: string, ...args: string[]) => {
        const tx = validatorCall({ genesis, keys: leaver, name, args, nonce: state().nonce(leaver.address) });
        for (const node of nodes) node.engine.addTransaction(tx.raw);
      };
      await run(24); // it has earned what gas costs
      send("exit");
      await run(2);
      t.equal(validator().exitEpoch, epochOf(genesis, 25));
      t.same(validators.exiting(state()), [3]);
      t.equal(validator().unbondingEpoch, undefined, "it still proposes and votes");
      await run(3 * slotsPerEpoch * epochsPerEra + 2 * slotsPerEpoch);
      const begun = validator().unbondingEpoch;
      t.type(begun, "number");
      t.same(validators.exiting(state()), []);
      t.notOk(validators.activeSet(state()).some((each) => each.index === 3));
      t.ok(validator().lastPowerQ32 > 0n, "what slashing may ask for later is kept");
      const served = [keys[0]!, leaver, alice].map(({ address }) => hasServed(state(), address));
      t.same(served, [true, true, false], "who is in a set or was in one, not a stranger");
      send("withdraw", leaver.address);
      await run(2);
      t.equal(validator().bond, 10_000n * RLC, "its bond is locked");
      await run(unbondingEpochs * slotsPerEpoch);
      send("withdraw", leaver.address);
      const before = state().balance(leaver.address);
      await run(2);
      t.equal(validator().bond, 0n);
      t.ok(state().balance(leaver.address) > before + 9_999n * RLC);
      t.ok(engine.finalized().epoch > begun! + unbondingEpochs - 4, "three go on");
    },
  );
