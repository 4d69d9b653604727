import type { AbiFunction, AbiParameter } from "viem";
import { fromHex, type Hex, toHex, utf8, word, ZERO_ADDRESS } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { addressOf, CONTRACTS, encodeItem, functionsOf, isView } from "../contracts.ts";
import { type Ask, actor, type Stage, type Story } from "../stage.ts";
import { targetOf } from "./every.ts";

const NUMBERS = [0n, 1n, 2n, 3n, 5n, 100n, 10n ** 9n, 2n ** 64n, 2n ** 255n, 2n ** 256n - 1n];
const CALLS = 240;
const PER_BLOCK = 12;

/** Numbers that follow from a seed alone. */
const generator = (seed: string) => {
  let state = keccak256(utf8(seed));
  return (below: number): number => {
    state = keccak256(fromHex(state));
    return Number(BigInt(state) % BigInt(below));
  };
};

/** Calls of any function with arguments of what the chain knows, by accounts that nobody depends on. */
export async function* noise(stage: Stage): Story {
  const { known } = stage;
  const random = generator("golden noise");
  const pick = <T>(list: readonly T[]): T => list[random(list.length)]!;
  const addresses = [
    ...["noise 0", "noise 1", "noise 2", "requester", "developer"].map((name) => actor(name).address),
    ...[known.app!, known.dataset!, known.pool!, known.genesisPool!, known.group!, ZERO_ADDRESS],
    ...stage.validator.map(({ address }) => address),
  ];
  const ids = [...known.deals, ...known.lots, ...known.tasks, word(0), word(1)];
  const valueFor = (input: AbiParameter): unknown => {
    const { type } = input;
    if (type.endsWith("[]"))
      return Array.from({ length: random(3) }, () => valueFor({ ...input, type: type.slice(0, -2) }));
    if (type === "tuple")
      return Object.fromEntries(
        (input as { components: readonly AbiParameter[] }).components.map((each) => [each.name, valueFor(each)]),
      );
    if (type === "address") return pick(addresses);
    if (type === "bool") return random(2) === 0;
    if (type === "bytes32") return pick(ids);
    if (type === "bytes4") return pick(["0x01ffc9a7", "0xffffffff"]);
    if (type === "uint8") return random(3);
    if (type === "string") return pick(["", "name", "x".repeat(40)]);
    if (type === "bytes") return pick<Hex>(["0x", "0x12", toHex(new Uint8Array(65))]);
    return random(5) === 0 ? BigInt(pick(addresses)) : pick(NUMBERS);
  };
  const kinds = CONTRACTS.map((kind) => [kind, functionsOf(kind).filter((item) => !isView(item))] as const).filter(
    ([, items]) => items.length > 0,
  );
  const one = (): Ask => {
    const [kind, items] = pick(kinds);
    const item: AbiFunction = pick(items);
    const value = item.stateMutability === "payable" ? pick([0n, 1n, 10n ** 9n, 10n ** 19n]) : 0n;
    return {
      from: actor(`noise ${random(4)}`),
      to: addressOf(targetOf(stage, kind)),
      data: encodeItem(item, item.inputs.map(valueFor)),
      value,
      fails: undefined,
      fields: {},
    };
  };
  for (let sent = 0; sent < CALLS; sent += PER_BLOCK) yield Array.from({ length: PER_BLOCK }, one);
}
