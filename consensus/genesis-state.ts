import type { Block } from "../chain/block.ts";
import { consensusRoot, receiptsRoot, transactionsRoot } from "../chain/block.ts";
import type { Op } from "../chain/db.ts";
import { EMPTY_OMMERS, type Header, hashHeader, NO_REVEAL } from "../chain/header.ts";
import { EMPTY_MMR, mmrRoot } from "../chain/mmr.ts";
import type { Genesis } from "../chain/params.ts";
import { ONLY } from "../chain/records.ts";
import type { State } from "../chain/state.ts";
import { fromHex, type Hash, type Hex, ZERO_ADDRESS, ZERO_HASH } from "../lib/bytes.ts";
import { VALIDATORS } from "../vm/addresses.ts";
import { marketGenesis } from "../vm/market/genesis.ts";
import { active, sets, validators, validatorsGenesis } from "../vm/validator-store.ts";
import { chooseSet } from "./power.ts";
import { anchors, checkpoints, finality, named, reserve } from "./records.ts";
import { validatorsRoot } from "./validators-root.ts";

/** Writes what consensus keeps of block 0: its set, and that it is final and the source of the first votes. */
const writeConsensus = (genesis: Genesis, state: State, mixHash: Hash): void => {
  const members = chooseSet(genesis.params, validators.all(state), 0);
  if (members.length === 0) throw new Error("genesis: validators: none has power");
  sets.set(state, 1, { era: 0, origin: 1, members });
  active.set(state, ONLY, { set: 1, setBefore: 0, last: 1 });
  named.set(state, ONLY, { set: 1, setBefore: 0 });
  // Block 0's own hash covers this state, so the state names it by the zero hash until block 1.
  finality.set(state, ONLY, {
    justifiedEpoch: 0,
    justifiedHash: ZERO_HASH,
    finalizedEpoch: 0,
    finalizedHash: ZERO_HASH,
    finalizedSlot: 0,
    finalizedMix: mixHash,
  });
  checkpoints.set(state, 0, {
    hash: ZERO_HASH,
    before: 0,
    slot: 0,
    mixHash,
    set: 1,
    setBefore: 0,
    sourceEpoch: 0,
    sourceHash: ZERO_HASH,
    bits: new Uint8Array(0),
    justified: true,
  });
  anchors.set(state, 0, { slot: 0, mixHash });
};

/** Builds block 0 on an empty state. */
export const buildGenesis = (genesis: Genesis, state: State): { block: Block; ops: readonly Op[] } => {
  for (const { address, balance } of genesis.accounts) state.credit(address, balance);
  validatorsGenesis(state, genesis);
  state.credit(VALIDATORS, genesis.reserveWei);
  reserve.set(state, ONLY, genesis.reserveWei);
  marketGenesis(state, genesis);
  const mixHash = genesis.extraData as Hash;
  writeConsensus(genesis, state, mixHash);
  const root = validatorsRoot(state, genesis);
  const body = { transactions: [], workShares: [], certificates: [], evidence: [] };
  const { root: stateRoot, ops } = state.commit();
  const header: Header = {
    parentHash: ZERO_HASH,
    ommersHash: EMPTY_OMMERS,
    beneficiary: ZERO_ADDRESS,
    stateRoot,
    transactionsRoot: transactionsRoot([]),
    receiptsRoot: receiptsRoot([]),
    logsBloom: new Uint8Array(256),
    difficulty: genesis.params.genesisDifficulty,
    number: 0,
    gasLimit: genesis.params.gasLimit,
    gasUsed: 0,
    timestamp: genesis.genesisTime,
    extraData: fromHex(genesis.extraData),
    mixHash,
    nonce: 0,
    baseFeePerGas: genesis.params.initialBaseFeeWei,
    validatorsRoot: root,
    consensusRoot: consensusRoot(body),
    historyRoot: mmrRoot(EMPTY_MMR),
    randaoReveal: NO_REVEAL,
  };
  return { block: { hash: hashHeader(header), header, signature: `0x${"00".repeat(65)}` as Hex, body }, ops };
};
