import fc from "fast-check";
import t from "tap";
import {
  type Abi,
  type AbiFunction,
  type AbiParameter,
  decodeFunctionData,
  encodeFunctionData,
  toFunctionSelector,
} from "viem";
import { type Address, type Hex, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { HUB, TOKEN } from "../../vm/tables.ts";
import { ABIS, nameOf } from "./contracts.ts";
import type { Mode } from "./poco.ts";
import { createBase, runSequence } from "./run.ts";
import { Difference, Session } from "./session.ts";
import { ACTORS, type Actor } from "./setting.ts";
import { sequences } from "./steps.ts";
import type { Outcome } from "./world.ts";

// Every write that works somewhere in random sequences is tried there again with each of its arguments wrong in turn, down to
// the fields of orders: what the original contracts answer, rolec answers too.

t.setTimeout(280_000);
/** How many calls of each function are varied. */
const CALLS = 3;
const SEQUENCES = 25;
const MOST = 2n ** 256n - 1n;

const flipped = (hex: Hex): Hex =>
  `0x${hex.slice(2, -1).toLowerCase()}${(15 - Number.parseInt(hex.slice(-1), 16)).toString(16)}`;
/** Values in the place of one that is right. */
const wrongOf = (type: string, right: unknown): unknown[] => {
  if (type === "bool") return [!right];
  if (type === "string") return ["", `${right}x`];
  if (type === "address") return [ZERO_ADDRESS, HUB, ACTORS[3]!.address, flipped(right as Hex)];
  if (type === "bytes") {
    const hex = right as Hex;
    return hex === "0x" ? ["0x00"] : ["0x", hex.slice(0, -2), flipped(hex), `${hex}00`];
  }
  if (type.startsWith("bytes")) return [ZERO_HASH.slice(0, (right as Hex).length), flipped(right as Hex)];
  const most = type === "uint256" ? MOST : 255;
  const number = BigInt(right as bigint);
  const others = [0n, 1n, number + 1n, number - 1n].filter((each) => each >= 0n && each <= BigInt(most));
  return type === "uint256" ? [...others, most] : others.map(Number);
};

/** Gives a value with each of its leaves wrong in turn, and the lists in it longer and shorter. */
const variantsOf = (parameter: AbiParameter, right: unknown): unknown[] => {
  const array = /^(.*)\[\]$/.exec(parameter.type);
  if (array) {
    const list = right as unknown[];
    const item = { ...parameter, type: array[1]! } as AbiParameter;
    const each = list.flatMap((value, i) => variantsOf(item, value).map((wrong) => list.with(i, wrong)));
    return [[], [...list, ...list], ...each];
  }
  if (parameter.type !== "tuple") return wrongOf(parameter.type, right);
  const { components } = parameter as unknown as { components: AbiParameter[] };
  const fields = right as Record<string, unknown>;
  return components.flatMap((field) =>
    variantsOf(field, fields[field.name!]).map((wrong) => ({ ...fields, [field.name!]: wrong })),
  );
};

const functions = new Map(
  Object.values(ABIS as Record<string, Abi>)
    .flat()
    .filter((item): item is AbiFunction => item.type === "function" && item.stateMutability !== "view")
    .map((item) => [toFunctionSelector(item), item]),
);

/** A session that varies the calls that work, before it makes them. */
class VaryingSession extends Session {
  readonly varied: Map<string, number>;
  /** What differs, and an example of it. */
  readonly differences: Map<string, string>;
  variants = 0;
  reverts = 0;

  constructor(base: Session, varied: Map<string, number>, differences: Map<string, string>) {
    super(base.mode, base.reference, base.rolec, base.now);
    const copy = base.fork();
    for (const kind of ["app", "dataset", "workerpool"] as const) this.entries[kind].push(...copy.entries[kind]);
    this.matches.push(...copy.matches);
    this.salt = copy.salt;
    this.varied = varied;
    this.differences = differences;
  }

  private async vary(from: Address, to: Address, data: Hex, value: bigint): Promise<void> {
    const item = functions.get(data.slice(0, 10) as Hex);
    const count = this.varied.get(nameOf(data)) ?? 0;
    // RLC itself is no part of PoCo.
    if (!item || to === TOKEN || count >= CALLS || this.parted) return;
    if (!(await this.reference.view({ from, to, data, value }, this.now)).ok) return;
    this.varied.set(nameOf(data), count + 1);
    const { args = [] } = decodeFunctionData({ abi: [item], data }) as { args?: readonly unknown[] };
    const encoded = item.inputs.flatMap((input, i) =>
      variantsOf(input, args[i]).map((wrong) =>
        encodeFunctionData({ abi: [item], functionName: item.name, args: args.with(i, wrong) } as never),
      ),
    );
    const messages = [
      ...encoded.map((changed) => ({ from, to, data: changed, value })),
      ...ACTORS.filter(({ address }) => address !== from).map(({ address }) => ({ from: address, to, data, value })),
      { from, to, data, value: value + 1n },
    ];
    for (const message of messages) {
      this.variants += 1;
      try {
        if (!(await this.probe(message)).ok) this.reverts += 1;
      } catch (error) {
        if (!(error instanceof Difference)) throw error;
        this.differences.set(error.kind, error.message);
      }
    }
  }

  override async send(from: Actor | Address, to: Address, data: Hex, value = 0n): Promise<Outcome> {
    await this.vary(typeof from === "string" ? from : from.address, to, data, value);
    return super.send(from, to, data, value);
  }
}

for (const mode of ["native", "token"] as const satisfies readonly Mode[])
  t.test(`${mode}: each argument wrong in turn, as the original contracts answer`, async (t) => {
    const base = await createBase(mode);
    const varied = new Map<string, number>();
    const differences = new Map<string, string>();
    let [variants, reverts] = [0, 0];
    for (const steps of fc.sample(sequences, { seed: mode === "native" ? 11 : 12, numRuns: SEQUENCES })) {
      const session = new VaryingSession(base, varied, differences);
      await base.reference.isolated(() => base.rolec.isolated(() => runSequence(session, steps)));
      variants += session.variants;
      reverts += session.reverts;
    }
    const names = [...varied.keys()].map((name) => name.split("(")[0]);
    t.comment(`${variants} variants of calls to ${varied.size} functions, of which ${reverts} revert`);
    for (const [kind, example] of differences) t.fail(kind, { example });
    for (const name of ["matchOrders", "initialize", "contribute", "reveal", "finalize", "claim", "manageAppOrder"])
      t.ok(names.includes(name), `${name} was varied`);
    t.ok(variants > 1_000 && reverts > variants / 4);
  });
