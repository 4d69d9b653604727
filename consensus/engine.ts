import type { Block, Evidence, WorkShare } from "../chain/block.ts";
import type { Database } from "../chain/db.ts";
import { epochOf, type Genesis, slotOf } from "../chain/params.ts";
import type { TransactionPool } from "../chain/pool.ts";
import { ONLY } from "../chain/records.ts";
import type { State } from "../chain/state.ts";
import type { BlockHead, Store } from "../chain/store.ts";
import { decodeTransaction, type Transaction } from "../chain/transaction.ts";
import type { Hash } from "../lib/bytes.ts";
import type { Log } from "../lib/log.ts";
import { RuleError } from "../lib/rule-error.ts";
import type { BlockContext } from "../vm/natives.ts";
import { type Admission, createAdmission } from "./admission.ts";
import { type BlockIntake, createBlockIntake } from "./block-intake.ts";
import type { Chain } from "./chain.ts";
import { createRivalWatch, type RivalWatch } from "./conflict.ts";
import { createEthash, type Ethash } from "./ethash/ethash.ts";
import { createEvents, type EngineEvents, type Events } from "./events.ts";
import type { Attestation } from "./evidence.ts";
import { type EvidenceDesk, openEvidenceDesk } from "./evidence-desk.ts";
import type { Checkpointed } from "./fork-choice.ts";
import { type Head, openHead } from "./head.ts";
import { openChain } from "./open-chain.ts";
import type { Base } from "./open-slot.ts";
import { createPoolKeeper, type PoolKeeper } from "./pool-keeper.ts";
import { finality, must } from "./records.ts";
import { activeSets } from "./sets.ts";
import { createShareIntake, type ShareIntake } from "./share-intake.ts";
import type { SharePool } from "./share-pool.ts";
import type { Outcome } from "./transition.ts";
import { mustBlock } from "./tree.ts";
import { createUpgradeWatch, type UpgradeWatch } from "./upgrade-watch.ts";
import { createViews, type Views } from "./views.ts";
import { createVoteIntake, type VoteIntake } from "./vote-intake.ts";
import { createVoteVerifier, type VoteVerifier } from "./vote-verifier.ts";
import { createVotePool, type Vote, type VotePool } from "./votes.ts";

const VOTE_WAIT_MS = 30;
const MANY_VOTERS = 32;
/** A block of more bytes takes longer to read than its slot to draw. */
const DEAR_BLOCK_BYTES = 64 * 1024;

export interface EngineOptions {
  readonly db: Database;
  readonly genesis: Genesis;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Log;
  /** First blocks of chains that exclude this one, of which the operator knows; see RivalWatch. */
  readonly settled?: readonly Hash[];
  /** Where Ethash is computed; left out: in threads of the engine's own. It ends with the engine. */
  readonly ethash?: Ethash;
}

/** The one writer: imports blocks one after the other, chooses the head, keeps pool and votes. Others read. */
export interface Engine {
  readonly chain: Chain;
  readonly genesisHash: Hash;
  readonly store: Store;
  readonly pool: TransactionPool;
  readonly votes: VotePool;
  readonly shares: SharePool;
  readonly ethash: Ethash;
  readonly now: () => number;
  head(): Block;
  finalized(): { readonly epoch: number; readonly hash: Hash; readonly number: number };
  justified(): { readonly epoch: number; readonly hash: Hash; readonly number: number };
  has(hash: Hash): boolean;
  /** Opens the post-state of a block; to be thrown away after reading or trying. */
  stateOf(block: Block): State;
  /** Gives a block with what is needed to build on it. */
  baseOf(block: Block): Base;
  /** What a transaction in the next slot after a block would see. */
  nextContext(block: Block): { state: State; context: BlockContext };
  /**
   * Judges a block that gossip brings by header and signature, before the rest is read. Throws RuleError where it is not
   * wanted. 0.1 ms; where the whole is large, its slot is drawn first.
   */
  screenBlock(block: BlockHead, bytes?: number): void;
  /**
   * Queues a block. Resolves once it is in the tree ("imported", "known") or put off ("waiting": its slot or its parent has
   * not come). Rejects with RuleError where it breaks a rule.
   */
  importBlock(block: Block, source?: "gossip"): Promise<"imported" | "known" | "waiting">;
  /** Takes the outcome of a block that this node built itself. */
  adopt(outcome: Outcome): Promise<void>;
  addTransaction(raw: Uint8Array | Transaction): Hash;
  /** Takes a vote that came from elsewhere, `from` a peer. Rejects with RuleError. */
  addVote(vote: Vote, from?: string): Promise<void>;
  /** Takes a vote of a validator of this node's, at once. Throws RuleError. */
  castVote(vote: Vote): void;
  /** Keeps evidence that slashes somebody on the head. Throws RuleError. */
  addEvidence(evidence: Evidence): void;
  /** Lists evidence that waits until what it proves is final. */
  evidence(): readonly Evidence[];
  /** Lists the evidence that slashes somebody on a state. */
  evidenceFor(state: State): Iterable<Evidence>;
  /** Takes a work share. Rejects with RuleError where it is bad, known, or no block can take it. */
  addShare(share: WorkShare): Promise<void>;
  on<E extends keyof EngineEvents>(event: E, listener: EngineEvents[E]): () => void;
  stop(): Promise<void>;
}

