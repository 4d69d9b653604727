import { type Address, EMPTY, type Hash, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { resultHashOf } from "../../vm/market/contribution.ts";
import { resultsOf } from "../../vm/market/result.ts";
import { weightOf } from "../../vm/market/scheduled/consensus.ts";
import { CONTRIBUTION_STATUS } from "../../vm/market/scheduled/task.ts";
import { decodeReceipt, digestOf } from "../../vm/wasm/receipt.ts";
import type { DealView, TaskView } from "../market-client.ts";

/** What the chain says of one contribution. */
interface Contribution {
  readonly worker: Address;
  readonly status: number;
  readonly score: bigint;
}

/** What `finalize` is given: where the results are, and the callback's data. */
export interface Outcome {
  readonly results: Uint8Array;
  readonly callback: Uint8Array;
}

/** Receipts that workers bring of tasks on whose result they agreed. */
export interface Receipts {
  /** Notes what a task's contributors have agreed on: nothing else is taken. */
  expect(id: Hash, view: TaskView, deal: DealView): void;
  /** Takes a contributor's receipt, the first it brings, where that is what was agreed on. */
  take(id: Hash, worker: Address, receipt: Uint8Array): void;
  /** Gives what a task ends with; undefined where more receipts are to be waited for. */
  outcomeOf(id: Hash, contributions: readonly Contribution[]): Outcome | undefined;
  /** The same, with what there is: nothing where a callback lacks its data. */
  lateOutcomeOf(id: Hash, contributions: readonly Contribution[]): Outcome | undefined;
  /** Forgets a task, or what it had agreed on before it was reopened. */
  forget(id: Hash): void;
}

interface Expected {
  readonly consensus: Hash;
  readonly contributors: readonly Address[];
  readonly hasCallback: boolean;
  readonly brought: Map<Address, Uint8Array>;
}

/** What is agreed on: the callback's data where the deal has a callback, else the receipt. */
const digestFor = (hasCallback: boolean, receipt: Uint8Array): Hash | undefined => {
  const decoded = decodeReceipt(receipt);
  return decoded && (hasCallback ? keccak256(decoded.callbackData) : digestOf(receipt));
};

/**
 * Finds the place of the results that those name who have more of the proved weight than all others together (weights multiply, as in
 * PoCo's groups). Agreement on a callback's data says nothing of it, so that one worker alone does not decide.
 */
const agreedPlace = ({ brought }: Expected, proved: readonly Contribution[]): Uint8Array | undefined => {
  const places = new Map([...brought].map(([worker, receipt]) => [worker, resultsOf(receipt)]));
  const weigh = (some: readonly Contribution[]): bigint => some.reduce((all, { score }) => all * weightOf(score), 1n);
  for (const place of places.values()) {
    const isFor = ({ worker }: Contribution): boolean =>
      Buffer.compare(places.get(worker) ?? EMPTY, place) === 0 && places.has(worker);
    if (weigh(proved.filter(isFor)) > weigh(proved.filter((each) => !isFor(each)))) return place;
  }
  return undefined;
};

/** Makes an empty memory of receipts. It holds one of each contributor at most. */
export const createReceipts = (): Receipts => {
  const tasks = new Map<Hash, Expected>();
  const find = (id: Hash, contributions: readonly Contribution[], isLate: boolean): Outcome | undefined => {
    const task = tasks.get(id);
    const [receipt] = task?.brought.values() ?? [];
    if (!task?.hasCallback) {
      if (receipt) return { results: resultsOf(receipt), callback: EMPTY };
      // Nobody brought the receipt: the workers are paid all the same.
      return isLate ? { results: EMPTY, callback: EMPTY } : undefined;
    }
    if (!receipt) return undefined;
    const proved = contributions.filter(({ status }) => status === CONTRIBUTION_STATUS.proved);
    const isAllSaid = isLate || proved.every(({ worker }) => task.brought.has(worker));
    const results = agreedPlace(task, proved) ?? (isAllSaid ? EMPTY : undefined);
    return results && { results, callback: decodeReceipt(receipt)!.callbackData };
  };
  return {
    expect: (id, { consensus, contributors }, { callback }) => {
      const known = tasks.get(id);
      const brought = known?.consensus === consensus ? known.brought : new Map<Address, Uint8Array>();
      tasks.set(id, { consensus, contributors, hasCallback: callback !== ZERO_ADDRESS, brought });
    },
    take: (id, worker, receipt) => {
      const task = tasks.get(id);
      if (!task?.contributors.includes(worker) || task.brought.has(worker)) return;
      const digest = digestFor(task.hasCallback, receipt);
      if (digest !== undefined && resultHashOf(id, digest) === task.consensus) task.brought.set(worker, receipt);
    },
    outcomeOf: (id, contributions) => find(id, contributions, false),
    lateOutcomeOf: (id, contributions) => find(id, contributions, true),
    forget: (id) => void tasks.delete(id),
  };
};
