import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { devGenesis } from "../../chain/genesis.ts";
import { endpoint } from "../../lib/endpoint.ts";
import { createLog } from "../../lib/log.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import { RLC, rlc } from "../../lib/units.ts";
import { LOCAL_ORIGINS } from "../../rpc/origins.ts";
import { devKey, genesisValidator, readJson, validatorKeys, writeNodeFolder } from "../folder.ts";
import { startNode } from "../node.ts";
import { REMEDIES } from "../remedies.ts";
import { started, stopSignal } from "../stop.ts";
import {
  type AccessFlags,
  checkReserve,
  diskOption,
  folder,
  host,
  port,
  rpcHostName,
  rpcOrigin,
  whole,
} from "./options.ts";
import { print, printJson, table } from "./output.ts";
import { serve } from "./serve.ts";

interface DevFlags extends AccessFlags {
  host: string;
  port: number;
  datadir?: string;
  accounts: number;
  stratum?: number;
  diskReserve: number;
  json?: boolean;
}

export const devCommand = (): Command =>
  diskOption(new Command("dev"))
    .description("start one node with one validator, timed blocks and funded accounts")
    .option("--host <host>", "address that the RPC and Stratum listen on", host, "127.0.0.1")
    .option("--port <port>", "RPC port; 0 lets the system choose", port, 8545)
    .addOption(rpcHostName())
    .addOption(rpcOrigin())
    .option("--datadir <folder>", "folder of the node (default: a fresh one for temporary files)", folder)
    .option("--accounts <n>", "funded accounts", whole(1, 100), 10)
    .option("--stratum <port>", "let miners connect by Stratum; 0 lets the system choose the port", port)
    .option("--json", "print one JSON document: rpcUrl, chainId, accounts")
    .action(async (flags: DevFlags) => {
      const stopped = stopSignal();
      const datadir = flags.datadir ? resolve(flags.datadir) : mkdtempSync(join(tmpdir(), "rolec-dev-"));
      checkReserve(datadir, flags.diskReserve);
      const keys = validatorKeys(devKey("validator", 0));
      const accounts = Array.from({ length: flags.accounts }, (_, i) => ({
        address: addressOf(devKey("account", i)),
        privateKey: devKey("account", i),
        balance: (10_000n * RLC).toString(),
      }));
      if (!readJson(join(datadir, "genesis.json"), REMEDIES.genesis)) {
        const genesis = devGenesis({
          genesisTime: Math.floor(Date.now() / 1000),
          validators: [genesisValidator(keys, 10_000n * RLC)],
          accounts: accounts.map(({ address, balance }) => ({ address, balance })),
          slots: [],
        });
        writeNodeFolder(datadir, genesis, keys);
      }
      const node = await started(
        startNode({
          datadir,
          rpc: {
            host: flags.host,
            port: flags.port,
            hostNames: flags.rpcHostName,
            origins: flags.rpcOrigin,
            openOrigins: LOCAL_ORIGINS,
          },
          stratum: flags.stratum === undefined ? undefined : { host: flags.host, port: flags.stratum },
          diskReserveMib: flags.diskReserve,
          log: createLog({ path: join(datadir, "node.log") }),
        }),
      );
      const { rpcUrl, stratumPort, chainId } = node;
      if (flags.json) printJson({ rpcUrl, stratumPort, chainId, accounts });
      else {
        print(
          table(
            ["address", "private key", "RLC"],
            accounts.map((each) => [each.address, each.privateKey, rlc(BigInt(each.balance))]),
          ),
        );
        print();
        print("Their keys are public: use them on this network alone.");
        if (stratumPort !== undefined) print(`Stratum ${endpoint(flags.host, stratumPort)}`);
        print(`chain id ${node.chainId}, RPC ${node.rpcUrl}, log ${join(datadir, "node.log")}. Ctrl-C stops.`);
      }
      await serve(node, stopped);
    });
