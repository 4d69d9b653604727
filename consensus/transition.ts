import type { Block, Body, Certificate, Evidence, WorkShare } from "../chain/block.ts";
import {
  consensusRoot,
  MAX_CERTIFICATES,
  MAX_EVIDENCE,
  MAX_TRANSACTION_BYTES_IN_BLOCK,
  MAX_TRANSACTIONS,
  receiptsRoot,
  transactionsRoot,
} from "../chain/block.ts";
import { DatabaseError } from "../chain/db.ts";
import { EMPTY_OMMERS, type Header, hashHeader } from "../chain/header.ts";
import type { Mmr } from "../chain/mmr.ts";
import { firstOpenEpoch } from "../chain/params.ts";
import { bloomOf, joinBlooms, type Receipt } from "../chain/receipt.ts";
import { ONLY } from "../chain/records.ts";
import type { State } from "../chain/state.ts";
import type { Transaction } from "../chain/transaction.ts";
import { blsVerify } from "../lib/bls.ts";
import { type Address, EMPTY, type Hash, type Hex, toHex } from "../lib/bytes.ts";
import { RuleError } from "../lib/rule-error.ts";
import { recoverCompact } from "../lib/secp256k1.ts";
import { applyTransaction } from "../vm/execute.ts";
import { slotPayer } from "../vm/market/messages.ts";
import { marketSystemStep } from "../vm/market/system-step.ts";
import type { BlockContext } from "../vm/natives.ts";
import type { Chain } from "./chain.ts";
import { includeEvidence } from "./evidence.ts";
import { includeCertificate } from "./finality.ts";
import { checkBody, checkHeader, expectEqual } from "./header-rules.ts";
import { type Base, contextOf, type DrawnSlot, drawSlot, type OpenSlot, openSlot } from "./open-slot.ts";
import { mixReveal, randaoMessage } from "./proposer.ts";
import { type Finality, finality, must } from "./records.ts";
import { advanceDrift, type CheckedShare, checkShares, includeShares } from "./resources/work.ts";
import { failConsensus } from "./rules.ts";

/** What a block leaves behind: its receipts, its state not yet committed, the range that its children's history grows from. */
export interface Outcome {
  readonly block: Block;
  readonly receipts: readonly Receipt[];
  readonly ops: ReturnType<State["commit"]>["ops"];
  readonly peaks: Mmr;
  /** What is justified and final in the block's state. */
  readonly finality: Finality;
  /** Bugs of ours that the market's step met and undid. */
  readonly bugs: readonly Error[];
}

/** What is to be in a block, and what becomes of what cannot be: who imports throws, who builds leaves it out. */
interface Source {
  readonly transactions: Iterable<Transaction>;
  readonly shares: readonly CheckedShare[];
  readonly isEthash: (share: WorkShare) => boolean;
  readonly certificates: Iterable<Certificate>;
  readonly evidence: Iterable<Evidence>;
  readonly onRefused: (tx: Transaction, error: Error) => void;
  readonly onLeftOut: (error: Error) => void;
  readonly onMarketBug: (error: Error) => void;
}

/** Does something that is undone where it fails; a disk that fails is nobody's fault. Tells whether it is done. */
const attempt = (state: State, work: () => void, onFailure: (error: Error) => void): boolean => {
  const before = state.snapshot();
  try {
    work();
    return true;
  } catch (error) {
    if (error instanceof DatabaseError) throw error;
    state.revert(before);
    onFailure(error as Error);
    return false;
  }
};

/** Runs transactions one after the other. */
const runTransactions = (
  state: State,
  context: BlockContext,
  { transactions, onRefused }: Source,
): { done: Transaction[]; receipts: Receipt[]; gasUsed: number } => {
  const done: Transaction[] = [];
  const receipts: Receipt[] = [];
  let gasUsed = 0;
  let bytes = 0;
  const run = (tx: Transaction): void => {
    if (bytes + tx.raw.length > MAX_TRANSACTION_BYTES_IN_BLOCK || done.length === MAX_TRANSACTIONS)
      failConsensus("block-size", { bytes: bytes + tx.raw.length, transactions: done.length });
    const result = applyTransaction(state, context, tx, context.gasLimit - gasUsed, (sender) =>
      slotPayer(state, context, tx, sender),
    );
    gasUsed += result.gasUsed;
    bytes += tx.raw.length;
    done.push(tx);
    receipts.push({
      type: tx.type,
      status: result.status,
      gasUsed: result.gasUsed,
      cumulativeGasUsed: gasUsed,
      logs: result.logs,
      logsBloom: bloomOf(result.logs),
    });
  };
  for (const tx of transactions)
    attempt(
      state,
      () => run(tx),
      (error) => onRefused(tx, error),
    );
  return { done, receipts, gasUsed };
};

