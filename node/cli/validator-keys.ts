import { randomBytes } from "node:crypto";
import { Command, Option } from "commander";
import type { Address } from "../../lib/bytes.ts";
import { type ValidatorKeys, validatorKeys, writeNewSecret } from "../folder.ts";
import { blsPathOf, deriveValidator, newMnemonic, readSeed } from "../key-derivation.ts";
import { lightKdf, openKeystore, readKeystoreFile, strongKdf, type UnlockedKey } from "../keystore.ts";
import {
  listKeystores,
  MAX_VALIDATORS,
  openKeystores,
  readOrMakeSecret,
  readSecretFile,
  sealValidator,
} from "../validator-keystores.ts";
import { readPlainKeys } from "../validator-source.ts";
import { address, folder, whole } from "./options.ts";
import { print, printJson, table } from "./output.ts";

interface FolderFlags {
  keystores: string;
  passwordFile: string;
  kdf: "scrypt" | "pbkdf2";
}

const KDFS = { scrypt: strongKdf, pbkdf2: lightKdf };
const HIGHEST_INDEX = 2 ** 31 - 1;

const withFolder = (command: Command): Command =>
  command
    .requiredOption("--keystores <folder>", "folder of key files, two a validator", folder)
    .requiredOption("--password-file <file>", "file with their password");
const withKdf = (command: Command): Command =>
  command.addOption(
    new Option(
      "--kdf <name>",
      "how the password is stretched: scrypt needs 256 MiB and two seconds a validator to open",
    )
      .choices(Object.keys(KDFS))
      .default("scrypt"),
  );

/** The password of a folder; a new one is made where its file is missing. */
const passwordOf = ({ passwordFile }: FolderFlags): string => {
  const { secret, isNew } = readOrMakeSecret(passwordFile, () => randomBytes(32).toString("base64url"));
  if (isNew) print(`made a password, in ${passwordFile}: without it the key files are lost`);
  return secret;
};

const newKeys = async (
  flags: FolderFlags & { count: number; first: number; seedFile?: string; passphraseFile?: string },
): Promise<void> => {
  const password = passwordOf(flags);
  let seed: Uint8Array | undefined;
  if (flags.seedFile) {
    const { secret, isNew } = readOrMakeSecret(flags.seedFile, newMnemonic);
    if (isNew) print(`made 24 words, in ${flags.seedFile}: whoever has them has the keys. Take them off this machine.`);
    seed = readSeed(secret, flags.passphraseFile ? readSecretFile(flags.passphraseFile) : "");
  }
  for (let i = flags.first; i < flags.first + flags.count; i++) {
    const keys = seed ? deriveValidator(seed, i) : validatorKeys();
    await sealValidator(flags.keystores, keys, password, { kdf: KDFS[flags.kdf], path: seed ? blsPathOf(i) : "" });
    print(keys.address);
  }
};

const unlock = async (path: string, flags: FolderFlags & { fromPasswordFile?: string }): Promise<UnlockedKey> =>
  openKeystore(readKeystoreFile(path), readSecretFile(flags.fromPasswordFile ?? flags.passwordFile));

/** Reads a validator out of a plain file, or out of a key file for each of its keys, in either order. */
const readValidator = async (
  files: readonly string[],
  flags: FolderFlags & { fromPasswordFile?: string },
): Promise<ValidatorKeys> => {
  if (files.length === 1) return readPlainKeys(readKeystoreFile(files[0]!), files[0]!);
  const keys = [await unlock(files[0]!, flags), await unlock(files[1]!, flags)];
  const secp = keys.find((key) => key.kind === "secp256k1");
  const bls = keys.find((key) => key.kind === "bls");
  if (!secp || !bls) throw new Error("a validator has one secp256k1 key (version 3) and one BLS key (version 4)");
  return { address: secp.address, secp: secp.secret, bls: bls.secret };
};

/** The commands on a folder of key files. */
export const keysCommand = (): Command => {
  const command = new Command("keys").description("keep validators' keys in files under a password");
  withKdf(withFolder(command.command("new")))
    .description("make keys: at random, or from a seed that brings them back")
    .option("--count <n>", "validators", whole(1, MAX_VALIDATORS), 1)
    .option("--seed-file <file>", "words of BIP-39 or a seed in hex; 24 words are made where the file is missing")
    .option("--first <n>", "the seed's validator to begin at", whole(0, HIGHEST_INDEX), 0)
    .option("--passphrase-file <file>", "BIP-39's passphrase beside the words")
    .action(newKeys);
  withKdf(withFolder(command.command("import")))
    .description("bring in a validator: its plain file, or its key files of version 3 and version 4")
    .argument("<files...>", "one plain file, or two key files")
    .option("--from-password-file <file>", "password of those key files, where it is another one")
    .action(async (files: string[], flags: FolderFlags & { fromPasswordFile?: string }) => {
      if (files.length > 2) throw new Error("one validator at a time: one plain file, or two key files");
      const keys = await readValidator(files, flags);
      await sealValidator(flags.keystores, keys, passwordOf(flags), { kdf: KDFS[flags.kdf] });
      print(keys.address);
    });
  withFolder(command.command("export"))
    .description("write a validator's keys out in plain; the key files themselves are what other programs read")
    .requiredOption("--validator <address>", "whose", address)
    .requiredOption("--out <file>", "where they are written, readable by you alone")
    .option("--force", "replace the file")
    .action(async (flags: FolderFlags & { validator: Address; out: string; force?: boolean }) => {
      const all = await openKeystores(flags.keystores, readSecretFile(flags.passwordFile));
      const keys = all.find((each) => each.address === flags.validator);
      if (!keys) throw new Error(`${flags.keystores} has no keys of ${flags.validator}`);
      writeNewSecret(flags.out, `${JSON.stringify(keys, null, 2)}\n`, flags.force ?? false);
      print(`${flags.out} holds the keys in plain: two programs that sign with them get the validator slashed`);
    });
  command
    .command("list")
    .description("print the validators of a folder, without the password")
    .requiredOption("--keystores <folder>", "folder of key files", folder)
    .option("--json", "print JSON")
    .action((flags: { keystores: string; json?: boolean }) => {
      const validators = listKeystores(flags.keystores);
      if (flags.json) return printJson(validators);
      print(
        table(
          ["validator", "BLS public key"],
          validators.map((each) => [each.address, each.blsPublicKey]),
        ),
      );
    });
  return command;
};
