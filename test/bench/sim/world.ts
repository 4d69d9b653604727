import { pino } from "pino";
import type { Block, Evidence } from "../../../chain/block.ts";
import { type Database, memoryDb, type Op } from "../../../chain/db.ts";
import { devGenesis, readGenesis } from "../../../chain/genesis.ts";
import { firstSlot, type Genesis, timestampOf } from "../../../chain/params.ts";
import { createEngine, type Engine } from "../../../consensus/engine.ts";
import { createProducer, type Producer } from "../../../consensus/producer.ts";
import { localSigner, type SlashingProtection } from "../../../consensus/signer.ts";
import type { Vote } from "../../../consensus/votes.ts";
import { type Hash, utf8 } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { RLC } from "../../../lib/units.ts";
import { genesisValidator, type ValidatorKeys, validatorKeys } from "../../../node/folder.ts";
import { validators } from "../../../vm/validator-store.ts";
import { createClock, randomFrom } from "./clock.ts";

const GENESIS_TIME = 1_700_000_000;

/** What a message carries. */
export type Message = { readonly block: Block } | { readonly vote: Vote } | { readonly evidence: Evidence };
/** Sends a message to a node, after a delay of the network and `laterMs` more. */
export type Send = (to: number, message: Message, laterMs?: number) => void;

/** What an attacker does with what its node wants to send. */
export interface Attack {
  readonly name: string;
  publish?(message: Message, world: World, send: Send): void;
  /** True where its node does nothing in a slot. */
  isIdle?(slot: number, world: World): boolean;
  /** Called at each slot's start, before the honest act. */
  onSlot?(slot: number, world: World, send: Send): unknown;
  /** False where a message does not reach the attacker, or does not leave it for a while. */
  isConnected?(slot: number, world: World): boolean;
}

export interface Options {
  readonly validators: number;
  readonly nodes: number;
  /** The share of all power that one more node, the attacker's, holds. 0 for none. */
  readonly attackerShare?: number;
  readonly attack?: Attack;
  /** Milliseconds that a message takes: least, and the mean of what comes on top. */
  readonly delayMs: readonly [least: number, mean: number];
  readonly lossShare: number;
  readonly skewMs: number;
  /** Honest validators that are off, in parts of all. */
  readonly offlineShare?: number;
  /** Slots in which the nodes fall into two halves. */
  readonly partition?: readonly [from: number, to: number];
  /** Slots in which nobody's block comes, though all vote; the attacker's is the first after them. */
  readonly gap?: readonly [from: number, to: number];
  readonly seed: number;
  /** Milliseconds that a node's processor is taken by a message of each kind, one after the other. None by default. */
  readonly costMs?: { readonly vote: number; readonly block: number };
  /** Changes of the development profile's parameters. */
  readonly params?: Record<string, unknown>;
}

export interface SimNode {
  readonly engine: Engine;
  readonly producer: Producer;
  readonly keys: readonly ValidatorKeys[];
  readonly skewMs: number;
}

/** What was measured on the honest nodes. */
export interface Measured {
  readonly slots: number;
  readonly blocks: number;
  readonly forks: number;
  readonly deepestReorg: number;
  /** For each epoch that became final: epochs from its begin until the first honest node knew. */
  readonly finality: readonly number[];
  /** The longest time without a new final epoch, in epochs. */
  readonly longestStall: number;
  /** Whether two honest nodes hold final checkpoints that exclude each other. */
  readonly isSafe: boolean;
  /** Shares of blocks on the chain by the attacker. */
  readonly attackerBlocks: number;
  readonly slashedAttackers: number;
}

export interface World {
  readonly genesis: Genesis;
  readonly nodes: readonly SimNode[];
  /** The attacker's node comes last. */
  readonly attacker: SimNode | undefined;
  readonly random: () => number;
  /** When the first honest node knew an epoch to be final, in ms since 1970. */
  readonly finalAt: ReadonlyMap<number, number>;
  /** Milliseconds since 1970, simulated. */
  now(): number;
  run(slots: number): Promise<void>;
  measure(): Measured;
  stop(): void;
}