/** Includes items until a block has as many as it takes, and gives those. */
const includeUpTo = <T>(
  max: number,
  state: State,
  items: Iterable<T>,
  include: (item: T) => void,
  onFailure: (error: Error) => void,
): T[] => {
  const included: T[] = [];
  for (const item of items) if (attempt(state, () => include(item), onFailure) && included.push(item) === max) break;
  return included;
};

/** What came out of a body. */
interface Applied {
  readonly body: Body;
  readonly receipts: readonly Receipt[];
  readonly gasUsed: number;
}

/** Runs what a block holds: steps 4 to 7 of the block transition, in their order, on the state of its slot. */
const applyBody = (chain: Chain, { state }: OpenSlot, context: BlockContext, source: Source): Applied => {
  const { epoch, params, beneficiary } = context;
  const { shares, onLeftOut } = source;
  marketSystemStep(state, context).forEach(source.onMarketBug);
  const { done: transactions, receipts, gasUsed } = runTransactions(state, context, source);
  includeShares(state, context, shares, source.isEthash);
  const openEpoch = firstOpenEpoch(chain.genesis, epoch);
  const includeVotes = (certificate: Certificate): void =>
    includeCertificate(state, chain.genesisHash, openEpoch, beneficiary, certificate);
  const certificates = includeUpTo(MAX_CERTIFICATES, state, source.certificates, includeVotes, onLeftOut);
  const slash = (item: Evidence): void =>
    includeEvidence(chain, state, epoch, params.evidenceEpochs, beneficiary, item);
  const evidence = includeUpTo(MAX_EVIDENCE, state, source.evidence, slash, onLeftOut);
  advanceDrift(state, params, shares.length);
  const workShares = shares.map(({ share }) => share);
  return { body: { transactions, workShares, certificates, evidence }, receipts, gasUsed };
};

/** What a header says of what came out of its body, but for the state. */
const resultsOf = ({ receipts, gasUsed }: Applied) => ({
  gasUsed,
  receiptsRoot: receiptsRoot(receipts),
  logsBloom: joinBlooms(receipts.map((receipt) => receipt.logsBloom)),
});

/** What admission has found out about a header whose parent is here: its checkHeader holds, and both its signatures. */
export interface Screened {
  readonly slot: number;
  readonly signer: Address;
  /** The key that the header's reveal is verified with. */
  readonly revealKey: Hex;
}

/** A block of which all has been checked that costs little, on the state that its body is run on. */
export interface OpenBlock {
  readonly block: Block;
  readonly slot: OpenSlot;
  readonly context: BlockContext;
  readonly shares: readonly CheckedShare[];
}

const refuse = (error: Error): never => {
  throw error;
};

/** Checks that a block is by the one drawn for its slot, with the reveal for it. */
const checkProposer = (
  { genesisHash }: Chain,
  { base, slot, proposer: { address, blsPublicKey }, mayPropose }: DrawnSlot,
  { hash, header, signature }: Block,
  screened: Screened | undefined,
): void => {
  expectEqual("block-proposer", screened?.signer ?? recoverCompact(hash, signature), address);
  if (!mayPropose) failConsensus("block-proposer-slashed", address);
  // A fork may have registered the signer with another key than the one that it was screened by.
  const isRevealed =
    screened?.revealKey === blsPublicKey ||
    blsVerify(blsPublicKey, randaoMessage(genesisHash, slot), header.randaoReveal);
  if (!isRevealed) failConsensus("block-reveal");
  expectEqual("header-mix", header.mixHash, mixReveal(base.header.mixHash, header.randaoReveal));
};

/**
 * Checks all of a block that costs little, once: form, header, proposer, of which what was screened is not asked again, and its work
 * shares but for Ethash. Who makes this node compute that has signed as the slot's proposer, and paid for each share. The rest
 * is closeBlock's, once Ethash has told of each share, which takes other threads' time. Throws RuleError.
 */
export const openBlock = (chain: Chain, base: Base, block: Block, screened?: Screened): OpenBlock => {
  const { header, body } = block;
  const at = screened?.slot ?? checkHeader(chain, base.header, header);
  checkBody(block);
  const drawn = drawSlot(chain, base, at);
  checkProposer(chain, drawn, block, screened);
  const slot = openSlot(chain, drawn);
  expectEqual("header-difficulty", header.difficulty, slot.difficulty);
  expectEqual("header-validators-root", header.validatorsRoot, slot.validatorsRoot);
  expectEqual("header-history-root", header.historyRoot, slot.historyRoot);
  const context = contextOf(slot, header.mixHash, header.beneficiary);
  return { block, slot, context, shares: checkShares(slot.state, context, body.workShares, refuse) };
};

