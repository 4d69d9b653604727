/**
 * The golden chain, as it is written down: `node test/golden/record.ts` records it anew where a rule has changed (docs/adr).
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AbiFunction } from "viem";
import type { Hash, Hex } from "../../lib/bytes.ts";
import { utf8 } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { BLOCKS, makeChain } from "./chain.ts";
import {
  addressOf,
  type ChainLog,
  CONTRACTS,
  type ContractName,
  calledOf,
  eventsOf,
  functionsOf,
  isView,
  nameOf,
  topicOf,
} from "./contracts.ts";
import { type BlockJson, questionsOf } from "./questions.ts";
import { type Answer, askAll, type Question } from "./rpc.ts";
import type { Stage } from "./stage.ts";
import { targetOf } from "./stories/every.ts";

export const RECORD = join(import.meta.dirname, "golden.txt");
const BLOCK_FIELDS = ["number", "slot", "hash", "stateRoot", "receiptsRoot", "consensusRoot", "gasUsed", "events"];
const TRANSACTION_FIELDS = ["status", "gasUsed", "logs"];
const HEAD = [
  "The golden chain (test/golden): what the tests compare with, written by `node test/golden/record.ts`.",
  `block: ${BLOCK_FIELDS.join(" ")}; then its transactions: ${TRANSACTION_FIELDS.join(" ")}, four digits of each log's hash.`,
  "rpc: a method, the place of the first of these questions, six digits of each answer's hash.",
];
const PER_LINE = 16;

interface Receipt {
  readonly status: Hex;
  readonly gasUsed: Hex;
  readonly logs: readonly (ChainLog & { readonly logIndex: Hex })[];
}
/** A block, as it is compared. */
interface BlockRecord {
  readonly fields: readonly string[];
  readonly transactions: readonly (readonly string[])[];
}
export interface GoldenRecord {
  readonly end: string;
  readonly blocks: readonly BlockRecord[];
  /** Digests of answers by method, in the order of questions. */
  readonly answers: ReadonlyMap<string, readonly string[]>;
}
/** A chain with what it takes to name what differs. */
export interface Golden {
  readonly stage: Stage;
  readonly record: GoldenRecord;
  /** Calls of each block's transactions, by name. */
  readonly calls: readonly (readonly string[])[];
  readonly questions: ReadonlyMap<string, readonly Question[]>;
  /** Tells what a question asks, with the function that is called. */
  readonly describe: (question: Question | undefined) => string;
  readonly coverage: Coverage;
  readonly errors: readonly Error[];
}

/** What was called, and what was logged; a call that writes counts as reverted where its form is right. */
export interface Coverage {
  readonly succeeded: ReadonlySet<string>;
  readonly reverted: ReadonlySet<string>;
  readonly events: ReadonlySet<string>;
}

const short = (hash: Hash): string => hash.slice(2, 14);
const digest = (value: unknown, digits: number): string => keccak256(utf8(JSON.stringify(value))).slice(2, 2 + digits);

/** Leaves out of an answer what names the machine, or is chosen by chance. */
const comparable = ({ method }: Question, { result, error }: Answer): unknown => {
  if (error) return { error };
  if (method === "eth_getWork") return { result: (result as Hex[]).slice(1) };
  if (method !== "rolec_network") return { result };
  const { clientVersion: _, ...rest } = result as { clientVersion: string };
  return { result: rest };
};

const readBlocks = async (url: string): Promise<{ blocks: BlockJson[]; receipts: Receipt[][] }> => {
  const numbers = Array.from({ length: BLOCKS }, (_, i) => `0x${(i + 1).toString(16)}`);
  const of = async <T>(method: string, ...more: unknown[]): Promise<T[]> => {
    const answers = await askAll(
      url,
      numbers.map((number) => ({ method, params: [number, ...more] })),
    );
    return answers.map(({ result }) => result as T);
  };
  return { blocks: await of("eth_getBlockByNumber", true), receipts: await of("eth_getBlockReceipts") };
};

