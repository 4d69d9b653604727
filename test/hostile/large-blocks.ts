import { setTimeout as sleep } from "node:timers/promises";
import { signTransaction } from "../../chain/transaction.ts";
import { toHex, ZERO_ADDRESS } from "../../lib/bytes.ts";
import type { Testnet } from "../../node/testnet.ts";
import { accountsOf } from "./genesis.ts";

const BLOCKS = 9;
const PER_SENDER = 3;
const DATA_BYTES = 115_000;
const POLL_MS = 200;
const TRIES = 150;

/** Puts blocks of 2 MiB onto a new chain: what is dear to serve. No sender has much waiting at a time, which pools do not let. */
export const makeLargeBlocks = async (testnet: Testnet): Promise<void> => {
  const senders = accountsOf("hostile");
  const minedOf = async (address: string) =>
    Number(await testnet.client.call("eth_getTransactionCount", [address, "latest"]));
  for (let block = 1; block <= BLOCKS; block++) {
    for (const { privateKey } of senders) {
      for (let i = 0; i < PER_SENDER; i++) {
        const tx = signTransaction(
          {
            type: 2,
            chainId: testnet.chainId,
            nonce: (block - 1) * PER_SENDER + i,
            maxPriorityFeePerGas: 1n,
            maxFeePerGas: 10n ** 11n,
            gasLimit: 2_000_000,
            to: ZERO_ADDRESS,
            value: 0n,
            data: new Uint8Array(DATA_BYTES).fill(7),
            accessList: [],
          },
          privateKey,
        );
        await testnet.client.call("eth_sendRawTransaction", [toHex(tx.raw)]);
      }
    }
    const areMined = async () =>
      (await Promise.all(senders.map(({ address }) => minedOf(address)))).every((each) => each >= block * PER_SENDER);
    for (let i = 0; !(await areMined()); i++) {
      if (i >= TRIES) throw new Error(`large block ${block} was not mined within ${(TRIES * POLL_MS) / 1_000} s`);
      await sleep(POLL_MS);
    }
  }
};
