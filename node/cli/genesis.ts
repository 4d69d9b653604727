import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command, Option } from "commander";
import { devGenesis, readGenesis } from "../../chain/genesis.ts";
import { PROFILES } from "../../chain/profiles.ts";
import { parseRlc } from "../../lib/units.ts";
import { genesisValidator, readGivenJson, validatorKeys, writeNodeFolder } from "../folder.ts";
import { genesisOf } from "../genesis-file.ts";
import { amount, folder, whole } from "./options.ts";
import { print, printJson } from "./output.ts";

interface NewFlags {
  out: string;
  profile: keyof typeof PROFILES;
  validators: number;
  bond: bigint;
  start: number;
  force?: boolean;
}

/** Finds a network that lies in a folder already: its genesis document, or a validator, there or one folder below. */
const networkIn = (folder: string): string | undefined => {
  if (!existsSync(folder)) return undefined;
  const below = readdirSync(folder, { withFileTypes: true }).filter((each) => each.isDirectory());
  const folders = [folder, ...below.map(({ name }) => join(folder, name))];
  return folders
    .flatMap((each) => [join(each, "genesis.json"), join(each, "validator.json")])
    .find((path) => existsSync(path));
};

export const genesisCommand = (): Command => {
  const command = new Command("genesis").description("make or check a genesis document");
  command
    .command("new")
    .description("make a network of fresh keys: one folder a validator, and the genesis document they share")
    .requiredOption("--out <folder>", "where the folders go", folder)
    .addOption(new Option("--profile <name>", "parameters").choices(Object.keys(PROFILES)).default("testnet"))
    .option("--validators <n>", "validators", whole(1, 64), 4)
    .addOption(amount("--bond <rlc>", "bond of each validator, in RLC", parseRlc, "10000"))
    .option("--start <seconds>", "seconds from now until slot 0", whole(0, 31_536_000), 60)
    .option("--force", "replace the network that lies there, and its validators' keys")
    .action((flags: NewFlags) => {
      const out = resolve(flags.out);
      const found = networkIn(out);
      if (found && !flags.force) throw new Error(`${found} exists; --force replaces its network, and the keys of that`);
      const keys = Array.from({ length: flags.validators }, () => validatorKeys());
      const document = devGenesis({
        genesisTime: Math.ceil(Date.now() / 1000) + flags.start,
        validators: keys.map((each) => genesisValidator(each, flags.bond)),
        accounts: [],
        slots: [],
        params: PROFILES[flags.profile],
      });
      readGenesis(document);
      for (const [i, each] of keys.entries()) {
        const folder = join(out, `validator-${i + 1}`);
        writeNodeFolder(folder, document, each, flags.force ?? false);
        print(`${each.address}  ${folder}`);
      }
      writeNodeFolder(out, document);
    });
  command
    .command("check <file>")
    .description("tell whether a genesis document is possible, and its figures")
    .action((file: string) => {
      const genesis = genesisOf(readGivenJson(file), file);
      printJson({
        chainId: genesis.chainId,
        genesisTime: genesis.genesisTime,
        validators: genesis.validators.length,
        accounts: genesis.accounts.length,
      });
    });
  return command;
};
