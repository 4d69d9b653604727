import type { Block } from "../chain/block.ts";
import type { Op } from "../chain/db.ts";
import { epochOf, firstOpenEpoch, slotOf } from "../chain/params.ts";
import type { BlockHead, Store } from "../chain/store.ts";
import type { Hash } from "../lib/bytes.ts";
import type { Log } from "../lib/log.ts";
import { RuleError } from "../lib/rule-error.ts";
import { createWorkQueue, type WorkQueue } from "../lib/work-queue.ts";
import { type Admission, FUTURE_TOLERANCE_MS } from "./admission.ts";
import type { Chain } from "./chain.ts";
import type { RivalWatch } from "./conflict.ts";
import type { Events } from "./events.ts";
import type { EvidenceDesk } from "./evidence-desk.ts";
import type { Head } from "./head.ts";
import type { PoolKeeper } from "./pool-keeper.ts";
import { must } from "./records.ts";
import { failConsensus } from "./rules.ts";
import type { ShareIntake } from "./share-intake.ts";
import { closeBlock, type Outcome, openBlock } from "./transition.ts";
import { branchOf, mustBlock } from "./tree.ts";
import type { Views } from "./views.ts";
import type { VotePool } from "./votes.ts";
import { createWaitingRoom, type WaitingRoom } from "./waiting-room.ts";

const MAX_QUEUE = 4_096;

type Status = "imported" | "known" | "waiting";

/** Takes blocks one after the other, the one writer of an engine: judges them, keeps them, and moves the head. */
export interface BlockIntake {
  /**
   * Judges a block that gossip brings by header and signature, before the rest is read; where the whole is `dear`, who is drawn for
   * its slot too. Throws RuleError where it is not wanted.
   */
  screen(block: BlockHead, isDear: boolean): void;
  /**
   * Queues a block. Resolves once it is in the tree ("imported", "known") or put off ("waiting": its slot or its parent has
   * not come). Rejects with RuleError where it breaks a rule.
   */
  import(block: Block, source?: "gossip"): Promise<Status>;
  /** Takes the outcome of a block that this node built itself. */
  adopt(outcome: Outcome): Promise<void>;
  /** Queues a look at the leaves: what counts has changed without a block. */
  chooseAgain(): Promise<void>;
  /** Resolves once all that was queued is done. */
  idle(): Promise<void>;
  /** Comes back to no block that is put off. */
  stop(): void;
}

export interface BlockIntakeOptions {
  readonly chain: Chain;
  readonly store: Store;
  readonly now: () => number;
  readonly log: Log;
  readonly events: Events;
  readonly views: Views;
  readonly head: Head;
  readonly pool: PoolKeeper;
  readonly votes: VotePool;
  readonly shares: ShareIntake;
  readonly desk: EvidenceDesk;
  readonly rivals: RivalWatch;
  readonly admission: Admission;
  /** Tells whether what others sign can be judged here. */
  readonly isAware: () => boolean;
}

interface Parts extends BlockIntakeOptions {
  readonly waiting: WaitingRoom;
  readonly queue: WorkQueue;
}

/** Moves to the best head, in the same batch as what made it so. */
const write = async ({ head, pool, shares, events }: Parts, ops: readonly Op[], sync: boolean): Promise<void> => {
  const { move, written } = head.write(ops, sync);
  if (move) pool.onHead(move.to, move.left);
  try {
    await written;
  } catch (error) {
    events.stop(error as Error);
    throw error;
  }
  if (!move) return;
  shares.onHead(move.to);
  events.emit("head", move.to, move.left, move.joined);
};

/** Forgets what a newly final block makes useless, and looks for what it excludes. */
const onFinal = (parts: Parts, excluded: readonly Block[]): void => {
  const { chain, store, head, votes, desk, rivals, events } = parts;
  const final = head.final();
  // What has just become excluded may hold the proof that it was final too.
  for (const leaf of excluded) for (const block of branchOf(store, leaf)) rivals.add(block);
  // What is final is still to be rewarded until its epoch is closed.
  const epoch = epochOf(chain.genesis, slotOf(chain.genesis, head.block().header.timestamp));
  votes.prune(Math.min(final.epoch, firstOpenEpoch(chain.genesis, epoch)));
  desk.onFinal(mustBlock(store, final.hash));
  events.emit("finalized", final);
};

