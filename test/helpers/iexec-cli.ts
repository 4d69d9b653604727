// iExec's command line tool as it is published: installed once for each version, driven in folders of its own.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Test } from "tap";
import { type Address, fromHex, type Hash, type Hex, toHex } from "../../lib/bytes.ts";
import { hubFunction, view } from "../../node/market-client.ts";
import { RpcCallError, type RpcClient } from "../../rpc/client.ts";
import type { AbiValue } from "../../vm/abi.ts";
import { HUB } from "../../vm/addresses.ts";
import { functionsOf, REGISTRY_ABI } from "../../vm/market/abi.ts";
import {
  APP_ORDER,
  DATASET_ORDER,
  type OrderKind,
  orderHash,
  REQUEST_ORDER,
  WORKERPOOL_ORDER,
} from "../../vm/market/order.ts";

const INSTALL_TIMEOUT_MS = 300_000;
const COMMAND_TIMEOUT_MS = 120_000;
const MAIN = fileURLToPath(new URL("../../node/cli/main.ts", import.meta.url));

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; nobody answers its questions. */
const run = (file: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv, ms: number): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], timeout: ms });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.once("error", reject);
    child.once("close", (status) => resolve({ status, stdout, stderr }));
  });

/**
 * Installs a version of the tool from npm's registry, without the scripts of packages, into a folder for temporary files
 * that later runs use again. Gives its program, or undefined where the registry cannot be reached.
 */
export const installIexec = async (version: string): Promise<string | undefined> => {
  const folder = join(tmpdir(), `rolec-iexec-${version}`);
  const program = join(folder, "node_modules", "iexec", "dist", "esm", "cli", "cmd", "iexec.js");
  if (!existsSync(folder)) {
    const fresh = mkdtempSync(`${folder}-`);
    const args = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--prefix", fresh];
    const npm = await run("npm", [...args, `iexec@${version}`], fresh, process.env, INSTALL_TIMEOUT_MS);
    if (npm.status !== 0) {
      rmSync(fresh, { recursive: true, force: true });
      if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT/.test(npm.stderr)) return;
      throw new Error(`npm cannot install iexec@${version}:\n${npm.stderr}`);
    }
    try {
      // Whole or not at all.
      renameSync(fresh, folder);
    } catch (error) {
      rmSync(fresh, { recursive: true, force: true });
      if (!existsSync(program)) throw error;
    }
  }
  if (process.getuid && statSync(folder).uid !== process.getuid())
    throw new Error(`${folder} belongs to somebody else: its programs are not run`);
  const { version: found } = JSON.parse(readFileSync(join(folder, "node_modules/iexec/package.json"), "utf8"));
  if (found !== version) throw new Error(`${folder} has version ${found}: remove it`);
  return program;
};

/** What the tool answers with `--raw`: one JSON document, and its exit status. */
export interface Answer {
  readonly status: number | null;
  readonly ok: boolean;
  /** The message of the error, or those of what failed. */
  readonly error: string;
  // biome-ignore lint/suspicious/noExplicitAny: each command has a shape of its own
  readonly [field: string]: any;
}

/** Asserts that a command did what it was to do. Gives its answer. */
export const worked = (t: Test, answer: Answer): Answer => {
  t.ok(answer.ok, answer.error);
  t.equal(answer.status, 0);
  return answer;
};

/** A folder of a user of the tool. */
export interface Project {
  readonly folder: string;
  /** Runs a command; never rejects for what the tool refuses. */
  iexec(...args: string[]): Promise<Answer>;
  // biome-ignore lint/suspicious/noExplicitAny: documents of the tool
  read(file: string): any;
  write(file: string, document: unknown): void;
}

/** Makes a project whose commands know no home of the user's. */
export const iexecProject = (program: string, folder: string): Project => ({
  folder,
  iexec: async (...args) => {
    const env = { PATH: process.env.PATH, HOME: folder };
    const all = [program, ...args, "--raw"];
    const { status, stdout, stderr } = await run(process.execPath, all, folder, env, COMMAND_TIMEOUT_MS);
    let document: Record<string, unknown>;
    try {
      // What failed is told on standard error.
      document = JSON.parse((stdout.trim() || stderr.trim()).split("\n").at(-1)!);
    } catch {
      throw new Error(`iexec ${args.join(" ")}: ${status}\n${stdout}\n${stderr}`);
    }
    const { error, fail } = document as { error?: { message: string }; fail?: string[] };
    return { ...document, status, ok: document.ok === true, error: error?.message ?? fail?.join("\n") ?? "" };
  },
  read: (file) => JSON.parse(readFileSync(join(folder, file), "utf8")),
  write: (file, document) => writeFileSync(join(folder, file), JSON.stringify(document)),
});

