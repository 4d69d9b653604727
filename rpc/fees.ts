import type { Block } from "../chain/block.ts";
import { effectiveGasPrice } from "../chain/transaction.ts";
import { nextBaseFee } from "../consensus/fees.ts";
import type { ChainView } from "./chain-view.ts";
import { type Methods, method } from "./dispatch.ts";
import { invalidParams } from "./errors.ts";
import { blockNumber, count, hexNumber, listOf, optional, type Parser } from "./values.ts";

const MAX_BLOCKS = 1_024;
/** Wei per gas that is suggested while nobody pays more. */
const DEFAULT_TIP = 10n ** 9n;
const SAMPLED_BLOCKS = 5;

const percentile: Parser<number> = (value, name) =>
  typeof value === "number" && value >= 0 && value <= 100 ? value : invalidParams(`invalid ${name}: a percentile`);

const tipsOf = (view: ChainView, block: Block): { tip: bigint; gas: number }[] => {
  const { baseFeePerGas } = block.header;
  const receipts = view.receipts(block);
  return block.body.transactions
    .map((tx, i) => ({ tip: effectiveGasPrice(tx, baseFeePerGas) - baseFeePerGas, gas: receipts[i]?.gasUsed ?? 0 }))
    .sort((a, b) => (a.tip < b.tip ? -1 : a.tip > b.tip ? 1 : 0));
};

/** The tips at percentiles of a block's gas, as eth_feeHistory defines them. */
const rewards = (view: ChainView, block: Block, percentiles: readonly number[]): string[] => {
  const tips = tipsOf(view, block);
  return percentiles.map((percent) => {
    const wanted = (block.header.gasUsed * percent) / 100;
    let gas = 0;
    for (const entry of tips) {
      gas += entry.gas;
      if (gas >= wanted) return hexNumber(entry.tip);
    }
    return hexNumber(tips.at(-1)?.tip ?? 0n);
  });
};

/** Methods about what gas costs. */
export const feeMethods = (view: ChainView): Methods => {
  /** The median tip of the last full-ish blocks, at least what everyone offers by default when blocks are full. */
  const suggestedTip = (): bigint => {
    const tips: bigint[] = [];
    let block: Block | undefined = view.head();
    for (let i = 0; block && i < SAMPLED_BLOCKS; i++) {
      // a block that was not full took whatever came: its tips say nothing about a price
      if (block.header.gasUsed * 2 > block.header.gasLimit) tips.push(...tipsOf(view, block).map(({ tip }) => tip));
      block = view.block({ hash: block.header.parentHash, requireCanonical: false });
    }
    tips.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    const median = tips[tips.length >> 1] ?? 0n;
    return median > DEFAULT_TIP ? median : DEFAULT_TIP;
  };
  return {
    eth_gasPrice: method([], () => hexNumber(nextBaseFee(view.head().header) + suggestedTip())),
    eth_maxPriorityFeePerGas: method([], () => hexNumber(suggestedTip())),
    eth_feeHistory: method(
      [count, blockNumber, optional(listOf(percentile, 100), [])],
      ([blocks, newest, percentiles]) => {
        if (blocks === 0) invalidParams("block count of 0");
        if (percentiles.some((value, i) => i > 0 && value < percentiles[i - 1]!))
          invalidParams("percentiles must be in ascending order");
        const last = view.blockOrFail(newest);
        const length = Math.min(blocks, MAX_BLOCKS, last.header.number + 1);
        const first = last.header.number - length + 1;
        const list = Array.from({ length }, (_, i) => view.blockOrFail({ number: first + i }));
        return {
          oldestBlock: hexNumber(first),
          baseFeePerGas: [...list.map(({ header }) => header.baseFeePerGas), nextBaseFee(last.header)].map(hexNumber),
          gasUsedRatio: list.map(({ header }) => header.gasUsed / header.gasLimit),
          ...(percentiles.length > 0 ? { reward: list.map((block) => rewards(view, block, percentiles)) } : {}),
        };
      },
    ),
  };
};
