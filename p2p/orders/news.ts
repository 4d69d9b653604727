import type { Block } from "../../chain/block.ts";
import { bloomBits, bloomHas, type Receipt } from "../../chain/receipt.ts";
import { fromHex, type Hash } from "../../lib/bytes.ts";
import type { AbiEvent, AbiValue } from "../../vm/abi.ts";
import { HUB } from "../../vm/addresses.ts";
import { HUB_EVENTS } from "../../vm/market/abi.ts";
import { type OrderName, orderOf, type SignedOrder } from "../../vm/market/signed-order.ts";

/** What a block says of orders. */
export interface OrderNews {
  /** Orders of which more is used up than before, or all. */
  readonly touched: readonly Hash[];
  /** Orders that were shown to everybody, unchecked. */
  readonly shown: readonly SignedOrder[];
}
const NONE: OrderNews = { touched: [], shown: [] };

const matched = ([, ...hashes]: AbiValue[]): OrderNews => ({ ...NONE, touched: hashes.slice(0, 4) as Hash[] });
const closed = ([hash]: AbiValue[]): OrderNews => ({ ...NONE, touched: [hash as Hash] });
const shownAs =
  (kind: OrderName) =>
  ([order]: AbiValue[]): OrderNews => ({ ...NONE, shown: [orderOf(kind, order!)] });

const READERS: readonly (readonly [event: string, read: (values: AbiValue[]) => OrderNews])[] = [
  ["OrdersMatched", matched],
  ["ClosedAppOrder", closed],
  ["ClosedDatasetOrder", closed],
  ["ClosedWorkerpoolOrder", closed],
  ["ClosedRequestOrder", closed],
  ["BroadcastAppOrder", shownAs("app")],
  ["BroadcastDatasetOrder", shownAs("dataset")],
  ["BroadcastWorkerpoolOrder", shownAs("workerpool")],
  ["BroadcastRequestOrder", shownAs("request")],
];
const byTopic = new Map(
  READERS.map(([name, read]) => {
    const event: AbiEvent = HUB_EVENTS[name]!;
    return [event.topic, { event, read, bits: bloomBits(fromHex(event.topic)) }];
  }),
);

/** Reads what a block says of orders; most say nothing, which their bloom filters tell. */
export const orderNews = ({ header }: Block, receipts: () => readonly Receipt[]): OrderNews => {
  if (![...byTopic.values()].some(({ bits }) => bloomHas(header.logsBloom, bits))) return NONE;
  const news = receipts()
    .flatMap(({ logs }) => logs)
    .filter(({ address }) => address === HUB)
    .flatMap((log) => {
      const reader = byTopic.get(log.topics[0]!);
      return reader ? [reader.read(reader.event.decode(log))] : [];
    });
  return { touched: news.flatMap(({ touched }) => touched), shown: news.flatMap(({ shown }) => shown) };
};
