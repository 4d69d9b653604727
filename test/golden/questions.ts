import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Address, type Hash, type Hex, toHex, word, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { addressOf, CONTRACTS, eventsOf, SYSTEM, topicOf } from "./contracts.ts";
import type { Question } from "./rpc.ts";
import { type Actor, actor, CAST, type Stage } from "./stage.ts";
import { viewCalls } from "./stories/every.ts";

/** A block as `eth_getBlockByNumber` gives it, as far as the golden chain looks at it. */
export interface BlockJson {
  readonly number: Hex;
  readonly hash: Hash;
  readonly timestamp: Hex;
  readonly stateRoot: Hash;
  readonly receiptsRoot: Hash;
  readonly consensusRoot: Hash;
  readonly gasUsed: Hex;
  readonly transactions: readonly TransactionJson[];
}
export interface TransactionJson {
  readonly hash: Hash;
  readonly from: Address;
  readonly to: Address;
  readonly value: Hex;
  readonly input: Hex;
}

/** Methods of docs/rpc.md that are not asked, and why. */
export const NOT_ASKED: Readonly<Record<string, string>> = {
  web3_clientVersion: "names the machine",
  eth_subscribe: "needs a WebSocket",
  eth_unsubscribe: "needs a WebSocket",
  eth_submitWork: "takes what was searched for",
  eth_submitHashrate: "is forgotten by the clock",
  eth_hashrate: "is forgotten by the clock",
  eth_mining: "is forgotten by the clock",
  ...Object.fromEntries(
    ["lotReceipts", "putLotReceipts", "pins", "pin", "unpin", "keepPins", "releasePins"].map((name) => [
      `rolec_${name}`,
      "is about data, not the chain",
    ]),
  ),
  ...Object.fromEntries(
    ["placeOrder", "order", "orders"].map((name) => [`rolec_${name}`, "is about the book, not the chain"]),
  ),
};

