import type { BlockHead } from "../chain/store.ts";
import { effectiveGasPrice } from "../chain/transaction.ts";
import { nextBaseFee } from "../consensus/fees.ts";
import type { Hash } from "../lib/bytes.ts";
import { GWEI } from "../lib/units.ts";
import type { ChainView } from "./chain-view.ts";
import { type Call, type Methods, method } from "./dispatch.ts";
import { invalidParams } from "./errors.ts";
import { blockNumber, count, hexNumber, listOf, optional, type Parser } from "./values.ts";

const MAX_BLOCKS = 1_024;
/** Wei per gas that is suggested while nobody pays more. */
const DEFAULT_TIP = GWEI;
const SAMPLED_BLOCKS = 5;

const percentile: Parser<number> = (value, name) =>
  typeof value === "number" && value >= 0 && value <= 100 ? value : invalidParams(`invalid ${name}: a percentile`);

type Turn = Call["turn"];
/** Transactions that are decoded in one turn. */
const PER_TURN = 256;

const tipsOf = async (view: ChainView, { hash, header }: BlockHead, turn: Turn) => {
  const tips: { readonly tip: bigint; readonly gas: number }[] = [];
  // A block that used no gas holds nothing.
  if (header.gasUsed === 0) return tips;
  const { baseFeePerGas } = header;
  const receipts = view.receipts(hash);
  for (const tx of view.engine.store.eachTransaction(hash)) {
    if (tips.length % PER_TURN === 0) await turn();
    tips.push({ tip: effectiveGasPrice(tx, baseFeePerGas) - baseFeePerGas, gas: receipts[tips.length]?.gasUsed ?? 0 });
  }
  return tips.sort((a, b) => (a.tip < b.tip ? -1 : a.tip > b.tip ? 1 : 0));
};

/** The tips at percentiles of a block's gas, as eth_feeHistory defines them. */
const rewards = async (
  view: ChainView,
  block: BlockHead,
  percentiles: readonly number[],
  turn: Turn,
): Promise<string[]> => {
  const tips = await tipsOf(view, block, turn);
  let gas = 0;
  let next = 0;
  return percentiles.map((percent) => {
    const wanted = (block.header.gasUsed * percent) / 100;
    while (next < tips.length && gas + tips[next]!.gas < wanted) gas += tips[next++]!.gas;
    return hexNumber((tips[next] ?? tips.at(-1))?.tip ?? 0n);
  });
};

/** Methods about what gas costs. */
export const feeMethods = (view: ChainView): Methods => {
  let suggested: { readonly head: Hash; readonly tip: Promise<bigint> } | undefined;
  /** The median tip of the last full-ish blocks, at least what everyone offers by default when blocks are full. */
  const suggestedTip = (turn: Turn): Promise<bigint> => {
    const head = view.head();
    if (suggested?.head !== head.hash) {
      const tip = findTip(head, turn);
      suggested = { head: head.hash, tip };
      tip.catch(() => {
        suggested = undefined;
      });
    }
    return suggested.tip;
  };
  const findTip = async (head: BlockHead, turn: Turn): Promise<bigint> => {
    const tips: bigint[] = [];
    let block: BlockHead | undefined = head;
    for (let i = 0; block && i < SAMPLED_BLOCKS; i++) {
      // a block that was not full took whatever came: its tips say nothing about a price
      if (block.header.gasUsed * 2 > block.header.gasLimit)
        for (const { tip } of await tipsOf(view, block, turn)) tips.push(tip);
      block = view.header({ hash: block.header.parentHash, requireCanonical: false });
    }
    tips.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    const median = tips[tips.length >> 1] ?? 0n;
    return median > DEFAULT_TIP ? median : DEFAULT_TIP;
  };
  return {
    eth_gasPrice: method([], async (_, { turn }) => {
      const tip = await suggestedTip(turn);
      return hexNumber(nextBaseFee(view.head().header) + tip);
    }),
    eth_maxPriorityFeePerGas: method([], async (_, { turn }) => hexNumber(await suggestedTip(turn))),
    eth_feeHistory: method(
      [count, blockNumber, optional(listOf(percentile, 100), [])],
      async ([blocks, newest, percentiles], { turn }) => {
        if (blocks === 0) invalidParams("block count of 0");
        if (percentiles.some((value, i) => i > 0 && value < percentiles[i - 1]!))
          invalidParams("percentiles must be in ascending order");
        const last = view.headerOrFail(newest);
        const length = Math.min(blocks, MAX_BLOCKS, last.header.number + 1);
        const first = last.header.number - length + 1;
        const list = Array.from({ length }, (_, i) => view.headerOrFail({ number: first + i }));
        const reward: string[][] = [];
        for (const block of percentiles.length > 0 ? list : [])
          reward.push(await rewards(view, block, percentiles, turn));
        return {
          oldestBlock: hexNumber(first),
          baseFeePerGas: [...list.map(({ header }) => header.baseFeePerGas), nextBaseFee(last.header)].map(hexNumber),
          gasUsedRatio: list.map(({ header }) => header.gasUsed / header.gasLimit),
          ...(percentiles.length > 0 ? { reward } : {}),
        };
      },
    ),
  };
};
