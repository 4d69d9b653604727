import type { Block } from "../chain/block.ts";
import { epochOf, firstSlot, slotOf, timestampOf } from "../chain/params.ts";
import { blsSign } from "../lib/bls.ts";
import type { Address, Hash, Hex } from "../lib/bytes.ts";
import type { Log } from "../lib/log.ts";
import { RuleError } from "../lib/rule-error.ts";
import { signCompact } from "../lib/secp256k1.ts";
import { validators } from "../vm/validator-store.ts";
import type { Engine } from "./engine.ts";
import { type Link, voteMessage } from "./finality.ts";
import { randaoMessage } from "./proposer.ts";
import { finality, must, ONLY } from "./records.ts";
import { buildBlock, prepare } from "./transition.ts";
import type { Vote } from "./votes.ts";

/** What was signed before, kept so that nothing slashable is signed again. Both reject where signing is forbidden. */
export interface SlashingProtection {
  /** Resolves once the disk knows that this proposal was signed. */
  allowProposal(validator: Address, slot: number, hash: Hash): Promise<void>;
  /** Resolves once the disk knows that this vote was signed. */
  allowVote(validator: Address, sourceEpoch: number, targetEpoch: number, targetHash: Hash): Promise<void>;
}

export interface ProducerOptions {
  readonly engine: Engine;
  readonly key: { readonly address: Address; readonly secp: Hex; readonly bls: Hex };
  readonly protection: SlashingProtection;
  readonly publishBlock: (block: Block) => void;
  readonly publishVote: (vote: Vote) => void;
  readonly log: Log;
}

/** A validator's duties: to propose in its slots and to vote once an epoch. */
export interface Producer {
  /** Does what a slot asks; `tick` of a timer, or called by a test with a clock of its own. */
  onSlot(slot: number): Promise<void>;
  start(): void;
  stop(): Promise<void>;
}

const MAX_CERTIFICATES = 8;
/** How much of a slot may go into running transactions before a block has to leave. */
const BUILD_SHARE = 0.6;

/** Makes the producer of one validator. */
export const createProducer = ({
  engine,
  key,
  protection,
  publishBlock,
  publishVote,
  log,
}: ProducerOptions): Producer => {
  const { chain, store } = engine;
  const { genesis } = chain;
  let votedEpoch = -1;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  let stopped = false;

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

  const propose = async (slot: number): Promise<void> => {
    const parent = engine.head();
    if (slotOf(genesis, parent.header.timestamp) >= slot) return;
    const base = engine.baseOf(parent);
    const { proposer } = prepare(chain, base, slot);
    if (proposer.address !== key.address) return;
    const epoch = epochOf(genesis, slot);
    // A fresh base: prepare changed the other one.
    const built = buildBlock(chain, engine.baseOf(parent), {
      slot,
      beneficiary: key.address,
      randaoReveal: blsSign(key.bls, randaoMessage(chain.genesisHash, slot)),
      transactions: inTime(slot),
      certificates: engine.votes.certificates(base.state, epoch, MAX_CERTIFICATES),
      onRefused: (tx) => refused.add(tx.hash),
    });
    refused.clear();
    await protection.allowProposal(key.address, slot, built.hash);
    const block: Block = {
      hash: built.hash,
      header: built.header,
      signature: signCompact(built.hash, key.secp),
      body: built.body,
    };
    await engine.adopt({ ...built, block });
    publishBlock(block);
    log.debug({ slot, number: block.header.number, transactions: block.body.transactions.length }, "proposed");
  };

  /** The vote that the head asks of this validator in an epoch: its checkpoint, from the justified one of its post-state. */
  const linkOf = (epoch: number): Link => {
    let target = engine.head();
    while (slotOf(genesis, target.header.timestamp) > firstSlot(genesis, epoch))
      target = store.block(target.header.parentHash) ?? failMissing(target.header.parentHash);
    const { justifiedEpoch, justifiedHash } = must(finality.get(engine.stateOf(target), ONLY), "finality");
    const isGenesis = target.header.number === 0;
    return {
      sourceEpoch: justifiedEpoch,
      sourceHash: isGenesis ? chain.genesisHash : justifiedHash,
      targetEpoch: epoch,
      targetHash: target.hash,
    };
  };

  const vote = async (epoch: number): Promise<void> => {
    const index = validators.indexOf(engine.stateOf(engine.head()), key.address);
    if (index === undefined) return;
    const link = linkOf(epoch);
    votedEpoch = epoch;
    await protection.allowVote(key.address, link.sourceEpoch, link.targetEpoch, link.targetHash);
    const cast: Vote = { index, link, signature: blsSign(key.bls, voteMessage(chain.genesisHash, link)) };
    try {
      engine.addVote(cast);
    } catch (error) {
      // Not (or no longer) a member of the electorate: nothing to vote for.
      if (error instanceof RuleError && error.code === "vote-member") return;
      throw error;
    }
    publishVote(cast);
  };

  const duty = async (name: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      log.error({ error: (error as Error).message }, `${name} failed`);
    }
  };

  const onSlot = async (slot: number): Promise<void> => {
    await duty("proposing", () => propose(slot));
    const epoch = epochOf(genesis, slot);
    if (epoch >= 1 && epoch > votedEpoch && slot > firstSlot(genesis, epoch)) await duty("voting", () => vote(epoch));
  };

  /** Waits for the next slot, by the clock. */
  const schedule = (): void => {
    if (stopped) return;
    const slotMs = genesis.params.slotSeconds * 1000;
    const sinceGenesis = engine.now() - genesis.genesisTime * 1000;
    const next = Math.max(1, Math.floor(sinceGenesis / slotMs) + 1);
    timer = setTimeout(
      () => {
        running = onSlot(next).then(schedule);
      },
      Math.max(0, next * slotMs - sinceGenesis),
    );
  };

  return {
    onSlot,
    start: schedule,
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
};

const failMissing = (hash: Hash): never => {
  throw new Error(`block ${hash} is not in the database`);
};
