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
import { type Mmr, mmrAppend, mmrRoot, mmrRootOf } from "../chain/mmr.ts";
import { epochOf, eraOf, firstOpenEpoch, type Genesis, paramsAt, slotOf, timestampOf } from "../chain/params.ts";
import { bloomOf, joinBlooms, type Receipt } from "../chain/receipt.ts";
import { ONLY } from "../chain/records.ts";
import type { State } from "../chain/state.ts";
import type { Transaction } from "../chain/transaction.ts";
import { blsVerify } from "../lib/bls.ts";
import { type Address, EMPTY, fromHex, type Hash, type Hex, toHex } from "../lib/bytes.ts";
import { address, big, encodeWith, hexOf, record, uint } from "../lib/codec.ts";
import { keccak256 } from "../lib/keccak.ts";
import { encodeRlp } from "../lib/rlp.ts";
import { RuleError } from "../lib/rule-error.ts";
import { recoverCompact } from "../lib/secp256k1.ts";
import { applyTransaction } from "../vm/execute.ts";
import { slotPayer } from "../vm/market/messages.ts";
import { marketSystemStep } from "../vm/market/system-step.ts";
import type { BlockContext } from "../vm/natives.ts";
import { active, isJailed, type Member, sets, type Validator, validators } from "../vm/validator-store.ts";
import type { Chain } from "./chain.ts";
import { crossBoundaries, seedMix } from "./epochs.ts";
import { includeEvidence } from "./evidence.ts";
import { nextBaseFee } from "./fees.ts";
import { includeCertificate } from "./finality.ts";
import { drawProposer, epochSeed, mixReveal, randaoMessage } from "./proposer.ts";
import { type Finality, finality, must } from "./records.ts";
import { advanceDrift, includeShares, recordAnchor, workDifficulty } from "./resources/work.ts";
import { failConsensus } from "./rules.ts";
import { activeSets } from "./sets.ts";

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

/** A block's parent and what is needed to build on it. `state` is the parent's post-state and becomes the block's. */
export interface Base {
  readonly header: Header;
  readonly hash: Hash;
  readonly peaks: Mmr;
  readonly state: State;
}

const memberCoder = record({ index: uint, address, blsPublicKey: hexOf(48), power: big, votePower: big });

/**
 * Roots by chain and by the sets that they are over: a set lasts an era, its root is asked for in each block. A set is only
 * activated when the registrations of its members are final, so that an index means one validator on every fork.
 */
const roots = new Map<Hash, Hash>();
const CACHED_ROOTS = 16;

/** Computes validatorsRoot: the set by index, then the set before while its change is unconfirmed. O(members) once a set. */
export const validatorsRoot = (state: State, genesis: Genesis): Hash => {
  const { set, setBefore } = must(active.get(state, ONLY), "the active set");
  const records = [set, setBefore].map((id) => (id === 0 ? EMPTY : must(sets.raw(state, id), `set ${id}`)));
  const key = keccak256(fromHex(genesis.extraData), encodeRlp(records));
  const cached = roots.get(key);
  if (cached) return cached;
  const { members, before } = activeSets(state);
  const leaf = ({ index, power, votePower }: Member): Uint8Array => {
    const { address: at, blsPublicKey } = must(validators.get(state, index), `validator ${index}`);
    return encodeWith(memberCoder, { index, address: at, blsPublicKey, power, votePower });
  };
  const root = mmrRootOf([...members, ...before].map(leaf));
  if (roots.size >= CACHED_ROOTS) roots.delete(roots.keys().next().value!);
  roots.set(key, root);
  return root;
};

/** Draws who proposes in a slot, on a state whose boundaries up to it have been crossed. */
export const proposerAt = (chain: Chain, state: State, slot: number): Validator => {
  const epoch = epochOf(chain.genesis, slot);
  const { index } = drawProposer(
    epochSeed(epoch, seedMix(state, epoch, chain.genesisMix)),
    slot,
    activeSets(state).members,
  );
  return must(validators.get(state, index), `validator ${index}`);
};

