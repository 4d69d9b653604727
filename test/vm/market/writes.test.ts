import fc from "fast-check";
import t from "tap";
import { type Address, EMPTY, utf8, word, ZERO_ADDRESS, ZERO_HASH } from "../../../lib/bytes.ts";
import { type AbiValue, abiFunction } from "../../../vm/abi.ts";
import { APP_REGISTRY, DATASET_REGISTRY, HUB, MARKET, TOKEN, WORKERPOOL_REGISTRY } from "../../../vm/addresses.ts";
import {
  APP_REGISTRY_ABI,
  DATASET_REGISTRY_ABI,
  HUB_ABI,
  MARKET_ABI,
  REGISTRY_ABI,
  TOKEN_ABI,
  WORKERPOOL_REGISTRY_ABI,
} from "../../../vm/market/abi.ts";
import { KITTY } from "../../../vm/market/kitty.ts";
import { stranger } from "./refusal-cases.ts";
import { createScene } from "./scene.ts";
import { addressBy } from "./world.ts";

const MOST = (1n << 256n) - 1n;

/** Values of an ABI type, drawn mostly from those that mean something in a scene. */
const arbitraryOf = (type: string, known: readonly AbiValue[]): fc.Arbitrary<AbiValue> => {
  if (type.endsWith("[]")) return fc.array(arbitraryOf(type.slice(0, -2), known), { maxLength: 3 });
  if (type.startsWith("(")) return fc.tuple(...splitTypes(type.slice(1, -1)).map((each) => arbitraryOf(each, known)));
  const hex = (size: number) => known.filter((value) => typeof value === "string" && value.length === 2 + 2 * size);
  if (type === "address") return fc.constantFrom(ZERO_ADDRESS, stranger, ...hex(20));
  if (type === "bytes32") return fc.constantFrom(ZERO_HASH, word(1), ...hex(32));
  if (type === "bytes4") return fc.constantFrom("0x00000000", "0xffffffff");
  if (type === "bytes") return fc.constantFrom(EMPTY, new Uint8Array(65), utf8("bytes"));
  if (type === "string") return fc.constantFrom("", "{}", "text");
  if (type === "bool") return fc.boolean();
  if (type === "uint8") return fc.constantFrom(0n, 1n, 2n);
  return fc.constantFrom(0n, 1n, 2n, 10n, 10n ** 9n, MOST, ...known.filter((value) => typeof value === "bigint"));
};
/** Splits the list of types in a tuple's name. */
const splitTypes = (list: string): string[] => {
  const out: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i <= list.length; i++) {
    if (list[i] === "(") depth += 1;
    if (list[i] === ")") depth -= 1;
    if (depth > 0 || (i < list.length && list[i] !== ",")) continue;
    if (i > start) out.push(list.slice(start, i));
    start = i + 1;
  }
  return out;
};

const WRITES = (
  [
    [HUB, HUB_ABI],
    [MARKET, MARKET_ABI],
    [TOKEN, TOKEN_ABI],
    [APP_REGISTRY, [...REGISTRY_ABI, ...APP_REGISTRY_ABI]],
    [DATASET_REGISTRY, [...REGISTRY_ABI, ...DATASET_REGISTRY_ABI]],
    [WORKERPOOL_REGISTRY, [...REGISTRY_ABI, ...WORKERPOOL_REGISTRY_ABI]],
  ] as [Address, readonly string[]][]
).flatMap(([to, abi]) =>
  abi
    .filter((line) => line.startsWith("function ") && !line.includes(" view "))
    .map((line) => ({ to, fn: abiFunction(line), payable: line.includes(" payable ") })),
);

t.test("any writes with any arguments, in any order, either hold the books or change nothing", (t) => {
  fc.assert(
    fc.property(
      fc.infiniteStream(fc.nat()),
      fc.constantFrom("requester", "scheduler", "w0", "owner"),
      (numbers, name) => {
        const scene = createScene(["w0"]);
        const dealid = scene.match({ request: { trust: 1n, volume: 2n } });
        const task = scene.initialize(dealid);
        const known: AbiValue[] = [scene.requester, scene.scheduler, addressBy("w0"), HUB, MARKET, TOKEN, KITTY];
        known.push(scene.app, scene.pool, scene.dataset, scene.genesisPool, dealid, task, BigInt(scene.app), 1_000n);
        const seeds = numbers[Symbol.iterator]();
        const next = (): number => seeds.next().value as number;
        for (let i = 0; i < 40; i++) {
          const { to, fn, payable } = WRITES[next() % WRITES.length]!;
          const types = splitTypes(fn.signature.slice(fn.signature.indexOf("(") + 1, -1));
          const args = types.map((type) => fc.sample(arbitraryOf(type, known), { numRuns: 1, seed: next() })[0]!);
          const from = addressBy(name);
          const value = payable && scene.state.balance(from) > 10n ** 12n ? 10n ** 9n * 5n + 3n : 0n;
          const { root } = scene.state.commit();
          try {
            scene.call(from, to, fn, args, value);
          } catch (error) {
            // Anything but a revert is a bug of ours.
            if (error instanceof TypeError || error instanceof RangeError || /nRLC|debit|credit/.test(String(error)))
              throw error;
            if (scene.state.commit().root !== root) throw new Error(`${fn.signature} reverted and changed the state`);
          }
          if (i % 8 === 0) scene.advance(30);
        }
        const names = ["scheduler", "w0", "owner", "stranger"].map(addressBy);
        const others = [KITTY, TOKEN, scene.app, scene.pool, scene.dataset, scene.genesisPool];
        for (const [book, [owed, has]] of Object.entries(scene.books([...names, ...others])))
          if (owed !== has && book !== "locked") throw new Error(`${book} owes ${owed} and has ${has}`);
      },
    ),
    { numRuns: 12 },
  );
  t.end();
});
