/**
 * What is left of an attack on finality once two thirds vote in time again. A case runs some epochs in peace, then the attack, then
 * the time after it, and measures that alone.
 */

import { MAX_CERTIFICATES } from "../../../chain/block.ts";
import { firstOpenEpoch, firstSlot, slotOf, timestampOf } from "../../../chain/params.ts";
import { RLC } from "../../../lib/units.ts";
import { validators } from "../../../vm/validator-store.ts";
import { evidenceFlood } from "./flood.ts";
import { type Choice, following } from "./selective.ts";
import { createWorld, type World } from "./world.ts";

const PEACE = 3;
/** Enough for more stale quorums than a block has places. */
const ATTACK = 2 * (MAX_CERTIFICATES + 1);
/** Epochs that a run ends with, whose votes may still be underway. */
const TAIL = 4;
const NETWORK = { nodes: 2, delayMs: [40, 60], lossShare: 0.02, skewMs: 100 } as const;

/** One attack: which votes are late, what its proposers include, and whether they go on to choose. */
export interface Case {
  readonly late: "none" | "odd epochs by two" | "all by one" | "until the end";
  readonly choice: Choice;
  readonly stays: boolean;
  /** Instead of the attack's epochs: epochs without a block in which all vote. */
  readonly gap?: boolean;
}

export interface Setting {
  readonly validators: number;
  readonly share: number;
  readonly seed: number;
  readonly slotsPerEpoch: number;
  readonly epochsPerEra: number;
  /** Epochs that are measured. */
  readonly after: number;
}

/** Times in epochs, counted from the begin of the first epoch whose votes come in time again. */
export interface Recovery {
  /** Until a checkpoint of that epoch or a later one is final; undefined: not within the time measured. */
  readonly back: number | undefined;
  /** The mean over all epochs after it, from an epoch's begin until it or a later one is final. */
  readonly mean: number;
  /** What the attack cost an honest validator, and one of the attacker's, in parts of its bond: the mean. */
  readonly lostBefore: number;
  readonly attackerLost: number;
  /** What the honest who lost most lost for epochs after the attack, in parts of its bond. */
  readonly lostAfter: number;
  /** Epochs that became final during the attack. */
  readonly finalDuring: number;
  readonly isSafe: boolean;
}

const LATE: Record<Case["late"], (epoch: number) => number> = {
  none: () => 0,
  "odd epochs by two": (epoch) => (epoch % 2 === 1 ? 2 : 0),
  "all by one": () => 1,
  "until the end": () => Infinity,
};

/** Bonds in parts of the first, after a slot of the chain as it is now: the attacker's, and the others'. */
const bondsAt = ({ genesis, nodes, attacker }: World, slot: number): { attackers: number[]; honest: number[] } => {
  const { engine } = nodes[0]!;
  let block = engine.head();
  while (slotOf(genesis, block.header.timestamp) > slot) block = engine.store.block(block.header.parentHash)!;
  const all = validators.all(engine.stateOf(block)).map(({ bond }) => Number(bond) / Number(10_000n * RLC));
  const count = attacker!.keys.length;
  return { attackers: all.slice(0, count), honest: all.slice(count) };
};
const mean = (of: readonly number[]): number => of.reduce((sum, each) => sum + each, 0) / of.length;

/** The epochs of a setting; votes have eight slots to be included. */
const epochsOf = ({ slotsPerEpoch, epochsPerEra }: Setting) => ({
  slotsPerEpoch,
  epochsPerEra,
  inclusionEpochs: Math.ceil(8 / slotsPerEpoch),
});

