import type { Block, Evidence, WorkShare } from "../chain/block.ts";
import type { Database, Op } from "../chain/db.ts";
import { epochOf, eraOf, firstOpenEpoch, type Genesis, paramsAt, slotOf } from "../chain/params.ts";
import type { TransactionPool } from "../chain/pool.ts";
import { ONLY } from "../chain/records.ts";
import { openState, type State } from "../chain/state.ts";
import type { BlockHead, Store } from "../chain/store.ts";
import { decodeTransaction, type Transaction } from "../chain/transaction.ts";
import type { Address, Hash } from "../lib/bytes.ts";
import { createListeners } from "../lib/listeners.ts";
import type { Log } from "../lib/log.ts";
import { RuleError } from "../lib/rule-error.ts";
import { createWorkQueue } from "../lib/work-queue.ts";
import type { BlockContext } from "../vm/natives.ts";
import { createAdmission, FUTURE_TOLERANCE_MS } from "./admission.ts";
import type { Chain } from "./chain.ts";
import { createRivalWatch } from "./conflict.ts";
import { createEthash, type Ethash } from "./ethash/ethash.ts";
import type { Attestation } from "./evidence.ts";
import { openEvidenceDesk } from "./evidence-desk.ts";
import { openForkChoice } from "./fork-choice.ts";
import { openChain } from "./open-chain.ts";
import { createPoolKeeper } from "./pool-keeper.ts";
import { finality, must } from "./records.ts";
import { failConsensus } from "./rules.ts";
import { activeSets } from "./sets.ts";
import { createShareIntake } from "./share-intake.ts";
import type { SharePool } from "./share-pool.ts";
import { type Base, beginImport, type Outcome, prepare } from "./transition.ts";
import { branchOf, moveHead, mustBlock, mustHead } from "./tree.ts";
import { createUpgradeWatch } from "./upgrade-watch.ts";
import { createVoteIntake } from "./vote-intake.ts";
import { createVoteVerifier } from "./vote-verifier.ts";
import { createVotePool, type Vote, type VotePool } from "./votes.ts";
import { createWaitingRoom } from "./waiting-room.ts";

const MAX_QUEUE = 4_096;
const VOTE_WAIT_MS = 30;
const MANY_VOTERS = 32;
/** A block of more bytes takes longer to read than its slot to draw. */
const DEAR_BLOCK_BYTES = 64 * 1024;

