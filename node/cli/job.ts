import { resolve } from "node:path";
import { Command } from "commander";
import { type Address, type Hash, type Hex, isHex } from "../../lib/bytes.ts";
import { plainLine } from "../../lib/plain.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import { NRLC, rlc } from "../../lib/units.ts";
import { rpcClient } from "../../rpc/client.ts";
import { LOT_STATUS, SEAT } from "../../vm/market/lot.ts";
import { describeReceipt } from "../../vm/wasm/receipt.ts";
import { backingOf, backingWords, loneWarning } from "../backing.ts";
import { endingsOf, notOk, whyNothing } from "../endings.ts";
import { jobInputs } from "../job-inputs.ts";
import { costsOfDeal, dealsOf, fetchResults, lotsOfDeal, matchedDealsOf, outcomesOf, submitJob } from "../jobs.ts";
import { viewJob, viewJobs } from "../market-client.ts";
import { followJob } from "../progress.ts";
import { fetchScheduled, isScheduled, progressOf, type ScheduledTask, scheduledTasks } from "../scheduled-deals.ts";
import { address, DEFAULT_NODE, folder, JOB_GAS, privateKey, several, url, variables, whole } from "./options.ts";
import { fail, print, printJson, short, table } from "./output.ts";

const LOT_STATUS_NAMES = Object.keys(LOT_STATUS);
const SEAT_STATUS_NAMES = Object.keys(SEAT);

const TASK_STATUS_NAMES = ["waiting", "computing", "revealing", "completed", "failed"] as const;

/** Shows a deal whose workers its pool's owner asks. */
const describeScheduled = (tasks: readonly ScheduledTask[], isJson: boolean | undefined): void => {
  if (isJson) {
    printJson({ tasks: tasks.map(({ view, cid }) => ({ ...view, cid })) });
    return;
  }
  const rows = tasks.map(({ index, view: { status, contributors }, cid }) => [
    index,
    TASK_STATUS_NAMES[status] ?? status,
    contributors.map(short).join(", "),
    cid ?? "",
  ]);
  print(table(["task", "status", "contributors", "results"], rows));
};

const dealId = (text: string): Hash => {
  const lower = text.toLowerCase();
  return isHex(lower, 32) ? lower : fail(`"${text}" is no deal: 0x and 64 hex digits`);
};

interface RunFlags {
  input?: string[];
  keepUrls?: boolean;
  env?: Record<string, string>;
  args?: string;
  tasks: number;
  gas: number;
  trust: number;
  category?: number;
  key: Hex;
  node: string;
  wait: boolean;
  json?: boolean;
}