/** Runs a case once. */
export const recover = async (attack: Case, setting: Setting): Promise<Recovery> => {
  const { slotsPerEpoch, share: attackerShare } = setting;
  const from = PEACE * slotsPerEpoch;
  const stop = from + ATTACK * slotsPerEpoch;
  const plan = {
    name: "",
    late: LATE[attack.late],
    choice: attack.choice,
    from,
    stop,
    stays: attack.stays,
    gap: attack.gap ?? false,
  };
  const world = await createWorld({
    ...NETWORK,
    validators: setting.validators,
    attackerShare,
    attack: following(plan),
    seed: setting.seed,
    params: epochsOf(setting),
    ...(attack.gap ? { gap: [from, stop] as const } : {}),
  });
  try {
    const epochMs = slotsPerEpoch * world.genesis.params.slotSeconds * 1000;
    const beginOf = (epoch: number): number => timestampOf(world.genesis, firstSlot(world.genesis, epoch)) * 1000;
    await world.run(stop - 1);
    let slot = stop - 1;
    const number = (): number => world.nodes[0]!.engine.head().header.number;
    for (const before = number(); attack.gap && number() === before; slot++) await world.run(1);
    const first = Math.floor(slot / slotsPerEpoch) + 1;
    await world.run(first * slotsPerEpoch - 1 - slot);
    const finalBefore = Math.max(0, ...world.finalAt.keys());
    await world.run(setting.after * slotsPerEpoch);
    const before = bondsAt(world, first * slotsPerEpoch - 1);
    // What came before is closed then.
    const open = first - firstOpenEpoch(world.genesis, first);
    const closed = bondsAt(world, (first + open + 1) * slotsPerEpoch - 1);
    const after = bondsAt(world, Infinity);
    const waits = Array.from({ length: setting.after - TAIL }, (_, i) => {
      const at = world.finalAt.get(first + i) ?? world.now();
      return (at - beginOf(first + i)) / epochMs;
    });
    const back = world.finalAt.get(first);
    return {
      back: back === undefined ? undefined : (back - beginOf(first)) / epochMs,
      mean: mean(waits),
      lostBefore: 1 - mean(before.honest),
      attackerLost: 1 - mean(before.attackers),
      lostAfter: Math.max(...closed.honest.map((bond, i) => bond - after.honest[i]!)),
      finalDuring: Math.max(0, finalBefore - PEACE),
      isSafe: world.measure().isSafe,
    };
  } finally {
    world.stop();
  }
};

/** What a flood of evidence leaves. */
export interface Flooded {
  /** Of the attacker's validators, all of which double-voted. */
  readonly offenders: number;
  readonly slashed: number;
  /** Blocks of the honest from the last offence until the last of them was slashed; undefined where one never was. */
  readonly blocks: number | undefined;
  readonly honestSlashed: number;
}

/** Runs a flood of evidence once, while nothing is final where the attacker has more than a third. */
export const flood = async (setting: Setting): Promise<Flooded> => {
  const { slotsPerEpoch, share: attackerShare, seed } = setting;
  const from = PEACE * slotsPerEpoch;
  const attack = evidenceFlood(from);
  const params = epochsOf(setting);
  const world = await createWorld({
    ...NETWORK,
    validators: setting.validators,
    attackerShare,
    attack,
    seed,
    params,
  });
  try {
    await world.run(from + 3);
    const { engine } = world.nodes[0]!;
    const own = world.attacker!.keys;
    const slashed = () =>
      validators.all(engine.stateOf(engine.head())).filter((each) => each.slashedEpoch !== undefined);
    const isOwn = (index: number): boolean => index < own.length;
    const addresses = new Set(own.map((each) => each.address));
    let blocks = 0;
    let last: number | undefined;
    for (let slot = 0; slot < setting.after * slotsPerEpoch && last === undefined; slot++) {
      const before = engine.head().header.number;
      await world.run(1);
      const { header } = engine.head();
      if (header.number > before && !addresses.has(header.beneficiary)) blocks += 1;
      if (slashed().filter(({ index }) => isOwn(index)).length === own.length) last = blocks;
    }
    const found = slashed();
    return {
      offenders: own.length,
      slashed: found.filter(({ index }) => isOwn(index)).length,
      blocks: last,
      honestSlashed: found.filter(({ index }) => !isOwn(index)).length,
    };
  } finally {
    world.stop();
  }
};
