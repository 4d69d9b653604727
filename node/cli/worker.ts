import { writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import type { Params } from "../../chain/params.ts";
import type { Address } from "../../lib/bytes.ts";
import { createLog } from "../../lib/log.ts";
import { NRLC, parseRlc, rlc } from "../../lib/units.ts";
import { rpcClient } from "../../rpc/client.ts";
import { HUB, MARKET } from "../../vm/addresses.ts";
import { makeFolder } from "../folder.ts";
import { lockFolder } from "../folder-lock.ts";
import { hubFunction, marketFunction, slotsOfWorker, view } from "../market-client.ts";
import { stopSignal } from "../stop.ts";
import { transact } from "../wallet.ts";
import { readEarnings } from "../worker/earnings.ts";
import { lossWords } from "../worker/losses.ts";
import { launchdService, systemdService } from "../worker/service.ts";
import { createWorker } from "../worker/worker.ts";
import { address, checkReserve, DEFAULT_NODE, diskOption, folder, url, whole } from "./options.ts";
import { fail, print, printJson, table } from "./output.ts";
import { type PolicyFlags, policyOf, policyOptions, readOrMakeWorkerKey, workerKey } from "./worker-options.ts";
import { readStatus, statusPage } from "./worker-status.ts";

const MAX_LEAVE = 256;
const WATCH_MS = 1_000;
/** Clears a terminal and goes to its first line. */
const CLEAR = "\x1b[2J\x1b[H";

interface StartFlags extends PolicyFlags {
  datadir: string;
  node: string;
  pool?: string;
  enclave: boolean;
  diskReserve: number;
}

const start = (command: Command): Command =>
  diskOption(policyOptions(command))
    .description("follow the chain through a node and compute, as far as the owner's policy allows")
    .requiredOption("--datadir <folder>", "folder of the worker; a key is made in a new one", folder)
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .option("--pool <url>", "compute for this scheduler too (rolec pool); tasks bind what lies in the hub", url)
    .option("--no-enclave", "let this worker's key sign where the scheduler's tasks ask for an enclave")
    .action(async (flags: StartFlags) => {
      const stopped = stopSignal();
      const datadir = resolve(flags.datadir);
      const policy = policyOf(flags, datadir);
      checkReserve(datadir, flags.diskReserve);
      const lock = await lockFolder(datadir, "worker start");
      const { privateKey } = readOrMakeWorkerKey(datadir);
      const pool = flags.pool === undefined ? undefined : { url: flags.pool, noEnclave: !flags.enclave };
      const worker = createWorker({
        privateKey,
        node: flags.node,
        datadir,
        policy,
        pool,
        diskReserveMib: flags.diskReserve,
        log: createLog(),
      });
      worker.start();
      print(`worker ${worker.address} on ${flags.node}`);
      const reason = await Promise.race([stopped, worker.ended]);
      if (reason) print(`ends: ${reason}`);
      await worker.stop();
      await lock.release();
    });

const joinPool = (command: Command): Command =>
  command
    .description("take slots in the public pool; the worker's account pays their stake")
    .requiredOption("--datadir <folder>", "folder of the worker", folder)
    .requiredOption("--validator <address>", "the validator that your verified work counts for", address)
    .option("--slots <n>", "slots", whole(1, 1024), 1)
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .action(async (flags: { datadir: string; validator: Address; slots: number; node: string }) => {
      const { privateKey } = workerKey(resolve(flags.datadir));
      const client = rpcClient(flags.node);
      const [pool] = await view(client, MARKET, marketFunction("genesisPool"));
      const [figures] = await view(client, MARKET, marketFunction("viewPool"), pool!);
      const { membershipEpochs } = ((await client.call("rolec_genesis", [])) as { params: Params }).params;
      const stake = (figures as readonly bigint[])[6]! * NRLC * BigInt(flags.slots);
      const data = marketFunction("join").encode(pool!, flags.validator, BigInt(flags.slots));
      const receipt = await transact(client, privateKey, { to: MARKET, data, value: stake });
      print(
        `${flags.slots} slots for ${rlc(stake)} RLC, in block ${Number(receipt.blockNumber)}; they count ${membershipEpochs} epochs later`,
      );
    });

const leave = (command: Command): Command =>
  command
    .description(
      "give all slots back; their stake comes home after `membershipEpochs` epochs, after the lots that they sit in, and of those that were absent of late 6 to 18 hours later",
    )
    .requiredOption("--datadir <folder>", "folder of the worker", folder)
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .action(async (flags: { datadir: string; node: string }) => {
      const client = rpcClient(flags.node);
      const { privateKey, address: worker } = workerKey(resolve(flags.datadir));
      const slots = await slotsOfWorker(client, worker);
      const ids = slots.filter(({ isLeaving }) => !isLeaving).map(({ id }) => id);
      if (ids.length === 0)
        fail(slots.length === 0 ? "the worker has no slots" : "all slots of the worker leave already");
      for (let at = 0; at < ids.length; at += MAX_LEAVE)
        await transact(client, privateKey, {
          to: MARKET,
          data: marketFunction("leave").encode(ids.slice(at, at + MAX_LEAVE)),
        });
      print(`${ids.length} slots leave. Keep the worker running until they are gone: a seat that is silent is fined.`);
    });

const status = (command: Command): Command =>
  command
    .description("show what a worker does")
    .requiredOption("--datadir <folder>", "folder of the worker", folder)
    .option("--watch", "show it again and again, until Ctrl-C")
    .option("--json", "print JSON")
    .action(async (flags: { datadir: string; watch?: boolean; json?: boolean }) => {
      const datadir = resolve(flags.datadir);
      const show = async (): Promise<void> => {
        const now = await readStatus(datadir);
        if (flags.json) printJson(now);
        else {
          if (flags.watch && process.stdout.isTTY) process.stdout.write(CLEAR);
          print(statusPage(now));
        }
      };
      await show();
      if (!flags.watch) return;
      const ended = new AbortController();
      void stopSignal().then(() => ended.abort());
      while (!ended.signal.aborted) {
        await sleep(WATCH_MS, undefined, { signal: ended.signal }).catch(() => undefined);
        if (!ended.signal.aborted) await show();
      }
    });

interface MoneyFlags {
  datadir: string;
  node: string;
  json?: boolean;
  to?: Address;
  amount?: string;
}
const money = (command: Command): Command =>
  command
    .requiredOption("--datadir <folder>", "folder of the worker", folder)
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .option("--json", "print JSON");

const earnings = (command: Command): Command =>
  money(command)
    .description("show what a worker has earned, and where it is")
    .action(async (flags: MoneyFlags) => {
      const datadir = resolve(flags.datadir);
      const { address: worker } = workerKey(datadir);
      const found = await readEarnings(rpcClient(flags.node), worker, join(datadir, "earnings.json"));
      if (flags.json) return printJson(found);
      print(
        table(
          ["what", "RLC"],
          [
            [`earned by ${found.lots} lots, through final block ${found.throughBlock}`, rlc(found.earnedWei, 9)],
            ["lost by its slots", rlc(found.lostWei, 9)],
            ["in the hub: rolec worker withdraw", rlc(found.withdrawableWei, 9)],
            ["on the worker's account", rlc(found.balanceWei, 9)],
            [`staked in ${found.slots} slots`, rlc(found.stakedWei, 9)],
          ],
        ),
      );
      for (const loss of found.losses) print(lossWords(loss));
    });

const withdraw = (command: Command): Command =>
  money(command)
    .description("pay what a worker has earned out of the hub")
    .option("--to <address>", "who gets it (default: the worker's account)", address)
    .option("--amount <RLC>", "how much (default: all)")
    .action(async (flags: MoneyFlags) => {
      const client = rpcClient(flags.node);
      const { address: worker, privateKey } = workerKey(resolve(flags.datadir));
      const [account] = await view(client, HUB, hubFunction("viewAccount"), worker);
      const free = (account as readonly bigint[])[0]!;
      const amount = flags.amount === undefined ? free : parseRlc(flags.amount) / NRLC;
      if (amount === 0n || amount > free) fail(`${rlc(free * NRLC, 9)} RLC are in the hub`);
      // The account may hold nothing but this: who earned without ever having had RLC has no other way to pay for gas.
      const balance = BigInt((await client.call("eth_getBalance", [worker, "latest"])) as string);
      if (balance === 0n) fail(`${worker} has no RLC to pay the transaction; send it a little first`);
      const data = flags.to
        ? hubFunction("withdrawTo").encode(amount, flags.to)
        : hubFunction("withdraw").encode(amount);
      const receipt = await transact(client, privateKey, { to: HUB, data });
      const paid = { to: flags.to ?? worker, amountWei: amount * NRLC, transaction: receipt.transactionHash };
      if (flags.json) return printJson(paid);
      print(`${rlc(paid.amountWei, 9)} RLC to ${paid.to}, in block ${Number(receipt.blockNumber)}`);
    });

const installService = (command: Command): Command =>
  command
    .description("print a service that runs the worker from login on (systemd, launchd), or write it")
    .requiredOption("--datadir <folder>", "folder of the worker", folder)
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .option("--launchd", "for macOS (default: by this system)", process.platform === "darwin")
    .option("--write", "write it to where the system looks for it")
    .action((flags: { datadir: string; node: string; launchd: boolean; write?: boolean }) => {
      const folder = resolve(flags.datadir);
      const main = fileURLToPath(new URL(`./main${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url));
      const program = [process.execPath, main, "worker", "start", "--datadir", folder, "--node", flags.node];
      const service = (flags.launchd ? launchdService : systemdService)({ command: program, folder });
      if (!flags.write) {
        print(service.text);
        print(`# Put it into ${service.path}, or give --write. Then:`);
      } else {
        // A service whose folder is missing does not start, and so could not make it.
        makeFolder(folder);
        makeFolder(dirname(service.path));
        writeFileSync(service.path, service.text);
        print(`${service.path} is written. The owner's policy is ${join(folder, "policy.json")}. Now:`);
      }
      for (const line of service.enable) print(flags.write ? line : `# ${line}`);
    });

export const workerCommand = (): Command => {
  const command = new Command("worker").description("lend this machine: compute what the chain draws you for");
  const parts = { start, join: joinPool, leave, status, earnings, withdraw, "install-service": installService };
  for (const [name, build] of Object.entries(parts)) build(command.command(name));
  return command;
};
