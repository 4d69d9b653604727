import { voteEvidence } from "../../../consensus/evidence.ts";
import { type Link, voteMessage } from "../../../consensus/finality.ts";
import { blsSign } from "../../../lib/bls.ts";
import { ZERO_ADDRESS, ZERO_HASH } from "../../../lib/bytes.ts";
import { genesisValidator, validatorKeys } from "../../../node/folder.ts";
import { actor, type Stage, type Story } from "../stage.ts";

const RLC = 10n ** 18n;

/** Two validators come, of which no node runs; one leaves by itself and one by its owner, and both take their bonds out. */
export async function* validators(stage: Stage): Story {
  const { ask, genesis } = stage;
  const [first, second] = [actor("w4"), actor("w5")];
  const owner = actor("staker");
  const keys = [first, second].map(({ key }) => genesisValidator(validatorKeys(key), 0n));
  const register = (i: number) => [keys[i]!.blsPublicKey, keys[i]!.proofOfPossession, owner.address];
  const bond = { value: 1_500n * RLC };
  yield [
    ask(first, "validators", "register", register(0), bond),
    ask(first, "validators", "register", register(1), { ...bond, fails: true }),
    ask(second, "validators", "register", register(0), { ...bond, fails: true }),
    ask(second, "validators", "register", register(1), { value: RLC, fails: true }),
    ask(second, "validators", "register", [keys[1]!.blsPublicKey, keys[0]!.proofOfPossession, owner.address], {
      ...bond,
      fails: true,
    }),
    ask(second, "validators", "register", register(1), bond),
    ask(owner, "validators", "bond", [first.address], { value: 250n * RLC }),
    ask(owner, "validators", "bond", [first.address], { fails: true }),
    ask(owner, "validators", "bond", [ZERO_ADDRESS], { value: RLC, fails: true }),
    ask(owner, "validators", "exit()", [], { fails: true }),
    ask(owner, "validators", "withdraw", [first.address], { fails: true }),
  ];
  // Long enough to be in the set.
  yield 64;
  yield [
    ask(first, "validators", "exit()"),
    ask(first, "validators", "exit()", [], { fails: true }),
    ask(actor("stranger"), "validators", "exit(address)", [second.address], { fails: true }),
    ask(owner, "validators", "exit(address)", [second.address]),
    ask(owner, "validators", "bond", [second.address], { value: RLC, fails: true }),
  ];
  const never = 2n ** 256n - 1n;
  for (const { address } of [first, second]) {
    for (;;) {
      const { 5: unbonding } = await stage.read<readonly bigint[]>("validators", "viewValidator", [address]);
      if (unbonding !== never && stage.epoch() > Number(unbonding) + genesis.params.unbondingEpochs) break;
      yield 4;
    }
    yield [
      ask(owner, "validators", "withdraw", [address]),
      ask(owner, "validators", "withdraw", [address], { fails: true }),
    ];
  }
}

/** Shows two votes of a validator that exclude each other. */
export const showDoubleVote = (stage: Stage, index: number): void => {
  const { engine } = stage.nodes[0]!;
  const epoch = stage.epoch() - 1;
  const link: Link = {
    sourceEpoch: Math.max(0, epoch - 1),
    sourceHash: engine.genesisHash,
    targetEpoch: epoch,
    targetHash: ZERO_HASH,
  };
  const attest = (of: Link) => ({
    indices: [index],
    link: of,
    signature: blsSign(stage.validator[index]!.bls, voteMessage(engine.genesisHash, of)),
  });
  const evidence = voteEvidence(attest(link), attest({ ...link, targetHash: engine.genesisHash }));
  engine.addEvidence(evidence);
};