/**
 * Runs what an open block holds, and compares what comes out with its header; `isEthash` tells whether a share's mix is
 * Ethash's. Uses the open block up. Costs most: signatures of transactions, certificates, state roots. Throws RuleError.
 */
export const closeBlock = (
  chain: Chain,
  { block, slot, context, shares }: OpenBlock,
  isEthash: (share: WorkShare) => boolean,
): Outcome => {
  const { header, body } = block;
  const bugs: Error[] = [];
  try {
    const applied = applyBody(chain, slot, context, {
      ...body,
      shares,
      isEthash,
      onRefused: (_, error) => refuse(error),
      onLeftOut: refuse,
      onMarketBug: (bug) => bugs.push(bug),
    });
    const results = resultsOf(applied);
    expectEqual("header-gas-used", header.gasUsed, results.gasUsed);
    expectEqual("header-receipts-root", header.receiptsRoot, results.receiptsRoot);
    expectEqual("header-bloom", toHex(header.logsBloom), toHex(results.logsBloom));
    const { root, ops } = slot.state.commit();
    expectEqual("header-state-root", header.stateRoot, root);
    return { block, ...leftBehind(slot, applied), ops, bugs };
  } catch (error) {
    // Whoever made the block may not have met the bug: it is not to blame for what follows.
    if (bugs.length > 0 && error instanceof RuleError)
      throw new Error(`a bug of ours came before what looks like a bad block: ${error.message}`, { cause: bugs[0] });
    throw error;
  }
};

const leftBehind = (
  { state, peaks }: OpenSlot,
  { receipts }: Applied,
): Pick<Outcome, "receipts" | "peaks" | "finality"> => ({
  receipts,
  peaks,
  finality: must(finality.get(state, ONLY), "finality"),
});

/** What a producer puts into a block. */
export interface Proposal {
  readonly beneficiary: Address;
  readonly randaoReveal: Hex;
  readonly transactions: Iterable<Transaction>;
  /** Best first; their mixes are Ethash's. Those that this block cannot include are left out. */
  readonly workShares: Iterable<WorkShare>;
  /** Best first. Those that this block cannot include take no place. */
  readonly certificates: Iterable<Certificate>;
  readonly evidence: Iterable<Evidence>;
  /** Told of each transaction that cannot be in this block: by a rule, or (any other Error) by a bug of ours that it met. */
  readonly onRefused: (tx: Transaction, error: Error) => void;
  /** Told of a bug of ours that a certificate or evidence met, which is left out. */
  readonly onBug: (error: Error) => void;
}

/** Builds an unsigned block in an open slot, which it uses up: fills in what openBlock and closeBlock compare. */
export const buildBlock = (
  chain: Chain,
  slot: OpenSlot,
  proposal: Proposal,
): Omit<Outcome, "block"> & { header: Header; hash: Hash; body: Body } => {
  const { base, state } = slot;
  const { beneficiary, randaoReveal } = proposal;
  const context = contextOf(slot, mixReveal(base.header.mixHash, randaoReveal), beneficiary);
  const bugs: Error[] = [];
  const applied = applyBody(chain, slot, context, {
    ...proposal,
    shares: checkShares(state, context, proposal.workShares, () => undefined),
    isEthash: () => true,
    onLeftOut: (error) => {
      if (!(error instanceof RuleError)) proposal.onBug(error);
    },
    onMarketBug: (bug) => bugs.push(bug),
  });
  const { root, ops } = state.commit();
  const header: Header = {
    ...resultsOf(applied),
    parentHash: base.hash,
    ommersHash: EMPTY_OMMERS,
    beneficiary,
    stateRoot: root,
    transactionsRoot: transactionsRoot(applied.body.transactions),
    difficulty: slot.difficulty,
    number: context.number,
    gasLimit: context.gasLimit,
    timestamp: context.timestamp,
    extraData: EMPTY,
    mixHash: context.mixHash,
    nonce: context.params.upgradesInForce,
    baseFeePerGas: context.baseFee,
    validatorsRoot: slot.validatorsRoot,
    consensusRoot: consensusRoot(applied.body),
    historyRoot: slot.historyRoot,
    randaoReveal,
  };
  return { header, hash: hashHeader(header), body: applied.body, ...leftBehind(slot, applied), ops, bugs };
};
