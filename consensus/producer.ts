import type { Block } from "../chain/block.ts";
import { epochOf, firstOpenEpoch, slotOf, timestampOf } from "../chain/params.ts";
import type { Transaction } from "../chain/transaction.ts";
import type { Hash } from "../lib/bytes.ts";
import type { Log } from "../lib/log.ts";
import { RuleError } from "../lib/rule-error.ts";
import { createTroubles, type Subject, type Troubles } from "../lib/trouble.ts";
import type { Engine } from "./engine.ts";
import { drawSlot, openSlot } from "./open-slot.ts";
import { workWindow } from "./resources/work.ts";
import type { Signer, SlashingProtection } from "./signer.ts";
import { buildBlock } from "./transition.ts";
import type { Vote } from "./votes.ts";
import { createVoting, type Voting } from "./voting.ts";

export interface ProducerOptions {
  readonly engine: Engine;
  /** The validators that this node works for; any number. */
  readonly signers: readonly Signer[];
  readonly protection: SlashingProtection;
  /** Tells whether duties may be done in a slot; left out: in every one. */
  readonly mayWork?: (slot: number) => boolean;
  readonly publishBlock: (block: Block) => void;
  readonly publishVote: (vote: Vote) => void;
  readonly log: Log;
}

/** The duties of a node's validators: to propose in their slots and to vote once an epoch. */
export interface Producer {
  /** Does what the start of a slot asks; called by a timer, or by a test with a clock of its own. */
  onSlot(slot: number): Promise<void>;
  /** Does what the middle of a slot asks: before an epoch begins, remembers what this node holds. */
  onHalfSlot(slot: number): void;
  start(): void;
  stop(): Promise<void>;
}

/** How much of a slot may go into running transactions before a block has to leave. */
const BUILD_SHARE = 0.6;
/** The longest timer: Node's hold 24 days at most, and they stand still while the machine sleeps. */
const MAX_WAIT_MS = 10_000;

const PROPOSING: Subject = { fails: "proposing fails", works: "blocks are proposed again" };
const VOTING: Subject = { fails: "voting fails", works: "votes are cast again" };

interface Parts extends ProducerOptions {
  readonly voting: Voting;
  readonly troubles: Troubles;
  /** Transactions that the block being built cannot hold. */
  readonly refused: Set<Hash>;
  timer: NodeJS.Timeout | undefined;
  halfTimer: NodeJS.Timeout | undefined;
  running: Promise<void>;
  stopped: boolean;
}

/** Gives pool transactions until the slot's time for running them is over. */
function* inTime({ engine, refused }: Parts, slot: number): Iterable<Transaction> {
  const { genesis } = engine.chain;
  const deadline = timestampOf(genesis, slot) * 1000 + genesis.params.slotSeconds * 1000 * BUILD_SHARE;
  const best = engine.pool.best();
  let next = best.next();
  while (!next.done) {
    if (engine.now() > deadline) return;
    yield next.value;
    next = best.next(refused.delete(next.value.hash) ? "skip" : undefined);
  }
}

const onRefused = ({ engine, refused, log }: Parts, tx: Transaction, error: Error): void => {
  refused.add(tx.hash);
  // Its money went in this block already: at the next head it would go too.
  if (error instanceof RuleError && error.code === "tx-funds") engine.pool.removeUnpaid(tx);
  if (error instanceof RuleError) return;
  // One transaction that meets a bug must not stop the chain.
  log.error({ tx: tx.hash, error: error.stack }, "a transaction met a bug of ours and is dropped");
  engine.pool.remove(tx);
};

/** Builds and publishes the block of a slot, where a validator of this node's is drawn; false where none is. */
const propose = async (parts: Parts, slot: number): Promise<boolean> => {
  const { engine, signers, protection, publishBlock, refused, log } = parts;
  const { chain } = engine;
  const parent = engine.head();
  if (slotOf(chain.genesis, parent.header.timestamp) >= slot) return false;
  const drawn = drawSlot(chain, engine.baseOf(parent), slot);
  const signer = signers.find(({ address }) => address === drawn.proposer.address);
  if (!signer || !drawn.mayPropose) return false;
  const { address } = signer;
  const randaoReveal = await signer.reveal(chain.genesisHash, slot);
  const opened = openSlot(chain, drawn);
  const { state, common } = opened;
  const built = buildBlock(chain, opened, {
    beneficiary: address,
    randaoReveal,
    transactions: inTime(parts, slot),
    workShares: engine.shares.best(workWindow(state)),
    certificates: engine.votes.certificates(state, firstOpenEpoch(chain.genesis, common.epoch)),
    evidence: engine.evidenceFor(state),
    onRefused: (tx, error) => onRefused(parts, tx, error),
    onBug: (error) => log.error({ error: error.stack }, "a certificate or evidence met a bug of ours and is left out"),
  });
  refused.clear();
  const { hash, header, body } = built;
  await protection.allowProposal(address, slot, hash);
  const block: Block = { hash, header, signature: await signer.proposal(header), body };
  await engine.adopt({ ...built, block });
  publishBlock(block);
  log.debug({ slot, number: header.number, transactions: body.transactions.length }, "proposed");
  return true;
};

/** Does what may be due; `work` tells whether anything was. */
const duty = async ({ troubles }: Parts, subject: Subject, work: () => Promise<boolean>): Promise<void> => {
  try {
    if (await work()) troubles.works(subject);
  } catch (error) {
    troubles.fails(subject, error as Error);
  }
};

const onSlot = async (parts: Parts, slot: number): Promise<void> => {
  const { engine, voting, mayWork } = parts;
  if (mayWork && !mayWork(slot)) return;
  await duty(parts, PROPOSING, () => propose(parts, slot));
  if (voting.isDue(slot)) await duty(parts, VOTING, () => voting.vote(epochOf(engine.chain.genesis, slot)));
};

/** Waits for the next slot, by the clock, and for its middle. */
const schedule = (parts: Parts): void => {
  if (parts.stopped) return;
  const { engine, voting } = parts;
  const { params, genesisTime } = engine.chain.genesis;
  const slotMs = params.slotSeconds * 1000;
  const sinceGenesis = engine.now() - genesisTime * 1000;
  const next = Math.max(1, Math.floor(sinceGenesis / slotMs) + 1);
  const waitMs = Math.max(0, next * slotMs - sinceGenesis);
  if (waitMs > MAX_WAIT_MS) {
    parts.timer = setTimeout(() => schedule(parts), MAX_WAIT_MS);
    return;
  }
  parts.halfTimer = setTimeout(() => voting.hold(next), waitMs + slotMs / 2);
  parts.timer = setTimeout(() => {
    parts.running = onSlot(parts, next).then(() => schedule(parts));
  }, waitMs);
};

const stop = async (parts: Parts): Promise<void> => {
  parts.stopped = true;
  clearTimeout(parts.timer);
  clearTimeout(parts.halfTimer);
  await parts.running;
};

/** Makes the producer of a node. */
export const createProducer = (options: ProducerOptions): Producer => {
  const parts: Parts = {
    ...options,
    voting: createVoting(options),
    troubles: createTroubles({ log: options.log, now: options.engine.now }),
    refused: new Set(),
    timer: undefined,
    halfTimer: undefined,
    running: Promise.resolve(),
    stopped: false,
  };
  return {
    onSlot: (slot) => onSlot(parts, slot),
    onHalfSlot: parts.voting.hold,
    start: () => schedule(parts),
    stop: () => stop(parts),
  };
};
