import type { Block } from "../chain/block.ts";
import { type Header, hashHeader } from "../chain/header.ts";
import { epochOf, firstOpenEpoch, firstSlot, slotOf, timestampOf } from "../chain/params.ts";
import { ONLY } from "../chain/records.ts";
import { blsSign } from "../lib/bls.ts";
import type { Address, Hash, Hex } from "../lib/bytes.ts";
import type { Log } from "../lib/log.ts";
import { RuleError } from "../lib/rule-error.ts";
import { signCompact } from "../lib/secp256k1.ts";
import { createTroubles, type Subject } from "../lib/trouble.ts";
import { validators } from "../vm/validator-store.ts";
import type { Engine } from "./engine.ts";
import { type Link, voteMessage } from "./finality.ts";
import { randaoMessage } from "./proposer.ts";
import { finality, must } from "./records.ts";
import { workWindow } from "./resources/work.ts";
import { buildBlock, prepare } from "./transition.ts";
import { mustBlock } from "./tree.ts";
import type { Vote } from "./votes.ts";

/** What was signed before, kept so that nothing slashable is signed again. Both reject where signing is forbidden. */
export interface SlashingProtection {
  /** Resolves once the disk knows that this proposal was signed. */
  allowProposal(validator: Address, slot: number, hash: Hash): Promise<void>;
  /** Resolves once the disk knows that this vote was signed. */
  allowVote(validator: Address, sourceEpoch: number, targetEpoch: number, targetHash: Hash): Promise<void>;
}

/**
 * Signs for one validator: with keys at hand, or by asking a program that guards them. It is told what is to be signed, not
 * bytes, so that who guards the keys can judge it.
 */
export interface Signer {
  readonly address: Address;
  /** Signs a block's header (65 bytes, secp256k1, over its hash). */
  proposal(header: Header): Promise<Hex>;
  /** Signs a slot's reveal (96 bytes, BLS). */
  reveal(genesisHash: Hash, slot: number): Promise<Hex>;
  /** Signs a vote (96 bytes, BLS). */
  vote(genesisHash: Hash, link: Link): Promise<Hex>;
}

/** Makes a signer of keys that this process holds. */
export const localSigner = ({ address, secp, bls }: { address: Address; secp: Hex; bls: Hex }): Signer => ({
  address,
  proposal: async (header) => signCompact(hashHeader(header), secp),
  reveal: async (genesisHash, slot) => blsSign(bls, randaoMessage(genesisHash, slot)),
  vote: async (genesisHash, link) => blsSign(bls, voteMessage(genesisHash, link)),
});

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