/** Asks for filters, and what they give: their names are chosen by chance. */
const askFilters = async (url: string): Promise<[Question, Answer][]> => {
  const wanted = { fromBlock: "0x1", toBlock: "0x12c", address: [] };
  const made: Question[] = [
    { method: "eth_newFilter", params: [wanted] },
    { method: "eth_newBlockFilter", params: [] },
    { method: "eth_newPendingTransactionFilter", params: [] },
  ];
  const ids = (await askAll(url, made)).map(({ result }) => result);
  const asked: [Question, Answer][] = made.map((each, i) => [each, { result: typeof ids[i] }]);
  for (const method of ["eth_getFilterLogs", "eth_getFilterChanges", "eth_uninstallFilter", "eth_uninstallFilter"]) {
    const answers = await askAll(
      url,
      ids.map((id) => ({ method, params: [id] })),
    );
    for (const [i, answer] of answers.entries()) asked.push([{ method, params: [`filter ${i}`] }, answer]);
  }
  return asked;
};

/** Tells whether a call that writes is refused for what it asks, not for its form. */
const isWellFormed = ({ inputs, stateMutability }: AbiFunction, input: Hex, value: Hex): boolean =>
  (inputs.length === 0 || (input.length - 10) % 64 === 0) && (value === "0x0" || stateMutability === "payable");

/** Makes the golden chain, and writes down what it came to. */
export const makeGolden = async (log?: (line: string) => void): Promise<Golden> => {
  const { stage, reorganized, errors } = await makeChain(log ? { log } : {});
  const { url } = stage;
  const { blocks, receipts } = await readBlocks(url);
  const targets = CONTRACTS.map((kind) => [addressOf(targetOf(stage, kind)), kind] as const);
  const kinds = new Map<string, ContractName>(targets);
  const succeeded = new Set<string>();
  const reverted = new Set<string>();
  const events = new Set<string>();
  const calls = blocks.map(({ transactions }, i) =>
    transactions.map(({ to, input, value }, at) => {
      const kind = kinds.get(to);
      const item = kind && calledOf(kind, input);
      const name = item && nameOf(kind, item);
      if (name && receipts[i]![at]!.status === "0x1") succeeded.add(name);
      else if (name && (isView(item) || isWellFormed(item, input, value))) reverted.add(name);
      return name ?? `${input === "0x" ? "transfer" : input.slice(0, 10)} to ${kind ?? to}`;
    }),
  );
  for (const { address, topics } of receipts.flat().flatMap(({ logs }) => logs)) {
    const kind = kinds.get(address);
    const item = kind && eventsOf(kind).find((each) => topicOf(each) === topics[0]);
    if (item) events.add(`${kind}.${item.name}`);
  }
  const describe = (question: Question | undefined): string => {
    const { to, data } = (question?.params[0] ?? {}) as { to?: string; data?: Hex };
    const kind = kinds.get(to ?? "");
    const item = kind && data && calledOf(kind, data);
    const asked = JSON.stringify(question?.params ?? null).slice(0, 400);
    return item ? `${nameOf(kind, item)} ${asked}` : asked;
  };
  const { genesisTime } = stage.genesis;
  const described = blocks.map((block, i): BlockRecord => {
    const { stateRoot, receiptsRoot, consensusRoot, hash } = block;
    const of = receipts[i]!;
    const sizes = [Number(block.gasUsed), of.reduce((sum, { logs }) => sum + logs.length, 0)];
    const place = [Number(block.number), Number(block.timestamp) - genesisTime];
    return {
      fields: [...place, ...[hash, stateRoot, receiptsRoot, consensusRoot].map(short), ...sizes].map(String),
      transactions: of.map(({ status, gasUsed, logs }) => {
        const digests = logs.map(({ address, topics, data }) => digest([address, topics, data], 4)).join("");
        return [String(Number(status)), String(Number(gasUsed)), digests || "-"];
      }),
    };
  });
  const asked = questionsOf(stage, blocks);
  const answered = await askAll(url, asked);
  const pairs = [...asked.map((each, i) => [each, answered[i]!] as const), ...(await askFilters(url))];
  const questions = new Map<string, Question[]>();
  const answers = new Map<string, string[]>();
  for (const [question, answer] of pairs) {
    const { method } = question;
    questions.set(method, [...(questions.get(method) ?? []), question]);
    answers.set(method, [...(answers.get(method) ?? []), digest(comparable(question, answer), 6)]);
  }
  const final = stage.nodes[0]!.engine.finalized();
  const head = stage.head();
  const end = [
    `head ${head.header.number} ${head.hash}`,
    `history ${head.header.historyRoot} validators ${head.header.validatorsRoot}`,
    `final ${final.epoch} ${final.number} ${final.hash}`,
    `reorganized ${reorganized}`,
  ].join(" ");
  return {
    ...{ stage, calls, questions, errors, describe },
    record: { end, blocks: described, answers },
    coverage: { succeeded, reverted, events },
  };
};