/** Runs `rolec iexec-config`. */
export const iexecConfig = (...args: string[]): Promise<Ended> =>
  run(process.execPath, [MAIN, "iexec-config", ...args], tmpdir(), { PATH: process.env.PATH }, COMMAND_TIMEOUT_MS);

const KINDS = {
  apporder: APP_ORDER,
  datasetorder: DATASET_ORDER,
  workerpoolorder: WORKERPOOL_ORDER,
  requestorder: REQUEST_ORDER,
} as const;
type OrderName = keyof typeof KINDS;
type OrdersJson = Readonly<Record<OrderName, Readonly<Record<string, string>>>>;

/** Reads an order of orders.json: the values of its ABI tuple. */
const orderValues = (name: OrderName, json: Readonly<Record<string, string>>): AbiValue[] => {
  const order = Object.entries(json).map(([field, text]): [string, AbiValue] => {
    if (field === "sign") return [field, fromHex(text as Hex)];
    if (field === "params") return [field, text];
    return [field, /^\d+$/.test(text) ? BigInt(text) : text.toLowerCase()];
  });
  return (KINDS[name] as OrderKind<unknown>).values(Object.fromEntries(order));
};

const NO_DATASET: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ["dataset", "apprestrict", "workerpoolrestrict", "requesterrestrict"].map((field) => [
      field,
      `0x${"0".repeat(40)}`,
    ]),
  ),
  ...Object.fromEntries(["tag", "salt"].map((field) => [field, `0x${"0".repeat(64)}`])),
  datasetprice: "0",
  volume: "0",
  sign: "0x",
};

const registryFunction = functionsOf(REGISTRY_ABI);
const number = (value: AbiValue): number => Number(value as bigint);

/** Asks the chain itself, past the tool. Amounts in nRLC. */
export const chainOf = (client: RpcClient, chainId: number) => {
  const hub = async (name: string, ...args: AbiValue[]): Promise<AbiValue> =>
    (await view(client, HUB, hubFunction(name), ...args))[0]!;
  return {
    account: async (of: Address): Promise<{ stake: bigint; locked: bigint }> => {
      const [stake, locked] = (await hub("viewAccount", of)) as readonly bigint[];
      return { stake: stake!, locked: locked! };
    },
    balance: async (of: Address): Promise<bigint> =>
      BigInt((await client.call("eth_getBalance", [of, "latest"])) as Hex),
    allowance: async (of: Address, spender: Address) => (await hub("allowance", of, spender)) as bigint,
    countOf: async (registry: Address, owner: Address): Promise<number> =>
      number((await view(client, registry, registryFunction("balanceOf"), owner))[0]!),
    ownerOf: async (registry: Address, entry: Address) =>
      (await view(client, registry, registryFunction("ownerOf"), BigInt(entry)))[0] as Address,
    entry: async (kind: "App" | "Dataset" | "Workerpool", address: Address) =>
      (await hub(`view${kind}`, address)) as readonly AbiValue[],
    orderHash: (name: OrderName, json: OrdersJson[OrderName]): Hash => {
      const kind = KINDS[name] as OrderKind<unknown>;
      return orderHash(chainId, kind, kind.read(orderValues(name, json)));
    },
    consumed: async (hash: Hash): Promise<number> => number(await hub("viewConsumed", hash)),
    taskStatus: async (taskid: Hash): Promise<number> =>
      number(((await hub("viewTask", taskid)) as readonly AbiValue[])[0]!),
    /** The logs of the hub in a transaction that worked, by the topics of their events. */
    receipt: async (hash: Hash) =>
      (await client.call("eth_getTransactionReceipt", [hash])) as {
        status: Hex;
        gasUsed: Hex;
        effectiveGasPrice: Hex;
        logs: { address: Address; topics: Hash[] }[];
      },
    /** What the chain answers to a call: the words of the revert. */
    revertOf: async (from: Address, to: Address, data: Uint8Array): Promise<string> => {
      try {
        await client.call("eth_call", [{ from, to, data: toHex(data) }, "latest"]);
      } catch (error) {
        if (error instanceof RpcCallError) return error.message;
        throw error;
      }
      return "";
    },
    matchOrders: (orders: Omit<OrdersJson, "datasetorder"> & Partial<OrdersJson>): Uint8Array =>
      hubFunction("matchOrders").encode(
        orderValues("apporder", orders.apporder),
        orderValues("datasetorder", orders.datasetorder ?? NO_DATASET),
        orderValues("workerpoolorder", orders.workerpoolorder),
        orderValues("requestorder", orders.requestorder),
      ),
  };
};