/** What all parts of an engine share. */
interface Core {
  readonly db: Database;
  readonly chain: Chain;
  readonly store: Store;
  readonly now: () => number;
  readonly log: Log;
  readonly events: Events;
  readonly views: Views;
  readonly head: Head;
}

const openCore = async ({ db, genesis, now, log, settled = [] }: EngineOptions): Promise<Core> => {
  const { store, chain } = await openChain(db, genesis, settled);
  const views = createViews({ db, store, chain, now });
  const known = (block: Block) => must(finality.get(views.stateOf(block), ONLY), "finality");
  const head = await openHead({ db, store, chain, now, known });
  return { db, chain, store, now, log, events: createEvents(log), views, head };
};

/**
 * Tells whether the keys of the head's sets are bonded still: who was away for longer cannot tell their words from those of
 * keys that have long left, and judges nothing by them.
 */
const isAware = ({ chain: { genesis }, views, head }: Core): boolean => {
  const { epoch, evidenceEpochs } = views.present();
  return epoch - epochOf(genesis, slotOf(genesis, head.block().header.timestamp)) <= evidenceEpochs;
};

/** What looks at what others sign. */
interface Watches {
  readonly desk: EvidenceDesk;
  readonly upgrades: UpgradeWatch;
  readonly rivals: RivalWatch;
  /** Votes of before the node was stopped that finality may still need: what only votes justify is to be shown to others. */
  readonly keptVotes: readonly Attestation[];
}

const openWatches = async (core: Core, settled: readonly Hash[]): Promise<Watches> => {
  const { db, chain, store, log, events, views, head } = core;
  const { stateOf, present } = views;
  const keptVotes: Attestation[] = [];
  const desk = await openEvidenceDesk({
    db,
    chain,
    present,
    head: head.block,
    final: head.finalBlock,
    stateOf,
    onEvidence: (evidence) => events.emit("evidence", evidence),
    onKept: (attestation) => {
      const { indices, link } = attestation;
      if (indices.length === 1 && link.targetEpoch >= head.final().epoch) keptVotes.push(attestation);
    },
    log,
  });
  const upgrades = createUpgradeWatch({
    members: () => activeSets(stateOf(head.block())).members,
    log,
    onQuorum: events.stop,
  });
  const rivals = createRivalWatch({
    chain,
    store,
    head: head.block,
    final: () => ({ epoch: head.final().epoch, block: head.finalBlock() }),
    stateOf,
    isOnChain: head.isOnChain,
    present,
    onVerified: desk.watchVote,
    settled,
    onConflict: (error) => {
      events.stop(error);
      // Beside the proof, so that a node whose disk took none does not forget that it has stopped.
      db.batch([store.putPointer("conflict", error.branch)], true).catch(() => undefined);
    },
  });
  return { desk, upgrades, rivals, keptVotes };
};

const admissionOf = (core: Core, { desk, upgrades }: Watches): Admission => {
  const { chain, store, now, views, head } = core;
  return createAdmission({
    chain,
    store,
    now,
    stateOf: views.stateOf,
    head: head.block,
    final: head.finalBlock,
    onSigned: desk.watchHeader,
    onUnknownUpgrade: (index, slot, { hash }) => {
      if (isAware(core)) upgrades.onBlock(index, hash, epochOf(chain.genesis, slot), views.present().epoch);
    },
  });
};

const voteIntakeOf = (core: Core, { desk, upgrades }: Watches, votes: VotePool, verifier: VoteVerifier): VoteIntake => {
  const { chain, store, now, views, head } = core;
  return createVoteIntake({
    chain,
    store,
    votes,
    verifier,
    now,
    head: head.block,
    stateOf: views.stateOf,
    isOnFinal: head.isOnFinal,
    onVerified: (vote) => {
      desk.watchVote(vote);
      if (!isAware(core)) return;
      const { targetHash, targetEpoch } = vote.link;
      for (const index of vote.indices) upgrades.onVote(index, targetHash, targetEpoch, views.present().epoch);
    },
  });
};

