import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command, Option } from "commander";
import { devGenesis, readGenesis } from "../../chain/genesis.ts";
import { PROFILES } from "../../chain/profiles.ts";
import { genesisValidator, readJson, validatorKeys, writeNodeFolder } from "../folder.ts";
import { amount, whole } from "./options.ts";
import { fail, parseRlc, print, printJson } from "./output.ts";

export const genesisCommand = (): Command => {
  const command = new Command("genesis").description("make or check a genesis document");
  command
    .command("new")
    .description("make a network of fresh keys: one folder a validator, and the genesis document they share")
    .requiredOption("--out <folder>", "where the folders go")
    .addOption(new Option("--profile <name>", "parameters").choices(Object.keys(PROFILES)).default("testnet"))
    .option("--validators <n>", "validators", whole(1, 64), 4)
    .addOption(amount("--bond <rlc>", "bond of each validator, in RLC", parseRlc, "10000"))
    .option("--start <seconds>", "seconds from now until slot 0", whole(0, 31_536_000), 60)
    .action(
      (flags: { out: string; profile: keyof typeof PROFILES; validators: number; bond: bigint; start: number }) => {
        const keys = Array.from({ length: flags.validators }, () => validatorKeys());
        const document = devGenesis({
          genesisTime: Math.ceil(Date.now() / 1000) + flags.start,
          validators: keys.map((each) => genesisValidator(each, flags.bond)),
          accounts: [],
          slots: [],
          params: PROFILES[flags.profile],
        });
        readGenesis(document);
        const out = resolve(flags.out);
        for (const [i, each] of keys.entries()) {
          writeNodeFolder(join(out, `validator-${i + 1}`), document, each);
          print(`${each.address}  ${join(out, `validator-${i + 1}`)}`);
        }
        writeFileSync(join(out, "genesis.json"), `${JSON.stringify(document, null, 2)}\n`);
      },
    );
  command
    .command("check <file>")
    .description("tell whether a genesis document is possible, and its figures")
    .action((file: string) => {
      const document = readJson(file) ?? fail(`${file} does not exist`);
      const genesis = readGenesis(document);
      printJson({
        chainId: genesis.chainId,
        genesisTime: genesis.genesisTime,
        validators: genesis.validators.length,
        accounts: genesis.accounts.length,
      });
    });
  return command;
};
