/**
 * What one RPC call takes of the main thread in one go, with the largest arguments that a stranger may send: every method, and
 * eth_call of every native function. `node test/bench/rpc-calls.ts` lists the worst, in ms of processor time.
 */

import { blsKeygen, blsProve, blsPublicKey } from "../../lib/bls.ts";
import { fromHex, toHex, word } from "../../lib/bytes.ts";
import { keccak256Bytes } from "../../lib/keccak.ts";
import { createChainView } from "../../rpc/chain-view.ts";
import type { Method, Methods } from "../../rpc/dispatch.ts";
import { ethMethods } from "../../rpc/eth.ts";
import { blockMethods } from "../../rpc/eth-blocks.ts";
import { feeMethods } from "../../rpc/fees.ts";
import { netMethods } from "../../rpc/net.ts";
import { rolecMethods } from "../../rpc/rolec.ts";
import { txpoolMethods } from "../../rpc/txpool.ts";
import { hexNumber } from "../../rpc/values.ts";
import { type AbiFunction, type AbiValue, abiFunction } from "../../vm/abi.ts";
import {
  APP_REGISTRY,
  DATASET_REGISTRY,
  HUB,
  MARKET,
  TOKEN,
  VALIDATORS,
  WORKERPOOL_REGISTRY,
} from "../../vm/addresses.ts";
import * as market from "../../vm/market/abi.ts";
import { VALIDATORS_ABI } from "../../vm/validators.ts";
import { accountOf } from "../helpers/chain.ts";
import { startRpc } from "../helpers/rpc.ts";

const TRIES = 3;
const WORST = 15;
/** Bytes of calldata at most, as eth_call takes it. */
const MAX_DATA = 256 * 1024;

const cpuMs = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
};

/** The longest stretch between two turns of a call, in ms of processor time, at the best of some tries. */
const longest = async (run: (turn: () => Promise<void>) => unknown): Promise<{ ms: number; failed?: string }> => {
  let best = Number.POSITIVE_INFINITY;
  let failed: string | undefined;
  for (let i = 0; i < TRIES; i++) {
    let most = 0;
    let last = cpuMs();
    const turn = async (): Promise<void> => {
      most = Math.max(most, cpuMs() - last);
      last = cpuMs();
    };
    try {
      await run(turn);
    } catch (error) {
      failed = (error as Error).message.slice(0, 60);
    }
    await turn();
    best = Math.min(best, most);
  }
  return failed === undefined ? { ms: best } : { ms: best, failed };
};

let unique = 0;
const fresh = (bytes: number): Uint8Array =>
  keccak256Bytes(Uint8Array.from(Buffer.from(`${unique++}`))).slice(0, bytes);
type Shape = { readonly name: string };
/** A value of a type by its canonical name, in which every list has so many items. */
const sampleOf = (name: string, items: number): AbiValue => {
  const list = /^(.*)\[(\d*)\]$/.exec(name);
  if (list) return Array.from({ length: list[2] ? Number(list[2]) : items }, () => sampleOf(list[1]!, 1));
  if (name.startsWith("(")) {
    const parts: string[] = [];
    let depth = 0;
    let part = "";
    for (const char of name.slice(1, -1)) {
      if (char === "," && depth === 0) {
        parts.push(part);
        part = "";
        continue;
      }
      depth += char === "(" ? 1 : char === ")" ? -1 : 0;
      part += char;
    }
    return [...parts, part].map((each) => sampleOf(each, items));
  }
  if (name === "address") return toHex(fresh(20));
  if (name === "bool") return true;
  if (name === "string") return "x".repeat(items * 32);
  if (name === "bytes") return new Uint8Array(items * 32).fill(1);
  if (name.startsWith("bytes")) return toHex(fresh(Number(name.slice(5))));
  return 1n;
};
const callData = (fn: AbiFunction, items: number): Uint8Array =>
  fn.encode(...fn.inputs.map((type: Shape) => sampleOf(type.name, items)));

