import { join, resolve } from "node:path";
import { Command } from "commander";
import { type Database, DatabaseLockedError } from "../../chain/db.ts";
import type { Hash } from "../../lib/bytes.ts";
import { JSON_OF_ANY_LENGTH, parseJson } from "../../lib/json.ts";
import { readRegular } from "../../lib/whole-file.ts";
import { writeNewSecret } from "../folder.ts";
import { FolderInUseError, lockFolder } from "../folder-lock.ts";
import { openGenesis } from "../genesis-file.ts";
import { exportInterchange, importInterchange, type NamedValidator, readInterchange } from "../slashing-interchange.ts";
import { openProtectionDb } from "../slashing-protection.ts";
import { listKeystores } from "../validator-keystores.ts";
import { namesOf, readValidatorSource } from "../validator-source.ts";
import { folder } from "./options.ts";
import { print } from "./output.ts";

const MAX_INTERCHANGE_BYTES = 64 * 1024 * 1024;

interface Flags {
  datadir: string;
  keystores?: string;
}

/** What a stopped node (or signer) has: its network, its validators, and what they signed. */
const withProtection = async (
  flags: Flags,
  work: (db: Database, genesisHash: Hash, validators: readonly NamedValidator[]) => Promise<void>,
): Promise<void> => {
  const datadir = resolve(flags.datadir);
  const source = readValidatorSource(datadir);
  if (!flags.keystores && !source)
    throw new Error(`${datadir} has no validator.json; name the keys with --keystores <folder>`);
  const validators = flags.keystores ? listKeystores(flags.keystores) : await namesOf(source!);
  const { genesisHash } = openGenesis(datadir);
  const isRunning = (error: Error): never => {
    throw error instanceof FolderInUseError || error instanceof DatabaseLockedError
      ? new Error(`stop the node of ${datadir} first: ${error.message}`)
      : error;
  };
  const lock = await lockFolder(datadir, "validator protection").catch(isRunning);
  try {
    const db = await openProtectionDb(join(datadir, "slashing-protection"), genesisHash).catch(isRunning);
    try {
      await work(db, genesisHash, validators);
    } finally {
      await db.close();
    }
  } finally {
    await lock.release();
  }
};

const readDocument = (path: string): unknown => {
  const bytes = readRegular(path, MAX_INTERCHANGE_BYTES);
  try {
    return parseJson(bytes, JSON_OF_ANY_LENGTH);
  } catch (error) {
    throw new Error(`${path} is ${(error as Error).message}`);
  }
};

const shared = (command: Command): Command =>
  command
    .argument("<file>", "the interchange, JSON of EIP-3076")
    .requiredOption("--datadir <folder>", "folder of the node or the signer, which must be stopped", folder)
    .option("--keystores <folder>", "whose validators, where validator.json does not say", folder);

/** The commands that carry what validators signed from one program to another. */
export const protectionCommand = (): Command => {
  const command = new Command("protection").description("carry what was signed from one program to another (EIP-3076)");
  shared(command.command("export"))
    .description("write what this node's validators signed; then never sign with them here again")
    .option("--force", "replace the file")
    .action(async (file: string, flags: Flags & { force?: boolean }) =>
      withProtection(flags, async (db, genesisHash, validators) => {
        const interchange = exportInterchange(db, genesisHash, validators);
        writeNewSecret(file, `${JSON.stringify(interchange, null, 2)}\n`, flags.force ?? false);
        print(`${interchange.data.length} validators in ${file}`);
      }),
    );
  shared(command.command("import"))
    .description("take in what another program signed, before this one signs")
    .action(async (file: string, flags: Flags) =>
      withProtection(flags, async (db, genesisHash, validators) => {
        const interchange = readInterchange(readDocument(file), genesisHash);
        const { imported, unknown } = await importInterchange(db, interchange, validators);
        for (const key of unknown) print(`left out, no validator of this node: ${key}`);
        print(`${imported} validators taken in`);
      }),
    );
  return command;
};
