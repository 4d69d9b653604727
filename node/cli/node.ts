import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command } from "commander";
import type { Hex } from "../../lib/bytes.ts";
import { endpoint, tcpMultiaddr } from "../../lib/endpoint.ts";
import { createLog } from "../../lib/log.ts";
import { adoptGenesis } from "../genesis-file.ts";
import { startNode } from "../node.ts";
import { started, stopSignal } from "../stop.ts";
import type { ValidatorSource } from "../validator-source.ts";
import {
  type AccessFlags,
  address,
  addressesToListen,
  checkReserve,
  diskOption,
  folder,
  host,
  multiaddrs,
  port,
  rpcHostName,
  rpcOrigin,
  url,
  whole,
} from "./options.ts";
import { fail, print } from "./output.ts";
import { serve } from "./serve.ts";

interface NodeFlags extends AccessFlags {
  datadir: string;
  genesis?: string;
  host: string;
  port: number;
  p2pHost?: string[];
  p2pPort: number;
  bootstrap?: string[];
  stratum?: number;
  stratumHost: string;
  beneficiary?: Hex;
  announce?: string[];
  dataCache: number;
  dataPinned: number;
  dataOutputs?: number;
  diskReserve: number;
  keystores?: string;
  passwordFile?: string;
  remoteSigner?: string;
  tokenFile?: string;
  doppelgangerEpochs: number;
  newProtection?: boolean;
  logLevel: string;
}

const MIB = 1024 * 1024;

/** Where the flags say that the keys are; undefined: what validator.json says. */
const sourceOf = ({ keystores, passwordFile, remoteSigner, tokenFile }: NodeFlags): ValidatorSource | undefined => {
  if (!keystores !== !passwordFile) fail("--keystores and --password-file go together");
  if (!remoteSigner !== !tokenFile) fail("--remote-signer and --token-file go together");
  if (keystores && remoteSigner) fail("give --keystores or --remote-signer, not both");
  if (remoteSigner && tokenFile) return { kind: "remote", url: remoteSigner, tokenFile };
  return keystores && passwordFile ? { kind: "keystores", folder: keystores, passwordFile } : undefined;
};

export const nodeCommand = (): Command =>
  diskOption(new Command("node"))
    .description("start a node from its folder; it validates where the folder holds validator.json")
    .requiredOption("--datadir <folder>", "folder with genesis.json", folder)
    .option("--genesis <file>", "genesis document to put into a new folder")
    .option("--host <host>", "address that the RPC listens on, like ::1 or 0.0.0.0", host, "127.0.0.1")
    .option("--port <port>", "RPC port; 0 lets the system choose", port, 8545)
    .addOption(rpcHostName())
    .addOption(rpcOrigin())
    .option(
      "--p2p-host <address...>",
      "address that p2p listens on, like 0.0.0.0; :: is of IPv6 alone (several may be given; default: 127.0.0.1)",
      addressesToListen,
    )
    .option("--p2p-port <port>", "p2p port; 0 lets the system choose", port, 30303)
    .option("--bootstrap <multiaddr...>", "a node to connect to (several may be given)", multiaddrs)
    .option("--stratum <port>", "let miners connect by Stratum; 0 lets the system choose the port", port)
    .option("--stratum-host <host>", "address that Stratum listens on", host, "127.0.0.1")
    .option("--beneficiary <address>", "validator that miners work for (default: this node's own)", address)
    .option("--announce <multiaddr...>", "an address at which others reach this node, e.g. a router's", multiaddrs)
    .option("--data-cache <MiB>", "data that is passed on, the longest unused goes first", whole(0, 2 ** 30), 512)
    .option("--data-pinned <MiB>", "data that is kept for its holders, at most", whole(0, 2 ** 30), 16_384)
    .option("--data-outputs <MiB>", "of that, results of tasks; three quarters when left out", whole(0, 2 ** 30))
    .option(
      "--keystores <folder>",
      "key files of the validators that this node works for, instead of validator.json",
      folder,
    )
    .option("--password-file <file>", "their password")
    .option("--remote-signer <url>", "or the `rolec signer` that has the keys", url)
    .option("--token-file <file>", "its token")
    .option(
      "--doppelganger-epochs <n>",
      "epochs to listen, before signing, for another program that signs with the same keys; 0: none",
      whole(0, 1_000),
      8,
    )
    .option("--new-protection", "its validators never signed on this chain: start without what they signed")
    .option("--log-level <level>", "trace, debug, info, warn, error", "info")
    .action(async (flags: NodeFlags) => {
      const stopped = stopSignal();
      const datadir = resolve(flags.datadir);
      const genesis = join(datadir, "genesis.json");
      if (flags.genesis) adoptGenesis(datadir, flags.genesis);
      if (!existsSync(genesis)) fail(`${genesis} does not exist; give --genesis <file> for a new folder`);
      checkReserve(datadir, flags.diskReserve);
      const node = await started(
        startNode({
          datadir,
          validators: sourceOf(flags),
          doppelgangerEpochs: flags.doppelgangerEpochs,
          newProtection: flags.newProtection,
          rpc: { host: flags.host, port: flags.port, hostNames: flags.rpcHostName, origins: flags.rpcOrigin },
          p2p: {
            listen: (flags.p2pHost ?? ["127.0.0.1"]).map((address) => tcpMultiaddr(address, flags.p2pPort)),
            bootstrap: flags.bootstrap ?? [],
            announce: flags.announce ?? [],
          },
          data: {
            cacheBytes: flags.dataCache * MIB,
            pinnedBytes: flags.dataPinned * MIB,
            ...(flags.dataOutputs === undefined ? {} : { outputBytes: flags.dataOutputs * MIB }),
          },
          diskReserveMib: flags.diskReserve,
          stratum: flags.stratum === undefined ? undefined : { host: flags.stratumHost, port: flags.stratum },
          beneficiary: flags.beneficiary,
          log: createLog({ level: flags.logLevel }),
        }),
      );
      print(`RPC ${node.rpcUrl}`);
      if (node.stratumPort !== undefined) print(`Stratum ${endpoint(flags.stratumHost, node.stratumPort)}`);
      await serve(node, stopped);
    });
