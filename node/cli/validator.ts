import { Command } from "commander";
import { blsProve, blsPublicKey } from "../../lib/bls.ts";
import type { Address, Hex } from "../../lib/bytes.ts";
import { fromHex } from "../../lib/bytes.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import { parseRlc, rlc } from "../../lib/units.ts";
import { rpcClient } from "../../rpc/client.ts";
import { encodeCall } from "../../vm/abi.ts";
import type { PowerRow } from "../demo.ts";
import { readGivenJson, type ValidatorKeys, validatorKeys, writeNewSecret } from "../folder.ts";
import { openKeystores, readSecretFile } from "../validator-keystores.ts";
import { readPlainKeys } from "../validator-source.ts";
import { feesNow, transact } from "../wallet.ts";
import { address, DEFAULT_NODE, folder, privateKey, url } from "./options.ts";
import { fail, print, printJson, table } from "./output.ts";
import { keysCommand } from "./validator-keys.ts";
import { protectionCommand } from "./validator-protection.ts";

const VALIDATORS: Address = "0x0000000000000000000000000000000000001000";

/** More gas than to register takes; what is left stays with the validator's account. */
const REGISTER_GAS = 6_000_000n;

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

interface RegisterFlags {
  keys?: string;
  keystores?: string;
  passwordFile?: string;
  validator?: Address;
  bond: bigint;
  key?: Hex;
  node: string;
}

/** The keys to register: those of a plain file, or a validator's in a folder of key files. */
const keysToRegister = async ({ keys, keystores, passwordFile, validator }: RegisterFlags): Promise<ValidatorKeys> => {
  if (keys) return readPlainKeys(readGivenJson(keys) ?? fail(`${keys} does not exist`), keys);
  if (!keystores || !passwordFile)
    return fail("give --keys <file>, or --keystores <folder> and --password-file <file>");
  const all = await openKeystores(keystores, readSecretFile(passwordFile));
  const found = validator ? all.filter((each) => each.address === validator) : all;
  if (found.length === 1) return found[0]!;
  return fail(`${keystores} has ${found.length} such validators; name one with --validator <address>`);
};

export const validatorCommand = (): Command => {
  const command = new Command("validator").description("make validator keys, register, look at power");
  command.addCommand(keysCommand());
  command.addCommand(protectionCommand());
  command
    .command("new")
    .description("make the keys of a validator, in plain; `validator keys new` seals them")
    .requiredOption("--out <file>", "where they are written, readable by you alone")
    .option("--force", "replace the file, and the keys in it")
    .action((flags: { out: string; force?: boolean }) => {
      const keys = validatorKeys();
      writeNewSecret(flags.out, `${JSON.stringify(keys, null, 2)}\n`, flags.force ?? false);
      print(`${keys.address}  ${flags.out}`);
    });
  command
    .command("register")
    .description("register a validator with a bond")
    .option("--keys <file>", "the file that `validator new` made")
    .option("--keystores <folder>", "or the folder of its key files", folder)
    .option("--password-file <file>", "their password")
    .option("--validator <address>", "which of the folder's validators", address)
    .requiredOption("--bond <rlc>", "bond in RLC", parseRlc)
    .option(
      "--key <key>",
      "private key of the account that pays and owns the bond (default: the validator's own)",
      privateKey,
    )
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .action(async (flags: RegisterFlags) => {
      const keys = await keysToRegister(flags);
      const client = rpcClient(flags.node);
      const owner = flags.key ? addressOf(flags.key) : keys.address;
      const data = encodeCall("register(bytes,bytes,address)", [
        fromHex(blsPublicKey(keys.bls)),
        fromHex(blsProve(keys.bls)),
        owner,
      ]);
      const call = { to: VALIDATORS, data, value: flags.bond };
      if (flags.key) {
        const { params } = (await client.call("rolec_genesis", [])) as { params: { minBondWei: string } };
        if (flags.bond < BigInt(params.minBondWei)) fail(`the bond is at least ${rlc(BigInt(params.minBondWei))} RLC`);
        // Only the validator's own account can register it, so that this one gives it the bond and the fee first.
        const need = flags.bond + REGISTER_GAS * (await feesNow(client)).maxFeePerGas;
        const have = BigInt((await client.call("eth_getBalance", [keys.address, "latest"])) as Hex);
        if (have < need) await transact(client, flags.key, { to: keys.address, value: need - have });
      }
      const receipt = await transact(client, keys.secp, call);
      print(
        `${keys.address} registered in block ${Number(receipt.blockNumber)}, its bond owned by ${owner}; it has power two eras later, under finality`,
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
