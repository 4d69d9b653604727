import type { AbiFunction, AbiParameter } from "viem";
import { encodeFunctionData, toFunctionSignature } from "viem";
import { type Address, type Hash, type Hex, word, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { HUB, MARKET, TOKEN } from "../../vm/addresses.ts";
import { type Contract, functionsOf, REGISTRY, SYSTEM } from "./contracts.ts";
import { pick } from "./match.ts";
import { fittingOrders, KINDS, type Kind } from "./orders.ts";
import type { Session } from "./session.ts";
import { ENCLAVE, OWNER } from "./setting.ts";
import type { StepOf } from "./steps.ts";

const CONTRACTS: readonly Contract[] = [
  "hub",
  "hub",
  "hub",
  "hub",
  "app",
  "dataset",
  "workerpool",
  "appEntry",
  "datasetEntry",
  "poolEntry",
];
/** Left out: what docs/market-differences.md says that rolec does not have, and changes nothing can be compared after. */
const LEFT_OUT = new Set([
  "configure",
  "changeRegistries",
  "importScore",
  "recover",
  "receiveApproval",
  "approveAndCall",
  "renounceOwnership",
  "transferOwnership",
  "setBaseURI",
  "master",
  "proxyCode",
  "proxyCodeHash",
  "initialize(string,string,bytes,bytes32,bytes)",
  "initialize(string,bytes,bytes32)",
  "initialize(string)",
]);

const NUMBERS = [
  0n,
  1n,
  2n,
  3n,
  4n,
  5n,
  10n,
  100n,
  1000n,
  10n ** 9n,
  10n ** 12n,
  2n ** 128n,
  2n ** 255n,
  2n ** 256n - 1n,
];

/** Arguments from what the session knows, chosen by seeds in order. */
const chooser = (session: Session, seeds: readonly number[]) => {
  let at = 0;
  const seed = (): number => seeds[at++ % seeds.length]!;
  const address = (): Address => {
    const n = seed();
    const { app, dataset, workerpool } = session.entries;
    return pick<Address>(
      [
        session.actor(n >> 4).address,
        session.actor(n >> 4).address,
        pick(app, n >> 4),
        pick(dataset, n >> 4),
        pick(workerpool, n >> 4),
        pick([ZERO_ADDRESS, OWNER.address, ENCLAVE.address, ...SYSTEM, MARKET], n >> 4),
      ],
      n,
    );
  };
  const hash = (): Hash => {
    const n = seed();
    const ids = [
      ...session.deals.slice(-4).map(({ id }) => id),
      ...session.tasks.slice(-6).map(({ id }) => id),
      ...session.matches.slice(-2).flatMap(({ hashes }) => Object.values(hashes)),
      ZERO_HASH,
      word(1n),
    ];
    return pick(ids, n);
  };
  const number = (): bigint => {
    const n = seed();
    return n % 5 === 0 ? BigInt(address()) : pick(NUMBERS, n);
  };
  const order = (kind: Kind): unknown => {
    if (session.matches.length > 0) return pick(session.matches, seed()).orders[kind];
    return fittingOrders(
      { app: address(), dataset: address(), workerpool: address(), requester: address() },
      ZERO_HASH,
    )[kind];
  };
  const value = (input: AbiParameter): unknown => {
    const { type } = input;
    if (type.endsWith("[]"))
      return Array.from({ length: seed() % 3 }, () => value({ ...input, type: type.slice(0, -2) }));
    if (type === "tuple") {
      const components = (input as { components: readonly AbiParameter[] }).components;
      const kind = KINDS.find((each) =>
        input.internalType?.endsWith(`.${each[0]!.toUpperCase()}${each.slice(1)}Order`),
      );
      if (kind) return order(kind);
      return Object.fromEntries(components.map((each) => [each.name, value(each)]));
    }
    if (type === "address") return address();
    if (type === "bool") return seed() % 2 === 0;
    if (type === "bytes32") return hash();
    if (type === "bytes4") return pick(["0x01ffc9a7", "0x80ac58cd", "0x780e9d63", "0x5b5e139f", "0xffffffff"], seed());
    if (type === "uint8") return seed() % 3;
    if (type === "string") return pick(["", "name", "x".repeat(40)], seed());
    if (type === "bytes") return pick<Hex>(["0x", "0x12", `0x${"00".repeat(65)}`], seed());
    return number();
  };
  return { value, address };
};

const chosen = new Map<Contract, AbiFunction[]>();
const callable = (contract: Contract): AbiFunction[] => {
  const list =
    chosen.get(contract) ??
    functionsOf(contract).filter((each) => !LEFT_OUT.has(each.name) && !LEFT_OUT.has(toFunctionSignature(each)));
  chosen.set(contract, list);
  return list;
};

/** Calls any function with arguments that the session knows. */
export const runAny = async (session: Session, step: StepOf<"any">): Promise<void> => {
  const picked = pick(CONTRACTS, step.contract);
  const contract = picked === "hub" && session.mode === "token" ? "tokenHub" : picked;
  const item = pick(callable(contract), step.fn);
  const { value } = chooser(session, step.seeds);
  const to = {
    hub: HUB,
    tokenHub: HUB,
    ...REGISTRY,
    token: TOKEN,
    appEntry: pick(session.entries.app, step.seeds[0]!),
    datasetEntry: pick(session.entries.dataset, step.seeds[0]!),
    poolEntry: pick(session.entries.workerpool, step.seeds[0]!),
  }[contract];
  const args = item.inputs.map(value);
  const data = encodeFunctionData({ abi: [item], functionName: item.name, args } as never);
  const who = step.who % 6 === 0 ? OWNER : session.actor(step.who);
  await session.send(who, to, data, session.mode === "native" ? step.value : 0n);
};
