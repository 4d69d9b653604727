import { Command } from "commander";
import type { Address, Hex } from "../../lib/bytes.ts";
import { addressOf, randomPrivateKey } from "../../lib/secp256k1.ts";
import { NRLC, parseRlc, rlc } from "../../lib/units.ts";
import { rpcClient } from "../../rpc/client.ts";
import { HUB } from "../../vm/addresses.ts";
import { hubFunction, hubStakeOf } from "../market-client.ts";
import { transact } from "../wallet.ts";
import { address, DEFAULT_NODE, privateKey, url } from "./options.ts";
import { print, printJson } from "./output.ts";

export const accountCommand = (): Command => {
  const command = new Command("account").description(
    "make an account, look at its balance, send RLC, put RLC into the hub",
  );
  command
    .command("new")
    .description("make a private key and print it with its address")
    .action(() => {
      const key = randomPrivateKey();
      printJson({ address: addressOf(key), privateKey: key });
    });
  command
    .command("show")
    .description("print the balance and the nonce of an account")
    .argument("<address>", "account", address)
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .action(async (account: Address, flags: { node: string }) => {
      const client = rpcClient(flags.node);
      const [balance, nonce] = await Promise.all([
        client.call("eth_getBalance", [account, "latest"]),
        client.call("eth_getTransactionCount", [account, "latest"]),
      ]);
      print(`${account}  ${rlc(BigInt(balance as Hex), 18)} RLC  nonce ${Number(nonce)}`);
    });
  command
    .command("send")
    .description("send RLC to an account")
    .argument("<to>", "account", address)
    .argument("<amount>", "in RLC, like 12.5", parseRlc)
    .requiredOption("--key <key>", "private key of the sender", privateKey)
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .action(async (to: Address, value: bigint, flags: { key: Hex; node: string }) => {
      const receipt = await transact(rpcClient(flags.node), flags.key, { to, value });
      print(`${receipt.transactionHash}  in block ${Number(receipt.blockNumber)}`);
    });
  command
    .command("deposit")
    .description("put RLC into the hub, where orders, pools and workers' tasks bind them")
    .argument("<amount>", "in RLC with at most 9 decimals", parseRlc)
    .requiredOption("--key <key>", "private key of the account", privateKey)
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .action(async (value: bigint, flags: { key: Hex; node: string }) => {
      const client = rpcClient(flags.node);
      await transact(client, flags.key, { to: HUB, data: hubFunction("deposit").encode(), value });
      print(`${rlc((await hubStakeOf(client, addressOf(flags.key))) * NRLC, 9)} RLC lie free in the hub`);
    });
  return command;
};
