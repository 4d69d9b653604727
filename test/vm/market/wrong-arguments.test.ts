import fc from "fast-check";
import t from "tap";
import { type AbiParameter, toFunctionSignature } from "viem";
import { type Address, type Hex, toHex, word, ZERO_ADDRESS, ZERO_HASH } from "../../../lib/bytes.ts";
import { HUB, MARKET } from "../../../vm/addresses.ts";
import { type Contract, encode, functionOf, functionsOf, REGISTRY } from "../../differential/contracts.ts";
import { createBase } from "../../differential/run.ts";
import type { Session } from "../../differential/session.ts";
import { ACTORS, type Actor, ENCLAVE, OWNER } from "../../differential/setting.ts";
import type { Message, Outcome } from "../../differential/world.ts";
import { rightCalls } from "./right-calls.ts";

t.setTimeout(300_000);

const MOST = (1n << 256n) - 1n;
const hex = (size: number): fc.Arbitrary<Hex> =>
  fc.uint8Array({ minLength: size, maxLength: size }).map((bytes) => toHex(bytes));

/** Values of an ABI type that are not the right one, mostly near it or with a meaning of their own. */
const wrongOf = (session: Session, input: AbiParameter, right?: unknown): fc.Arbitrary<unknown> => {
  const { type } = input;
  const { app, dataset, workerpool } = session.entries;
  const others = (): fc.Arbitrary<unknown> => {
    if (type.endsWith("[]")) {
      const list = right as readonly unknown[];
      const element = { ...input, type: type.slice(0, -2) } as AbiParameter;
      const changed = fc
        .nat({ max: list.length - 1 })
        .chain((at) => wrongOf(session, element, list[at]).map((value) => list.with(at, value)));
      return fc.oneof(
        fc.constantFrom(
          [],
          list.slice(1),
          [...list, list[0]],
          list.map(() => list[0]),
        ),
        changed,
      );
    }
    if (type === "address") {
      const people = [...ACTORS, OWNER, ENCLAVE].map(({ address }) => address);
      const known: Address[] = [ZERO_ADDRESS, HUB, MARKET, ...people, ...app, ...dataset, ...workerpool.slice(1)];
      return fc.oneof(fc.constantFrom(...known), hex(20));
    }
    if (type === "bool") return fc.boolean();
    if (type === "uint8") return fc.oneof(fc.constantFrom(0, 1, 2), fc.nat({ max: 255 }));
    if (type === "string") return fc.oneof(fc.constantFrom("", "{}", "ü".repeat(40)), fc.string());
    if (type === "bytes32") return fc.oneof(fc.constantFrom(ZERO_HASH, word(1), word(MOST)), hex(32));
    if (type === "bytes") {
      const bytes = (right ?? "0x") as Hex;
      const near = [bytes.slice(0, -2), `${bytes}00`, `${bytes.slice(0, -2)}1b`].filter((each) => each.length > 2);
      return fc.oneof(fc.constantFrom("0x", word(0), `0x${"00".repeat(65)}`, ...near), hex(65));
    }
    const value = (right ?? 0n) as bigint;
    const near = [0n, 1n, value + 1n, value - 1n, 2n ** 128n, MOST].filter((each) => each >= 0n && each <= MOST);
    return fc.oneof(fc.constantFrom(...near), fc.bigInt({ min: 0n, max: MOST }));
  };
  return others().filter((value) => JSON.stringify(value, show) !== JSON.stringify(right, show));
};
const show = (_: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);

/** Where in a call's arguments a value stands that is no tuple. */
type Path = readonly (number | string)[];
const pathsOf = (input: AbiParameter, path: Path): { path: Path; input: AbiParameter }[] =>
  "components" in input ? input.components.flatMap((each) => pathsOf(each, [...path, each.name!])) : [{ path, input }];
const at = (value: unknown, path: Path): unknown =>
  path.reduce((inner, key) => (inner as Record<number | string, unknown>)[key], value);
const changed = (value: unknown, [key, ...rest]: Path, to: unknown): unknown => {
  if (key === undefined) return to;
  const copy = Array.isArray(value) ? [...value] : { ...(value as object) };
  const record = copy as Record<number | string, unknown>;
  record[key] = changed(record[key], rest, to);
  return copy;
};

/** Calldata that is cut off, has more behind it, or has another word somewhere. */
const malformed = (data: Hex): fc.Arbitrary<Hex> => {
  const place = fc.nat({ max: Math.max(0, Math.ceil((data.length - 10) / 64) - 1) });
  const others = fc.oneof(fc.constantFrom(word(0), word(1), word(33), word(1n << 64n), word(MOST)), hex(32));
  return fc.oneof(
    fc.nat({ max: data.length / 2 - 5 }).map((bytes): Hex => `0x${data.slice(2, 2 * bytes + 10)}`),
    hex(7).map((more): Hex => `${data}${more.slice(2)}`),
    fc.tuple(place, others).map(([at, other]): Hex => {
      const start = 10 + 64 * at;
      return `${data.slice(0, start)}${other.slice(2)}${data.slice(start + 64)}` as Hex;
    }),
  );
};

