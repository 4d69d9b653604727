import { availableParallelism, freemem, setPriority } from "node:os";
import { Command, InvalidArgumentError } from "commander";
import { endpoint } from "../../lib/endpoint.ts";
import { createTroubles, type Subject } from "../../lib/trouble.ts";
import { rpcClient } from "../../rpc/client.ts";
import { startMiner } from "../miner/miner.ts";
import { rpcSource, sizesOf } from "../miner/rpc-source.ts";
import { stratumSource } from "../miner/stratum-source.ts";
import { stopSignal } from "../stop.ts";
import { DEFAULT_NODE, url, whole } from "./options.ts";
import { print } from "./output.ts";

const MIB = 2 ** 20;
const REPORT_MS = 10_000;
const LOWEST_PRIORITY = 19;
const WORK: Subject = { fails: "no work", works: "there is work again" };

const server = (text: string): { host: string; port: number } => {
  const parts = /^(?:stratum\+tcp:\/\/)?([^\s:/]+|\[[0-9a-fA-F:]+\]):(\d{1,5})$/.exec(text);
  const port = Number(parts?.[2]);
  if (!parts || port < 1 || port > 65_535)
    throw new InvalidArgumentError("a host and a port are expected, like 127.0.0.1:3333");
  return { host: parts[1]!.replace(/^\[|\]$/g, ""), port };
};

interface MinerFlags {
  rpc?: string;
  stratum?: { host: string; port: number };
  user: string;
  threads: number;
  memory: number;
}

const NO_SIZES =
  "Stratum tells no sizes of the dataset: Ethereum's are taken (1 GiB and more). Where the chain has others every share is refused: give --rpc <url> of a node of it too";

export const minerCommand = (): Command =>
  new Command("miner")
    .description("mine work shares with this machine's processors, by a node's RPC or by Stratum")
    .option("--rpc <url>", `node that gives work (default: ${DEFAULT_NODE}); beside --stratum: that tells sizes`, url)
    .option("--stratum <host:port>", "take work by EthereumStratum/1.0.0 instead", server)
    .option("--user <name>", "name for Stratum; a validator's address works for that validator", "rolec")
    .option("--threads <n>", "threads that search", whole(1, 128), Math.max(1, availableParallelism() - 1))
    .option(
      "--memory <MiB>",
      "memory for the dataset; where it does not fit, mining is by the cache, some hundred times slower",
      whole(1, 65_536),
      Math.max(64, Math.floor(freemem() / MIB / 2)),
    )
    .action(async (flags: MinerFlags) => {
      const stopped = stopSignal();
      // Threads begin with the priority of the one that starts them.
      setPriority(LOWEST_PRIORITY);
      const troubles = createTroubles({ log: { warn: (_, line) => print(line), info: print } });
      const onTrouble = (reason: string): void => void troubles.fails(WORK, new Error(reason));
      const onWork = (): void => troubles.works(WORK);
      const client = rpcClient(flags.rpc ?? DEFAULT_NODE);
      const { stratum, user } = flags;
      const sizes = flags.rpc ? (epoch: number) => sizesOf(client, epoch) : undefined;
      const source = stratum
        ? stratumSource({ ...stratum, user, sizes, onTrouble, onWork })
        : rpcSource(client, onTrouble, onWork);
      const from = stratum ? endpoint(stratum.host, stratum.port) : (flags.rpc ?? DEFAULT_NODE);
      print(`mining with ${flags.threads} thread${flags.threads === 1 ? "" : "s"} for ${from}. Ctrl-C stops.`);
      if (stratum && !sizes) print(NO_SIZES);
      const miner = startMiner({
        source,
        threads: flags.threads,
        memoryBytes: flags.memory * MIB,
        say: print,
        troubles,
        reportMs: REPORT_MS,
      });
      const failure = await Promise.race([stopped, miner.failed]);
      await miner.stop();
      const { hashes, accepted, refused } = miner.stats;
      print(`${hashes} hashes, ${accepted} shares accepted, ${refused} refused`);
      if (failure instanceof Error) throw failure;
    });