/** Writes a record as text, a line for each block and transaction. */
export const formatRecord = ({ end, blocks, answers }: GoldenRecord): string =>
  [
    ...HEAD.map((line) => `# ${line}`),
    ...blocks.flatMap(({ fields, transactions }) => [
      `block ${fields.join(" ")}`,
      ...transactions.map((each) => each.join(" ")),
    ]),
    `end ${end}`,
    ...[...answers].flatMap(([method, digests]) =>
      Array.from({ length: Math.ceil(digests.length / PER_LINE) }, (_, i) => {
        const first = i * PER_LINE;
        return `rpc ${method} ${first} ${digests.slice(first, first + PER_LINE).join(" ")}`;
      }),
    ),
    "",
  ].join("\n");

export const parseRecord = (text: string): GoldenRecord => {
  const blocks: { fields: string[]; transactions: string[][] }[] = [];
  const answers = new Map<string, string[]>();
  let end = "";
  for (const line of text.split("\n").filter((each) => each !== "" && !each.startsWith("#"))) {
    const [kind, ...rest] = line.split(" ") as [string, ...string[]];
    if (kind === "block") blocks.push({ fields: rest, transactions: [] });
    else if (kind === "end") end = rest.join(" ");
    else if (kind === "rpc") answers.set(rest[0]!, [...(answers.get(rest[0]!) ?? []), ...rest.slice(2)]);
    else blocks.at(-1)!.transactions.push([kind, ...rest]);
  }
  return { end, blocks, answers };
};

/** Names each field that differs, with what was expected and what came. */
const fieldsThatDiffer = (names: readonly string[], expected: readonly string[], got: readonly string[]): string[] =>
  names.flatMap((name, i) => {
    const [want, have] = [expected[i], got[i]];
    if (want === have) return [];
    if (name !== "logs") return [`${name} ${have}, expected ${want}`];
    const [wanted, had] = [want, have].map((logs) => (logs === undefined || logs === "-" ? [] : logs.match(/.{4}/g)!));
    const at =
      Math.max(...[wanted!, had!].map(({ length }) => length)) === 0
        ? 0
        : wanted!.findIndex((each, j) => each !== had![j]);
    return [`log ${at < 0 ? wanted!.length : at} of ${had!.length}, expected ${wanted!.length}`];
  });

/** Tells where a chain begins to differ from a record of it: the first block, and the first transaction there; undefined where it is the same. */
export const firstDifference = (expected: GoldenRecord, { record, calls }: Golden): string | undefined => {
  for (const [i, want] of expected.blocks.entries()) {
    const got = record.blocks[i];
    if (!got) return `block ${i + 1} is missing`;
    const fields = fieldsThatDiffer(BLOCK_FIELDS, want.fields, got.fields);
    const at = Array.from({ length: Math.max(want.transactions.length, got.transactions.length) }, (_, j) => j).find(
      (j) => String(want.transactions[j]) !== String(got.transactions[j]),
    );
    if (at !== undefined) {
      const [was, is] = [want.transactions[at] ?? [], got.transactions[at] ?? []];
      fields.unshift(
        `transaction ${at} (${calls[i]![at]}): ${fieldsThatDiffer(TRANSACTION_FIELDS, was, is).join("; ")}`,
      );
    }
    if (fields.length > 0) return `block ${i + 1}: ${fields.join("; ")}`;
  }
  if (record.blocks.length > expected.blocks.length) return `${record.blocks.length} blocks`;
  return record.end === expected.end ? undefined : `the end: ${record.end}, expected ${expected.end}`;
};

