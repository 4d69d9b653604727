/** Evidence as a weapon: copies of a few offences, and offences to come, so that the many real ones find no place. */
import type { Evidence } from "../../../chain/block.ts";
import { epochOf } from "../../../chain/params.ts";
import { type Attestation, voteEvidence } from "../../../consensus/evidence.ts";
import { type Link, voteMessage } from "../../../consensus/finality.ts";
import { blsAggregate, blsSign } from "../../../lib/bls.ts";
import type { Hash } from "../../../lib/bytes.ts";
import type { Attack, World } from "./world.ts";

const hashOf = (digits: string): Hash => `0x${digits.repeat(32)}`;
const FAR = 1_000_000;
const FUTURE = 100;

const attest = (world: World, indices: readonly number[], targetEpoch: number, digits: string): Attestation => {
  const { engine, keys } = world.attacker!;
  const link: Link = { sourceEpoch: 0, sourceHash: hashOf("11"), targetEpoch, targetHash: hashOf(digits) };
  const message = voteMessage(engine.genesisHash, link);
  return { indices: [...indices], link, signature: blsAggregate(indices.map((i) => blsSign(keys[i]!.bls, message))) };
};

/** All pieces of evidence that anybody makes of the double votes of these: any subset of each side, in either order. */
const copies = (world: World, epoch: number, offenders: readonly number[]): Evidence[] => {
  const subsets = Array.from({ length: 2 ** offenders.length - 1 }, (_, i) =>
    offenders.filter((_, bit) => ((i + 1) >> bit) % 2 === 1),
  );
  const isCommon = (a: readonly number[], b: readonly number[]): boolean => a.some((index) => b.includes(index));
  return subsets.flatMap((one) =>
    subsets
      .filter((other) => isCommon(one, other))
      .flatMap((other) => {
        const [a, b] = [attest(world, one, epoch, "aa"), attest(world, other, epoch, "bb")];
        return [voteEvidence(a, b), voteEvidence(b, a)];
      }),
  );
};

/**
 * Keeps its votes back from an epoch on, so that nothing is final, floods with the copies of three offences and with ones to come,
 * and then each of its validators votes twice.
 */
export const evidenceFlood = (from: number): Attack => ({
  name: "evidence flood",
  publish: (message, world, send) => {
    const isVote = "vote" in message && message.vote.link.targetEpoch >= epochOf(world.genesis, from);
    if (!isVote) for (const to of world.nodes.keys()) send(to, message);
  },
  onSlot: (slot, world, send) => {
    if (slot !== from + 2 && slot !== from + 3) return;
    const own = world.attacker!.keys.map((_, i) => i);
    const epoch = epochOf(world.genesis, from);
    const future = Array.from({ length: FUTURE }, (_, i) => copies(world, FAR + i, own.slice(0, 1))).flat();
    const real = own.map((i) => voteEvidence(attest(world, [i], epoch, "aa"), attest(world, [i], epoch, "bb")));
    const sent = slot === from + 2 ? [...future, ...copies(world, epoch, own.slice(0, 3))] : real;
    for (const evidence of sent) for (const to of world.nodes.keys()) send(to, { evidence });
  },
});
