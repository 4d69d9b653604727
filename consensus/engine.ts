import type { Block, Evidence, WorkShare } from "../chain/block.ts";
import type { Database, Op } from "../chain/db.ts";
import { EMPTY_MMR } from "../chain/mmr.ts";
import { epochOf, firstSlot, type Genesis, oldestOpen, slotOf } from "../chain/params.ts";
import { createPool, type PoolView, type TransactionPool } from "../chain/pool.ts";
import { openState, type State } from "../chain/state.ts";
import { openStore, type Store } from "../chain/store.ts";
import { decodeTransaction, senderOf, type Transaction } from "../chain/transaction.ts";
import { blsVerify } from "../lib/bls.ts";
import type { Hash } from "../lib/bytes.ts";
import type { Log } from "../lib/log.ts";
import { RuleError } from "../lib/rule-error.ts";
import { isPaidBySlot } from "../vm/market/messages.ts";
import type { BlockContext } from "../vm/natives.ts";
import { validators } from "../vm/validator-store.ts";
import type { Chain } from "./chain.ts";
import { conflictOf } from "./conflict.ts";
import { KEPT_EPOCHS } from "./epochs.ts";
import { createEthash, type Ethash } from "./ethash/ethash.ts";
import { createEvidenceDesk } from "./evidence-desk.ts";
import { nextBaseFee } from "./fees.ts";
import { voteMessage } from "./finality.ts";
import { createForkChoice } from "./fork-choice.ts";
import { buildGenesis } from "./genesis-state.ts";
import { checkpoints, finality, must, ONLY } from "./records.ts";
import { failConsensus } from "./rules.ts";
import { createShareIntake } from "./share-intake.ts";
import type { SharePool } from "./share-pool.ts";
import { type Base, checkShares, importBlock, type Outcome, prepare } from "./transition.ts";
import { createVotePool, type Vote, type VotePool } from "./votes.ts";
import { createWaitingRoom } from "./waiting-room.ts";

/** Clock skew that a block may show before it is put off (spec section 2). */
export const FUTURE_TOLERANCE_MS = 500;
/** How far ahead of its slot a block may come and be kept, in ms. */
const MAX_EARLY_MS = 60_000;
const MAX_INVALID = 4_096;
const CACHED_VIEWS = 8;
/**
 * What these rules compare lies outside the block's hash (its signature) or may differ from what the hash covers (its
 * body): a copy with a wrong one says nothing against the block that the hash names.
 */
const NOT_OF_THE_HASH: ReadonlySet<string> = new Set([
  "block-proposer",
  "header-consensus-root",
  "header-transactions-root",
]);
const MAX_QUEUE = 4_096;

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
   * Queues a block. Resolves once it is in the tree ("imported", "known") or put off ("waiting": its slot or its parent has
   * not come). Rejects with RuleError where it breaks a rule.
   */
  importBlock(block: Block, source?: "gossip"): Promise<"imported" | "known" | "waiting">;
  /** Takes the outcome of a block that this node built itself. */
  adopt(outcome: Outcome): Promise<void>;
  addTransaction(raw: Uint8Array | Transaction): Hash;
  addVote(vote: Vote): void;
  /** Keeps evidence that slashes somebody on the head. Throws RuleError. */
  addEvidence(evidence: Evidence): void;
  /** Lists evidence that waits to be included. */
  evidence(): readonly Evidence[];
  /** Takes a work share. Rejects with RuleError where it is bad, known, or no block can take it. */
  addShare(share: WorkShare): Promise<void>;
  on<E extends keyof EngineEvents>(event: E, listener: EngineEvents[E]): () => void;
  stop(): Promise<void>;
}