/** Makes the producer of a node. */
export const createProducer = ({
  engine,
  signers,
  protection,
  mayWork = () => true,
  publishBlock,
  publishVote,
  log,
}: ProducerOptions): Producer => {
  const { chain, store } = engine;
  const { genesis } = chain;
  let votedEpoch = -1;
  let timer: NodeJS.Timeout | undefined;
  let halfTimer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  let stopped = false;
  const troubles = createTroubles({ log, now: engine.now });

  /** Gives pool transactions until the slot's time for running them is over. */
  const inTime = function* (slot: number) {
    const deadline = timestampOf(genesis, slot) * 1000 + genesis.params.slotSeconds * 1000 * BUILD_SHARE;
    const best = engine.pool.best();
    let next = best.next();
    while (!next.done) {
      if (engine.now() > deadline) return;
      yield next.value;
      next = best.next(refused.delete(next.value.hash) ? "skip" : undefined);
    }
  };
  const refused = new Set<Hash>();

  const propose = async (slot: number): Promise<boolean> => {
    const parent = engine.head();
    if (slotOf(genesis, parent.header.timestamp) >= slot) return false;
    const base = engine.baseOf(parent);
    const { proposer, mayPropose } = prepare(chain, base, slot);
    const signer = signers.find((each) => each.address === proposer.address);
    if (!signer || !mayPropose) return false;
    const { address } = signer;
    const epoch = epochOf(genesis, slot);
    const randaoReveal = await signer.reveal(chain.genesisHash, slot);
    // A fresh base: prepare changed the other one.
    const built = buildBlock(chain, engine.baseOf(parent), {
      slot,
      beneficiary: address,
      randaoReveal,
      transactions: inTime(slot),
      workShares: engine.shares.best(workWindow(base.state)),
      certificates: engine.votes.certificates(base.state, firstOpenEpoch(genesis, epoch)),
      evidence: engine.evidenceFor(base.state),
      onRefused: (tx, error) => {
        refused.add(tx.hash);
        // Its money went in this block already: at the next head it would go too.
        if (error instanceof RuleError && error.code === "tx-funds") engine.pool.removeUnpaid(tx);
        if (error instanceof RuleError) return;
        // One transaction that meets a bug must not stop the chain.
        log.error({ tx: tx.hash, error: error.stack }, "a transaction met a bug of ours and is dropped");
        engine.pool.remove(tx);
      },
      onBug: (error) =>
        log.error({ error: error.stack }, "a certificate or evidence met a bug of ours and is left out"),
    });
    refused.clear();
    await protection.allowProposal(address, slot, built.hash);
    const block: Block = {
      hash: built.hash,
      header: built.header,
      signature: await signer.proposal(built.header),
      body: built.body,
    };
    await engine.adopt({ ...built, block });
    publishBlock(block);
    log.debug({ slot, number: block.header.number, transactions: block.body.transactions.length }, "proposed");
    return true;
  };

  /** What this node held half a slot before an epoch began. */
  let held: { readonly epoch: number; readonly head: Block; readonly justifiedEpoch: number } | undefined;

  const ancestorBy = (block: Block, slot: number): Block => {
    let at = block;
    while (slotOf(genesis, at.header.timestamp) > slot) at = mustBlock(store, at.header.parentHash);
    return at;
  };

  /**
   * The head to vote for in an epoch: of what was held half a slot before it began, and the block of its first slot with
   * what that one builds on, if it has come. Who holds certificates back until the last moment moves no vote by them.
   */
  const voteHead = (epoch: number): Block => {
    const head = engine.head();
    if (held?.epoch !== epoch) return head; // started after the epoch's begin: the best that it knows
    const first = ancestorBy(head, firstSlot(genesis, epoch));
    if (slotOf(genesis, first.header.timestamp) !== firstSlot(genesis, epoch)) return held.head;
    const { justifiedEpoch } = must(finality.get(engine.stateOf(first), ONLY), "finality");
    const isAhead = first.header.number > held.head.header.number || justifiedEpoch > held.justifiedEpoch;
    return isAhead ? first : held.head;
  };

  /** The vote for an epoch: its checkpoint on the chain of the head, from the justified one of its post-state. */
  const linkOf = (epoch: number): Link => {
    const target = ancestorBy(voteHead(epoch), firstSlot(genesis, epoch));
    const { justifiedEpoch, justifiedHash } = must(finality.get(engine.stateOf(target), ONLY), "finality");
    return {
      sourceEpoch: justifiedEpoch,
      // Block 0's own state cannot name it.
      sourceHash: target.header.number === 0 ? chain.genesisHash : justifiedHash,
      targetEpoch: epoch,
      targetHash: target.hash,
    };
  };

  const vote = async (epoch: number): Promise<boolean> => {
    const state = engine.stateOf(engine.head());
    const members = signers.flatMap((signer) => {
      const index = validators.indexOf(state, signer.address);
      return index === undefined ? [] : [{ signer, index }];
    });
    if (members.length === 0) return false;
    const link = linkOf(epoch);
    votedEpoch = epoch;
    // All at once: a signer that is slow to answer holds up no other, nor the next slot.
    const results = await Promise.allSettled(members.map(({ signer, index }) => cast(signer, index, link)));
    const failed = results.find((each) => each.status === "rejected");
    if (failed) throw failed.reason;
    return true;
  };

  const cast = async (signer: Signer, index: number, link: Link): Promise<void> => {
    await protection.allowVote(signer.address, link.sourceEpoch, link.targetEpoch, link.targetHash);
    const cast: Vote = { index, link, signature: await signer.vote(chain.genesisHash, link) };
    try {
      engine.castVote(cast);
    } catch (error) {
      // Not (or no longer) a member of the electorate: nothing to vote for.
      if (error instanceof RuleError && error.code === "vote-member") return;
      throw error;
    }
    publishVote(cast);
  };

  /** Does what may be due; `work` tells whether anything was. */
  const duty = async (subject: Subject, work: () => Promise<boolean>): Promise<void> => {
    try {
      if (await work()) troubles.works(subject);
    } catch (error) {
      troubles.fails(subject, error as Error);
    }
  };

  const onSlot = async (slot: number): Promise<void> => {
    if (!mayWork(slot)) return;
    await duty(PROPOSING, () => propose(slot));
    const epoch = epochOf(genesis, slot);
    if (epoch >= 1 && epoch > votedEpoch && slot > firstSlot(genesis, epoch)) await duty(VOTING, () => vote(epoch));
  };

  const onHalfSlot = (slot: number): void => {
    const epoch = epochOf(genesis, slot + 1);
    if (firstSlot(genesis, epoch) === slot + 1)
      held = { epoch, head: engine.head(), justifiedEpoch: engine.justified().epoch };
  };

  /** Waits for the next slot, by the clock, and for its middle. */
  const schedule = (): void => {
    if (stopped) return;
    const slotMs = genesis.params.slotSeconds * 1000;
    const sinceGenesis = engine.now() - genesis.genesisTime * 1000;
    const next = Math.max(1, Math.floor(sinceGenesis / slotMs) + 1);
    const waitMs = Math.max(0, next * slotMs - sinceGenesis);
    if (waitMs > MAX_WAIT_MS) {
      timer = setTimeout(schedule, MAX_WAIT_MS);
      return;
    }
    halfTimer = setTimeout(() => onHalfSlot(next), waitMs + slotMs / 2);
    timer = setTimeout(() => {
      running = onSlot(next).then(schedule);
    }, waitMs);
  };

  return {
    onSlot,
    onHalfSlot,
    start: schedule,
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      clearTimeout(halfTimer);
      await running;
    },
  };
};
