import { join, resolve } from "node:path";
import { Command } from "commander";
import type { Address, Hex } from "../../lib/bytes.ts";
import { httpUrl, isLoopbackHost } from "../../lib/endpoint.ts";
import { createLog } from "../../lib/log.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import { NRLC, parseRlc } from "../../lib/units.ts";
import { rpcClient } from "../../rpc/client.ts";
import { functionsOf, WORKERPOOL_ABI } from "../../vm/market/abi.ts";
import { readJson } from "../folder.ts";
import { lockFolder } from "../folder-lock.ts";
import { view, viewCategory } from "../market-client.ts";
import { withOrder } from "../orders.ts";
import { createPool, signPoolOrder } from "../pool/owner.ts";
import { createScheduler, NO_ENCLAVE, type SchedulerStatus } from "../pool/scheduler.ts";
import { createPoolServer } from "../pool/server.ts";
import { listening } from "../ports.ts";
import { REMEDIES } from "../remedies.ts";
import { stopSignal } from "../stop.ts";
import { address, amount, DEFAULT_NODE, folder, host, port, privateKey, url, whole } from "./options.ts";
import { fail, print, printJson, table } from "./output.ts";

/** A scheduler that has written nothing for so long does not run. */
const SILENT_MS = 30_000;
const addresses = (value: string, before: Address[] = []): Address[] => [...before, address(value)];

const create = (command: Command): Command =>
  command
    .description("deploy a pool whose tasks you schedule")
    .argument("<description>", "what people read")
    .requiredOption("--key <key>", "private key of the owner", privateKey)
    .option("--stake <percent>", "of a task's price, bound by each worker", whole(0, 1_000_000), 30)
    .option("--keep <percent>", "of a task's price, yours", whole(0, 100), 10)
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .option("--json", "print JSON")
    .action(
      async (description: string, flags: { key: Hex; stake: number; keep: number; node: string; json?: boolean }) => {
        const terms = { stakePercent: BigInt(flags.stake), ownerPercent: BigInt(flags.keep) };
        const pool = await createPool(rpcClient(flags.node), flags.key, description, terms);
        if (flags.json) printJson({ pool, owner: addressOf(flags.key) });
        else print(`pool ${pool}\nThe owner binds 30 % of a task's price too: rolec account deposit`);
      },
    );

interface OrderFlags {
  key: Hex;
  price: bigint;
  volume: number;
  category: number;
  trust: number;
  tee?: boolean;
  node: string;
}
const order = (command: Command): Command =>
  command
    .description("sign an order of your pool, and print it as orders.json of iExec's tools has it")
    .argument("<pool>", "the pool", address)
    .requiredOption("--key <key>", "private key of the owner", privateKey)
    .addOption(amount("--price <rlc>", "of a task, in RLC with at most 9 decimals", parseRlc))
    .option("--volume <n>", "tasks", whole(1, Number.MAX_SAFE_INTEGER), 1)
    .option("--category <n>", "category", whole(0, Number.MAX_SAFE_INTEGER), 0)
    .option("--trust <n>", "the most that a deal may ask for", whole(0, Number.MAX_SAFE_INTEGER), 1)
    .option("--tee", "with the tag of an enclave, which iExec's tools from 9 on put on every order")
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .action(async (pool: Address, flags: OrderFlags) => {
      const client = rpcClient(flags.node);
      await viewCategory(client, BigInt(flags.category));
      const chainId = Number(await client.call("eth_chainId", []));
      const signed = signPoolOrder(chainId, flags.key, {
        pool,
        priceNrlc: flags.price / NRLC,
        volume: BigInt(flags.volume),
        category: BigInt(flags.category),
        // An enclave of the framework Scone: the bits that iExec's tools write.
        tag: flags.tee ? 3n : 0n,
        trust: BigInt(flags.trust),
      });
      printJson(withOrder({}, chainId, { kind: "workerpool", order: signed }));
    });

interface StartFlags {
  key: Hex;
  datadir: string;
  node: string;
  host: string;
  port: number;
  worker?: Address[];
  enclave: boolean;
}

const start = (command: Command): Command =>
  command
    .description("schedule a pool's tasks: initialize, authorize workers, finalize, claim")
    .argument("<pool>", "the pool", address)
    .requiredOption("--key <key>", "private key of the owner", privateKey)
    .requiredOption("--datadir <folder>", "folder of the scheduler", folder)
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .option("--host <host>", "address that workers ask", host, "127.0.0.1")
    .option("--port <port>", "port; 0 lets the system choose", port, 9545)
    .option("--worker <address...>", "let in this worker alone (several may be given)", addresses)
    .option("--no-enclave", "do tasks that ask for an enclave without one: the workers' keys sign in its place")
    .action(async (pool: Address, flags: StartFlags) => {
      const stopped = stopSignal();
      const datadir = resolve(flags.datadir);
      const lock = await lockFolder(datadir, "pool start");
      const log = createLog();
      const owner = addressOf(flags.key);
      const [owns] = await view(rpcClient(flags.node), pool, functionsOf(WORKERPOOL_ABI)("owner")).catch(() => [
        undefined,
      ]);
      if (owns !== owner) fail(`${owner} does not own pool ${pool}`);
      if (!isLoopbackHost(flags.host))
        log.warn("workers' messages travel in clear: only behind TLS or in a private network");
      const scheduler = createScheduler({
        privateKey: flags.key,
        pool,
        node: flags.node,
        datadir,
        workers: flags.worker ?? [],
        noEnclave: !flags.enclave,
        log,
      });
      const server = createPoolServer({ scheduler, host: flags.host, port: flags.port, log });
      const { port } = await listening(
        { host: flags.host, port: flags.port, hostOption: "--host", portOption: "--port" },
        server.start,
      );
      scheduler.start();
      print(`schedules pool ${pool} at ${httpUrl(flags.host, port)}${flags.enclave ? "" : ` (${NO_ENCLAVE})`}`);
      await stopped;
      await server.stop();
      await scheduler.stop();
      await lock.release();
    });

const status = (command: Command): Command =>
  command
    .description("show what a scheduler does")
    .requiredOption("--datadir <folder>", "folder of the scheduler", folder)
    .option("--json", "print JSON")
    .action((flags: { datadir: string; json?: boolean }) => {
      const path = join(resolve(flags.datadir), "status.json");
      const now =
        readJson<SchedulerStatus>(path, REMEDIES.note) ??
        fail(`${path} does not exist: no scheduler has run in this folder`);
      const isSilent = Date.now() - Date.parse(now.writtenAt) > SILENT_MS;
      if (flags.json) return printJson({ ...now, silent: isSilent });
      print(
        table(
          ["scheduler", isSilent ? "stopped, or silent for half a minute" : "works"],
          [
            ["pool", now.pool],
            ["owner", now.owner],
            ["node", `${now.node}, block ${now.seenBlock}`],
            ["workers", `${now.workers}`],
            ["under way", `${now.tasks} tasks of ${now.deals} deals`],
            ["over", `${now.completed} completed, ${now.failed} failed`],
            ["enclave", now.enclave],
            ["last error", now.lastError ?? "none"],
          ],
        ),
      );
    });

export const poolCommand = (): Command => {
  const command = new Command("pool").description("own a pool and schedule its tasks, as iExec's schedulers do");
  create(command.command("create"));
  order(command.command("order"));
  start(command.command("start"));
  status(command.command("status"));
  return command;
};