/** Names the first question of each method that is answered otherwise than in a record. */
export const otherAnswers = (expected: GoldenRecord, { record, questions, describe }: Golden): string[] => {
  const methods = new Set([...expected.answers.keys(), ...record.answers.keys()]);
  return [...methods].flatMap((method) => {
    const want = expected.answers.get(method) ?? [];
    const got = record.answers.get(method) ?? [];
    const others = Array.from({ length: Math.max(want.length, got.length) }, (_, i) => i).filter(
      (i) => want[i] !== got[i],
    );
    if (others.length === 0) return [];
    const first = describe(questions.get(method)?.[others[0]!]);
    return [`${method}: ${others.length} of ${want.length}, the first ${first}`];
  });
};

/** Functions that always revert, and why. */
const ALWAYS_REVERT: Readonly<Record<string, string>> = {
  "hub.configure": "the hub is configured",
  "hub.changeRegistries": "registries are part of the protocol",
  "hub.importScore": "there is no older hub",
  "hub.approveAndCall": "nobody answers for stake",
  "hub.diamondCut": "the hub is part of the protocol",
  ...Object.fromEntries(
    ["apps", "datasets", "workerpools", "app", "dataset", "workerpool"].flatMap((kind) => [
      [`${kind}.initialize`, "is initialized by what creates it"],
      [`${kind}.setName`, "there is no ENS"],
    ]),
  ),
};
/** Functions that refuse nothing that has their form, and why. */
const NEVER_REVERT: Readonly<Record<string, string>> = {
  "hub.deposit()": "takes any value",
  "hub.updateDomainSeparator": "does nothing",
  "hub.broadcastAppOrder": "checks nothing",
  "hub.broadcastDatasetOrder": "checks nothing",
  "hub.broadcastWorkerpoolOrder": "checks nothing",
  "hub.broadcastRequestOrder": "checks nothing",
  "market.createGroup": "is anybody's, of anybody",
};

/** Lists what the chain leaves out: functions that never worked or never reverted, and events that were never logged. */
export const gapsOf = ({ succeeded, reverted, events }: Coverage): string[] =>
  CONTRACTS.flatMap((kind) => [
    ...functionsOf(kind).flatMap((item) => {
      const name = nameOf(kind, item);
      const names = [name, `${kind}.${item.name}`];
      const [isRefused, isTaken] = [ALWAYS_REVERT, NEVER_REVERT].map((list) => names.some((each) => each in list));
      return [
        ...(succeeded.has(name) === isRefused ? [`${name} ${isRefused ? "works" : "never works"}`] : []),
        ...(reverted.has(name) === isTaken ? [`${name} ${isTaken ? "reverts" : "never reverts"}`] : []),
      ];
    }),
    ...eventsOf(kind)
      .filter(({ name }) => !events.has(`${kind}.${name}`))
      .map(({ name }) => `${kind}.${name} is never logged`),
  ]);

if (import.meta.main) {
  const golden = await makeGolden(console.log);
  await golden.stage.stop();
  for (const error of golden.errors) console.error(error);
  const gaps = gapsOf(golden.coverage);
  for (const gap of gaps) console.error(gap);
  if (golden.errors.length > 0 || gaps.length > 0) process.exitCode = 1;
  else {
    writeFileSync(RECORD, formatRecord(golden.record));
    console.log(RECORD);
  }
}