/** Nodes of the state are named by their content, and nobody asks for one that it was not told of: one copy serves all. */
const SHARED = new Set(["n", "c"].map((letter) => utf8(letter)[0]!));
const overlay = (shared: Database): Database => {
  const own = memoryDb();
  const isShared = (key: Uint8Array): boolean => SHARED.has(key[0]!);
  return {
    get: (key) => (isShared(key) ? shared : own).get(key),
    batch: async (ops: readonly Op[]) => {
      await shared.batch(ops.filter(({ key }) => isShared(key)));
      await own.batch(ops.filter(({ key }) => !isShared(key)));
    },
    iterate: (prefix) => (isShared(prefix) ? shared : own).iterate(prefix),
    close: async () => {},
  };
};

const protection = (isHonest: boolean, isGap: (slot: number, isHonest: boolean) => boolean): SlashingProtection => {
  const last = new Map<string, number>();
  const rise = (key: string, next: number): void => {
    if (isHonest && next <= (last.get(key) ?? -1)) throw new Error(`${key} ${next}`);
    last.set(key, next);
  };
  return {
    allowProposal: async (validator, slot) => {
      if (isGap(slot, isHonest)) throw new Error(`slot ${slot} stays empty`);
      rise(`slot ${validator}`, slot);
    },
    allowVote: async (validator, source, target) => {
      const sourceKey = `source ${validator}`;
      if (isHonest && source < (last.get(sourceKey) ?? 0)) throw new Error(`${sourceKey} ${source}`);
      rise(`target ${validator}`, target);
      last.set(sourceKey, source);
    },
  };
};