/** What every block of a slot on a base has in common, whoever proposes it. */
interface Prepared {
  readonly slot: number;
  readonly epoch: number;
  readonly proposer: Validator;
  /** False where the proposer is jailed: its slot stays empty. */
  readonly mayPropose: boolean;
  readonly validatorsRoot: Hash;
  readonly historyRoot: Hash;
  readonly difficulty: bigint;
  readonly baseFee: bigint;
  readonly peaks: Mmr;
  /** How many validators the parent's state has. */
  readonly registered: number;
  context(mixHash: Hash, beneficiary: Address): BlockContext;
}

/** Runs steps 2 and 3 of the block transition as far as the slot alone decides them. */
export const prepare = (chain: Chain, base: Base, slot: number): Prepared => {
  const { genesis } = chain;
  const registered = validators.count(base.state);
  recordAnchor(base.state, genesis, base.header, base.hash);
  crossBoundaries(base.state, genesis, base.header, base.hash, slot);
  const epoch = epochOf(genesis, slot);
  const era = eraOf(genesis, epoch);
  const params = paramsAt(genesis, era);
  const baseFee = nextBaseFee(base.header);
  const peaks = mmrAppend(base.peaks, fromHex(base.hash));
  const proposer = proposerAt(chain, base.state, slot);
  return {
    slot,
    epoch,
    proposer,
    mayPropose: !isJailed(proposer, epoch, params.evidenceEpochs),
    validatorsRoot: validatorsRoot(base.state, genesis),
    historyRoot: mmrRoot(peaks),
    difficulty: workDifficulty(base.state, params),
    baseFee,
    peaks,
    registered,
    context: (mixHash, beneficiary) => ({
      number: base.header.number + 1,
      timestamp: timestampOf(genesis, slot),
      slot,
      epoch,
      era,
      mixHash,
      beneficiary,
      baseFee,
      gasLimit: params.gasLimit,
      chainId: genesis.chainId,
      genesisHash: chain.genesisHash,
      params,
      finalizedEpoch: must(finality.get(base.state, ONLY), "finality").finalizedEpoch,
    }),
  };
};

/** Runs transactions one after the other; `onFailure` decides what one that cannot stand in a block means. */
const runTransactions = (
  state: State,
  context: BlockContext,
  transactions: Iterable<Transaction>,
  onFailure: (tx: Transaction, error: Error) => void,
): { transactions: Transaction[]; receipts: Receipt[]; gasUsed: number } => {
  const done: Transaction[] = [];
  const receipts: Receipt[] = [];
  let gasUsed = 0;
  let bytes = 0;
  for (const tx of transactions) {
    const before = state.snapshot();
    try {
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
    } catch (error) {
      if (error instanceof DatabaseError) throw error;
      state.revert(before);
      onFailure(tx, error as Error);
    }
  }
  return { transactions: done, receipts, gasUsed };
};

const equal = <T>(code: Parameters<typeof failConsensus>[0], got: T, expected: T): void => {
  if (got !== expected) failConsensus(code, { got, expected });
};

/** Checks what a header says against its parent alone: cheap, and before anything is run. */
export const checkHeader = (chain: Chain, parent: Header, header: Header): number => {
  const { genesis } = chain;
  const slot = slotOf(genesis, header.timestamp);
  if (!Number.isInteger(slot)) failConsensus("header-timestamp", header.timestamp);
  if (slot <= slotOf(genesis, parent.timestamp))
    failConsensus("header-slot", { got: slot, parent: slotOf(genesis, parent.timestamp) });
  const params = paramsAt(genesis, eraOf(genesis, epochOf(genesis, slot)));
  equal("header-upgrades", header.nonce, params.upgradesInForce);
  equal("header-number", header.number, parent.number + 1);
  equal("header-ommers", header.ommersHash, EMPTY_OMMERS);
  equal("header-gas-limit", header.gasLimit, params.gasLimit);
  if (header.gasUsed > header.gasLimit) failConsensus("header-gas-used", { got: header.gasUsed, max: header.gasLimit });
  equal("header-base-fee", header.baseFeePerGas, nextBaseFee(parent));
  return slot;
};

const refuse = (_: unknown, error: Error): never => {
  throw error;
};

