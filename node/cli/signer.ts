import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { httpUrl, isLoopbackHost } from "../../lib/endpoint.ts";
import { createLog } from "../../lib/log.ts";
import { lockFolder } from "../folder-lock.ts";
import { adoptGenesis, openGenesis } from "../genesis-file.ts";
import { listening } from "../ports.ts";
import { REMEDIES } from "../remedies.ts";
import { createGuard } from "../signer/guard.ts";
import { createSignerServer } from "../signer/server.ts";
import { openSlashingProtection } from "../slashing-protection.ts";
import { stopSignal } from "../stop.ts";
import { readOrMakeSecret } from "../validator-keystores.ts";
import { openKeys, readValidatorSource, type ValidatorSource } from "../validator-source.ts";
import { folder, host, port } from "./options.ts";
import { fail, print } from "./output.ts";

interface SignerFlags {
  datadir: string;
  genesis?: string;
  keystores?: string;
  passwordFile?: string;
  tokenFile?: string;
  newProtection?: boolean;
  host: string;
  port: number;
  logLevel: string;
}

const sourceOf = (flags: SignerFlags, datadir: string): ValidatorSource => {
  const { keystores, passwordFile } = flags;
  if (!keystores !== !passwordFile) fail("--keystores and --password-file go together");
  if (keystores && passwordFile) return { kind: "keystores", folder: keystores, passwordFile };
  return readValidatorSource(datadir) ?? fail(`${datadir} has no validator.json; give --keystores <folder>`);
};

export const signerCommand = (): Command =>
  new Command("signer")
    .description("guard validators' keys: sign for nodes that show its token, never what could be slashed")
    .requiredOption("--datadir <folder>", "folder with genesis.json and with what was signed", folder)
    .option("--genesis <file>", "genesis document to put into a new folder")
    .option("--keystores <folder>", "key files of the validators, instead of validator.json", folder)
    .option("--password-file <file>", "their password")
    .option("--token-file <file>", "what nodes have to show; made where it is missing (default: token in the folder)")
    .option("--new-protection", "its validators never signed on this chain: start without what they signed")
    .option("--host <host>", "address to listen on", host, "127.0.0.1")
    .option("--port <port>", "port; 0 lets the system choose", port, 9000)
    .option("--log-level <level>", "trace, debug, info, warn, error", "info")
    .action(async (flags: SignerFlags) => {
      const stopped = stopSignal();
      const datadir = resolve(flags.datadir);
      const lock = await lockFolder(datadir, "signer");
      if (flags.genesis) adoptGenesis(datadir, flags.genesis);
      const { genesis, genesisHash } = openGenesis(datadir);
      const log = createLog({ level: flags.logLevel });
      const protection = await openSlashingProtection(join(datadir, "slashing-protection"), genesisHash);
      const keys = await openKeys(sourceOf(flags, datadir));
      const addresses = keys.map(({ address }) => address);
      // It follows no chain; but a folder with its token was a signer's, and that one's records cannot all be gone.
      const ownToken = join(datadir, "token");
      const wasUsed = !flags.newProtection && existsSync(ownToken) && !addresses.some(protection.knows);
      await protection.begin(addresses, () => wasUsed);
      const tokenFile = flags.tokenFile ?? ownToken;
      const { secret, isNew } = readOrMakeSecret(
        tokenFile,
        () => randomBytes(32).toString("base64url"),
        REMEDIES.token,
      );
      if (isNew) print(`made a token, in ${tokenFile}: nodes need a copy`);
      if (!isLoopbackHost(flags.host)) log.warn("requests travel in clear: only behind TLS or in a private network");
      const server = createSignerServer({
        guard: createGuard({ keys, genesis, genesisHash, protection, now: Date.now }),
        genesisHash,
        token: secret,
        host: flags.host,
        port: flags.port,
        log,
      });
      const { port } = await listening(
        { host: flags.host, port: flags.port, hostOption: "--host", portOption: "--port" },
        server.start,
      );
      print(`signs for ${keys.length} validators at ${httpUrl(flags.host, port)}`);
      await stopped;
      await server.stop();
      await protection.close();
      await lock.release();
    });
