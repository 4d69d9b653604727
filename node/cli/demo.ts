import { Command } from "commander";
import { runTransfers } from "../demo.ts";
import { stopSignal } from "../stop.ts";
import { startTestnet, untilAgreed } from "../testnet.ts";
import { print, printJson, rlc, short, table } from "./output.ts";
import { printTestnet, type TestnetFlags, testnetOptions, toTestnetOptions } from "./testnet.ts";
import { type PowerRow, powerTable } from "./validator.ts";

const TRANSFERS = 20;

export const demoCommand = (): Command =>
  testnetOptions(new Command("demo"))
    .description("start a network, use it, show what happened (what npm start runs)")
    .option("--exit", "stop after the tables instead of waiting for Ctrl-C")
    .option("--json", "print one JSON document instead of tables")
    .action(async (flags: TestnetFlags & { exit?: boolean; json?: boolean }) => {
      const stopped = stopSignal();
      const say = flags.json ? () => {} : print;
      const started = Date.now();
      say("Starting the network …");
      const testnet = await startTestnet(toTestnetOptions(flags));
      try {
        await untilAgreed(testnet);
        const firstFinalizedSeconds = (Date.now() - started) / 1000;
        if (!flags.json) printTestnet(testnet);
        say();
        say(`All validators agree on a final block, ${firstFinalizedSeconds.toFixed(1)} s after the command.`);
        say(`Sending ${TRANSFERS} transfers over all of them …`);
        const from = Date.now();
        const transfers = await runTransfers(testnet, TRANSFERS, (mined, final) => {
          if (final) say("all final");
          else if (mined === TRANSFERS) say(`${mined} mined`);
        });
        const transferSeconds = (Date.now() - from) / 1000;
        const power = (await testnet.client.call("rolec_power", [])) as PowerRow[];
        const finality = await testnet.client.call("rolec_finality", []);
        if (flags.json) {
          printJson({
            chainId: testnet.chainId,
            rpcUrl: testnet.members[0]!.rpcUrl,
            firstFinalizedSeconds,
            transferSeconds,
            transfers,
            finality,
            power,
            nodes: testnet.members.map(({ name, role, address, rpcUrl, log }) => ({
              name,
              role,
              address,
              rpcUrl,
              log,
            })),
          });
        } else {
          print();
          print(
            table(
              ["transfer", "block", "gas", "fee RLC"],
              transfers.map((each) => [short(each.hash), each.block, each.gasUsed, rlc(each.fee, 9)]),
            ),
          );
          print();
          print(powerTable(power));
          print();
          print(`Mined and final after ${transferSeconds.toFixed(1)} s.`);
          if (!flags.exit) print(`The network runs on: RPC ${testnet.members[0]!.rpcUrl}. Ctrl-C stops it.`);
        }
        if (!flags.exit) await stopped;
      } finally {
        await testnet.stop();
      }
    });