const rich = accountOf("rich");
const { engine, mine, stop } = await startRpc([rich.address], {}, { minBondWei: (10n ** 18n).toString() });
await mine(40);
const view = createChainView(engine);
const methods: Methods = {
  ...ethMethods(view),
  ...blockMethods(view),
  ...feeMethods(view),
  ...netMethods(view, undefined),
  ...rolecMethods(view, undefined),
  ...txpoolMethods(view),
};
const results: { what: string; ms: number; failed?: string }[] = [];
const measure = async (what: string, { run }: Method, params: readonly unknown[]): Promise<void> => {
  const got = await longest((turn) => run(params, { connection: undefined, client: {}, turn, hold: () => undefined }));
  results.push({ what, ...got });
};

const CONTRACTS: readonly (readonly [string, string, readonly string[]])[] = [
  ["validators", VALIDATORS, VALIDATORS_ABI],
  ["hub", HUB, market.HUB_ABI],
  ["market", MARKET, market.MARKET_ABI],
  ["token", TOKEN, market.TOKEN_ABI],
  ["apps", APP_REGISTRY, [...market.REGISTRY_ABI, ...market.APP_REGISTRY_ABI]],
  ["datasets", DATASET_REGISTRY, [...market.REGISTRY_ABI, ...market.DATASET_REGISTRY_ABI]],
  ["workerpools", WORKERPOOL_REGISTRY, [...market.REGISTRY_ABI, ...market.WORKERPOOL_REGISTRY_ABI]],
];
const isRun = async (request: object): Promise<boolean> => {
  try {
    await methods.eth_call!.run([request, "latest"], {
      connection: undefined,
      client: {},
      turn: async () => {},
      hold: () => {},
    });
    return true;
  } catch (error) {
    return !/out of gas/.test((error as Error).message);
  }
};
for (const [name, to, abi] of CONTRACTS)
  for (const source of abi.filter((each) => each.startsWith("function "))) {
    const fn = abiFunction(source);
    const requestOf = (items: number) => ({ from: rich.address, to, data: toHex(callData(fn, items)) });
    const fits = async (items: number): Promise<boolean> => {
      const request = requestOf(items);
      return request.data.length <= 2 + 2 * MAX_DATA && (await isRun(request));
    };
    let [low, high] = [1, MAX_DATA / 32];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (await fits(middle)) low = middle;
      else high = middle - 1;
    }
    await measure(`eth_call ${name}.${fn.name}, lists of ${low}`, methods.eth_call!, [requestOf(low), "latest"]);
  }
const register = abiFunction(VALIDATORS_ABI.find((each) => each.startsWith("function register("))!);
/** A registration by a key of its own each time: what was verified once is remembered. */
const registration = (): object => {
  const secret = blsKeygen(fresh(32));
  const data = register.encode(fromHex(blsPublicKey(secret)), fromHex(blsProve(secret)), rich.address);
  return { from: rich.address, to: VALIDATORS, value: hexNumber(10n ** 18n), data: toHex(data) };
};
for (const name of ["eth_call", "eth_estimateGas"]) {
  const ready = Array.from({ length: TRIES }, registration);
  const { run } = methods[name]!;
  const got = await longest((turn) =>
    run([ready.pop(), "latest"], { connection: undefined, client: {}, turn, hold: () => undefined }),
  );
  results.push({ what: `${name} validators.register with a proof`, ...got });
}
const hash = engine.head().hash;
const slots = Array.from({ length: 256 }, (_, i) => word(i));
const PARAMS: Readonly<Record<string, readonly unknown[]>> = {
  eth_getProof: [VALIDATORS, slots, "latest"],
  eth_getLogs: [{ fromBlock: "0x0", toBlock: "latest" }],
  eth_feeHistory: ["0x400", "latest", Array.from({ length: 100 }, (_, i) => i)],
};
const COMMON: readonly (readonly unknown[])[] = [
  [],
  ["latest"],
  [VALIDATORS, "latest"],
  [VALIDATORS, "0x0", "latest"],
  [hash],
  [hash, true],
  ["latest", true],
  [hash, "0x0"],
];
for (const [name, found] of Object.entries(methods)) {
  if (name === "eth_call") continue;
  for (const params of PARAMS[name] ? [PARAMS[name]] : COMMON) await measure(name, found, params);
}
results.sort((a, b) => b.ms - a.ms);
for (const { what, ms, failed } of results.slice(0, WORST))
  console.log(`${ms.toFixed(1).padStart(8)} ms  ${what}${failed ? `  (${failed})` : ""}`);
await stop();
