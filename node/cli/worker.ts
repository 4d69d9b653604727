import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { Command } from "commander";
import type { Address, Hex } from "../../lib/bytes.ts";
import { createLog } from "../../lib/log.ts";
import { addressOf, randomPrivateKey } from "../../lib/secp256k1.ts";
import { rpcClient } from "../../rpc/client.ts";
import { MARKET } from "../../vm/tables.ts";
import { makeFolder, readJson, writeSecret } from "../folder.ts";
import { marketFunction, view } from "../market-client.ts";
import { stopSignal } from "../stop.ts";
import { transact } from "../wallet.ts";
import { createWorker, type WorkerStatus } from "../worker/worker.ts";
import { address, DEFAULT_NODE, url, whole } from "./options.ts";
import { fail, print, printJson, rlc, table } from "./output.ts";

interface WorkerKey {
  readonly address: Address;
  readonly privateKey: Hex;
}

/** Reads the worker's key in a folder; makes one in a new folder. */
const workerKey = (datadir: string): WorkerKey => {
  const path = join(datadir, "worker.json");
  const found = readJson<WorkerKey>(path);
  if (found) return found;
  const privateKey = randomPrivateKey();
  const made = { address: addressOf(privateKey), privateKey };
  makeFolder(datadir);
  writeSecret(path, `${JSON.stringify(made, null, 2)}\n`);
  return made;
};

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

export const workerCommand = (): Command => {
  const command = new Command("worker").description("lend this machine: compute what the chain draws you for");
  command
    .command("start")
    .description("follow the chain through a node and compute")
    .requiredOption("--datadir <folder>", "folder of the worker; a key is made in a new one")
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .option("--jobs <n>", "lots computed at a time", whole(1, 256), Math.max(1, Math.floor(availableParallelism() / 2)))
    .action(async (flags: { datadir: string; node: string; jobs: number }) => {
      const stopped = stopSignal();
      const datadir = resolve(flags.datadir);
      const { privateKey } = workerKey(datadir);
      const worker = createWorker({ privateKey, node: flags.node, datadir, jobs: flags.jobs, log: createLog() });
      worker.start();
      print(`worker ${worker.address} on ${flags.node}`);
      await stopped;
      await worker.stop();
    });
  command
    .command("join")
    .description("take slots in the public pool; the worker's account pays their stake")
    .requiredOption("--datadir <folder>", "folder of the worker")
    .requiredOption("--validator <address>", "the validator that your verified work counts for", address)
    .option("--slots <n>", "slots", whole(1, 1024), 1)
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .action(async (flags: { datadir: string; validator: Address; slots: number; node: string }) => {
      const client = rpcClient(flags.node);
      const [pool] = await view(client, MARKET, marketFunction("genesisPool"));
      const [figures] = await view(client, MARKET, marketFunction("viewPool"), pool!);
      const stake = (figures as readonly bigint[])[6]! * 10n ** 9n * BigInt(flags.slots);
      const data = marketFunction("join").encode(pool!, flags.validator, BigInt(flags.slots));
      const { privateKey } = workerKey(resolve(flags.datadir));
      const receipt = await transact(client, privateKey, { to: MARKET, data, value: stake });
      print(
        `${flags.slots} slots for ${rlc(stake)} RLC, in block ${Number(receipt.blockNumber)}; they count two epochs later`,
      );
    });
  command
    .command("status")
    .description("show what a worker does")
    .requiredOption("--datadir <folder>", "folder of the worker")
    .option("--json", "print JSON")
    .action(async (flags: { datadir: string; json?: boolean }) => {
      const path = join(resolve(flags.datadir), "status.json");
      if (!existsSync(path)) fail(`${path} does not exist: the worker has not run in this folder`);
      const status = readJson<WorkerStatus>(path)!;
      const client = rpcClient(status.node);
      const running = isAlive(status.pid);
      const slots = await view(client, MARKET, marketFunction("slotsOf"), status.address).catch(() => undefined);
      const views = await Promise.all(
        ((slots?.[0] ?? []) as readonly bigint[]).map(
          async (id) => (await view(client, MARKET, marketFunction("viewSlot"), id))[0] as readonly unknown[],
        ),
      );
      const stake = views.reduce((sum, slot) => sum + (slot[6] as bigint), 0n);
      if (flags.json)
        return printJson({
          ...status,
          running,
          slots: slots ? views.length : null,
          stakeWei: slots ? stake : null,
        });
      print(
        table(
          ["worker", ""],
          [
            ["address", status.address],
            ["running", running ? `yes, process ${status.pid}, since ${status.startedAt}` : "no"],
            ["node", `${status.node}${slots ? `, block ${status.seenBlock}` : ", does not answer"}`],
            ["slots", slots ? `${views.length}, staking ${rlc(stake)} RLC` : "not known: the node does not answer"],
            ["seated in", `${status.seated.length} lots, computing ${status.computing.length}`],
            ["computed", `${status.computed} lots, declined ${status.declined}`],
            ["isolation", "a process a lot, Node's permission model, empty environment, lowest priority"],
            ["last error", status.lastError ?? "none"],
          ],
        ),
      );
    });
  return command;
};
