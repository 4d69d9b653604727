import { type Address, addressWord, fromHex, type Hash, type Hex } from "../../lib/bytes.ts";
import type { RpcClient } from "../../rpc/client.ts";
import { hexNumber } from "../../rpc/values.ts";
import { MARKET } from "../../vm/addresses.ts";
import { MARKET_EVENTS } from "../../vm/market/abi.ts";

/** Slots that a worker has asked for and does not have yet. */
export interface Pending {
  readonly slots: number;
  /** The epoch in which they come, and how many seconds from the head that is. */
  readonly epoch: number;
  readonly seconds: number;
}

/** Blocks in which a join is looked for: it takes effect within fewer. */
const BACK = 1_000;

interface Times {
  readonly genesisTime: number;
  readonly params: { readonly slotSeconds: number; readonly slotsPerEpoch: number };
}

/** Reads what a worker's joins will bring, those of the latest epoch last. */
export const readPending = async (client: RpcClient, worker: Address): Promise<Pending[]> => {
  const { topic, decode } = MARKET_EVENTS.JoinRequested!;
  const [head, genesis] = (await Promise.all([
    client.call("eth_getBlockByNumber", ["latest", false]),
    client.call("rolec_genesis", []),
  ])) as [{ number: Hex; timestamp: Hex }, Times];
  const { slotSeconds, slotsPerEpoch } = genesis.params;
  const since = Number(head.timestamp) - genesis.genesisTime;
  const logs = (await client.call("eth_getLogs", [
    {
      address: MARKET,
      fromBlock: hexNumber(Math.max(0, Number(head.number) - BACK)),
      toBlock: head.number,
      topics: [topic, null, addressWord(worker)],
    },
  ])) as { topics: Hash[]; data: Hex }[];
  return logs
    .map(({ topics, data }) => {
      const [, , , , count, at] = decode({ topics, data: fromHex(data) });
      const epoch = Number(at);
      return { slots: Number(count), epoch, seconds: epoch * slotsPerEpoch * slotSeconds - since };
    })
    .filter(({ seconds }) => seconds > 0);
};

/** Says it in words: "4 slots from epoch 12 on, in about 14 s". */
export const pendingWords = (pending: readonly Pending[]): string => {
  const { epoch, seconds } = pending.at(-1)!;
  const slots = pending.reduce((sum, each) => sum + each.slots, 0);
  return `${slots} slot${slots === 1 ? "" : "s"} from epoch ${epoch} on, in about ${Math.ceil(seconds)} s`;
};