/** What admission has found out about a header whose parent is here: its checkHeader holds, and both its signatures. */
export interface Screened {
  readonly slot: number;
  readonly signer: Address;
  /** The key that the header's reveal is verified with. */
  readonly revealKey: Hex;
}

/**
 * Checks what a block says before its body is run: form, header, proposer, of which what was screened is not asked again. Crosses
 * the boundaries on `base.state`.
 */
const checkBlock = (chain: Chain, base: Base, block: Block, screened?: Screened): Prepared => {
  const { header, body } = block;
  const slot = screened?.slot ?? checkHeader(chain, base.header, header);
  equal("header-consensus-root", header.consensusRoot, consensusRoot(body));
  equal("header-transactions-root", header.transactionsRoot, transactionsRoot(body.transactions));
  const prepared = prepare(chain, base, slot);
  const { address: proposer, blsPublicKey } = prepared.proposer;
  equal("block-proposer", screened?.signer ?? recoverCompact(block.hash, block.signature), proposer);
  if (!prepared.mayPropose) failConsensus("block-proposer-slashed", proposer);
  // A fork may have registered the signer with another key than the one that it was screened by.
  const isRevealed =
    screened?.revealKey === blsPublicKey ||
    blsVerify(blsPublicKey, randaoMessage(chain.genesisHash, slot), header.randaoReveal);
  if (!isRevealed) failConsensus("block-reveal");
  equal("header-mix", header.mixHash, mixReveal(base.header.mixHash, header.randaoReveal));
  equal("header-difficulty", header.difficulty, prepared.difficulty);
  equal("header-validators-root", header.validatorsRoot, prepared.validatorsRoot);
  equal("header-history-root", header.historyRoot, prepared.historyRoot);
  return prepared;
};

/**
 * Checks all of a block that costs little, its work shares but for Ethash included: who makes this node compute that has signed as
 * the slot's proposer, and paid for each share. Throws RuleError. Gives what runs the rest, once Ethash has said of each share
 * whether it is its own, since that takes other threads' time; it throws RuleError likewise, and `base.state` is then to be
 * thrown away. Costs most: signatures of transactions, certificates, state roots.
 */
export const beginImport = (
  chain: Chain,
  base: Base,
  block: Block,
  screened?: Screened,
): ((isEthash: (share: WorkShare) => boolean) => Outcome) => {
  const { header, body } = block;
  const prepared = checkBlock(chain, base, block, screened);
  const context = prepared.context(header.mixHash, header.beneficiary);
  const { registered } = prepared;
  const before = base.state.snapshot();
  includeShares(base.state, { ...context, registered }, body.workShares, () => true, refuse);
  base.state.revert(before);
  return (isEthash) => {
    const bugs = marketSystemStep(base.state, context);
    try {
      return { ...runBlock(chain, base, block, prepared, context, isEthash), bugs };
    } catch (error) {
      // Whoever made the block may not have met the bug: it is not to blame for what follows.
      if (bugs.length > 0 && error instanceof RuleError)
        throw new Error(`a bug of ours came before what looks like a bad block: ${error.message}`, { cause: bugs[0] });
      throw error;
    }
  };
};

/** Runs what a block holds, and compares what comes out with its header. */
const runBlock = (
  chain: Chain,
  base: Base,
  block: Block,
  prepared: Prepared,
  context: BlockContext,
  isEthash: (share: WorkShare) => boolean,
): Omit<Outcome, "bugs"> => {
  const { header, body } = block;
  const { receipts, gasUsed } = runTransactions(base.state, context, body.transactions, refuse);
  const { registered } = prepared;
  includeShares(base.state, { ...context, registered }, body.workShares, isEthash, refuse);
  const openEpoch = firstOpenEpoch(chain.genesis, prepared.epoch);
  for (const certificate of body.certificates)
    includeCertificate(base.state, chain.genesisHash, openEpoch, header.beneficiary, certificate);
  for (const evidence of body.evidence)
    includeEvidence(chain, base.state, prepared.epoch, context.params.evidenceEpochs, header.beneficiary, evidence);
  advanceDrift(base.state, context.params, body.workShares.length);
  equal("header-gas-used", header.gasUsed, gasUsed);
  equal("header-receipts-root", header.receiptsRoot, receiptsRoot(receipts));
  equal("header-bloom", toHex(header.logsBloom), toHex(joinBlooms(receipts.map((receipt) => receipt.logsBloom))));
  const { root, ops } = base.state.commit();
  equal("header-state-root", header.stateRoot, root);
  return { block, receipts, ops, peaks: prepared.peaks, finality: must(finality.get(base.state, ONLY), "finality") };
};

