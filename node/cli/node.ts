import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { canonicalJson, readGenesis } from "../../chain/genesis.ts";
import type { Hex } from "../../lib/bytes.ts";
import { createLog } from "../../lib/log.ts";
import { readJson, writeNodeFolder } from "../folder.ts";
import { startNode } from "../node.ts";
import { started, stopSignal } from "../stop.ts";
import { address, checkMultiaddr, port, several, whole } from "./options.ts";
import { fail, print } from "./output.ts";
import { serve } from "./serve.ts";

interface NodeFlags {
  datadir: string;
  genesis?: string;
  host: string;
  port: number;
  p2pHost: string;
  p2pPort: number;
  bootstrap?: string[];
  stratum?: number;
  stratumHost: string;
  beneficiary?: Hex;
  announce?: string[];
  dataCache: number;
  dataPinned: number;
  logLevel: string;
}

const MIB = 1024 * 1024;

/** Puts a genesis document into a new folder, once it is known to be possible. Refuses a folder of another network. */
const takeGenesis = (datadir: string, file: string): void => {
  const given = readJson(file) ?? fail(`${file} does not exist`);
  readGenesis(given);
  const kept = join(datadir, "genesis.json");
  const own = readJson(kept);
  if (own === undefined) writeNodeFolder(datadir, given);
  else if (canonicalJson(own) !== canonicalJson(given))
    fail(`${kept} differs from ${file}: the folder is of another network; give another --datadir, or no --genesis`);
};

export const nodeCommand = (): Command =>
  new Command("node")
    .description("start a node from its folder; it validates where the folder holds validator.json")
    .requiredOption("--datadir <folder>", "folder with genesis.json")
    .option("--genesis <file>", "genesis document to put into a new folder")
    .option("--host <host>", "address that the RPC listens on", "127.0.0.1")
    .option("--port <port>", "RPC port; 0 lets the system choose", port, 8545)
    .option("--p2p-host <host>", "address that p2p listens on", "127.0.0.1")
    .option("--p2p-port <port>", "p2p port; 0 lets the system choose", port, 30303)
    .option("--bootstrap <multiaddr>", "a node to connect to (several may be given)", several)
    .option("--stratum <port>", "let miners connect by Stratum; 0 lets the system choose the port", port)
    .option("--stratum-host <host>", "address that Stratum listens on", "127.0.0.1")
    .option("--beneficiary <address>", "validator that miners work for (default: this node's own)", address)
    .option("--announce <multiaddr>", "an address at which others reach this node, e.g. a router's", several)
    .option("--data-cache <MiB>", "data that is passed on, the longest unused goes first", whole(0, 2 ** 30), 512)
    .option("--data-pinned <MiB>", "data that is kept for its holders, at most", whole(0, 2 ** 30), 16_384)
    .option("--log-level <level>", "trace, debug, info, warn, error", "info")
    .action(async (flags: NodeFlags) => {
      const stopped = stopSignal();
      const datadir = resolve(flags.datadir);
      const genesis = join(datadir, "genesis.json");
      for (const each of flags.bootstrap ?? []) checkMultiaddr(each);
      if (flags.genesis) takeGenesis(datadir, flags.genesis);
      if (!existsSync(genesis)) fail(`${genesis} does not exist; give --genesis <file> for a new folder`);
      const node = await started(
        startNode({
          datadir,
          rpc: { host: flags.host, port: flags.port },
          p2p: {
            listen: [`/ip4/${flags.p2pHost}/tcp/${flags.p2pPort}`],
            bootstrap: flags.bootstrap ?? [],
            announce: flags.announce ?? [],
          },
          data: { cacheBytes: flags.dataCache * MIB, pinnedBytes: flags.dataPinned * MIB },
          stratum: flags.stratum === undefined ? undefined : { host: flags.stratumHost, port: flags.stratum },
          beneficiary: flags.beneficiary,
          log: createLog({ level: flags.logLevel }),
        }),
      );
      print(`RPC ${node.rpcUrl}`);
      if (node.stratumPort !== undefined) print(`Stratum ${flags.stratumHost}:${node.stratumPort}`);
      await serve(node, stopped);
    });
