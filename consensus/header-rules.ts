import { type Block, consensusRoot, transactionsRoot } from "../chain/block.ts";
import { EMPTY_OMMERS, type Header } from "../chain/header.ts";
import { epochOf, eraOf, paramsAt, slotOf } from "../chain/params.ts";
import type { Chain } from "./chain.ts";
import { nextBaseFee } from "./fees.ts";
import { failConsensus } from "./rules.ts";

/** Checks that what a header says is what it has to say. Throws RuleError. */
export const expectEqual = <T>(code: Parameters<typeof failConsensus>[0], got: T, expected: T): void => {
  if (got !== expected) failConsensus(code, { got, expected });
};

/** Checks that a body is its header's, but for what has to be run. Throws RuleError. */
export const checkBody = ({ header, body }: Pick<Block, "header" | "body">): void => {
  expectEqual("header-consensus-root", header.consensusRoot, consensusRoot(body));
  expectEqual("header-transactions-root", header.transactionsRoot, transactionsRoot(body.transactions));
};

/** Checks what a header says against its parent alone: cheap, and before anything is run. Gives its slot. Throws RuleError. */
export const checkHeader = ({ genesis }: Chain, parent: Header, header: Header): number => {
  const slot = slotOf(genesis, header.timestamp);
  if (!Number.isInteger(slot)) failConsensus("header-timestamp", header.timestamp);
  if (slot <= slotOf(genesis, parent.timestamp))
    failConsensus("header-slot", { got: slot, parent: slotOf(genesis, parent.timestamp) });
  const params = paramsAt(genesis, eraOf(genesis, epochOf(genesis, slot)));
  expectEqual("header-upgrades", header.nonce, params.upgradesInForce);
  expectEqual("header-number", header.number, parent.number + 1);
  expectEqual("header-ommers", header.ommersHash, EMPTY_OMMERS);
  expectEqual("header-gas-limit", header.gasLimit, params.gasLimit);
  if (header.gasUsed > header.gasLimit) failConsensus("header-gas-used", { got: header.gasUsed, max: header.gasLimit });
  expectEqual("header-base-fee", header.baseFeePerGas, nextBaseFee(parent));
  return slot;
};
