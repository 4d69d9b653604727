import { type AbiFunction, decodeFunctionData, encodeErrorResult, parseAbi, toFunctionSelector } from "viem";
import type { Address, Hex } from "../../lib/bytes.ts";
import { HUB, TOKEN } from "../../vm/addresses.ts";
import { ABIS, type Contract, functionsOf, REGISTRY } from "./contracts.ts";
import type { Message, Outcome } from "./world.ts";

/** A difference that is meant. `holds` says exactly when, and what rolec must answer then. */
export interface KnownDifference {
  /** The heading of its reason in docs/market-differences.md. */
  readonly id: string;
  holds(message: Message, expected: Outcome, got: Outcome): boolean;
}

const ERRORS = parseAbi([
  "error Error(string reason)",
  "error Panic(uint256 code)",
  "error ERC721NonexistentToken(uint256 tokenId)",
  "error ERC721IncorrectOwner(address sender, uint256 tokenId, address owner)",
  "error ERC721InvalidOwner(address owner)",
  "error ERC721InvalidReceiver(address receiver)",
  "error ERC721InsufficientApproval(address operator, uint256 tokenId)",
  "error ERC721InvalidApprover(address approver)",
  "error ERC721InvalidOperator(address operator)",
  "error ERC721OutOfBoundsIndex(address owner, uint256 index)",
  "error OwnableInvalidOwner(address owner)",
  "error UnsupportedOperation(bytes4 selector)",
]);
/** What the reference's diamond says to a stranger: NotContractOwner(address user, address owner). */
const NOT_OWNER = "0xff4127cb";
const error = (errorName: (typeof ERRORS)[number]["name"], ...args: readonly unknown[]): Hex =>
  encodeErrorResult({ abi: ERRORS, errorName, args } as never);
const reason = (text: string): Hex => error("Error", text);
const PANIC_ARITHMETIC = error("Panic", 0x11n);
/** Functions of the hub that 6.1.0 has from an older compiler, with the panic of the newer. */
const PANICS: Readonly<Record<string, Hex>> = {
  depositForArray: PANIC_ARITHMETIC,
  increaseAllowance: PANIC_ARITHMETIC,
  viewCategoryABILegacy: error("Panic", 0x32n),
};
const ZERO: Address = `0x${"00".repeat(20)}`;

const registries: readonly string[] = Object.values(REGISTRY);
const isRegistry = ({ to }: Message): boolean => registries.includes(to);
const selectorOf = ({ data }: Message): Hex => data.slice(0, 10) as Hex;
const functionsBySelector = new Map<Hex, AbiFunction>();
for (const contract of Object.keys(ABIS) as Contract[])
  for (const item of functionsOf(contract)) functionsBySelector.set(toFunctionSelector(item), item);
/** Name and arguments of a call to a registry, whose ERC-721 part is the same in all three; no name where they do not decode. */
const called = (message: Message): { name: string; args: readonly unknown[] } => {
  const item = functionsBySelector.get(selectorOf(message));
  if (!item) return { name: "", args: [] };
  try {
    const { functionName, args } = decodeFunctionData({ abi: [item], data: message.data });
    return { name: functionName, args: args ?? [] };
  } catch {
    return { name: "", args: [] };
  }
};

/**
 * What the registries of 6.2.0 (OpenZeppelin 5) may say where those of 6.1.0 (OpenZeppelin 3) say this. Some depend on the
 * token's owner, which the call does not tell: then any owner will do.
 */
const erc721Error = (message: Message, before: Hex, got: Hex): boolean => {
  const { name, args } = called(message);
  if (name === "transferOwnership")
    return before === reason("Ownable: new owner is the zero address") && got === error("OwnableInvalidOwner", args[0]);
  const isTransfer = name === "transferFrom" || name === "safeTransferFrom";
  const id = (isTransfer ? args[2] : args[name === "approve" ? 1 : 0]) as bigint;
  const to = isTransfer ? (args[1] as Address) : ZERO;
  if (isTransfer && to === ZERO && got === error("ERC721InvalidReceiver", ZERO)) return before.startsWith("0x08c379a0");
  const says = (text: string): boolean => before === reason(`ERC721: ${text}`);
  if (says("transfer of token that is not own"))
    return got.slice(0, -40) === error("ERC721IncorrectOwner", args[0], id, ZERO).slice(0, -40);
  if (says("transfer to non ERC721Receiver implementer")) return got === error("ERC721InvalidReceiver", to);
  if (says("transfer caller is not owner nor approved"))
    return got === error("ERC721InsufficientApproval", message.from, id);
  if (says("approve caller is not owner nor approved for all"))
    return got === error("ERC721InvalidApprover", message.from);
  if (says("mint to the zero address")) return got === error("ERC721InvalidReceiver", ZERO);
  if (says("balance query for the zero address")) return got === error("ERC721InvalidOwner", ZERO);
  if (before === reason("EnumerableMap: index out of bounds"))
    return got === error("ERC721OutOfBoundsIndex", ZERO, args[0]);
  if (before === reason("EnumerableSet: index out of bounds"))
    return got === (args[0] === ZERO ? error("ERC721InvalidOwner", ZERO) : error("ERC721OutOfBoundsIndex", ...args));
  const isUnknown =
    ["owner", "operator", "approved"].some((which) => says(`${which} query for nonexistent token`)) ||
    before === reason("ERC721Metadata: URI query for nonexistent token");
  return isUnknown && got === error("ERC721NonexistentToken", id);
};

