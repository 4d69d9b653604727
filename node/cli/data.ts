import { existsSync, statSync } from "node:fs";
import { basename, resolve } from "node:path";
import { Command } from "commander";
import { plainLine } from "../../lib/plain.ts";
import { type RpcClient, rpcClient } from "../../rpc/client.ts";
import { statData } from "../data-client.ts";
import { addPath, getPath } from "../data-files.ts";
import { DEFAULT_NODE, url, whole } from "./options.ts";
import { fail, print, printJson, progressLine, table } from "./output.ts";

interface Common {
  node: string;
  json?: boolean;
}
interface Kept extends Common {
  holder: string;
  for?: number;
}
interface Pins {
  readonly pins: readonly { cid: string; holder: string; until: number }[];
  readonly blocks: number;
  readonly pinnedBytes: number;
  readonly cachedBytes: number;
}

const HOLDER = "rpc";
const MIB = 1024 * 1024;
const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;
const untilOf = ({ for: seconds }: Kept): number =>
  seconds === undefined ? 0 : Math.floor(Date.now() / 1000) + seconds;
/** Takes a CID as it is, or as /ipfs/<cid>[/path]. */
const placeOf = (text: string): { cid: string; path: string } => {
  const [cid = "", ...path] = text.replace(/^(?:ipfs:\/\/|\/ipfs\/)/, "").split("/");
  return { cid, path: path.join("/") };
};

const common = (command: Command): Command =>
  command.option("--node <url>", "RPC of a node", url, DEFAULT_NODE).option("--json", "print JSON");
const keeping = (command: Command): Command =>
  common(command)
    .option("--holder <name>", "who keeps it: data stays while anyone does", HOLDER)
    .option("--for <seconds>", "keep it so long (default: until it is removed)", whole(1, 2 ** 32));

/** Asks a node for all that it keeps, page by page. */
const keptAt = async (client: RpcClient): Promise<Pins> => {
  let kept = (await client.call("rolec_pins", [])) as Pins;
  for (let got = kept.pins.length; got > 0; ) {
    const next = (await client.call("rolec_pins", [kept.pins.length])) as Pins;
    got = next.pins.length;
    kept = { ...next, pins: [...kept.pins, ...next.pins] };
  }
  return kept;
};

export const dataCommand = (): Command => {
  const command = new Command("data").description(
    "share files by their content. Whatever is added is PUBLIC: anyone who knows its CID can read it, for good.",
  );
  keeping(command.command("add"))
    .description("add a file, or a folder with all it holds, and print its CID. It is public from then on")
    .argument("<path>", "file or folder")
    .action(async (path: string, flags: Kept) => {
      if (!existsSync(path)) fail(`${path} does not exist`);
      const progress = progressLine("added");
      const cid = await addPath(flags.node, path, { holder: flags.holder, until: untilOf(flags) }, progress.show);
      progress.end();
      if (flags.json) return printJson({ cid, path: `/ipfs/${cid}` });
      print(cid);
      if (statSync(path).isFile())
        print(`as an input of a job: /ipfs/${cid}?filename=${encodeURIComponent(basename(resolve(path)))}`);
    });
  common(command.command("get"))
    .description("get a file, or a directory with all it holds")
    .argument("<cid>", "CID, or /ipfs/<cid>/<path>")
    .option("--out <path>", "file or folder that is written (default: named as the data)")
    .action(async (text: string, flags: Common & { out?: string }) => {
      const { cid, path } = placeOf(text);
      const out = resolve(flags.out ?? (basename(path) || cid));
      const progress = progressLine("got");
      const files = await getPath(flags.node, cid, path, out, progress.show);
      progress.end();
      if (flags.json) return printJson({ cid, files });
      print(plainLine(files.length === 1 ? files[0]! : `${files.length} files in ${out}`));
    });
  keeping(command.command("pin"))
    .description("fetch data from the network where it is not here, and keep it at the node")
    .argument("<cid>", "CID")
    .action(async (text: string, flags: Kept) => {
      const { cid } = placeOf(text);
      // Fetching can take long, which this request waits for.
      await statData(flags.node, cid);
      await rpcClient(flags.node).call("rolec_pin", [cid, flags.holder, untilOf(flags)]);
      if (flags.json) return printJson({ cid, holder: flags.holder });
      print(`kept for ${flags.holder}`);
    });
  common(command.command("ls"))
    .description("list what the node keeps, or what a directory holds")
    .argument("[cid]", "CID of a directory")
    .action(async (text: string | undefined, flags: Common) => {
      if (text !== undefined) {
        const { cid, path } = placeOf(text);
        const found = await statData(flags.node, cid, path);
        if (flags.json) return printJson(found);
        if (found.kind === "file") return print(`a file of ${found.size} bytes`);
        return print(
          table(
            ["bytes", "path"],
            found.entries.map((entry) => [entry.size, entry.kind === "directory" ? `${entry.path}/` : entry.path]),
          ),
        );
      }
      const kept = await keptAt(rpcClient(flags.node));
      if (flags.json) return printJson(kept);
      print(
        table(
          ["cid", "kept for", "until"],
          kept.pins.map(({ cid, holder, until }) => [
            cid,
            holder,
            until === 0 ? "removed" : new Date(until * 1000).toISOString(),
          ]),
        ),
      );
      print();
      print(`${mib(kept.pinnedBytes)} kept, ${mib(kept.cachedBytes)} passed on and kept while there is room`);
    });
  common(command.command("rm"))
    .description("no longer keep data at the node; other nodes may still have it")
    .argument("<cid>", "CID")
    .option("--holder <name>", "who kept it", HOLDER)
    .action(async (text: string, flags: Common & { holder: string }) => {
      const { cid } = placeOf(text);
      const client = rpcClient(flags.node);
      const { pins } = await keptAt(client);
      if (!pins.some((pin) => pin.cid === cid && pin.holder === flags.holder))
        fail(`${cid} is not kept for ${flags.holder}; rolec data ls shows what is`);
      await client.call("rolec_unpin", [cid, flags.holder]);
      if (flags.json) return printJson({ cid, holder: flags.holder });
      print("no longer kept; what others copied stays with them");
    });
  return command;
};
