import t from "tap";
import { memoryDb } from "../../chain/db.ts";
import { hashHeader } from "../../chain/header.ts";
import { timestampOf } from "../../chain/params.ts";
import { ONLY } from "../../chain/records.ts";
import { createEngine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { setAt } from "../../consensus/sets.ts";
import { localSigner } from "../../consensus/signer.ts";
import { fromHex } from "../../lib/bytes.ts";
import { signCompact } from "../../lib/secp256k1.ts";
import { RLC } from "../../lib/units.ts";
import { genesisValidator, type ValidatorKeys, validatorKeys } from "../../node/folder.ts";
import { active } from "../../vm/validator-store.ts";
import { memoryProtection, silent, testGenesis, testKey } from "../helpers/chain.ts";
import { validatorCall } from "../helpers/validator-call.ts";

t.setTimeout(180_000);

t.test("a set before in which nobody has a vote any more holds up no change of sets", async (t) => {
  const next = validatorKeys(testKey("validator 1"));
  const { genesis, keys } = testGenesis(1, [next.address, validatorKeys(testKey("validator 0")).address], {
    minBondWei: (500n * RLC).toString(),
  });
  const [first] = keys as [ValidatorKeys];
  let nowMs = 0;
  const engine = await createEngine({ db: memoryDb(), genesis, now: () => nowMs, log: silent });
  const makers = [first, next].map((key) =>
    createProducer({
      engine,
      signers: [localSigner(key)],
      protection: memoryProtection(),
      publishBlock: () => {},
      publishVote: () => {},
      log: silent,
    }),
  );
  let slot = 0;
  const run = async (slots: number, of = makers): Promise<void> => {
    for (let i = 0; i < slots; i++) {
      slot += 1;
      nowMs = timestampOf(genesis, slot) * 1000;
      for (const maker of of) await maker.onSlot(slot);
      for (const maker of of) maker.onHalfSlot(slot);
    }
  };
  const { blsPublicKey, proofOfPossession } = genesisValidator(next, 0n);
  const stateNow = () => engine.stateOf(engine.head());
  const sets = () => {
    const { set, setBefore } = active.get(stateNow(), ONLY)!;
    return [set, setBefore].map((id) =>
      id === 0 ? [] : setAt(stateNow(), id).members.map(({ index, votePower }) => [index, votePower > 0n]),
    );
  };

  nowMs = timestampOf(genesis, 0) * 1000;
  const args = [fromHex(blsPublicKey), fromHex(proofOfPossession), next.address];
  engine.addTransaction(validatorCall({ genesis, keys: next, name: "register", args, value: 600n * RLC }));
  engine.addTransaction(validatorCall({ genesis, keys: first, name: "exit" }));
  await run(31);
  const last = engine.head();
  await run(2);
  t.same(sets(), [[[1, true]], [[0, true]]], "era 2 has begun with another set, which is not confirmed");
  const header = { ...last.header, extraData: Uint8Array.of(1) };
  const hash = hashHeader(header);
  await engine.importBlock({ ...last, header, hash, signature: signCompact(hash, first.secp) });
  await run(3, [makers[1]!]);
  t.same(sets(), [[[1, true]], [[0, false]]], "all of the set before are slashed");
  await run(20, [makers[1]!]);
  t.same(sets(), [[[1, true]], []], "the change is confirmed");
  t.ok(engine.finalized().epoch >= 11, `epoch ${engine.finalized().epoch} is final`);
  await engine.stop();
});
