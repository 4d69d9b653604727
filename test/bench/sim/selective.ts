/** Attackers that hold votes and certificates back, and at some slot stop: what is left of it then (`recovery.ts`). */
import { type Certificate, MAX_CERTIFICATES } from "../../../chain/block.ts";
import { firstSlot, type Genesis, slotOf } from "../../../chain/params.ts";
import type { State } from "../../../chain/state.ts";
import { bitmapOf, electorateOf } from "../../../consensus/finality.ts";
import { checkpoints } from "../../../consensus/records.ts";
import type { Vote } from "../../../consensus/votes.ts";
import { blsAggregate } from "../../../lib/bls.ts";
import type { Attack, SimNode, World } from "./world.ts";

/** What an attacker's proposer includes: all that is public, the newest certificate, the oldest eight, its own votes, nothing. */
export type Choice = "all" | "newest" | "oldest" | "own" | "none";

export interface Plan {
  readonly name: string;
  /** How many epochs late the votes of an epoch are handed out; 0 in time, Infinity when the attack stops. */
  readonly late: (epoch: number) => number;
  readonly choice: Choice;
  /** Slots in which the votes are late. */
  readonly from: number;
  readonly stop: number;
  /** Whether the proposers choose on after the votes come in time again. */
  readonly stays: boolean;
  /** Whether they choose for one block more: the first after epochs without any. */
  readonly gap: boolean;
}

/** Of a slot, how long after its start late votes leave: its block has been made without them. */
const AFTER_BLOCK = 0.3;

interface Held {
  readonly vote: Vote;
  readonly slot: number;
}

/** When a vote leaves. */
const leaves = (genesis: Genesis, plan: Plan, epoch: number): number => {
  const start = firstSlot(genesis, epoch);
  const late = start >= plan.from && start < plan.stop ? plan.late(epoch) : 0;
  return late === 0 ? 0 : Math.min(plan.stop, firstSlot(genesis, late === Infinity ? 2 ** 40 : epoch + late));
};

/** A certificate again, of those voters alone that a test holds for. */
const remade = (
  { engine }: SimNode,
  state: State,
  certificate: Certificate,
  keep: (index: number) => boolean,
): Certificate[] => {
  const { sourceEpoch, sourceHash, targetEpoch, targetHash } = certificate;
  const link = { sourceEpoch, sourceHash, targetEpoch, targetHash };
  const { voters } = electorateOf(state, checkpoints.get(state, targetEpoch)!);
  const signed = voters.flatMap(({ index }, place) => {
    const signature = keep(index) ? engine.votes.signature({ index, link }) : undefined;
    return signature ? [{ place, signature }] : [];
  });
  if (signed.length === 0) return [];
  const places = signed.map(({ place }) => place);
  const signature = blsAggregate(signed.map((each) => each.signature));
  return [{ ...link, bitmap: bitmapOf(places, voters.length), signature }];
};

const isOwn = (world: World, index: number): boolean => index < world.attacker!.keys.length;

/** Puts a choice of certificates in the place of the attacker's own. */
const choose = (world: World, plan: Plan, held: () => readonly Held[], slotNow: () => number): void => {
  const node = world.attacker!;
  const { votes } = node.engine;
  const all = votes.certificates;
  const isHeld = (index: number, epoch: number): boolean =>
    isOwn(world, index) && held().some(({ vote }) => vote.link.targetEpoch === epoch);
  const pick = (choice: Choice, state: State, made: Certificate[]): Certificate[] => {
    if (choice === "none") return [];
    if (choice === "own") return made.flatMap((each) => remade(node, state, each, (index) => isOwn(world, index)));
    const known = made.flatMap((each) => remade(node, state, each, (index) => !isHeld(index, each.targetEpoch)));
    const oldestFirst = known.sort((a, b) => a.targetEpoch - b.targetEpoch);
    if (choice === "newest") return oldestFirst.slice(-1);
    return choice === "oldest" ? oldestFirst.slice(0, MAX_CERTIFICATES) : oldestFirst.reverse();
  };
  Object.assign(votes, {
    certificates: (state: State, openEpoch: number) => {
      const made = [...all(state, openEpoch)];
      const headSlot = slotOf(world.genesis, node.engine.head().header.timestamp);
      const isOver = (plan.gap ? headSlot : slotNow()) >= plan.stop && !plan.stays;
      return slotNow() < plan.from || isOver ? made.slice(0, MAX_CERTIFICATES) : pick(plan.choice, state, made);
    },
  });
};

/** An attacker that follows a plan. */
export const following = (plan: Plan): Attack => {
  let held: Held[] = [];
  let now = 0;
  return {
    name: plan.name,
    publish: (message, world, send) => {
      const slot = "vote" in message ? leaves(world.genesis, plan, message.vote.link.targetEpoch) : 0;
      if ("vote" in message && slot > 0) held.push({ vote: message.vote, slot });
      else for (const to of world.nodes.keys()) send(to, message);
    },
    onSlot: (slot, world, send) => {
      if (now === 0)
        choose(
          world,
          plan,
          () => held,
          () => now,
        );
      now = slot;
      // What leaves in this slot is not yet in its block.
      held = held.filter((each) => each.slot >= slot && slot < plan.stop);
      const laterMs = AFTER_BLOCK * world.genesis.params.slotSeconds * 1000;
      for (const each of held.filter(({ slot: at }) => at === slot || slot + 1 === plan.stop))
        for (const to of world.nodes.keys()) send(to, { vote: each.vote }, laterMs);
    },
  };
};