/** Writes without a right form: they refuse everything. */
const NEVER_RIGHT = ["setName", "initialize", "configure", "importScore", "approveAndCall"];
/** Writes of which docs/market-differences.md tells and test/differential/meant.test.ts shows the difference. */
const MEANT = ["changeRegistries", "renounceOwnership", "receiveApproval"];
const writesOf = (contract: Contract) =>
  functionsOf(contract).filter(({ stateMutability }) => !["view", "pure"].includes(stateMutability));

for (const mode of ["native", "token"] as const) {
  const base = await createBase(mode);
  const session = base.fork();
  const calls = await rightCalls(session);
  const { rolec, now } = session;
  const root = rolec.root!();

  /** Makes sure that rolec keeps nothing of what it refuses. Gives what it answered. */
  const kept = async (message: Message): Promise<Outcome> => {
    const got = await rolec.view(message, now);
    if (!got.ok) await rolec.call(message, now);
    if (rolec.root!() !== root) throw new Error(`what is refused leaves something behind: ${message.data}`);
    return got;
  };
  const compare = async (from: Actor, to: Address, data: Hex, value = 0n): Promise<boolean> => {
    const message = { from: from.address, to, data, value };
    await session.probe(message);
    return (await kept(message)).ok;
  };
  const check = <T>(values: fc.Arbitrary<T>, numRuns: number, run: (value: T) => Promise<unknown>): Promise<void> =>
    fc.assert(
      fc.asyncProperty(values, async (value) => void (await run(value))),
      { numRuns, seed: 1 },
    );

  t.test(`${mode}: every write of PoCo has a right call here, or none at all`, async (t) => {
    const tried = new Set(
      calls.map(({ contract, fn }) => `${contract}.${toFunctionSignature(functionOf(contract, fn))}`),
    );
    const contracts = [...new Set(calls.map(({ contract }) => contract)), "appEntry", "datasetEntry"] as Contract[];
    for (const contract of contracts)
      for (const item of writesOf(contract)) {
        const isTried = tried.has(`${contract}.${toFunctionSignature(item)}`);
        t.ok(isTried || NEVER_RIGHT.includes(item.name) || MEANT.includes(item.name), `${contract}.${item.name}`);
      }
    for (const { from, to, contract, fn, args, value } of calls)
      t.ok(await compare(from, to, encode(contract, fn, args), value), `${fn} is right with all of them right`);
  });

  t.test(
    `${mode}: with any sender or value in the place of the right one, rolec does what iExec's contracts do`,
    async () => {
      for (const { from, to, contract, fn, args, value = 0n } of calls) {
        const data = encode(contract, fn, args);
        for (const other of [...ACTORS, OWNER, ENCLAVE]) if (other !== from) await compare(other, to, data);
        // In token mode rolec's deposits take the coin too (docs/market-differences.md).
        const values = value > 0n ? [0n, value - 1n, value + 1n, 10n ** 30n] : [1n, 10n ** 9n];
        if (mode === "native") for (const other of values) await compare(from, to, data, other);
      }
    },
  );

  t.test(`${mode}: with each argument wrong in turn, rolec does what iExec's contracts do`, async () => {
    for (const { from, to, contract, fn, args, value, sign } of calls)
      for (const { path, input } of functionOf(contract, fn).inputs.flatMap((input, i) => pathsOf(input, [i])))
        await check(fc.tuple(wrongOf(session, input, at(args, path)), fc.boolean()), 8, ([wrong, isSigned]) => {
          const all = changed(args, path, wrong) as unknown[];
          const again = isSigned && sign && path.at(-1) !== "sign";
          return compare(from, to, encode(contract, fn, again ? sign(all) : all), value);
        });
  });

  t.test(
    `${mode}: malformed calldata is refused without a reason, or means to rolec what it means to iExec's contracts`,
    async () => {
      for (const { from, to, contract, fn, args, value = 0n } of calls)
        await check(malformed(encode(contract, fn, args)), 24, async (data) => {
          const message = { from: from.address, to, data, value };
          const { ok, data: returned } = await kept(message);
          // Older compilers take words cut off, and addresses with dirt before them.
          if (ok || returned !== "0x") await session.probe(message);
        });
    },
  );

  t.test(`${mode}: what nobody may do is refused whatever it says`, async (t) => {
    const hub = mode === "native" ? "hub" : "tokenHub";
    const [app] = session.entries.app;
    const places = {
      [hub]: HUB,
      ...REGISTRY,
      appEntry: app!,
      datasetEntry: session.entries.dataset[0]!,
      poolEntry: session.entries.workerpool[1]!,
    };
    for (const [contract, to] of Object.entries(places) as [Contract, Address][])
      for (const item of writesOf(contract).filter(({ name }) => NEVER_RIGHT.includes(name))) {
        const values = fc.tuple(...item.inputs.map((input) => wrongOf(session, input)));
        await check(fc.tuple(values, fc.constantFrom(...ACTORS, OWNER)), 8, async ([args, from]) => {
          const data = encode(contract, toFunctionSignature(item), args);
          t.notOk(await compare(from, to, data), `${contract}.${item.name}`);
        });
      }
  });
}
