import { Command } from "commander";
import { blsProve, blsPublicKey } from "../../lib/bls.ts";
import type { Address, Hex } from "../../lib/bytes.ts";
import { fromHex } from "../../lib/bytes.ts";
import { rpcClient } from "../../rpc/client.ts";
import { encodeCall } from "../../vm/abi.ts";
import type { PowerRow } from "../demo.ts";
import { readJson, type ValidatorKeys, validatorKeys, writeSecret } from "../folder.ts";
import { transact } from "../wallet.ts";
import { DEFAULT_NODE, privateKey, url } from "./options.ts";
import { fail, parseRlc, print, printJson, rlc, table } from "./output.ts";

const VALIDATORS: Address = "0x0000000000000000000000000000000000001000";

/** Prints the power of each validator, each resource in percent of its sum. */
export const powerTable = (rows: readonly PowerRow[]): string => {
  const percent = (key: "work" | "contribution" | "stake" | "power") => {
    const sum = rows.reduce((total, row) => total + BigInt(row[key]), 0n);
    return (row: PowerRow) =>
      sum === 0n ? "0.00 %" : `${(Number((BigInt(row[key]) * 1_000_000n) / sum) / 10_000).toFixed(2)} %`;
  };
  const [work, contribution, power] = [percent("work"), percent("contribution"), percent("power")];
  return table(
    ["validator", "work", "contribution", "bond RLC", "power"],
    rows.map((row) => [row.validator, work(row), contribution(row), rlc(BigInt(row.stake), 2), power(row)]),
  );
};

export const validatorCommand = (): Command => {
  const command = new Command("validator").description("make validator keys, register, look at power");
  command
    .command("new")
    .description("make the keys of a validator")
    .requiredOption("--out <file>", "where they are written, readable by you alone")
    .action((flags: { out: string }) => {
      const keys = validatorKeys();
      writeSecret(flags.out, `${JSON.stringify(keys, null, 2)}\n`);
      print(`${keys.address}  ${flags.out}`);
    });
  command
    .command("register")
    .description("register a validator with a bond that its own account pays")
    .requiredOption("--keys <file>", "the file that `validator new` made")
    .requiredOption("--bond <rlc>", "bond in RLC", parseRlc)
    .option("--key <key>", "private key of another account that pays and owns the bond", privateKey)
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .action(async (flags: { keys: string; bond: bigint; key?: Hex; node: string }) => {
      const keys = readJson<ValidatorKeys>(flags.keys) ?? fail(`${flags.keys} does not exist`);
      const data = encodeCall("register(bytes,bytes,address)", [
        fromHex(blsPublicKey(keys.bls)),
        fromHex(blsProve(keys.bls)),
        keys.address,
      ]);
      const receipt = await transact(rpcClient(flags.node), keys.secp, { to: VALIDATORS, data, value: flags.bond });
      print(
        `${keys.address} registered in block ${Number(receipt.blockNumber)}; it has power two eras later, under finality`,
      );
    });
  command
    .command("list")
    .description("print the active validators and what their power comes from")
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .option("--json", "print JSON")
    .action(async (flags: { node: string; json?: boolean }) => {
      const rows = (await rpcClient(flags.node).call("rolec_power", [])) as PowerRow[];
      if (flags.json) printJson(rows);
      else print(powerTable(rows));
    });
  return command;
};
