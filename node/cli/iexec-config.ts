import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command, Option } from "commander";
import { writeWhole } from "../../lib/whole-file.ts";
import { rpcClient } from "../../rpc/client.ts";
import { makeFolder, readGivenJson } from "../folder.ts";
import { chainFile, publicPoolOrder, type RlcMode } from "../iexec-files.ts";
import { freshSalt, type OrdersFile, withOrder } from "../orders.ts";
import { DEFAULT_NODE, folder, url, whole } from "./options.ts";
import { fail, print, printJson } from "./output.ts";

interface Flags {
  rpc: string;
  native?: boolean;
  out?: string;
  force?: boolean;
  poolOrder?: boolean;
  category: number;
  trust: number;
  volume: number;
}

const USAGE: Record<RlcMode, string> = {
  native:
    'RLC is the chain\'s coin. For iexec 8.x; versions from 9 on refuse the key "native" and need the other form.',
  token:
    "RLC is a token, of the same balance as the chain's coin. For iexec 9.x, and for 8.x too; --native is for 8.x alone.",
};
const HINTS = `Run iexec where chain.json lies:
  iexec wallet import <private key>    then  iexec wallet show
  iexec account deposit 100 RLC        then  iexec account show
There is no SMS and no marketplace: commands that ask one fail and say so (docs/iexec.md).`;

/** Writes a file that iExec's tools read. Ends the program where it exists and was not to be replaced. */
const write = (path: string, document: unknown, isForced: boolean | undefined): void => {
  if (existsSync(path) && !isForced) fail(`${path} exists; --force replaces it`);
  writeWhole(path, `${JSON.stringify(document, null, 2)}\n`, { mode: 0o644 });
  print(`wrote ${path}`);
};

export const iexecConfigCommand = (): Command =>
  new Command("iexec-config")
    .description("print chain.json for iExec's command line tool, or write it")
    .option("--rpc <url>", "RPC of a node", url, DEFAULT_NODE)
    .addOption(new Option("--native", "RLC as the chain's coin: for iexec 8.x").conflicts("token"))
    .addOption(new Option("--token", "RLC as a token: for iexec 9.x, and 8.x too (default)"))
    .option("--out <folder>", "write chain.json into this folder instead of printing it", folder)
    .option("--force", "replace what is there")
    .option("--pool-order", "write an order of the public pool into orders.json besides, for iexec 8.x to fill")
    .option("--category <n>", "category of the pool's order", whole(0, Number.MAX_SAFE_INTEGER), 0)
    .option("--trust <n>", "trust of the pool's order", whole(0, Number.MAX_SAFE_INTEGER), 1)
    .option("--volume <n>", "tasks of the pool's order", whole(1, Number.MAX_SAFE_INTEGER), 1)
    .action(async (flags: Flags) => {
      const client = rpcClient(flags.rpc);
      const mode = flags.native ? "native" : "token";
      if (flags.poolOrder && flags.out === undefined)
        fail("the order goes into orders.json: --out names the folder that it is for");
      const chain = await chainFile(client, flags.rpc, mode);
      if (flags.out === undefined) {
        printJson(chain);
        process.stderr.write(`\n${USAGE[mode]}\n${HINTS}\n`);
        return;
      }
      const folder = resolve(flags.out);
      const [chainPath, ordersPath] = [join(folder, "chain.json"), join(folder, "orders.json")];
      const wanted = flags.poolOrder ? [chainPath, ordersPath] : [chainPath];
      // Both or none: an order without its chain is of no use.
      for (const path of wanted) if (existsSync(path) && !flags.force) fail(`${path} exists; --force replaces it`);
      const order = flags.poolOrder
        ? await publicPoolOrder(client, {
            category: BigInt(flags.category),
            trust: BigInt(flags.trust),
            volume: BigInt(flags.volume),
            salt: freshSalt(),
          })
        : undefined;
      makeFolder(folder);
      write(chainPath, chain, flags.force);
      if (order) {
        const chainId = Number(await client.call("eth_chainId", []));
        const before = readGivenJson<OrdersFile>(ordersPath) ?? {};
        write(ordersPath, withOrder(before, chainId, { kind: "workerpool", order }), flags.force);
        print(`the public pool takes ${order.workerpoolprice} nRLC a task`);
      }
      print(`\n${USAGE[mode]}\n${HINTS}`);
    });