export interface EngineEvents {
  /** A block joined the tree. */
  block: (block: Block) => void;
  /** The head moved: blocks that left its chain (highest first), and those that joined (lowest first). */
  head: (head: Block, left: readonly Block[], joined: readonly Block[]) => void;
  finalized: (checkpoint: { epoch: number; hash: Hash }) => void;
  transaction: (tx: Transaction) => void;
  vote: (vote: Vote) => void;
  evidence: (evidence: Evidence) => void;
  /** The engine cannot go on: the disk fails, or two checkpoints that exclude each other are final. The node has to stop. */
  fatal: (error: Error) => void;
  share: (share: WorkShare) => void;
}

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
  /** Opens a block's post-state with what is needed to build on it. */
  baseOf(block: Block): Base;
  /** What a transaction in the next slot after a block would see. */
  nextContext(block: Block): { state: State; context: BlockContext };
  /**
   * Judges a block that gossip brings by header and signature, before the rest is read. Throws RuleError where it is not
   * wanted. 0.1 ms; where the whole is large, its slot is drawn first, which an era's boundary may make 20 ms.
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

/** Opens the engine from its database, at the head where it stopped; a new database begins with block 0. */
export const createEngine = async ({ db, genesis, now, log, ...options }: EngineOptions): Promise<Engine> => {
  const { store, chain } = await openChain(db, genesis, options.settled ?? []);
  const { on, emit } = createListeners<EngineEvents>((event, error) =>
    log.error({ event, error: error.stack }, "a listener met a bug of ours"),
  );
  let head = mustBlock(store, store.pointer("head")!);
  let { epoch: finalEpoch, hash: finalHash } = must(store.final(), "a final checkpoint");
  const known = must(finality.get(openState(db, head.header.stateRoot), ONLY), "finality");
  const forkChoice = await openForkChoice(genesis, store, head, {
    epoch: known.justifiedEpoch,
    // Block 0's own state cannot name it.
    hash: known.justifiedEpoch === 0 ? chain.genesisHash : known.justifiedHash,
  });
  let dead: Error | undefined;
  const stop = (error: Error): void => {
    if (!dead) {
      dead = error;
      log.fatal({ error: error.stack, ...(error as { proofs?: object }).proofs }, "this node cannot go on");
      emit("fatal", error);
    }
  };
  const die = (error: Error): never => {
    stop(error);
    throw error;
  };

  const stateOf = (block: BlockHead): State => openState(db, block.header.stateRoot);
  const baseOf = (block: BlockHead): Base => ({
    header: block.header,
    hash: block.hash,
    peaks: must(store.peaks(block.hash), `peaks of ${block.hash}`),
    state: stateOf(block),
  });
  const nextContext = (block: Block): { state: State; context: BlockContext } => {
    const base = baseOf(block);
    const next = Math.floor(slotOf(genesis, Math.floor(now() / 1000)));
    const slot = Math.max(slotOf(genesis, block.header.timestamp) + 1, next);
    const prepared = prepare(chain, base, slot);
    return { state: base.state, context: prepared.context(block.header.mixHash, prepared.proposer.address) };
  };
  const { pool, onHead: movePool } = createPoolKeeper({ db, genesis, now, head, stateOf, nextContext, log });
  const votes = createVotePool();
  /** Where many vote, it is worth while to wait for some of them. */
  const verifier = createVoteVerifier(chain.genesisHash, () =>
    activeSets(stateOf(head)).members.length < MANY_VOTERS ? 0 : VOTE_WAIT_MS,
  );
  /** What finality may still need: a checkpoint that only votes justify is to be shown to others. */
  const keptVotes: Attestation[] = [];
  const desk = await openEvidenceDesk({
    db,
    chain,
    now,
    head: () => head,
    final: () => mustHead(store, finalHash),
    stateOf,
    onEvidence: (evidence) => emit("evidence", evidence),
    onKept: (attestation) => {
      if (attestation.indices.length === 1 && attestation.link.targetEpoch >= finalEpoch) keptVotes.push(attestation);
    },
    log,
  });
  const presentEpoch = (): number => epochOf(genesis, Math.max(0, Math.floor(slotOf(genesis, now() / 1000))));
  /**
   * Tells whether the keys of the head's sets are bonded still: who was away for longer cannot tell their words from those of
   * keys that have long left, and judges nothing by them.
   */
  const isAware = (): boolean => {
    const present = presentEpoch();
    const { evidenceEpochs } = paramsAt(genesis, eraOf(genesis, present));
    return present - epochOf(genesis, slotOf(genesis, head.header.timestamp)) <= evidenceEpochs;
  };
  const isOnFinal = (block: BlockHead): boolean => forkChoice.descends(block, mustHead(store, finalHash));
  const upgrades = createUpgradeWatch({
    members: () => activeSets(stateOf(head)).members,
    log,
    onQuorum: stop,
  });
  const rivals = createRivalWatch({
    chain,
    store,
    head: () => head,
    final: () => ({ epoch: finalEpoch, block: mustHead(store, finalHash) }),
    stateOf,
    isOnChain: (block) => isOnFinal(block) || forkChoice.descends(mustHead(store, finalHash), block),
    window: () => {
      const present = presentEpoch();
      return { present, epochs: paramsAt(genesis, eraOf(genesis, present)).evidenceEpochs };
    },
    onVerified: desk.watchVote,
    settled: options.settled ?? [],
    onConflict: (error) => {
      stop(error);
      // Beside the proof, so that a node whose disk took none does not forget that it has stopped.
      db.batch([store.putPointer("conflict", error.branch)], true).catch(() => undefined);
    },
  });
  const admission = createAdmission({
    chain,
    store,
    now,
    stateOf,
    head: () => head,
    final: () => mustHead(store, finalHash),
    onSigned: desk.watchHeader,
    onUnknownUpgrade: (index, slot, { hash }) => {
      if (isAware()) upgrades.onBlock(index, hash, epochOf(genesis, slot), presentEpoch());
    },
  });
  const drawnFor = (parent: BlockHead, { header }: BlockHead): Address => {
    const slot = slotOf(genesis, header.timestamp);
    return prepare(chain, baseOf(parent), slot).proposer.address;
  };
  const voteIntake = createVoteIntake({
    chain,
    store,
    votes,
    verifier,
    now,
    head: () => head,
    stateOf,
    viewAt: (block, slot) => {
      const base = baseOf(block);
      prepare(chain, base, slot);
      return base.state;
    },
    isOnFinal,
    onVerified: (vote) => {
      desk.watchVote(vote);
      if (!isAware()) return;
      const { targetHash, targetEpoch } = vote.link;
      for (const index of vote.indices) upgrades.onVote(index, targetHash, targetEpoch, presentEpoch());
    },
  });
  const waiting = createWaitingRoom();
  const queue = createWorkQueue(MAX_QUEUE, "import");

  const ethash = options.ethash ?? createEthash();
  const intake = createShareIntake({
    chain,
    store,
    ethash,
    head: () => head,
    nextState: () => nextContext(head).state,
  });
  const addShare = async (share: WorkShare): Promise<void> => {
    await intake.add(share);
    emit("share", share);
  };
  /** Moves to the best head, in the same batch as what made it so. */
  const write = async (ops: readonly Op[], sync: boolean): Promise<void> => {
    const best = forkChoice.choose(head);
    const moved = best.hash === head.hash ? undefined : moveHead(store, head, best);
    const written = db.batch([...ops, ...forkChoice.takeOps(), ...(moved?.ops ?? [])], sync);
    if (moved) {
      head = best;
      movePool(best, moved.left);
    }
    await written.catch(die);
    if (!moved) return;
    intake.onHead(best);
    emit("head", best, moved.left, moved.joined);
  };

  /** Keeps an outcome: block, state, receipts, pointers in one batch. */
  const keep = async ({ block, finality: final, bugs, ...outcome }: Outcome): Promise<void> => {
    if (bugs.length > 0)
      log.error(
        { block: block.hash, count: bugs.length, error: bugs[0]!.stack },
        "the market's step met a bug of ours and is undone",
      );
    const ops: Op[] = [...outcome.ops, ...store.putBlock(block, outcome.receipts, outcome.peaks)];
    const newlyFinal = final.finalizedEpoch > finalEpoch;
    if (newlyFinal) {
      finalHash = final.finalizedHash;
      finalEpoch = final.finalizedEpoch;
      ops.push(store.putFinal(finalEpoch, finalHash));
    }
    forkChoice.add(block, now());
    forkChoice.justify({ epoch: final.justifiedEpoch, hash: final.justifiedHash });
    const excluded = newlyFinal ? forkChoice.prune(mustBlock(store, finalHash)) : [];
    // A finalization is told to others once the disk has it.
    await write(ops, newlyFinal);
    emit("block", block);
    const slot = slotOf(genesis, block.header.timestamp);
    desk.watchHeader(slot, must(admission.signerOf(block), "a signer"), block);
    desk.watchBlock(block);
    for (const share of intake.takeWaiting(block.hash))
      addShare(share).catch((error: Error) => log.debug({ error: error.message }, "a share that waited is refused"));
    if (!newlyFinal) return;
    // What has just become excluded may hold the proof that it was final too.
    for (const leaf of excluded) for (const block of branchOf(store, leaf)) rivals.add(block);
    // What is final is still to be rewarded until its epoch is closed.
    votes.prune(
      Math.min(finalEpoch, firstOpenEpoch(genesis, epochOf(genesis, slotOf(genesis, head.header.timestamp)))),
    );
    desk.onFinal(mustBlock(store, finalHash));
    emit("finalized", { epoch: finalEpoch, hash: finalHash });
  };
  const importNow = async (block: Block, source?: "gossip"): Promise<"imported" | "known" | "waiting"> => {
    if (dead) throw dead;
    if (store.head(block.hash)) return "known";
    try {
      const screened = admission.screen(block, source);
      const parent = store.head(block.header.parentHash);
      if (rivals.has(block.header.parentHash) || (parent && !isOnFinal(parent))) {
        if (isAware()) rivals.add(block);
        return failConsensus("block-not-on-finalized", block.header.parentHash);
      }
      if (!parent) return waiting.forParent(block, screened.signer);
      const earlyMs = block.header.timestamp * 1000 - now() - FUTURE_TOLERANCE_MS;
      if (earlyMs > 0) return waiting.forSlot(block, screened.signer, earlyMs, () => importLater(block));
      const run = beginImport(chain, baseOf(parent), block, screened);
      await keep(run(await intake.verdicts(block)));
    } catch (error) {
      admission.onRefused(block, error);
      throw error;
    }
    await importWaiting(block.hash);
    return "imported";
  };

  const importLater = (block: Block): void => {
    queue
      .add(() => importNow(block))
      .catch((error: Error) => log.debug({ error: error.message }, "a block put off is refused"));
  };

  /** Imports the blocks that waited for a parent. */
  const importWaiting = async (parent: Hash): Promise<void> => {
    for (const block of waiting.childrenOf(parent)) {
      try {
        await importNow(block);
      } catch (error) {
        if (!(error instanceof RuleError)) throw error;
        log.debug({ block: block.hash, error: error.message }, "a block that waited is refused");
      }
    }
  };

  /** Tells of a vote that is kept; a quorum counts as soon as it is seen, before a block carries it. */
  const takeVote = (vote: Vote): void => {
    emit("vote", vote);
    const { targetEpoch, targetHash } = vote.link;
    const isNew =
      targetEpoch > forkChoice.justified().epoch &&
      votes.isQuorum(targetHash, targetEpoch) &&
      forkChoice.justify({ epoch: targetEpoch, hash: targetHash });
    if (isNew)
      queue
        .add(() => write([], false))
        .catch((error: Error) => log.error({ error: error.stack }, "the head did not move"));
  };

  for (const { indices, link, signature } of keptVotes)
    try {
      const vote: Vote = { index: indices[0]!, link, signature };
      if (voteIntake.restore(vote)) takeVote(vote);
    } catch (error) {
      // Time has passed it.
      if (!(error instanceof RuleError)) throw error;
    }
  await queue.idle();

  return {
    chain,
    genesisHash: chain.genesisHash,
    store,
    pool,
    votes,
    shares: intake.pool,
    ethash,
    now,
    head: () => head,
    finalized: () => ({ epoch: finalEpoch, hash: finalHash, number: mustBlock(store, finalHash).header.number }),
    justified: () => {
      const { epoch, hash } = forkChoice.justified();
      return { epoch, hash, number: mustBlock(store, hash).header.number };
    },
    has: (hash) => store.head(hash) !== undefined,
    stateOf,
    baseOf,
    nextContext,
    screenBlock: (block, bytes = 0) => {
      if (store.head(block.hash)) failConsensus("block-known", block.hash);
      const parent = bytes > DEAR_BLOCK_BYTES ? store.head(block.header.parentHash) : undefined;
      const { signer } = admission.screen(block, "gossip");
      if (parent) admission.checkDraw(block, signer, () => drawnFor(parent, block));
    },
    importBlock: (block, source) => queue.add(() => importNow(block, source)),
    adopt: (outcome) =>
      queue.add(async () => {
        if (dead) throw dead;
        if (!store.head(outcome.block.hash)) await keep(outcome);
      }),
    addTransaction: (raw) => {
      const tx = raw instanceof Uint8Array ? decodeTransaction(raw) : raw;
      pool.add(tx);
      emit("transaction", tx);
      return tx.hash;
    },
    addVote: async (vote, from) => {
      if (dead) throw dead;
      if (await voteIntake.add(vote, from)) takeVote(vote);
    },
    castVote: (vote) => {
      if (dead) throw dead;
      if (voteIntake.cast(vote)) takeVote(vote);
    },
    addEvidence: desk.add,
    evidence: desk.all,
    evidenceFor: desk.useful,
    addShare,
    on,
    stop: async () => {
      waiting.stop();
      await verifier.stop();
      await queue.idle();
      await ethash.stop();
    },
  };
};
