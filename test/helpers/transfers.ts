import type { Hash, Hex } from "../../lib/bytes.ts";
import { RLC } from "../../lib/units.ts";
import type { Testnet } from "../../node/testnet.ts";
import { receiptOf, send } from "../../node/wallet.ts";
import { rpcClient } from "../../rpc/client.ts";

export interface TransferReport {
  readonly hash: Hash;
  readonly block: number;
  readonly gasUsed: number;
  /** Wei. */
  readonly fee: bigint;
}

/** Sends transfers from the first funded account to the second over the nodes in turn, and waits until all are final. */
export const runTransfers = async (
  testnet: Testnet,
  count: number,
  onProgress: (mined: number, final: boolean) => void,
): Promise<TransferReport[]> => {
  const [from, to] = testnet.accounts;
  const nodes = testnet.members
    .filter((member) => member.role === "validator")
    .map((member) => rpcClient(member.rpcUrl));
  const first = Number(await testnet.client.call("eth_getTransactionCount", [from!.address, "latest"]));
  const hashes: Hash[] = [];
  for (let i = 0; i < count; i++)
    hashes.push(
      await send(nodes[i % nodes.length]!, from!.privateKey, {
        to: to!.address,
        value: RLC,
        gas: 21_000,
        nonce: first + i,
      }),
    );
  const reports: TransferReport[] = [];
  for (const hash of hashes) {
    const receipt = await receiptOf(testnet.client, hash);
    const gasUsed = Number(receipt.gasUsed);
    reports.push({
      hash,
      block: Number(receipt.blockNumber),
      gasUsed,
      fee: BigInt(gasUsed) * BigInt(receipt.effectiveGasPrice),
    });
    onProgress(reports.length, false);
  }
  const last = Math.max(...reports.map((report) => report.block));
  const deadline = Date.now() + 60_000;
  for (;;) {
    const block = (await testnet.client.call("eth_getBlockByNumber", ["finalized", false])) as { number: Hex };
    if (Number(block.number) >= last) break;
    if (Date.now() > deadline) throw new Error(`block ${last} was not final within 60 s`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  onProgress(reports.length, true);
  return reports;
};
