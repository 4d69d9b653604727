import { type Address, addressWord, fromHex, type Hash, type Hex } from "../../lib/bytes.ts";
import { rlc } from "../../lib/units.ts";
import type { RpcClient } from "../../rpc/client.ts";
import { hexNumber } from "../../rpc/values.ts";
import { MARKET } from "../../vm/addresses.ts";
import { MARKET_EVENTS } from "../../vm/market/abi.ts";
import { SEAT } from "../../vm/market/lot.ts";

/** What a slot of a worker paid for in a lot. */
export interface Loss {
  readonly block: number;
  readonly lot: Hash;
  readonly slot: number;
  /** The seat's status: rejected, silent or declined. */
  readonly status: number;
  /** Wei, as decimal digits. */
  readonly wei: string;
}

interface RpcLog {
  readonly topics: Hash[];
  readonly data: Hex;
  readonly blockNumber: Hex;
}

/** Reads what a worker's slots paid for in these blocks, both included; what cost nothing is left out. */
export const readLosses = async (client: RpcClient, worker: Address, from: number, to: number): Promise<Loss[]> => {
  const { topic, decode } = MARKET_EVENTS.SlotFault!;
  const topics = [topic, null, null, addressWord(worker)];
  const filter = { address: MARKET, fromBlock: hexNumber(from), toBlock: hexNumber(to), topics };
  const logs = (await client.call("eth_getLogs", [filter])) as RpcLog[];
  const losses = logs.map(({ topics: each, data, blockNumber }): Loss => {
    const [slot, lot, , status, wei] = decode({ topics: each, data: fromHex(data) });
    return { block: Number(blockNumber), lot: lot as Hash, slot: Number(slot), status: Number(status), wei: `${wei}` };
  });
  return losses.filter(({ status, wei }) => wei !== "0" || status === SEAT.silent);
};

const REASONS: Readonly<Record<number, string>> = {
  [SEAT.rejected]: "another result than the one agreed on",
  [SEAT.silent]: "silent",
  [SEAT.declined]: "declined what others computed",
};
const THEN: Readonly<Record<number, string>> = {
  [SEAT.rejected]: "is gone",
  [SEAT.silent]: "paused",
  [SEAT.declined]: "stays",
};

/** Says a loss in a line: "silent in lot 0x… at block 9: -0.0025 RLC, slot 3 paused". */
export const lossWords = ({ block, lot, slot, status, wei }: Loss): string =>
  `${REASONS[status] ?? status} in lot ${lot} at block ${block}: -${rlc(BigInt(wei), 9)} RLC, slot ${slot} ${THEN[status] ?? ""}`;
