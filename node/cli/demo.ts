import { resolve } from "node:path";
import { Command } from "commander";
import { NRLC, rlc } from "../../lib/units.ts";
import { runDemo, seatsByWorker } from "../demo.ts";
import { stopping, stopSignal } from "../stop.ts";
import { untilAgreed } from "../testnet.ts";
import { folder } from "./options.ts";
import { print, printJson, short, table } from "./output.ts";
import { printTestnet, type TestnetFlags, testnetOptions, withTestnet } from "./testnet.ts";
import { powerTable } from "./validator.ts";

export const demoCommand = (): Command =>
  testnetOptions(new Command("demo"))
    .description("start a network, buy a real computation on it, show what happened (what npm start runs)")
    .option("--out <folder>", "where the results are written", folder, "rolec-output")
    .option("--exit", "stop after the tables instead of waiting for Ctrl-C")
    .option("--json", "print one JSON document instead of tables")
    .action(async (flags: TestnetFlags & { out: string; exit?: boolean; json?: boolean }) => {
      const stopped = stopSignal();
      const say = flags.json ? () => {} : print;
      const started = Date.now();
      say("Starting the network …");
      await withTestnet(flags, async (testnet) => {
        await untilAgreed(testnet, stopping);
        const firstFinalizedSeconds = (Date.now() - started) / 1000;
        if (!flags.json) printTestnet(testnet);
        say();
        say(`All validators agree on a final block, ${firstFinalizedSeconds.toFixed(1)} s after the command.`);
        say();
        const out = resolve(flags.out);
        const report = await Promise.race([runDemo(testnet, out, say), stopped]);
        if (!report) return;
        const { lots, costs, job, powerBefore, powerAfter } = report;
        if (flags.json) {
          printJson({
            chainId: testnet.chainId,
            rpcUrl: testnet.members[0]!.rpcUrl,
            app: report.app,
            dealid: job.dealid,
            tasks: { total: lots.reduce((sum, lot) => sum + lot.count, 0), completed: report.completed },
            firstFinalizedSeconds,
            jobSeconds: report.jobSeconds,
            costs,
            powerBefore,
            powerAfter,
            files: report.files,
            nodes: testnet.members.map(({ name, role, address, rpcUrl, log }) => ({
              name,
              role,
              address,
              rpcUrl,
              log,
            })),
          });
        } else {
          const sum = (pick: (cost: (typeof costs)[number]) => bigint) =>
            costs.reduce((total, cost) => total + pick(cost), 0n);
          print();
          print(
            table(
              ["lot", "block", "gas", "paid RLC", "burned RLC"],
              costs.map((cost) => [
                short(cost.lot),
                cost.block,
                cost.gasUsed,
                rlc(cost.paidNrlc * NRLC, 9),
                rlc(cost.burnedNrlc * NRLC, 9),
              ]),
            ),
          );
          print();
          print(
            `price of a task at most ${rlc(job.priceNrlc * NRLC, 9)} RLC; the job cost ${rlc(sum((cost) => cost.paidNrlc + cost.burnedNrlc) * NRLC, 9)} RLC for ${costs.reduce((total, cost) => total + cost.gasUsed, 0)} gas, in ${report.jobSeconds.toFixed(1)} s`,
          );
          print();
          print(
            table(
              ["worker", "for validator", "seats proved", "other seats"],
              seatsByWorker(lots).map((row) => [row.worker, row.validator, row.proved, row.other]),
            ),
          );
          print();
          print("Power before");
          print(powerTable(powerBefore));
          print();
          print("Power after: verified work counts");
          print(powerTable(powerAfter));
          print();
          print(`${report.files.length} files of results in ${out}`);
          if (!flags.exit) print(`The network runs on: RPC ${testnet.members[0]!.rpcUrl}. Ctrl-C stops it.`);
        }
        if (!flags.exit) await stopped;
      });
    });
