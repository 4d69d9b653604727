import { decodeErrorResult, parseAbi } from "viem";
import type { Address, Hash, Hex } from "../../lib/bytes.ts";
import { HUB } from "../../vm/addresses.ts";
import { type Contract, decode, type EntryKind, encode, nameOf, REGISTRY } from "./contracts.ts";
import { knownDifference } from "./known.ts";
import type { Kind, Quadruple } from "./orders.ts";
import type { Mode } from "./poco.ts";
import { ACTORS, type Actor, ENCLAVE, GENESIS, OWNER } from "./setting.ts";
import type { Message, Outcome, World } from "./world.ts";

/** A match that was tried, with its orders' hashes. */
export interface Match {
  readonly orders: Quadruple;
  readonly hashes: Readonly<Record<Kind, Hash>>;
}
export interface KnownTask {
  readonly id: Hash;
  readonly dealid: Hash;
  readonly index: bigint;
}
/** What of a deal the next calls need. */
export interface KnownDeal {
  readonly id: Hash;
  readonly poolOwner: Address;
  readonly callback: Address;
  readonly trust: bigint;
  readonly isTee: boolean;
  readonly first: bigint;
  readonly size: bigint;
  /** When its tasks can be claimed, in seconds. */
  readonly end: number;
}

/** The two worlds gave different answers to one call. `kind` names the function and what differs. */
export class Difference extends Error {
  readonly kind: string;
  constructor(kind: string, detail: string) {
    super(detail);
    this.kind = kind;
  }
}

const ERRORS = parseAbi(["error Error(string)", "error Panic(uint256)", "error IncompatibleDatasetOrder(string)"]);
/** Shows revert data for people. */
const shown = (data: Hex): string => {
  try {
    const { errorName, args } = decodeErrorResult({ abi: ERRORS, data });
    return `${errorName}(${args.join()})`;
  } catch {
    return data.length > 10 ? `${data.slice(0, 10)}…` : data;
  }
};
const outcomeText = ({ ok, data, logs }: Outcome): string =>
  ok
    ? `returned ${data}${logs.map((log) => `\n    log ${log.address} ${log.topics.join(" ")} ${log.data}`).join("")}`
    : `reverted ${shown(data)} ${data}`;

/** Where two outcomes part: whether it worked, what was returned, or which log. */
const parting = (expected: Outcome, got: Outcome): string | undefined => {
  if (expected.ok !== got.ok)
    return expected.ok ? `reverts ${shown(got.data)}` : `does not revert ${shown(expected.data)}`;
  if (expected.data !== got.data)
    return expected.ok ? "returns" : `reverts ${shown(got.data)} for ${shown(expected.data)}`;
  if (JSON.stringify(expected.logs) !== JSON.stringify(got.logs)) return "logs";
  return undefined;
};

/**
 * A sequence as it runs: the same calls to the reference and to rolec, compared one by one. What it knows of the ledger comes
 * from rolec; where rolec is wrong about it, the audit at the end says so.
 */
export class Session {
  readonly reference: World;
  readonly rolec: World;
  readonly entries: Record<EntryKind, Address[]> = { app: [], dataset: [], workerpool: [] };
  readonly matches: Match[] = [];
  readonly deals: KnownDeal[] = [];
  readonly tasks: KnownTask[] = [];
  /** Which result a worker committed to, by task and worker. */
  readonly digests = new Map<string, number>();
  readonly trace: string[] = [];
  readonly known = new Map<string, number>();
  now: number;
  salt = 0;
  calls = 0;
  succeeded = 0;
  /** Calls by function: those that worked, and those that reverted. */
  readonly coverage = new Map<string, [number, number]>();
  /** True from a known difference on after which the ledgers are not the same. */
  parted = false;

  readonly mode: Mode;

  constructor(mode: Mode, reference: World, rolec: World, now: number = GENESIS.genesisTime) {
    this.mode = mode;
    this.reference = reference;
    this.rolec = rolec;
    this.now = now;
  }