/** Keeps an outcome: block, state, receipts, pointers in one batch; then tells of it. */
const keep = async (parts: Parts, { block, finality, bugs, ...outcome }: Outcome): Promise<void> => {
  const { chain, store, log, head, shares, desk, admission, events } = parts;
  if (bugs.length > 0)
    log.error(
      { block: block.hash, count: bugs.length, error: bugs[0]!.stack },
      "the market's step met a bug of ours and is undone",
    );
  const { ops, isFinal, excluded } = head.add(block, finality);
  // A finalization is told to others once the disk has it.
  await write(parts, [...outcome.ops, ...store.putBlock(block, outcome.receipts, outcome.peaks), ...ops], isFinal);
  events.emit("block", block);
  const slot = slotOf(chain.genesis, block.header.timestamp);
  desk.watchHeader(slot, must(admission.signerOf(block), "a signer"), block);
  desk.watchBlock(block);
  for (const share of shares.takeWaiting(block.hash))
    shares.add(share).catch((error: Error) => log.debug({ error: error.message }, "a share that waited is refused"));
  if (isFinal) onFinal(parts, excluded);
};

const importNow = async (parts: Parts, block: Block, source?: "gossip"): Promise<Status> => {
  const { chain, store, now, events, views, head, rivals, admission, waiting, shares, isAware } = parts;
  events.checkAlive();
  if (store.head(block.hash)) return "known";
  try {
    const screened = admission.screen(block, source);
    const parent = store.head(block.header.parentHash);
    if (rivals.has(block.header.parentHash) || (parent && !head.isOnFinal(parent))) {
      if (isAware()) rivals.add(block);
      return failConsensus("block-not-on-finalized", block.header.parentHash);
    }
    if (!parent) return waiting.forParent(block, screened.signer);
    const earlyMs = block.header.timestamp * 1000 - now() - FUTURE_TOLERANCE_MS;
    if (earlyMs > 0) return waiting.forSlot(block, screened.signer, earlyMs, () => importLater(parts, block));
    const opened = openBlock(chain, views.baseOf(parent), block, screened);
    await keep(parts, closeBlock(chain, opened, await shares.verdicts(block)));
  } catch (error) {
    admission.onRefused(block, error);
    throw error;
  }
  await importWaiting(parts, block.hash);
  return "imported";
};

const importLater = (parts: Parts, block: Block): void => {
  parts.queue
    .add(() => importNow(parts, block))
    .catch((error: Error) => parts.log.debug({ error: error.message }, "a block put off is refused"));
};

/** Imports the blocks that waited for a parent. */
const importWaiting = async (parts: Parts, parent: Hash): Promise<void> => {
  for (const block of parts.waiting.childrenOf(parent)) {
    try {
      await importNow(parts, block);
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
      parts.log.debug({ block: block.hash, error: error.message }, "a block that waited is refused");
    }
  }
};

const screen = ({ store, admission, views }: Parts, block: BlockHead, isDear: boolean): void => {
  if (store.head(block.hash)) failConsensus("block-known", block.hash);
  const parent = isDear ? store.head(block.header.parentHash) : undefined;
  const { signer } = admission.screen(block, "gossip");
  if (parent) admission.checkDraw(block, signer, () => views.drawnFor(parent, block));
};

const adopt = async (parts: Parts, outcome: Outcome): Promise<void> => {
  parts.events.checkAlive();
  if (!parts.store.head(outcome.block.hash)) await keep(parts, outcome);
};

/** Makes the intake of an engine. */
export const createBlockIntake = (options: BlockIntakeOptions): BlockIntake => {
  const parts: Parts = { ...options, waiting: createWaitingRoom(), queue: createWorkQueue(MAX_QUEUE, "import") };
  const { queue, waiting } = parts;
  return {
    screen: (block, isDear) => screen(parts, block, isDear),
    import: (block, source) => queue.add(() => importNow(parts, block, source)),
    adopt: (outcome) => queue.add(() => adopt(parts, outcome)),
    chooseAgain: () => queue.add(() => write(parts, [], false)),
    idle: queue.idle,
    stop: waiting.stop,
  };
};