/** All parts of an engine. */
interface Parts extends Core, Watches {
  readonly pool: PoolKeeper;
  readonly votes: VotePool;
  readonly verifier: VoteVerifier;
  readonly voteIntake: VoteIntake;
  readonly ethash: Ethash;
  readonly shares: ShareIntake;
  readonly blocks: BlockIntake;
}

const openParts = async (options: EngineOptions): Promise<Parts> => {
  const core = await openCore(options);
  const { db, chain, store, now, log, events, views, head } = core;
  const { genesis } = chain;
  const { stateOf, nextContext } = views;
  const pool = createPoolKeeper({ db, genesis, now, head: head.block(), stateOf, nextContext, log });
  const votes = createVotePool();
  // Where many vote, it is worth while to wait for some of them.
  const verifier = createVoteVerifier(chain.genesisHash, () =>
    activeSets(stateOf(head.block())).members.length < MANY_VOTERS ? 0 : VOTE_WAIT_MS,
  );
  const watches = await openWatches(core, options.settled ?? []);
  const voteIntake = voteIntakeOf(core, watches, votes, verifier);
  const ethash = options.ethash ?? createEthash();
  const onShare = (share: WorkShare): void => events.emit("share", share);
  const shares = createShareIntake({ chain, store, ethash, head: head.block, stateOf, onShare });
  const blocks = createBlockIntake({
    ...core,
    ...watches,
    pool,
    votes,
    shares,
    admission: admissionOf(core, watches),
    isAware: () => isAware(core),
  });
  return { ...core, ...watches, pool, votes, verifier, voteIntake, ethash, shares, blocks };
};

/** Tells of a vote that is kept; a quorum counts as soon as it is seen, before a block carries it. */
const takeVote = ({ events, head, votes, blocks, log }: Parts, vote: Vote): void => {
  events.emit("vote", vote);
  const { targetEpoch: epoch, targetHash: hash } = vote.link;
  const isNew = epoch > head.justified().epoch && votes.isQuorum(hash, epoch) && head.justify({ epoch, hash });
  if (isNew) blocks.chooseAgain().catch((error: Error) => log.error({ error: error.stack }, "the head did not move"));
};

/** Takes the votes that a node had before it was stopped; of some, time has passed. */
const restoreVotes = (parts: Parts): void => {
  for (const { indices, link, signature } of parts.keptVotes)
    try {
      const vote: Vote = { index: indices[0]!, link, signature };
      if (parts.voteIntake.restore(vote)) takeVote(parts, vote);
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
    }
};

const readersOf = ({ store, views, head }: Parts) => {
  const numbered = ({ epoch, hash }: Checkpointed) => ({ epoch, hash, number: mustBlock(store, hash).header.number });
  return {
    head: head.block,
    finalized: () => numbered(head.final()),
    justified: () => numbered(head.justified()),
    has: (hash: Hash) => store.head(hash) !== undefined,
    stateOf: views.stateOf,
    baseOf: views.baseOf,
    nextContext: views.nextContext,
  };
};

const votesOf = (parts: Parts): Pick<Engine, "addVote" | "castVote"> => {
  const { events, voteIntake } = parts;
  return {
    addVote: async (vote, from) => {
      events.checkAlive();
      if (await voteIntake.add(vote, from)) takeVote(parts, vote);
    },
    castVote: (vote) => {
      events.checkAlive();
      if (voteIntake.cast(vote)) takeVote(parts, vote);
    },
  };
};

const addTransaction = ({ pool, events }: Parts, raw: Uint8Array | Transaction): Hash => {
  const tx = raw instanceof Uint8Array ? decodeTransaction(raw) : raw;
  pool.pool.add(tx);
  events.emit("transaction", tx);
  return tx.hash;
};

/** Opens the engine from its database, at the head where it stopped; a new database begins with block 0. */
export const createEngine = async (options: EngineOptions): Promise<Engine> => {
  const parts = await openParts(options);
  const { chain, store, blocks, desk, shares, verifier, ethash } = parts;
  restoreVotes(parts);
  await blocks.idle();
  return {
    chain,
    genesisHash: chain.genesisHash,
    store,
    pool: parts.pool.pool,
    votes: parts.votes,
    shares: shares.pool,
    ethash,
    now: options.now,
    ...readersOf(parts),
    ...votesOf(parts),
    screenBlock: (block, bytes = 0) => blocks.screen(block, bytes > DEAR_BLOCK_BYTES),
    importBlock: blocks.import,
    adopt: blocks.adopt,
    addTransaction: (raw) => addTransaction(parts, raw),
    addEvidence: desk.add,
    evidence: desk.all,
    evidenceFor: desk.useful,
    addShare: shares.add,
    on: parts.events.on,
    stop: async () => {
      blocks.stop();
      await verifier.stop();
      await blocks.idle();
      await ethash.stop();
    },
  };
};