const APPROVAL = "0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925";
const ZERO_WORD: Hex = `0x${"00".repeat(32)}`;

const TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
const TRUE: Hex = `0x${"1".padStart(64, "0")}`;
const DEPOSITS = ["deposit", "depositFor", "depositForArray", "receiveApproval"];
const REFUSALS = [reason("ERC20: insufficient allowance"), reason("ERC20: transfer amount exceeds balance")];

/** In token mode, where RLC of the reference are a contract's and those of rolec the chain's coin. */
const TOKEN_DIFFERENCES: readonly KnownDifference[] = [
  {
    id: "the token's approveAndCall answers true",
    holds: (message, expected, got) =>
      message.to === TOKEN &&
      called(message).name === "approveAndCall" &&
      expected.ok &&
      expected.data === "0x" &&
      got.data === TRUE &&
      JSON.stringify(expected.logs) === JSON.stringify(got.logs),
  },
  {
    id: "the token says why",
    // iExec's token throws away what the hub it calls says, and says nothing where it refuses itself.
    holds: (message, expected, got) => {
      if (expected.ok || expected.data !== "0x" || got.ok) return false;
      const { name } = called(message);
      if (message.to === TOKEN) return name === "approveAndCall" || REFUSALS.includes(got.data);
      return message.to === HUB && DEPOSITS.includes(name) && REFUSALS.includes(got.data);
    },
  },
  {
    id: "RLC sent to the hub is a deposit",
    // The reference's hub has RLC then that only its owner can recover.
    holds: (message, expected, got) =>
      message.to === TOKEN &&
      expected.ok &&
      got.ok &&
      got.logs.length === expected.logs.length + 1 &&
      called(message).args.some((arg) => (arg as unknown) === HUB) &&
      got.logs.at(-1)!.address === HUB &&
      JSON.stringify(expected.logs) === JSON.stringify(got.logs.slice(0, -1)),
  },
  {
    id: "the token guards against loss",
    holds: (message, expected, got) =>
      message.to === TOKEN &&
      expected.ok &&
      [reason("ERC20: a contract cannot hold RLC"), reason("ERC20: approve to the zero address")].includes(got.data),
  },
  {
    id: "an approval of the token may carry a match in 6.2.0",
    // 6.1.0 does not look at what it carries.
    holds: (message, expected, got) => {
      const { name, args } = called(message);
      if (!["receiveApproval", "approveAndCall"].includes(name) || !expected.ok || got.ok) return false;
      const data = args.at(-1) as Hex;
      return got.data === (data.length < 10 ? "0x" : error("UnsupportedOperation", data.slice(0, 10)));
    },
  },
  {
    id: "the hub is no entry",
    // It has an owner, as an entry has. Of what else a view asks the entry the reference's hub knows nothing: in native mode it
    // reverts without data, as rolec.
    holds: (message, expected, got) =>
      message.to === HUB &&
      ["viewApp", "viewDataset", "viewWorkerpool"].includes(called(message).name) &&
      called(message).args[0] === HUB &&
      expected.data === reason("fallback-disabled") &&
      !got.ok &&
      got.data === "0x",
  },
  {
    id: "contracts that cannot hold coins",
    holds: (message, expected, got) =>
      message.to === HUB &&
      called(message).name === "withdrawTo" &&
      expected.ok &&
      expected.logs.length === 2 &&
      expected.logs[1]!.address === TOKEN &&
      got.data === reason("native-transfer-failed"),
  },
];