/** Builds a network of nodes with the real engine, fork choice and producers, on a simulated clock. */
export const createWorld = async (options: Options): Promise<World> => {
  const { attack, attackerShare = 0 } = options;
  const random = randomFrom(options.seed);
  const ofAttacker = Math.round(options.validators * attackerShare);
  const all = Array.from({ length: options.validators }, (_, i) => validatorKeys(keccak256(utf8(`sim ${i}`))));
  const document = devGenesis({
    genesisTime: GENESIS_TIME,
    validators: all.map((keys) => genesisValidator(keys, 10_000n * RLC)),
    accounts: [],
    slots: [],
  }) as { params: Record<string, unknown> };
  const genesis = readGenesis({ ...document, params: { ...document.params, ...options.params } });
  const slotMs = genesis.params.slotSeconds * 1000;
  const clock = createClock(GENESIS_TIME * 1000);
  const shared = memoryDb();
  const log = pino({ level: process.env.SIM_LOG ?? "silent" });

  const honest = all.slice(ofAttacker);
  const groups: ValidatorKeys[][] = Array.from({ length: options.nodes }, () => []);
  for (const [i, keys] of honest.entries()) groups[i % options.nodes]!.push(keys);
  if (ofAttacker > 0) groups.push(all.slice(0, ofAttacker));
  const attackerAt = ofAttacker > 0 ? groups.length - 1 : -1;
  const offline = new Set(honest.slice(0, Math.round(options.validators * (options.offlineShare ?? 0))));

  const [gapFrom, gapTo] = options.gap ?? [0, 0];
  let isGapOver = gapTo === 0;
  const isGap = (slot: number, isHonest: boolean): boolean => {
    if (slot < gapFrom || isGapOver) return false;
    isGapOver = slot >= gapTo && !isHonest;
    return !isGapOver;
  };
  const nodes: SimNode[] = [];
  let slotNow = 0;
  const isCut = (from: number, to: number): boolean => {
    const [start, end] = options.partition ?? [0, 0];
    if (slotNow >= start && slotNow < end && from % 2 !== to % 2) return true;
    const touchesAttacker = from === attackerAt || to === attackerAt;
    return touchesAttacker && attack?.isConnected?.(slotNow, world) === false;
  };
  const take = async (from: number, to: number, message: Message): Promise<void> => {
    const { engine } = nodes[to]!;
    try {
      if ("block" in message) {
        const isWaiting = (await engine.importBlock(message.block, "gossip")) === "waiting";
        if (isWaiting && !isCut(from, to)) await fetchParents(from, to, message.block);
      }
      // Not awaited: what it waits for are other votes, in simulated time.
      else if ("vote" in message) engine.addVote(message.vote).catch(() => undefined);
      else engine.addEvidence(message.evidence);
    } catch {
      // What a node refuses is that node's to judge.
    }
  };
  const sendFrom =
    (from: number): Send =>
    (to, message, laterMs = 0) => {
      if (to === from || isCut(from, to) || random() < options.lossShare) return;
      const [least, mean] = options.delayMs;
      clock.at(clock.now() + laterMs + least - mean * Math.log(1 - random()), () => receive(from, to, message));
    };
  /** When each node's processor is free again. */
  const busyUntil = new Map<number, number>();
  const receive = (from: number, to: number, message: Message): unknown => {
    const cost = "vote" in message ? options.costMs?.vote : "block" in message ? options.costMs?.block : 0;
    if (!cost) return take(from, to, message);
    const done = Math.max(clock.now(), busyUntil.get(to) ?? 0) + cost;
    busyUntil.set(to, done);
    return void clock.at(done, () => take(from, to, message));
  };
  const flood = (from: number, message: Message): void => {
    for (const to of nodes.keys()) sendFrom(from)(to, message);
  };
  /** What a block stands on is asked of who sent it, as the synchronizer does. */
  const fetchParents = async (from: number, to: number, block: Block): Promise<void> => {
    const [mine, theirs] = [nodes[to]!.engine, nodes[from]!.engine];
    const missing: Block[] = [];
    for (let { parentHash } = block.header; !mine.has(parentHash); parentHash = missing[0]!.header.parentHash)
      missing.unshift(theirs.store.block(parentHash)!);
    for (const each of missing) await mine.importBlock(each).catch(() => undefined);
  };
  /** What a node missed it asks of another, as the synchronizer does: the chain of the other's head, and its votes. */
  const catchUp = async (at: number, from: number): Promise<void> => {
    if (isCut(from, at)) return;
    const [mine, theirs] = [nodes[at]!.engine, nodes[from]!.engine];
    const missing: Block[] = [];
    for (let block = theirs.head(); !mine.has(block.hash); block = theirs.store.block(block.header.parentHash)!)
      missing.unshift(block);
    for (const block of missing) await mine.importBlock(block).catch(() => undefined);
    for (const vote of theirs.votes.all()) {
      const isStale = vote.link.targetEpoch < mine.finalized().epoch;
      if (!isStale && mine.votes.signature(vote) === undefined) mine.addVote(vote).catch(() => undefined);
    }
  };

  const reached = new Map<number, number>();
  const forks = new Set<Hash>();
  let deepestReorg = 0;
  const joins = (i: number): ValidatorKeys[] => groups[i]!.filter((keys) => !offline.has(keys));
  for (const [i] of groups.entries()) {
    const skewMs = i === attackerAt ? 0 : Math.round((2 * random() - 1) * options.skewMs);
    const now = () => clock.now() + skewMs;
    const engine = await createEngine({ db: overlay(shared), genesis, now, log });
    const publish = (message: Message): void => {
      if (i === attackerAt && attack?.publish) attack.publish(message, world, sendFrom(i));
      else flood(i, message);
    };
    const producer = createProducer({
      engine,
      signers: joins(i).map(localSigner),
      protection: protection(i !== attackerAt, isGap),
      publishBlock: (block) => publish({ block }),
      publishVote: (vote) => publish({ vote }),
      log,
    });
    engine.on("evidence", (evidence) => publish({ evidence }));
    if (i !== attackerAt) {
      engine.on("block", (block) => forks.add(block.hash));
      engine.on("head", (_, left) => {
        deepestReorg = Math.max(deepestReorg, left.length);
      });
      engine.on("finalized", ({ epoch }) => {
        for (let each = epoch; each > 0 && !reached.has(each); each--) reached.set(each, clock.now());
      });
    }
    nodes.push({ engine, producer, keys: groups[i]!, skewMs });
  }

  const world: World = {
    genesis,
    nodes,
    attacker: nodes[attackerAt],
    random,
    finalAt: reached,
    now: clock.now,
    run: async (slots) => {
      for (let i = 0; i < slots; i++) {
        slotNow += 1;
        const slot = slotNow;
        const startMs = timestampOf(genesis, slot) * 1000;
        for (const [n, { producer, skewMs }] of nodes.entries()) {
          const isAttacker = n === attackerAt;
          const act = async () => {
            if (isAttacker) await attack?.onSlot?.(slot, world, sendFrom(n));
            if (isAttacker && attack?.isIdle?.(slot, world)) return;
            await producer.onSlot(slot);
          };
          clock.at(startMs - skewMs, act);
          clock.at(startMs - skewMs + slotMs / 2, () => producer.onHalfSlot(slot));
          const honest = nodes.length - (attackerAt === -1 ? 0 : 1);
          const drawn = Math.floor(random() * honest);
          const other = drawn === n ? (n + 1) % honest : drawn;
          if (other !== n) clock.at(startMs + random() * slotMs, () => catchUp(n, other));
        }
        await clock.until(startMs + slotMs - 1);
      }
    },
    measure: () => {
      const observed = nodes.filter((_, i) => i !== attackerAt).map((node) => node.engine);
      const { store, head } = observed[0]!;
      const blocks = head().header.number;
      const byAttacker = new Set(groups[attackerAt]?.map((keys) => keys.address));
      let attackers = 0;
      for (let number = 1; number <= blocks; number++)
        if (byAttacker.has(store.block(store.canonical(number)!)!.header.beneficiary)) attackers += 1;
      const epochMs = genesis.params.slotsPerEpoch * slotMs;
      const begins = (epoch: number) => timestampOf(genesis, firstSlot(genesis, epoch)) * 1000;
      const finality = [...reached].map(([epoch, ms]) => (ms - begins(epoch)) / epochMs).sort((a, b) => a - b);
      const times = [GENESIS_TIME * 1000, ...[...reached.values()].sort((a, b) => a - b), clock.now()];
      const stalls = times.slice(1).map((ms, i) => (ms - times[i]!) / epochMs);
      const slashed = validatorsSlashed(observed[0]!, byAttacker);
      return {
        slots: slotNow,
        blocks,
        forks: forks.size - blocks,
        deepestReorg,
        finality,
        longestStall: Math.max(...stalls),
        isSafe: observed.every((engine) => isConsistent(engine, observed[0]!)),
        attackerBlocks: blocks === 0 ? 0 : attackers / blocks,
        slashedAttackers: slashed,
      };
    },
    stop: () => clock.restore(),
  };
  return world;
};

/** Tells whether of two nodes' final blocks the lower one is on the other's chain. */
const isConsistent = (a: Engine, b: Engine): boolean => {
  const [low, high] = a.finalized().number <= b.finalized().number ? [a, b] : [b, a];
  return high.store.canonical(low.finalized().number) === low.finalized().hash;
};

const validatorsSlashed = (engine: Engine, addresses: ReadonlySet<string>): number =>
  allValidators(engine).filter((each) => addresses.has(each.address) && each.slashedEpoch !== undefined).length;

const allValidators = (engine: Engine) => validators.all(engine.stateOf(engine.head()));
