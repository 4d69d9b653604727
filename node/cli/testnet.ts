import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { rlc } from "../../lib/units.ts";
import { stopping, stopSignal } from "../stop.ts";
import { startTestnet, type Testnet, type TestnetOptions, untilAgreed } from "../testnet.ts";
import {
  type AccessFlags,
  addressToListen,
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

/** Adds the options of a local network to a command. */
export const testnetOptions = (command: Command): Command =>
  diskOption(command)
    .option("--validators <n>", "validators, each a process of its own", whole(1, 16), 4)
    .option("--workers <n>", "workers, each on a validator's RPC", whole(0, 16), 4)
    .option("--slots <n>", "slots that each worker holds in the genesis pool", whole(1, 64), 8)
    .option("--miners <n>", "miners of work shares, each with one thread of the lowest priority", whole(0, 16), 0)
    .option("--accounts <n>", "funded accounts", whole(1, 100), 4)
    .option("--datadir <folder>", "folder of the network (default: a fresh one for temporary files)", folder)
    .option("--host <host>", "address that the RPCs listen on", host, "127.0.0.1")
    .option("--port <port>", "first RPC port; the next free ones follow", port, 8545)
    .addOption(rpcHostName())
    .addOption(rpcOrigin())
    .option("--p2p-host <address>", "address that p2p listens on", addressToListen, "127.0.0.1")
    .option("--p2p-port <port>", "first p2p port", port, 30303);

/** What testnetOptions yields. */
export interface TestnetFlags extends AccessFlags {
  validators: number;
  workers: number;
  slots: number;
  miners: number;
  accounts: number;
  datadir?: string;
  host: string;
  port: number;
  p2pHost: string;
  p2pPort: number;
  diskReserve: number;
}

const toTestnetOptions = (flags: TestnetFlags): TestnetOptions => {
  const datadir = flags.datadir ? resolve(flags.datadir) : mkdtempSync(join(tmpdir(), "rolec-testnet-"));
  checkReserve(datadir, flags.diskReserve);
  return {
    datadir,
    validators: flags.validators,
    workers: flags.workers,
    slotsPerWorker: flags.slots,
    miners: flags.miners,
    accounts: flags.accounts,
    rpcHost: flags.host,
    rpcPort: flags.port,
    hostNames: flags.rpcHostName,
    origins: flags.rpcOrigin,
    p2pHost: flags.p2pHost,
    p2pPort: flags.p2pPort,
    diskReserveMib: flags.diskReserve,
  };
};

/** Prints the network as one table, with its accounts and the warning that goes with them. */
export const printTestnet = (testnet: Testnet): void => {
  print(
    table(
      ["node", "role", "RPC", "log"],
      testnet.members.map((member) => [member.name, member.role, member.rpcUrl, member.log]),
    ),
  );
  print();
  print(`chain id ${testnet.chainId}, currency RLC (18 decimals)`);
  print();
  print("Funded accounts. Their keys are public: use them on this network alone.");
  print(
    table(
      ["address", "private key", "RLC"],
      testnet.accounts.map((account) => [account.address, account.privateKey, rlc(account.balance)]),
    ),
  );
};

/** Starts a network, does something with it, and stops it, whatever happens. A stop that was asked for is no error. */
export const withTestnet = async (flags: TestnetFlags, run: (testnet: Testnet) => Promise<void>): Promise<void> => {
  let testnet: Testnet | undefined;
  try {
    testnet = await startTestnet(toTestnetOptions(flags), stopping);
    await run(testnet);
  } catch (error) {
    if (!stopping.aborted) throw error;
  } finally {
    await testnet?.stop();
  }
};

export const testnetCommand = (): Command =>
  testnetOptions(new Command("testnet"))
    .description("start a network of validators and workers on this machine")
    .option("--json", "print one JSON document instead of tables")
    .action(async (flags: TestnetFlags & { json?: boolean }) => {
      const stopped = stopSignal();
      const started = Date.now();
      await withTestnet(flags, async (testnet) => {
        const finalized = await untilAgreed(testnet, stopping);
        const seconds = (Date.now() - started) / 1000;
        if (flags.json) {
          printJson({
            chainId: testnet.chainId,
            firstFinalizedSeconds: seconds,
            nodes: testnet.members.map(({ name, role, address, rpcUrl, log }) => ({
              name,
              role,
              address,
              rpcUrl,
              log,
            })),
            accounts: testnet.accounts,
          });
        } else {
          printTestnet(testnet);
          print();
          print(
            `All validators agree: block ${finalized} is final, ${seconds.toFixed(1)} s after the command. Ctrl-C stops the network.`,
          );
        }
        await stopped;
      });
    });