/** Opens the engine from its database, at the head where it stopped; a new database begins with block 0. */
export const createEngine = async ({ db, genesis, now, log, ...options }: EngineOptions): Promise<Engine> => {
  const store = openStore(db);
  const first = buildGenesis(genesis, openState(db));
  const kept = store.canonical(0);
  if (kept && kept !== first.block.hash)
    throw new Error(`the database holds another chain: block 0 is ${kept}, not ${first.block.hash}`);
  if (!kept) {
    await db.batch(
      [
        ...first.ops,
        ...store.putBlock(first.block, [], EMPTY_MMR),
        ...store.putCanonical(first.block),
        store.putPointer("head", first.block.hash),
        store.putFinal(0, first.block.hash),
      ],
      true,
    );
  }
  const chain: Chain = { genesis, genesisHash: first.block.hash, genesisMix: first.block.header.mixHash };
  const listeners: { [E in keyof EngineEvents]: Set<EngineEvents[E]> } = {
    block: new Set(),
    head: new Set(),
    finalized: new Set(),
    transaction: new Set(),
    vote: new Set(),
    evidence: new Set(),
    fatal: new Set(),
    share: new Set(),
  };
  const emit = <E extends keyof EngineEvents>(event: E, ...args: Parameters<EngineEvents[E]>): void => {
    for (const listener of listeners[event]) {
      try {
        (listener as (...args: Parameters<EngineEvents[E]>) => void)(...args);
      } catch (error) {
        log.error({ event, error: (error as Error).stack }, "a listener met a bug of ours");
      }
    }
  };

  const mustBlock = (hash: Hash): Block => store.block(hash) ?? failMissing(hash);
  let head = mustBlock(store.pointer("head")!);
  let { epoch: finalEpoch, hash: finalHash } = must(store.final(), "a final checkpoint");
  const known = must(finality.get(openState(db, head.header.stateRoot), ONLY), "finality");
  const forkChoice = createForkChoice(genesis, store, head, {
    epoch: known.justifiedEpoch,
    // Block 0's own state cannot name it.
    hash: known.justifiedEpoch === 0 ? first.block.hash : known.justifiedHash,
  });
  const invalid = new Set<Hash>();
  const views = new Map<string, State>();
  let dead: Error | undefined;
  const die = (error: Error): never => {
    if (!dead) {
      dead = error;
      log.fatal({ error: error.stack, ...(error as { proofs?: object }).proofs }, "this node cannot go on");
      emit("fatal", error);
    }
    throw error;
  };

  const stateOf = (block: Block): State => openState(db, block.header.stateRoot);
  const baseOf = (block: Block): Base => ({
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
  const poolView = (block: Block): PoolView => {
    const state = stateOf(block);
    // Made when the first transaction asks whose sender cannot pay: few blocks need it.
    let next: ReturnType<typeof nextContext> | undefined;
    return {
      nonce: (address) => state.nonce(address),
      balance: (address) => state.balance(address),
      baseFee: nextBaseFee(block.header),
      gasLimit: block.header.gasLimit,
      paidByOther: (tx, sender) => {
        next ??= nextContext(block);
        return isPaidBySlot(next.state, next.context, tx, sender);
      },
    };
  };
  const pool = createPool(genesis.chainId, poolView(head), { now });
  const votes = createVotePool();
  const desk = createEvidenceDesk({
    chain,
    now,
    head: () => head,
    stateOf,
    onEvidence: (evidence) => emit("evidence", evidence),
    log,
  });
  const waiting = createWaitingRoom((address) => validators.indexOf(stateOf(head), address) !== undefined);

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
  /** What the transition asks of a block's shares: found out before it runs, since it waits for nothing. */
  const verdictsOf = async (parent: Block, block: Block): Promise<(share: WorkShare) => boolean> => {
    if (block.body.workShares.length > 0) checkShares(chain, baseOf(parent), block);
    return intake.verdicts(block);
  };

  /** The writes and the lists of blocks that move the head. O(length of the reorganisation). */
  const moveHead = (to: Block): { ops: Op[]; left: Block[]; joined: Block[] } => {
    const left: Block[] = [];
    const joined: Block[] = [];
    let [old, next] = [head, to];
    while (old.hash !== next.hash) {
      if (old.header.number >= next.header.number) {
        left.push(old);
        old = mustBlock(old.header.parentHash);
      } else {
        joined.unshift(next);
        next = mustBlock(next.header.parentHash);
      }
    }
    const ops = [
      ...left.flatMap(store.dropCanonical),
      ...joined.flatMap(store.putCanonical),
      store.putPointer("head", to.hash),
    ];
    return { ops, left, joined };
  };

  /** Moves to the best head, in the same batch as what made it so. */
  const write = async (ops: readonly Op[], sync: boolean): Promise<void> => {
    const best = forkChoice.choose(head);
    const moved = best.hash === head.hash ? undefined : moveHead(best);
    const written = db.batch([...ops, ...(moved?.ops ?? [])], sync);
    if (moved) {
      head = best;
      pool.reset(
        poolView(best),
        moved.joined.flatMap((each) => [...each.body.transactions]),
      );
      for (const gone of moved.left) for (const tx of gone.body.transactions) readd(tx);
    }
    await written.catch(die);
    if (!moved) return;
    intake.onHead(best);
    emit("head", best, moved.left, moved.joined);
  };

  /** Keeps an outcome: block, state, receipts, pointers in one batch. */
  const keep = async ({ block, finality: final, ...outcome }: Outcome): Promise<void> => {
    const ops: Op[] = [...outcome.ops, ...store.putBlock(block, outcome.receipts, outcome.peaks)];
    const newlyFinal = final.finalizedEpoch > finalEpoch;
    if (newlyFinal) {
      const target = mustBlock(final.finalizedHash);
      const before = mustBlock(finalHash);
      if (!forkChoice.descends(target, before))
        die(conflictOf(store, { final: before, tip: head }, { final: target, tip: block }));
      finalHash = target.hash;
      finalEpoch = final.finalizedEpoch;
      ops.push(store.putFinal(finalEpoch, finalHash));
    }
    forkChoice.add(block, now());
    forkChoice.justify({ epoch: final.justifiedEpoch, hash: final.justifiedHash });
    // A finalization is told to others once the disk has it.
    await write(ops, newlyFinal);
    emit("block", block);
    desk.watchBlock(block);
    for (const share of intake.takeWaiting(block.hash))
      addShare(share).catch((error: Error) => log.debug({ error: error.message }, "a share that waited is refused"));
    if (!newlyFinal) return;
    forkChoice.prune(mustBlock(finalHash));
    const headEpoch = epochOf(genesis, slotOf(genesis, head.header.timestamp));
    votes.prune(Math.min(finalEpoch, oldestOpen(genesis, headEpoch)));
    desk.onFinal(mustBlock(finalHash));
    emit("finalized", { epoch: finalEpoch, hash: finalHash });
  };
  const readd = (tx: Transaction): void => {
    try {
      pool.add(tx);
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
    }
  };
  const importNow = async (block: Block, source?: "gossip"): Promise<"imported" | "known" | "waiting"> => {
    if (dead) throw dead;
    if (store.block(block.hash)) return "known";
    if (invalid.has(block.hash)) failConsensus("block-known-invalid", block.hash);
    if (invalid.has(block.header.parentHash)) failConsensus("block-parent-invalid", block.header.parentHash);
    if (source === "gossip") waiting.countTwin(block);
    const parent = store.block(block.header.parentHash);
    if (!parent) return waiting.forParent(block);
    const earlyMs = block.header.timestamp * 1000 - now() - FUTURE_TOLERANCE_MS;
    if (earlyMs > MAX_EARLY_MS) failConsensus("block-future", block.header.timestamp);
    if (earlyMs > 0) return waiting.forSlot(block, earlyMs, () => importLater(block));
    if (!forkChoice.descends(parent, mustBlock(finalHash))) failConsensus("block-not-on-finalized", parent.hash);
    try {
      const isEthash = await verdictsOf(parent, block);
      await keep(importBlock(chain, baseOf(parent), block, isEthash));
    } catch (error) {
      if (error instanceof RuleError && error.verdict === "reject" && !NOT_OF_THE_HASH.has(error.code)) {
        if (invalid.size >= MAX_INVALID) invalid.delete(invalid.keys().next().value!);
        invalid.add(block.hash);
      }
      throw error;
    }
    await importWaiting(block.hash);
    return "imported";
  };

  const importLater = (block: Block): void => {
    enqueue(() => importNow(block)).catch((error: Error) =>
      log.debug({ error: error.message }, "a block put off is refused"),
    );
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

  let queue: Promise<unknown> = Promise.resolve();
  let queued = 0;
  const enqueue = <T>(work: () => Promise<T>): Promise<T> => {
    if (queued >= MAX_QUEUE) return Promise.reject(new Error("the import queue is full"));
    queued += 1;
    const done = queue.then(work).finally(() => {
      queued -= 1;
    });
    queue = done.catch(() => undefined);
    return done;
  };

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
    finalized: () => ({ epoch: finalEpoch, hash: finalHash, number: mustBlock(finalHash).header.number }),
    justified: () => {
      const { epoch, hash } = forkChoice.justified();
      return { epoch, hash, number: mustBlock(hash).header.number };
    },
    has: (hash) => store.block(hash) !== undefined,
    stateOf,
    baseOf,
    nextContext,
    importBlock: (block, source) => enqueue(() => importNow(block, source)),
    adopt: (outcome) =>
      enqueue(async () => {
        if (dead) throw dead;
        if (!store.block(outcome.block.hash)) await keep(outcome);
      }),
    addTransaction: (raw) => {
      const tx = raw instanceof Uint8Array ? decodeTransaction(raw) : raw;
      senderOf(tx);
      pool.add(tx);
      emit("transaction", tx);
      return tx.hash;
    },
    addVote: (vote) => {
      const { targetEpoch, targetHash } = vote.link;
      const present = epochOf(genesis, Math.floor(slotOf(genesis, (now() + FUTURE_TOLERANCE_MS) / 1000)));
      if (targetEpoch > present) failConsensus("vote-future", { got: targetEpoch, present });
      const state = stateOf(head);
      if (targetEpoch < must(finality.get(state, ONLY), "finality").finalizedEpoch)
        failConsensus("vote-stale", targetEpoch);
      const kept = votes.signature(vote);
      if (kept === vote.signature) return;
      // Signatures are unique: other bytes for a vote that is known are no vote, and not worth a verification.
      if (kept !== undefined) failConsensus("vote-known", vote.index);
      const target = store.block(targetHash) ?? failConsensus("vote-unknown-target", targetHash);
      const empty = targetEpoch - epochOf(genesis, slotOf(genesis, target.header.timestamp));
      if (empty < 0 || targetEpoch + KEPT_EPOCHS < present || !forkChoice.descends(target, mustBlock(finalHash)))
        failConsensus("vote-stale", targetEpoch);
      // The signature before the state that the target needs: only a validator can make this node look.
      const voter = validators.get(state, vote.index) ?? failConsensus("vote-member", vote.index);
      if (!blsVerify(voter.blsPublicKey, voteMessage(chain.genesisHash, vote.link), vote.signature))
        failConsensus("vote-signature", vote.index);
      desk.watchVote({ indices: [vote.index], link: vote.link, signature: vote.signature });
      const isNamed = checkpoints.get(state, targetEpoch)?.hash === target.hash;
      votes.add(isNamed ? state : viewFrom(target, targetEpoch), vote);
      emit("vote", vote);
      // A quorum counts as soon as it is seen, before a block carries it.
      const isNew =
        votes.isQuorum(targetHash, targetEpoch) && forkChoice.justify({ epoch: targetEpoch, hash: targetHash });
      if (isNew)
        enqueue(() => write([], false)).catch((error: Error) =>
          log.error({ error: error.stack }, "the head did not move"),
        );
    },
    addEvidence: desk.add,
    evidence: desk.all,
    addShare,
    on: (event, listener) => {
      listeners[event].add(listener);
      return () => listeners[event].delete(listener);
    },
    stop: async () => {
      waiting.stop();
      await queue;
      await ethash.stop();
    },
  };

  /** The state in which a block is the checkpoint of an epoch: that of the first block that could follow. */
  function viewFrom(target: Block, epoch: number): State {
    const key = `${target.hash} ${epoch}`;
    const cached = views.get(key);
    if (cached) return cached;
    const base = baseOf(target);
    prepare(chain, base, Math.max(slotOf(genesis, target.header.timestamp), firstSlot(genesis, epoch)) + 1);
    if (views.size >= CACHED_VIEWS) views.delete(views.keys().next().value!);
    views.set(key, base.state);
    return base.state;
  }
};

const failMissing = (hash: Hash): never => {
  throw new Error(`block ${hash} is not in the database`);
};
