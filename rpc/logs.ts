import { bloomBits, bloomHas, type Log } from "../chain/receipt.ts";
import type { BlockHead } from "../chain/store.ts";
import { fromHex, type Hash } from "../lib/bytes.ts";
import { keccak256 } from "../lib/keccak.ts";
import type { ChainView } from "./chain-view.ts";
import type { Call } from "./dispatch.ts";
import { invalidParams } from "./errors.ts";
import { type LogJson, logJson } from "./format.ts";
import { LATEST, type LogFilter } from "./values.ts";

/** Blocks and logs of one eth_getLogs at most. */
export const MAX_LOG_BLOCKS = 10_000;
export const MAX_LOGS = 20_000;
/** Bloom filters that are looked at in one turn: about a tenth of a millisecond. */
const PASSED_PER_TURN = 256;
/** What a log takes beside its data while others are sought, about. */
const LOG_BYTES = 1_024;

/** A filter that is ready to be asked often. */
export interface LogMatcher {
  /** Tells whether a block may hold a log that is wanted, by its bloom filter. */
  mayHold(bloom: Uint8Array): boolean;
  fits(log: Log): boolean;
}

/** Makes a filter ready: the bits of its values are hashed once. */
export const logMatcher = ({ addresses, topics }: LogFilter): LogMatcher => {
  const wanted = [addresses, ...topics].filter((alternatives) => alternatives.length > 0);
  const bits = wanted.map((alternatives) => alternatives.map((value) => bloomBits(fromHex(value))));
  const fromAny = new Set(addresses);
  const ofAny = topics.map((alternatives) => new Set(alternatives));
  return {
    mayHold: (bloom) =>
      (bits.length > 0 || bloom.some((byte) => byte !== 0)) &&
      bits.every((alternatives) => alternatives.some((each) => bloomHas(bloom, each))),
    fits: (log) =>
      (fromAny.size === 0 || fromAny.has(log.address)) &&
      log.topics.length >= ofAny.length &&
      ofAny.every((alternatives, i) => alternatives.size === 0 || alternatives.has(log.topics[i]!)),
  };
};

/** A log and where it stands. */
export interface PlacedLog {
  readonly log: Log;
  /** Place of its transaction in the block, and its own among the block's logs. */
  readonly index: number;
  readonly logIndex: number;
}

/** Gives all logs of a block. */
export const placedLogs = (view: ChainView, hash: Hash): PlacedLog[] => {
  let logIndex = 0;
  return view
    .receipts(hash)
    .flatMap(({ logs }, index) => logs.map((log): PlacedLog => ({ log, index, logIndex: logIndex++ })));
};

/** Makes what writes logs of a block as JSON. The block is not decoded; a transaction is hashed where it has a log. */
export const logWriter = (view: ChainView, block: BlockHead, removed: boolean): ((placed: PlacedLog) => LogJson) => {
  let raws: readonly Uint8Array[] | undefined;
  const hashes = new Map<number, Hash>();
  const hashOf = (index: number): Hash => {
    let found = hashes.get(index);
    if (!found) {
      raws ??= view.engine.store.rawTransactions(block.hash) ?? [];
      found = keccak256(raws[index]!);
      hashes.set(index, found);
    }
    return found;
  };
  return ({ log, index, logIndex }) => logJson(log, block, { hash: hashOf(index), index }, logIndex, removed);
};

/** Gives the logs of a block that are wanted, reading receipts only where its bloom filter says that there may be one. */
export const matchingLogs = (view: ChainView, block: BlockHead, matcher: LogMatcher, removed = false): LogJson[] => {
  if (!matcher.mayHold(block.header.logsBloom)) return [];
  const write = logWriter(view, block, removed);
  return placedLogs(view, block.hash)
    .filter(({ log }) => matcher.fits(log))
    .map(write);
};

/** Answers eth_getLogs over the canonical chain, in turns with others. Throws RpcError -32602. */
export const findLogs = async (
  view: ChainView,
  filter: LogFilter,
  { turn, hold }: Pick<Call, "turn" | "hold">,
): Promise<LogJson[]> => {
  const matcher = logMatcher(filter);
  if (filter.blockHash)
    return matchingLogs(view, view.headerOrFail({ hash: filter.blockHash, requireCanonical: false }), matcher);
  const head = view.head().header.number;
  const numberOf = (id: LogFilter["fromBlock"]): number =>
    id && "number" in id ? id.number : view.headerOrFail(id ?? LATEST).header.number;
  const from = numberOf(filter.fromBlock);
  const to = numberOf(filter.toBlock);
  if (from > to) invalidParams(`invalid block range: from ${from} to ${to}`);
  if (to > head) invalidParams(`block range extends beyond current head block ${head}`);
  if (to - from >= MAX_LOG_BLOCKS) invalidParams(`block range of more than ${MAX_LOG_BLOCKS} blocks`);
  const found: LogJson[] = [];
  const { blooms } = view;
  // The chain of the head as it is now: an answer is not of two chains, whatever becomes the head meanwhile.
  const { first, hashes } = await blooms.follow(from);
  let passed = 0;
  for (let number = from; number <= to; number++) {
    const hash = hashes[number - first];
    if (hash === undefined && number >= first) break;
    const bloom = hash === undefined ? undefined : blooms.of(number, hash);
    if (bloom && !matcher.mayHold(bloom)) {
      if (++passed % PASSED_PER_TURN === 0) await turn();
      continue;
    }
    await turn();
    const block = view.header(hash === undefined ? { number } : { hash, requireCanonical: false });
    const logs = block ? matchingLogs(view, block, matcher) : [];
    hold(logs.reduce((sum, { data }) => sum + LOG_BYTES + data.length, 0));
    for (const log of logs) found.push(log);
    if (found.length > MAX_LOGS) invalidParams(`more than ${MAX_LOGS} logs: ask for fewer blocks`);
  }
  return found;
};