  /** Copies what is known, for a sequence that starts here and is undone. */
  fork(): Session {
    const copy = new Session(this.mode, this.reference, this.rolec, this.now);
    for (const kind of ["app", "dataset", "workerpool"] as const) copy.entries[kind].push(...this.entries[kind]);
    copy.matches.push(...this.matches);
    copy.deals.push(...this.deals);
    copy.tasks.push(...this.tasks);
    for (const [key, value] of this.digests) copy.digests.set(key, value);
    copy.salt = this.salt;
    return copy;
  }

  private async compare(message: Message, isView: boolean): Promise<Outcome> {
    const expected = await this.reference[isView ? "view" : "call"](message, this.now);
    const got = await this.rolec[isView ? "view" : "call"](message, this.now);
    const name = nameOf(message.data);
    if (!isView) {
      this.calls += 1;
      if (expected.ok) this.succeeded += 1;
      const counted = this.coverage.get(name) ?? [0, 0];
      counted[expected.ok ? 0 : 1] += 1;
      this.coverage.set(name, counted);
      this.trace.push(
        `${this.now} ${message.from} -> ${message.to} ${name} value ${message.value} ${expected.ok ? "ok" : `reverts ${shown(expected.data)}`}`,
      );
    }
    const where = parting(expected, got);
    if (where === undefined) return expected;
    const known = knownDifference(message, expected, got);
    if (known) {
      this.known.set(known.id, (this.known.get(known.id) ?? 0) + 1);
      if (expected.ok !== got.ok && !isView) this.parted = true;
      return expected;
    }
    throw new Difference(
      `${name} ${where}`,
      [
        `${name} from ${message.from} to ${message.to} at ${this.now}, value ${message.value}, data ${message.data}`,
        `  ${this.reference.name}: ${outcomeText(expected)}`,
        `  ${this.rolec.name}: ${outcomeText(got)}`,
      ].join("\n"),
    );
  }

  /** Makes a call in both worlds. Gives what the reference answered; throws Difference where rolec answers otherwise. */
  send(from: Actor | Address, to: Address, data: Hex, value = 0n): Promise<Outcome> {
    const sender = typeof from === "string" ? from : from.address;
    return this.compare({ from: sender, to, data, value }, false);
  }
  hub(from: Actor, name: string, args: readonly unknown[], value = 0n): Promise<Outcome> {
    return this.send(from, HUB, encode(this.mode === "native" ? "hub" : "tokenHub", name, args), value);
  }
  registry(kind: EntryKind, from: Actor, name: string, args: readonly unknown[]): Promise<Outcome> {
    return this.send(from, REGISTRY[kind], encode(kind, name, args));
  }
  /** Compares what a call would do, without keeping anything. */
  probe(message: Message): Promise<Outcome> {
    return this.compare(message, true);
  }
  /** Compares what a view answers. */
  look(to: Address, contract: Contract, name: string, args: readonly unknown[]): Promise<Outcome> {
    return this.probe({ from: ACTORS[0]!.address, to, data: encode(contract, name, args), value: 0n });
  }
  /** Asks rolec only, which is the faster of the two; what the answer leads to is compared. */
  async ask<T>(to: Address, contract: Contract, name: string, args: readonly unknown[]): Promise<T | undefined> {
    const data = encode(contract, name, args);
    const outcome = await this.rolec.view({ from: ACTORS[0]!.address, to, data, value: 0n }, this.now);
    return outcome.ok ? decode<T>(contract, name, outcome.data) : undefined;
  }

  actor(n: number): Actor {
    return ACTORS[n % ACTORS.length]!;
  }
  actorAt(address: Address): Actor | undefined {
    return [...ACTORS, OWNER, ENCLAVE].find((each) => each.address === address.toLowerCase());
  }
  ownerOf(kind: EntryKind, entry: Address): Promise<Address | undefined> {
    return this.ask<Address>(REGISTRY[kind], kind, "ownerOf", [BigInt(entry)]);
  }
  nextSalt(): Hash {
    this.salt += 1;
    return `0x${this.salt.toString(16).padStart(64, "0")}`;
  }
}
