import { setTimeout as sleep } from "node:timers/promises";
import { signTransaction } from "../../chain/transaction.ts";
import { toHex, ZERO_ADDRESS } from "../../lib/bytes.ts";
import type { Testnet } from "../../node/testnet.ts";
import { accountsOf } from "./genesis.ts";

const BLOCKS = 9;
const PER_BLOCK = 17;
const DATA_BYTES = 120_000;

/** Puts blocks of 2 MiB onto a chain: what is dear to serve. */
export const makeLargeBlocks = async (testnet: Testnet): Promise<void> => {
  const { address, privateKey } = accountsOf("own")[1]!;
  const first = Number(await testnet.client.call("eth_getTransactionCount", [address, "latest"]));
  for (let i = 0; i < BLOCKS * PER_BLOCK; i++) {
    const tx = signTransaction(
      {
        type: 2,
        chainId: testnet.chainId,
        nonce: first + i,
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
  for (let i = 0; i < 900; i++) {
    if (Number(await testnet.client.call("eth_getTransactionCount", [address, "latest"])) >= first + BLOCKS * PER_BLOCK)
      return;
    await sleep(200);
  }
  throw new Error("the large blocks were not mined within three minutes");
};
