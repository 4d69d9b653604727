import { basename } from "node:path";
import { Command } from "commander";
import type { Hex } from "../../lib/bytes.ts";
import { NRLC, parseRlc } from "../../lib/units.ts";
import { readRegular } from "../../lib/whole-file.ts";
import { rpcClient } from "../../rpc/client.ts";
import { deployApp } from "../jobs.ts";
import { amount, DEFAULT_NODE, privateKey, url } from "./options.ts";
import { print, printJson } from "./output.ts";

export const appCommand = (): Command => {
  const command = new Command("app").description("publish programs");
  command
    .command("deploy")
    .description("check a WASI program, publish it, and offer it to everyone")
    .argument("<file>", "the module, a .wasm file")
    .requiredOption("--key <key>", "private key of the owner", privateKey)
    .option("--name <name>", "name (default: the file's)")
    .addOption(amount("--price <rlc>", "price of a task, in RLC with at most 9 decimals", parseRlc))
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .option("--json", "print JSON")
    .action(async (file: string, flags: { key: Hex; name?: string; price: bigint; node: string; json?: boolean }) => {
      const name = flags.name ?? basename(file, ".wasm");
      const deployed = await deployApp(
        rpcClient(flags.node),
        flags.node,
        flags.key,
        readRegular(file),
        name,
        flags.price / NRLC,
      );
      if (flags.json) printJson(deployed);
      else print(`app ${deployed.app}\nmodule /ipfs/${deployed.cid}`);
    });
  return command;
};