export const KNOWN: readonly KnownDifference[] = [
  ...TOKEN_DIFFERENCES,
  {
    id: "value to a function that takes none",
    // The reference reverts without data, rolec names the function.
    holds: (message, expected, got) =>
      message.value > 0n &&
      !expected.ok &&
      expected.data === "0x" &&
      !got.ok &&
      Buffer.from(got.data.slice(138), "hex")
        .toString()
        .replace(/\0+$/, "")
        .endsWith(`${called(message).name} takes no value`),
  },
  {
    id: "only the hub's owner gives it away",
    holds: (message, expected, got) =>
      message.to === HUB &&
      called(message).name === "transferOwnership" &&
      expected.data.startsWith(NOT_OWNER) &&
      got.data === reason("Ownable: caller is not the owner"),
  },
  {
    id: "receiveApproval answers in native mode too",
    // The reference's hub takes it for a deposit of nothing, as a registry's question below.
    holds: (message, expected, got) =>
      message.to === HUB &&
      called(message).name === "approveAndCall" &&
      expected.data === reason("native-transfer-failed") &&
      got.data === reason("wrong-token"),
  },
  {
    id: "RLC logs what the hub pays out",
    holds: (message, expected, got) => {
      const [log] = got.logs.slice(-1);
      return (
        message.to === HUB &&
        called(message).name.startsWith("withdraw") &&
        expected.ok &&
        expected.data === got.data &&
        log?.address === TOKEN &&
        log.topics[0] === TRANSFER &&
        BigInt(log.topics[1]!) === BigInt(HUB) &&
        JSON.stringify(expected.logs) === JSON.stringify(got.logs.slice(0, -1))
      );
    },
  },
  {
    id: "depositForArray without value is the token's",
    // Of amounts that are all nothing the token logs the transfer.
    holds: (message, expected, got) =>
      message.to === HUB &&
      called(message).name === "depositForArray" &&
      expected.ok &&
      expected.data === got.data &&
      (called(message).args[0] as readonly bigint[]).every((amount) => amount === 0n) &&
      JSON.stringify(expected.logs) === JSON.stringify(got.logs.filter(({ address }) => address !== TOKEN)),
  },
  {
    id: "depositForArray without value is the token's",
    holds: (message, expected, got) =>
      message.to === HUB &&
      called(message).name === "depositForArray" &&
      message.value === 0n &&
      !expected.ok &&
      (expected.data === "0x" || expected.data === PANIC_ARITHMETIC) &&
      !got.ok &&
      got.data === reason("ERC20: insufficient allowance"),
  },
  {
    id: "times of categories",
    holds: (message, expected, got) =>
      message.to === HUB &&
      called(message).name === "createCategory" &&
      (called(message).args[2] as bigint) > 2n ** 48n &&
      expected.ok &&
      got.data === reason("workClockTimeRef is out of range"),
  },
  {
    id: "callbackgas bounds nothing",
    // With a bound that no transaction has, 6.1.0 asserts that so much gas was left for the callback, and ends there.
    holds: (message, expected, got) =>
      message.to === HUB &&
      ["finalize", "contributeAndFinalize"].includes(called(message).name) &&
      !expected.ok &&
      expected.data === error("Panic", 1n) &&
      got.ok,
  },
  {
    id: "panics of 6.2.0",
    // 6.1.0, of an older compiler, reverts without data where 6.2.0 panics.
    holds: (message, expected, got) =>
      message.to === HUB && !expected.ok && expected.data === "0x" && got.data === PANICS[called(message).name],
  },
  {
    id: "errors of the registries in 6.2.0",
    holds: (message, expected, got) =>
      isRegistry(message) && !expected.ok && !got.ok && erc721Error(message, expected.data, got.data),
  },
  {
    id: "a transfer of an entry does not log the end of its approval in 6.2.0",
    holds: (message, expected, got) =>
      isRegistry(message) &&
      expected.ok &&
      got.ok &&
      expected.logs.length === got.logs.length + 1 &&
      expected.logs[0]!.topics[0] === APPROVAL &&
      expected.logs[0]!.topics[2] === ZERO_WORD &&
      JSON.stringify(expected.logs.slice(1)) === JSON.stringify(got.logs),
  },
  {
    id: "what the registries of 6.2.0 let one approve",
    holds: (message, expected, got) => {
      if (!isRegistry(message)) return false;
      const { name, args } = called(message);
      const toSelf = name === "setApprovalForAll" && (args[0] as Address).toLowerCase() === message.from;
      if (toSelf) return got.ok && expected.data === reason("ERC721: approve to caller");
      const toNobody = name === "setApprovalForAll" && args[0] === ZERO;
      if (toNobody) return expected.ok && got.data === error("ERC721InvalidOperator", ZERO);
      if (name !== "approve" || expected.data !== reason("ERC721: approval to current owner")) return false;
      return got.ok || got.data === error("ERC721InvalidApprover", message.from);
    },
  },
  {
    id: "the hub is no receiver of entries",
    // The reference's hub takes the registry's question for a deposit of nothing and fails to give the nothing back.
    holds: (message, expected, got) =>
      isRegistry(message) &&
      called(message).name === "safeTransferFrom" &&
      [reason("native-transfer-failed"), reason("fallback-disabled")].includes(expected.data) &&
      got.data === error("ERC721InvalidReceiver", HUB),
  },
];

/** Finds the known difference that a call's two answers are an instance of. */
export const knownDifference = (message: Message, expected: Outcome, got: Outcome): KnownDifference | undefined =>
  KNOWN.find((each) => each.holds(message, expected, got));
