import type { Block } from "../chain/block.ts";
import { epochOf, eraOf, paramsAt, slotOf } from "../chain/params.ts";
import type { Receipt } from "../chain/receipt.ts";
import type { State } from "../chain/state.ts";
import type { BlockHead } from "../chain/store.ts";
import type { Hash } from "../lib/bytes.ts";
import { putNewest } from "../lib/lru.ts";
import { createTurns, type Turns } from "../lib/turns.ts";
import type { BlockContext } from "../vm/natives.ts";
import { type Blooms, createBlooms } from "./blooms.ts";
import type { EnginePort } from "./engine-port.ts";
import { invalidParams, NOT_FOUND, RpcError } from "./errors.ts";
import type { BlockId } from "./values.ts";

/** Looks up blocks, states and contexts as block ids name them. */
export interface ChainView {
  readonly engine: EnginePort;
  /** Whoever computes for long asks for a turn now and then. */
  readonly turns: Turns;
  readonly blooms: Blooms;
  head(): Block;
  /** What an id names, without its body: no block is decoded. */
  header(id: BlockId): BlockHead | undefined;
  /** As `header`. Throws RpcError -32001. */
  headerOrFail(id: BlockId): BlockHead;
  /** The block of an id; undefined where there is none. */
  block(id: BlockId): Block | undefined;
  /** As `block`. Throws RpcError -32001. */
  blockOrFail(id: BlockId): Block;
  isCanonical(block: BlockHead): boolean;
  receipts(hash: Hash): readonly Receipt[];
  state(block: Block): State;
  /** What a call sees that runs as if in this block. */
  context(block: Block): BlockContext;
}

/** Blocks whose receipts are kept decoded: a full block has ten thousand. */
const RECEIPT_BLOCKS = 8;

/** Makes the view over an engine. The state of the head is opened once, and read until there is another head. */
export const createChainView = (engine: EnginePort): ChainView => {
  const { store } = engine;
  const { genesis } = engine.chain;
  const receipts = new Map<Hash, readonly Receipt[]>();
  let last: { readonly hash: Hash; readonly state: State } | undefined;

  const isCanonical = ({ hash, header }: BlockHead): boolean => store.canonical(header.number) === hash;
  const hashOf = (id: BlockId): Hash | undefined => {
    if ("hash" in id) {
      const head = id.requireCanonical ? store.head(id.hash) : undefined;
      if (head && !isCanonical(head)) invalidParams("hash is not currently canonical");
      return id.hash;
    }
    if ("number" in id) return store.canonical(id.number);
    switch (id.tag) {
      case "earliest":
        return store.canonical(0);
      case "safe":
        return engine.justified().hash;
      case "finalized":
        return engine.finalized().hash;
      default:
        // what a pending block would hold is not known to anyone but its proposer
        return engine.head().hash;
    }
  };
  const orFail = <T>(found: T | undefined): T => {
    if (found === undefined) throw new RpcError(NOT_FOUND, "header not found");
    return found;
  };
  const turns = createTurns();
  const view: ChainView = {
    engine,
    turns,
    blooms: createBlooms(engine, turns),
    head: () => engine.head(),
    header: (id) => {
      const hash = hashOf(id);
      return hash === undefined ? undefined : store.head(hash);
    },
    headerOrFail: (id) => orFail(view.header(id)),
    block: (id) => {
      const hash = hashOf(id);
      return hash === undefined ? undefined : store.block(hash);
    },
    blockOrFail: (id) => orFail(view.block(id)),
    isCanonical,
    receipts: (hash) => receipts.get(hash) ?? putNewest(receipts, hash, store.receipts(hash) ?? [], RECEIPT_BLOCKS),
    state: (block) => {
      if (last?.hash !== block.hash) {
        const state = engine.stateOf(block);
        if (block.hash !== engine.head().hash) return state;
        last = { hash: block.hash, state };
      }
      return last.state;
    },
    context: (block) => {
      const { header } = block;
      const slot = slotOf(genesis, header.timestamp);
      const epoch = epochOf(genesis, slot);
      const era = eraOf(genesis, epoch);
      return {
        number: header.number,
        timestamp: header.timestamp,
        slot,
        epoch,
        era,
        mixHash: header.mixHash,
        beneficiary: header.beneficiary,
        baseFee: header.baseFeePerGas,
        gasLimit: header.gasLimit,
        chainId: genesis.chainId,
        genesisHash: engine.genesisHash,
        params: paramsAt(genesis, era),
        finalizedEpoch: engine.finalized().epoch,
      };
    },
  };
  return view;
};
