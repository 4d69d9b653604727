import type { Block } from "../../../chain/block.ts";
import { hashHeader } from "../../../chain/header.ts";
import { slotOf } from "../../../chain/params.ts";
import { voteMessage } from "../../../consensus/finality.ts";
import { blsSign } from "../../../lib/bls.ts";
import { fromHex } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { signCompact } from "../../../lib/secp256k1.ts";
import type { Attack, Message, Send, World } from "./world.ts";

const everyone = (world: World): number[] => [...world.nodes.keys()];
const half = (world: World, side: 0 | 1): number[] => everyone(world).filter((i) => i % 2 === side);
const slotMs = (world: World): number => world.genesis.params.slotSeconds * 1000;

/** Another block of the same slot by the same proposer, valid too. */
const twinOf = (block: Block, world: World): Block | undefined => {
  const key = world.attacker?.keys.find((each) => each.address === block.header.beneficiary);
  if (!key) return undefined;
  const header = { ...block.header, extraData: fromHex(keccak256(fromHex(block.hash))) };
  const hash = hashHeader(header);
  return { ...block, header, hash, signature: signCompact(hash, key.secp) };
};

/** Does nothing at all. */
export const silence: Attack = { name: "silence", isIdle: () => true };

/** Proposes on time and shows the block late to half of the nodes, so that they build and vote without it. */
export const lateBlocks: Attack = {
  name: "late blocks",
  publish: (message, world, send) => {
    const late = "block" in message ? 1.2 * slotMs(world) : 0;
    for (const to of half(world, 0)) send(to, message);
    for (const to of half(world, 1)) send(to, message, late);
  },
};

/** Keeps its votes and the blocks of an epoch's last slots back until after the others have voted in the next. */
export const withheldCertificates: Attack = {
  name: "withheld certificates",
  publish: (message, world, send) => {
    const { genesis } = world;
    const { slotsPerEpoch } = genesis.params;
    const slot = "block" in message ? slotOf(genesis, message.block.header.timestamp) : -1;
    const isLast = slot >= 0 && slot % slotsPerEpoch === slotsPerEpoch - 1;
    const late = "vote" in message ? slotsPerEpoch - 1 : isLast ? 2.5 : 0;
    for (const to of everyone(world)) send(to, message, late * slotMs(world));
  },
};

/** Shows one block to one half and its twin to the other, and votes for both. */
export const equivocation: Attack = {
  name: "equivocation",
  publish: (message, world, send) => {
    const second = secondOf(message, world);
    for (const to of half(world, 0)) send(to, message);
    for (const to of half(world, 1)) send(to, second ?? message);
  },
};

const secondOf = (message: Message, world: World): Message | undefined => {
  if ("block" in message) {
    const block = twinOf(message.block, world);
    return block && { block };
  }
  if ("evidence" in message) return undefined;
  const { vote } = message;
  const { engine } = world.nodes[1]!;
  const target = engine.store.canonical(engine.head().header.number);
  if (!target || target === vote.link.targetHash) return undefined;
  const link = { ...vote.link, targetHash: target };
  const voter = world.attacker!.keys.find((_, i) => i === vote.index);
  if (!voter) return undefined;
  return { vote: { ...vote, link, signature: blsSign(voter.bls, voteMessage(engine.genesisHash, link)) } };
};

/** Sends its votes at the end of the epoch, to one half alone: tries to keep the halves apart on what is justified. */
export const balancing: Attack = {
  name: "balanced votes",
  publish: (message, world, send) => {
    const late = "vote" in message ? (world.genesis.params.slotsPerEpoch - 1.3) * slotMs(world) : 0;
    const to = "vote" in message ? half(world, world.random() < 0.5 ? 0 : 1) : everyone(world);
    for (const node of to) send(node, message, late);
  },
};

/** Leaves others' votes and evidence out of its blocks. */
export const censorship: Attack = {
  name: "censorship of votes",
  onSlot: (_, world) => {
    const { engine } = world.attacker!;
    Object.assign(engine.votes, { certificates: () => [] });
    Object.assign(engine, { evidence: () => [] });
  },
};

/** Builds alone over the begin of an era, and shows its chain some slots later. */
export const privateFork = (era: number, slots: number): Attack => {
  let kept: Block[] = [];
  return {
    name: `private fork of ${slots} slots over an era's boundary`,
    isConnected: (slot, world) => !isPrivate(slot, world, era, slots),
    publish: (message, world, send) => {
      const slot = "block" in message ? slotOf(world.genesis, message.block.header.timestamp) : -1;
      if ("block" in message && isPrivate(slot, world, era, slots)) kept.push(message.block);
      else for (const to of everyone(world)) send(to, message);
    },
    onSlot: (slot, world, send) => {
      if (isPrivate(slot, world, era, slots) || kept.length === 0) return;
      for (const [i, block] of kept.entries()) for (const to of everyone(world)) send(to, { block }, i);
      kept = [];
    },
  };
};

const isPrivate = (slot: number, world: World, era: number, slots: number): boolean => {
  const start = era * world.genesis.params.epochsPerEra * world.genesis.params.slotsPerEpoch - slots / 2;
  return slot >= start && slot < start + slots;
};

/** Signs a whole other chain from block 1 on, late, and offers it: the keys are old, the blocks valid. */
export const longRange = (at: number): Attack => ({
  name: "long range",
  onSlot: (slot, world, send: Send) => {
    if (slot !== at) return;
    const { engine } = world.attacker!;
    for (let number = 1; number <= Math.min(40, engine.head().header.number); number++) {
      const twin = twinOf(engine.store.block(engine.store.canonical(number)!)!, world);
      if (twin) for (const to of everyone(world)) send(to, { block: twin }, number);
    }
  },
});