/** Checks and runs a block whose shares' verdicts are at hand. Throws RuleError. */
export const importBlock = (chain: Chain, base: Base, block: Block, isEthash: (share: WorkShare) => boolean): Outcome =>
  beginImport(chain, base, block)(isEthash);

/** What a producer puts into a block. */
export interface Proposal {
  readonly slot: number;
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

/** Includes what breaks no rule and meets no bug until a block has as many as it takes, and gives those. */
const including = <T>(
  { onBug }: Proposal,
  state: State,
  items: Iterable<T>,
  max: number,
  include: (item: T) => void,
): T[] => {
  const included: T[] = [];
  for (const item of items) {
    const before = state.snapshot();
    try {
      include(item);
      if (included.push(item) === max) break;
    } catch (error) {
      if (error instanceof DatabaseError) throw error;
      if (!(error instanceof RuleError)) onBug(error as Error);
      state.revert(before);
    }
  }
  return included;
};

/** Builds an unsigned block on a base: the same steps as importBlock, filling in what that compares. */
export const buildBlock = (
  chain: Chain,
  base: Base,
  proposal: Proposal,
): Omit<Outcome, "block"> & { header: Header; hash: Hash; body: Body } => {
  const prepared = prepare(chain, base, proposal.slot);
  const mixHash = mixReveal(base.header.mixHash, proposal.randaoReveal);
  const context = prepared.context(mixHash, proposal.beneficiary);
  const bugs = marketSystemStep(base.state, context);
  const { transactions, receipts, gasUsed } = runTransactions(
    base.state,
    context,
    proposal.transactions,
    proposal.onRefused,
  );
  const { registered } = prepared;
  const workShares = includeShares(
    base.state,
    { ...context, registered },
    proposal.workShares,
    () => true,
    () => undefined,
  );
  const openEpoch = firstOpenEpoch(chain.genesis, prepared.epoch);
  const certificates = including(proposal, base.state, proposal.certificates, MAX_CERTIFICATES, (certificate) =>
    includeCertificate(base.state, chain.genesisHash, openEpoch, proposal.beneficiary, certificate),
  );
  const { evidenceEpochs } = context.params;
  const evidence = including(proposal, base.state, proposal.evidence, MAX_EVIDENCE, (item) =>
    includeEvidence(chain, base.state, prepared.epoch, evidenceEpochs, proposal.beneficiary, item),
  );
  advanceDrift(base.state, context.params, workShares.length);
  const body: Body = { transactions, workShares, certificates, evidence };
  const { root, ops } = base.state.commit();
  const header: Header = {
    parentHash: base.hash,
    ommersHash: EMPTY_OMMERS,
    beneficiary: proposal.beneficiary,
    stateRoot: root,
    transactionsRoot: transactionsRoot(transactions),
    receiptsRoot: receiptsRoot(receipts),
    logsBloom: joinBlooms(receipts.map((receipt) => receipt.logsBloom)),
    difficulty: prepared.difficulty,
    number: context.number,
    gasLimit: context.gasLimit,
    gasUsed,
    timestamp: context.timestamp,
    extraData: EMPTY,
    mixHash,
    nonce: context.params.upgradesInForce,
    baseFeePerGas: prepared.baseFee,
    validatorsRoot: prepared.validatorsRoot,
    consensusRoot: consensusRoot(body),
    historyRoot: prepared.historyRoot,
    randaoReveal: proposal.randaoReveal,
  };
  const final = must(finality.get(base.state, ONLY), "finality");
  return { header, hash: hashHeader(header), body, receipts, ops, peaks: prepared.peaks, finality: final, bugs };
};
