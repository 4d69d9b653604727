import { Command } from "commander";
import { accountCommand } from "./account.ts";
import { appCommand } from "./app.ts";
import { auditCommand } from "./audit.ts";
import { dataCommand } from "./data.ts";
import { demoCommand } from "./demo.ts";
import { devCommand } from "./dev.ts";
import { genesisCommand } from "./genesis.ts";
import { iexecConfigCommand } from "./iexec-config.ts";
import { jobCommand } from "./job.ts";
import { minerCommand } from "./miner.ts";
import { nodeCommand } from "./node.ts";
import { orderCommand } from "./order.ts";
import { poolCommand } from "./pool.ts";
import { runCommand } from "./run.ts";
import { signerCommand } from "./signer.ts";
import { testnetCommand } from "./testnet.ts";
import { validatorCommand } from "./validator.ts";
import { workerCommand } from "./worker.ts";

/** Builds the command line: one file a command. */
export const createProgram = (): Command => {
  const program = new Command("rolec")
    .description("rolec: a blockchain whose power is earned by verified computation")
    .version("0.1.0")
    .showHelpAfterError("(add --help for the options)");
  for (const command of [
    demoCommand,
    testnetCommand,
    devCommand,
    nodeCommand,
    workerCommand,
    orderCommand,
    poolCommand,
    minerCommand,
    jobCommand,
    appCommand,
    dataCommand,
    runCommand,
    validatorCommand,
    signerCommand,
    accountCommand,
    auditCommand,
    genesisCommand,
    iexecConfigCommand,
  ])
    program.addCommand(command());
  return program;
};