export const jobCommand = (): Command => {
  const command = new Command("job").description("buy computation and get its results. Inputs and results are public.");
  command
    .command("run")
    .description("submit a bag of tasks to the public pool, and follow it")
    .argument("<app>", "address of the app", address)
    .requiredOption("--key <key>", "private key that pays", privateKey)
    .option(
      "--input <file>",
      "a file, folder, URL or /ipfs/<cid> whose files each task has in /in, or <file>=/path (several may be given)",
      several,
    )
    .option("--keep-urls", "let each worker fetch the URLs: who gets other bytes than others declines")
    .option("--env <NAME=value>", "a variable of its environment (several may be given)", variables)
    .option("--args <text>", "arguments of the program, as in a shell")
    .option("--tasks <n>", "tasks in the bag", whole(1, 1_000_000), 1)
    .option(
      "--gas <n>",
      "gas limit of a task; rolec run tells what one takes",
      whole(1, Number.MAX_SAFE_INTEGER),
      JOB_GAS,
    )
    .option("--trust <n>", "a wrong result passes at most one time in so many", whole(1, 10_000), 4)
    .option("--category <n>", "category (default: the shortest with the gas)", whole(0, 1_000))
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .option("--no-wait", "do not follow the job")
    .option("--json", "print JSON")
    .action(async (app: Address, flags: RunFlags) => {
      const client = rpcClient(flags.node);
      const inputs = await jobInputs(flags.node, flags.input ?? [], { keepUrls: flags.keepUrls ?? false });
      const params = JSON.stringify({
        ...(flags.args ? { iexec_args: flags.args } : {}),
        ...(inputs.length > 0 ? { iexec_input_files: inputs } : {}),
        ...(flags.env ? { rolec_env: flags.env } : {}),
      });
      const job = await submitJob(client, flags.key, {
        app,
        params,
        tasks: flags.tasks,
        gasLimit: flags.gas,
        trust: flags.trust,
        ...(flags.category === undefined ? {} : { category: flags.category }),
      });
      if (!flags.json) {
        print(`deal ${job.dealid}`);
        print(`costs at most ${rlc(job.totalWei, 9)} RLC; what is not used stays yours, in the hub`);
        print("Ctrl-C leaves the job running.");
      }
      const lots = flags.wait ? await followJob(client, job.dealid, flags.json ? () => {} : print) : undefined;
      const endings = lots && (await endingsOf(client, flags.node, job.dealid, lots));
      if (flags.json) printJson({ ...job, ...(endings ? { endings } : {}) });
      else {
        for (const line of endings?.lines ?? []) print(line);
        print(`rolec job describe ${job.dealid}\nrolec job get ${job.dealid} --out results`);
      }
      if (endings && endings.failed > 0) process.exitCode = 1;
    });
  command
    .command("describe")
    .description("show a job: its lots, who computed, what it cost")
    .argument("<deal>", "deal", dealId)
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .option("--json", "print JSON")
    .action(async (dealid: Hash, flags: { node: string; json?: boolean }) => {
      const client = rpcClient(flags.node);
      if (await isScheduled(client, dealid)) return describeScheduled(await scheduledTasks(client, dealid), flags.json);
      const job = await viewJob(client, dealid);
      const lots = await lotsOfDeal(client, dealid);
      const costs = await costsOfDeal(client, dealid);
      const outcomes = await outcomesOf(client, dealid, lots);
      if (flags.json)
        return printJson({
          dealid,
          job,
          lots: lots.map((lot) => ({ ...lot, agreedBy: backingOf(lot) })),
          costs,
          outcomes,
        });
      const costOf = new Map(costs.map((cost) => [cost.lot, cost]));
      const receiptOf = new Map(outcomes.map(({ index, receipt }) => [index, receipt]));
      print(
        `deal ${dealid}: ${job.volume} tasks in ${job.lots} lots, ${job.completed} completed, ${job.failed} failed; ${notOk(outcomes)} tasks ended otherwise than OK`,
      );
      print();
      const rows = lots.map((lot) => {
        const cost = costOf.get(lot.id);
        const receipt = receiptOf.get(lot.first);
        return [
          `${lot.first}${lot.count > 1 ? `-${lot.first + lot.count - 1}` : ""}`,
          LOT_STATUS_NAMES[lot.status] ?? String(lot.status),
          backingWords(backingOf(lot)),
          lot.seats.map((seat) => `${short(seat.worker)} ${SEAT_STATUS_NAMES[seat.status] ?? seat.status}`).join(", "),
          cost ? cost.gasUsed : "",
          cost ? rlc((cost.burnedNrlc + cost.paidNrlc) * NRLC, 9) : "",
          receipt ? describeReceipt(receipt) : "",
        ];
      });
      print(table(["tasks", "status", "agreed by", "seats", "gas", "cost RLC", "outcome"], rows));
      const warning = loneWarning(lots);
      if (warning) print(warning);
    });
  command
    .command("list")
    .description("list the jobs of an account; completed is what workers agreed on, however the program ended")
    .option("--account <address>", "account", address)
    .option("--key <key>", "private key of the account", privateKey)
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .action(async (flags: { account?: Address; key?: Hex; node: string }) => {
      const account = flags.account ?? (flags.key ? addressOf(flags.key) : fail("--account or --key is needed"));
      const client = rpcClient(flags.node);
      const [deals, matched] = await Promise.all([dealsOf(client, account), matchedDealsOf(client, account)]);
      const jobs = await viewJobs(
        client,
        deals.map(({ dealid }) => dealid),
      );
      const rows: (string | number)[][] = deals.map(({ dealid, block }, i) => {
        const job = jobs[i]!;
        return [dealid, block, job.volume, job.lots, job.completed, job.failed];
      });
      for (const { dealid, block, botSize } of matched) {
        if (deals.some((deal) => deal.dealid === dealid)) continue;
        const tasks = await progressOf(client, dealid);
        rows.push([dealid, block, botSize, "-", tasks.completed, tasks.failed]);
      }
      rows.sort((a, b) => Number(b[1]) - Number(a[1]));
      print(table(["deal", "block", "tasks", "lots", "completed", "failed"], rows));
    });
  command
    .command("get")
    .description("get the results of a job, each under the hash that a quorum agreed on")
    .argument("<deal>", "deal", dealId)
    .requiredOption("--out <folder>", "where they are written", folder)
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .action(async (dealid: Hash, flags: { out: string; node: string }) => {
      const client = rpcClient(flags.node);
      const isAsked = await isScheduled(client, dealid);
      const fetch = isAsked ? fetchScheduled : fetchResults;
      const files = await fetch(client, flags.node, dealid, resolve(flags.out));
      if (files.length === 0 && isAsked) fail("no task of this deal has a result");
      if (files.length === 0) {
        const lots = await lotsOfDeal(client, dealid);
        fail(whyNothing(lots, await outcomesOf(client, dealid, lots)));
      }
      for (const file of files) print(plainLine(file));
    });
  return command;
};
