import { Command } from "commander";

/** The commands by their names, each in a file of its own that is loaded when it is asked for: some take most of a second. */
const COMMANDS: ReadonlyMap<string, () => Promise<Command>> = new Map([
  ["demo", async () => (await import("./demo.ts")).demoCommand()],
  ["testnet", async () => (await import("./testnet.ts")).testnetCommand()],
  ["dev", async () => (await import("./dev.ts")).devCommand()],
  ["node", async () => (await import("./node.ts")).nodeCommand()],
  ["worker", async () => (await import("./worker.ts")).workerCommand()],
  ["order", async () => (await import("./order.ts")).orderCommand()],
  ["pool", async () => (await import("./pool.ts")).poolCommand()],
  ["miner", async () => (await import("./miner.ts")).minerCommand()],
  ["job", async () => (await import("./job.ts")).jobCommand()],
  ["app", async () => (await import("./app.ts")).appCommand()],
  ["data", async () => (await import("./data.ts")).dataCommand()],
  ["run", async () => (await import("./run.ts")).runCommand()],
  ["validator", async () => (await import("./validator.ts")).validatorCommand()],
  ["signer", async () => (await import("./signer.ts")).signerCommand()],
  ["account", async () => (await import("./account.ts")).accountCommand()],
  ["audit", async () => (await import("./audit.ts")).auditCommand()],
  ["genesis", async () => (await import("./genesis.ts")).genesisCommand()],
  ["iexec-config", async () => (await import("./iexec-config.ts")).iexecConfigCommand()],
]);

/** The files that a command line needs: one command's, none for the version, all for help and for words that name none. */
const loadersFor = ([first]: readonly string[]): Iterable<() => Promise<Command>> => {
  const named = first === undefined ? undefined : COMMANDS.get(first);
  if (named) return [named];
  return first === "--version" || first === "-V" ? [] : COMMANDS.values();
};

/** Builds the command line, or as much of it as these arguments need. */
export const createProgram = async (args: readonly string[] = []): Promise<Command> => {
  const program = new Command("rolec")
    .description("rolec: a blockchain whose power is earned by verified computation")
    .version("0.1.0")
    .showHelpAfterError("(add --help for the options)");
  for (const load of loadersFor(args)) program.addCommand(await load());
  return program;
};
