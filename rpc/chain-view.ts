import type { Block } from "../chain/block.ts";
import { epochOf, eraOf, paramsAt, slotOf } from "../chain/params.ts";
import type { Receipt } from "../chain/receipt.ts";
import type { State } from "../chain/state.ts";
import type { Hash } from "../lib/bytes.ts";
import type { BlockContext } from "../vm/natives.ts";
import type { EnginePort } from "./engine-port.ts";
import { invalidParams, NOT_FOUND, RpcError } from "./errors.ts";
import type { BlockId } from "./values.ts";

/** Looks up blocks, states and contexts as block ids name them. */
export interface ChainView {
  readonly engine: EnginePort;
  head(): Block;
  /** The block of an id; undefined where there is none. */
  block(id: BlockId): Block | undefined;
  /** As `block`. Throws RpcError -32001. */
  blockOrFail(id: BlockId): Block;
  isCanonical(block: Block): boolean;
  receipts(block: Block): readonly Receipt[];
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

  const byHash = (hash: Hash): Block | undefined => store.block(hash);
  const byNumber = (number: number): Block | undefined => {
    const hash = store.canonical(number);
    return hash === undefined ? undefined : byHash(hash);
  };
  const isCanonical = (block: Block): boolean => store.canonical(block.header.number) === block.hash;
  const view: ChainView = {
    engine,
    head: () => engine.head(),
    block: (id) => {
      if ("hash" in id) {
        const block = byHash(id.hash);
        if (block && id.requireCanonical && !isCanonical(block)) invalidParams("hash is not currently canonical");
        return block;
      }
      if ("number" in id) return byNumber(id.number);
      switch (id.tag) {
        case "earliest":
          return byNumber(0);
        case "safe":
          return byHash(engine.justified().hash);
        case "finalized":
          return byHash(engine.finalized().hash);
        default:
          // what a pending block would hold is not known to anyone but its proposer
          return view.head();
      }
    },
    blockOrFail: (id) => {
      const block = view.block(id);
      if (!block) throw new RpcError(NOT_FOUND, "header not found");
      return block;
    },
    isCanonical,
    receipts: (block) => {
      let found = receipts.get(block.hash);
      if (!found) {
        found = store.receipts(block.hash) ?? [];
        if (receipts.size >= RECEIPT_BLOCKS) receipts.delete(receipts.keys().next().value!);
        receipts.set(block.hash, found);
      }
      return found;
    },
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
