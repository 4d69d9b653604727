import type { AbiFunction, AbiParameter } from "viem";
import { type Hex, word, ZERO_ADDRESS, ZERO_HASH } from "../../../lib/bytes.ts";
import {
  addressOf,
  CONTRACTS,
  type ContractName,
  encodeItem,
  functionsOf,
  isView,
  nameOf,
  SYSTEM,
  type SystemName,
  selectorOf,
  type Target,
} from "../contracts.ts";
import { askAll } from "../rpc.ts";
import { type Ask, actor, type Stage, type Story } from "../stage.ts";
import { listed, ordersFor, signOrders } from "./scheduled.ts";

/** Where each contract is that there is one of, made ones included. */
export const targetOf = ({ known }: Stage, kind: ContractName): Target => {
  if (kind in SYSTEM) return kind as SystemName;
  const { app, dataset, pool, group } = known;
  return [kind, { app, dataset, workerpool: pool, group }[kind as "app"]!];
};

/** What an argument of a type may be: each view is asked with all that fit. */
const candidates = (stage: Stage): Readonly<Record<string, readonly unknown[]>> => {
  const { known } = stage;
  return {
    address: [
      ...["developer", "scheduler", "w0"].map((name) => actor(name).address),
      ...[stage.validator[0]!.address, known.app, known.dataset, known.pool, known.genesisPool, ZERO_ADDRESS],
    ],
    bytes32: [known.deals.at(-1), known.deals[1], known.lots[0], known.lots.at(-1), known.tasks[3], word(4)],
    uint256: [0n, 1n, 4n, BigInt(known.app!), BigInt(known.dataset!), BigInt(known.pool!), 2n ** 255n],
    bytes4: ["0x01ffc9a7", "0x80ac58cd", "0x48e2b093", "0xa9059cbb"],
    string: ["golden"],
    bytes: ["0x", `0x${"11".repeat(65)}`],
    uint8: [0, 1],
    bool: [true, false],
    "address[]": [[], [actor("noise 1").address, ZERO_ADDRESS]],
    "uint256[]": [[], [0n, 1n], [3n]],
    "bytes32[]": [[], [known.deals[0]!], [known.tasks[0]!, known.tasks[1]!]],
  };
};

const MAX_CALLS = 64;
/** Lists arguments for a function, out of what the chain knows. */
const argumentsOf = (stage: Stage, lists: ReturnType<typeof candidates>, item: AbiFunction): unknown[][] => {
  if (item.name === "quote") {
    const job = { version: 1, pool: ZERO_ADDRESS, app: stage.known.app, dataset: stage.known.dataset, params: "{}" };
    const amounts = { category: 0n, gasLimit: 10n ** 9n, trust: 4n, volume: 5n, tag: ZERO_HASH };
    const to = { beneficiary: actor("requester").address, callback: ZERO_ADDRESS, ext: "0x" };
    return [stage.known.genesisPool, stage.known.pool].map((pool) => [{ ...job, ...amounts, ...to, pool }]);
  }
  const valuesOf = ({ type, internalType, ...rest }: AbiParameter): readonly unknown[] => {
    if (!type.startsWith("tuple")) return lists[type] ?? [];
    const fields = (rest as { components: readonly AbiParameter[] }).components;
    const one = Object.fromEntries(fields.map((field) => [field.name, valuesOf(field)[0]]));
    return [type.endsWith("[]") ? [one] : one];
  };
  const orders = signOrders(ordersFor(stage, 2n));
  if (item.name === "computeDealVolume")
    return [[...listed(orders)], [...listed({ ...orders, app: { ...orders.app, tag: word(1) } })]];
  if (item.name === "assertDatasetDealCompatibility") return lists.bytes32!.map((id) => [orders.dataset, id]);
  return item.inputs
    .reduce<unknown[][]>((all, input) => all.flatMap((list) => valuesOf(input).map((value) => [...list, value])), [[]])
    .filter((_, i, all) => all.length <= MAX_CALLS || i % Math.ceil(all.length / MAX_CALLS) === 0);
};

export interface ViewCall {
  readonly name: string;
  readonly target: Target;
  readonly data: Hex;
}
/** Calls of every view of every contract. */
export const viewCalls = (stage: Stage): ViewCall[] => {
  const lists = candidates(stage);
  return CONTRACTS.flatMap((kind) =>
    functionsOf(kind)
      .filter(isView)
      .flatMap((item) =>
        argumentsOf(stage, lists, item).map((args) => ({
          name: nameOf(kind, item),
          target: targetOf(stage, kind),
          data: encodeItem(item, args),
        })),
      ),
  );
};

/** Sends every view as a transaction that works and one that reverts, and every function calldata that is none of its own. */
export async function* everyFunction(stage: Stage): Story {
  const from = actor("noise 0");
  const calls = viewCalls(stage);
  const answers = await askAll(
    stage.url,
    calls.map(({ target, data }) => ({
      method: "eth_call",
      params: [{ from: from.address, to: addressOf(target), data }, "latest"],
    })),
  );
  const sent = new Set<string>();
  const asks: Ask[] = [];
  for (const [i, { name, target, data }] of calls.entries()) {
    const fails = answers[i]!.error !== undefined;
    if (sent.has(`${name} ${fails}`)) continue;
    sent.add(`${name} ${fails}`);
    asks.push({ from, to: addressOf(target), data, value: 0n, fails: undefined, fields: {} });
  }
  for (const kind of CONTRACTS)
    for (const item of functionsOf(kind)) {
      const to = addressOf(targetOf(stage, kind));
      const hasInputs = item.inputs.length > 0;
      const isPayable = item.stateMutability === "payable";
      if (!hasInputs && isPayable) continue;
      const data: Hex = hasInputs ? `${selectorOf(item)}01` : selectorOf(item);
      asks.push({ from, to, data, value: hasInputs ? 0n : 1n, fails: true, fields: {} });
    }
  for (let i = 0; i < asks.length; i += 40) yield asks.slice(i, i + 40);
}