/** The methods that docs/rpc.md lists. */
export const documentedMethods = (): string[] => {
  const text = readFileSync(join(import.meta.dirname, "../../docs/rpc.md"), "utf8");
  const rows = text.split("\n").filter((line) => /^\| \w+ \| .*`\w+_\w+/.test(line));
  const names = rows.flatMap((row) => [...row.matchAll(/`(\w+_[\w{},]+)`/g)].map(([, name]) => name!));
  return names.flatMap((name) => {
    const [all, choices] = /\{([^}]*)\}/.exec(name) ?? [];
    return all ? choices!.split(",").map((choice) => name.replace(all, choice)) : [name];
  });
};

const callOf = ({ from, to, value, input }: TransactionJson) => ({ from, to, value, data: input });
const before = (number: Hex): Hex => `0x${(Number(number) - 1).toString(16)}`;
const ask = (method: string, ...params: unknown[]): Question => ({ method, params });

/** What is asked of the finished chain. Answers to the same questions are the same for ever. */
export const questionsOf = (stage: Stage, blocks: readonly BlockJson[]): Question[] => {
  const { known, validator } = stage;
  const numbers = blocks
    .filter((_, i) => i % 25 === 0 || blocks[i]!.transactions.length > 30)
    .map(({ number }) => number);
  const transactions = blocks.flatMap((block) => block.transactions.map((tx, index) => ({ block, tx, index })));
  const some = transactions.filter((_, i) => i % 9 === 0);
  const people: Address[] = [
    ...CAST.map((name) => actor(name).address),
    ...validator.map(({ address }) => address),
    ...Object.values(SYSTEM),
    ...known.entries,
    known.group!,
  ];
  const tags = ["earliest", "latest", "pending", "safe", "finalized", "0x64", "0x12c", "0xffffff"];
  const last = blocks.at(-1)!;
  const hex = (value: number): Hex => `0x${value.toString(16)}`;
  const firstSlots = [0, 1, 2].map((i) => word(i));
  const pages = [0, 1, 2, 3, 4].map((i) => [hex(i * 100 + 1), hex(i * 100 + 100)] as const);
  return [
    ...["eth_chainId", "eth_blockNumber", "eth_accounts", "eth_syncing", "eth_gasPrice"].map((name) => ask(name)),
    ...["eth_maxPriorityFeePerGas", "eth_coinbase", "net_version", "net_listening"].map((name) => ask(name)),
    ...["net_peerCount", "rpc_modules", "txpool_status", "txpool_content", "rolec_ethash"].map((name) => ask(name)),
    ...["rolec_finality", "rolec_genesis", "rolec_network", "eth_getWork"].map((name) => ask(name)),
    ask("web3_sha3", "0x1234"),
    ...[...tags, ...numbers].flatMap((at) => [
      ask("eth_getBlockByNumber", at, true),
      ask("eth_getBlockByNumber", at, false),
      ask("eth_getBlockTransactionCountByNumber", at),
      ask("eth_getUncleCountByBlockNumber", at),
      ask("eth_getBlockReceipts", at),
      ask("eth_getTransactionByBlockNumberAndIndex", at, "0x0"),
      ask("rolec_validators", at),
      ask("rolec_power", at),
      ask("rolec_account", validator[2]!.address, at),
    ]),
    ...blocks
      .filter(({ number }) => numbers.includes(number))
      .flatMap(({ hash, number }) => [
        ask("eth_getBlockByHash", hash, true),
        ask("eth_getBlockByHash", hash, false),
        ask("eth_getBlockTransactionCountByHash", hash),
        ask("eth_getUncleCountByBlockHash", hash),
        ask("eth_getTransactionByBlockHashAndIndex", hash, "0x1"),
        ask("eth_getBlockReceipts", { blockHash: hash, requireCanonical: true }),
        ask("eth_getLogs", { blockHash: hash }),
        ask("eth_feeHistory", "0x5", number, [0, 50, 90]),
      ]),
    ...some.flatMap(({ tx }) => [
      ask("eth_getTransactionByHash", tx.hash),
      ask("eth_getTransactionReceipt", tx.hash),
      ask("eth_estimateGas", callOf(tx)),
      ask("eth_createAccessList", callOf(tx)),
    ]),
    // What each transaction gave back, or why it did not: receipts do not say.
    ...transactions.map(({ block, tx }) => ask("eth_call", callOf(tx), before(block.number))),
    ...viewCalls(stage).flatMap(({ target, data }) =>
      ["0x96", "latest"].map((at) =>
        ask("eth_call", { from: actor("requester").address, to: addressOf(target), data }, at),
      ),
    ),
    ...people.flatMap((of) => [
      ...["latest", "0xc8"].flatMap((at) => [
        ask("eth_getBalance", of, at),
        ask("eth_getTransactionCount", of, at),
        ask("eth_getProof", of, firstSlots, at),
        ask("rolec_account", of, at),
      ]),
      ask("eth_getTransactionCount", of, "pending"),
      ask("eth_getCode", of, "latest"),
      ask("eth_getStorageAt", of, "0x1", "latest"),
      ask("eth_getLogs", { address: of, fromBlock: "0x0", toBlock: last.number }),
      ask("txpool_contentFrom", of),
    ]),
    ...CONTRACTS.flatMap((kind) => eventsOf(kind)).map((item) =>
      ask("eth_getLogs", { fromBlock: "earliest", toBlock: "latest", topics: [topicOf(item)] }),
    ),
    ...pages.map(([fromBlock, toBlock]) => ask("eth_getLogs", { fromBlock, toBlock })),
    ...[[0, 0], [5, 1_000], [10], [20, 16], [], [9_999]].map((params) => ask("rolec_audit", ...params)),
    // What is refused, in the words that tools know.
    ask("eth_nothing"),
    ask("eth_getBalance", "0x12"),
    ask("eth_getBalance", ZERO_ADDRESS, "latest", 1),
    ask("eth_call", { data: "0x" }),
    ask("eth_call", { to: SYSTEM.hub, data: "0x12345678" }),
    ask("eth_estimateGas", { to: SYSTEM.hub, data: "0x12345678" }),
    ask("eth_getBlockByNumber", "1"),
    ask("eth_getTransactionReceipt", word(1)),
    ask("eth_getLogs", { blockHash: last.hash, fromBlock: "0x1" }),
    ask("eth_sendRawTransaction", "0x1234"),
    ...leftovers(stage),
    ...["txpool_status", "txpool_content"].map((name) => ask(name)),
    ask("txpool_contentFrom", actor("forker").address),
    ask("eth_getTransactionCount", actor("forker").address, "pending"),
  ];
};

/** Transactions that wait when the chain is over: two for the next block, one that lacks a nonce, two that nobody takes. */
const leftovers = (stage: Stage): Question[] => {
  const from: Actor = actor("forker");
  const transfer = { from, to: ZERO_ADDRESS, data: "0x" as Hex, value: 1n, fails: undefined, fields: {} };
  const poor = { ...transfer, from: actor("nobody") };
  const old = { ...transfer, fields: { nonce: 0 } };
  return [
    stage.sign(transfer),
    stage.sign(transfer),
    stage.sign(transfer, 3),
    stage.sign(poor),
    stage.sign(old, 1),
  ].map(({ raw }) => ask("eth_sendRawTransaction", toHex(raw)));
};
