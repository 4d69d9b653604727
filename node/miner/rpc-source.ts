import { randomBytes } from "node:crypto";
import { ETHEREUM_EPOCH_BLOCKS, type EthashEpoch, ethashEpoch } from "../../consensus/ethash/sizes.ts";
import { type Hash, type Hex, toHex, word } from "../../lib/bytes.ts";
import { RpcCallError, type RpcClient } from "../../rpc/client.ts";
import type { WorkSource } from "./source.ts";

/** Ethereum's starting sizes: what a node means that does not say otherwise. */
const ETHEREUM = { ethashCacheBytes: 2 ** 24, ethashDatasetBytes: 2 ** 30 };
const POLL_MS = 500;
const NO_METHOD = -32601;

/** Asks a node for the sizes of its Ethash epoch; Ethereum's where it has no such method. */
export const sizesOf = async (client: RpcClient, number: number): Promise<EthashEpoch> => {
  try {
    const answer = (await client.call("rolec_ethash", [])) as EthashEpoch;
    // A node that is in the next epoch by now is asked again with its next work.
    if (answer.number === number) return { number, cacheBytes: answer.cacheBytes, datasetBytes: answer.datasetBytes };
    throw new Error(`the node is in Ethash epoch ${answer.number}, its work was of ${number}`);
  } catch (error) {
    if (error instanceof RpcCallError && error.code === NO_METHOD) return ethashEpoch(number, ETHEREUM);
    throw error;
  }
};

/**
 * Takes work by eth_getWork and hands it in by eth_submitWork. `onTrouble` is told each time that the node does not answer,
 * `onWork` each time that it does.
 */
export const rpcSource = (
  client: RpcClient,
  onTrouble: (reason: string) => void,
  onWork: () => void = () => {},
): WorkSource => {
  const id: Hash = toHex(randomBytes(32));
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let seal: Hash | undefined;
  let epoch: EthashEpoch | undefined;
  return {
    start: (onJob) => {
      const poll = async (): Promise<void> => {
        try {
          const [next, , target, number] = (await client.call("eth_getWork", [])) as [Hash, Hash, Hash, Hex];
          const wanted = Math.floor(Number(number) / ETHEREUM_EPOCH_BLOCKS);
          if (epoch?.number !== wanted) epoch = await sizesOf(client, wanted);
          if (next !== seal && !stopped) onJob({ seal: next, target: BigInt(target), epoch, prefix: "" });
          seal = next;
          onWork();
        } catch (error) {
          if (!stopped) onTrouble((error as Error).message);
        }
        if (!stopped) timer = setTimeout(poll, POLL_MS);
      };
      void poll();
    },
    submit: async (job, found) => {
      const isAccepted = (await client.call("eth_submitWork", [found.nonce, job.seal, found.mixHash])) === true;
      return isAccepted ? { isAccepted } : { isAccepted, reason: "stale, or known" };
    },
    report: async (rate) => {
      await client.call("eth_submitHashrate", [word(Math.round(rate)), id]);
    },
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
};
