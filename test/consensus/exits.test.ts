import t from "tap";
import { epochOf } from "../../chain/params.ts";
import { signTransaction } from "../../chain/transaction.ts";
import { hasServed } from "../../consensus/sets.ts";
import { RLC } from "../../lib/units.ts";
import { abiFunction } from "../../vm/abi.ts";
import { VALIDATORS } from "../../vm/addresses.ts";
import { VALIDATORS_ABI, validators } from "../../vm/validators.ts";
import { accountOf, createTestNetwork, EPOCHS } from "../helpers/chain.ts";

t.setTimeout(180_000);

const alice = accountOf("alice");
const call = (signature: string, ...args: string[]): Uint8Array =>
  abiFunction(VALIDATORS_ABI.find((each) => each.startsWith(`function ${signature}`))!).encode(...args);

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
      const send = (key: typeof leaver, data: Uint8Array) => {
        const tx = signTransaction(
          {
            type: 2,
            chainId: genesis.chainId,
            nonce: state().nonce(key.address),
            maxPriorityFeePerGas: 1n,
            maxFeePerGas: 10n ** 10n,
            gasLimit: 500_000,
            to: VALIDATORS,
            value: 0n,
            data,
            accessList: [],
          },
          key.secp,
        );
        for (const node of nodes) node.engine.addTransaction(tx.raw);
      };
      await run(24); // it has earned what gas costs
      send(leaver, call("exit()"));
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
      send(leaver, call("withdraw", leaver.address));
      await run(2);
      t.equal(validator().bond, 10_000n * RLC, "its bond is locked");
      await run(unbondingEpochs * slotsPerEpoch);
      send(leaver, call("withdraw", leaver.address));
      const before = state().balance(leaver.address);
      await run(2);
      t.equal(validator().bond, 0n);
      t.ok(state().balance(leaver.address) > before + 9_999n * RLC);
      t.ok(engine.finalized().epoch > begun! + unbondingEpochs - 4, "three go on");
    },
  );
