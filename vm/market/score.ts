import { single, table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import type { Address } from "../../lib/bytes.ts";
import { big } from "../../lib/codec.ts";
import { HUB } from "../addresses.ts";
import { HUB_TABLE } from "../layout.ts";

/** PoCo's scores weigh in owner-scheduled pools. No draw reads them, since one's own pool would farm them. */
const scores = table(HUB, HUB_TABLE.score, 1, single(big));

/** Gives a worker's score. */
export const scoreOf = (state: State, worker: Address): bigint => scores.get(state, worker) ?? 0n;

const setScore = (state: State, worker: Address, score: bigint): void =>
  scores.set(state, worker, score === 0n ? undefined : score);

/** Counts a contribution that was proved. */
export const scoreUp = (state: State, worker: Address): void => setScore(state, worker, scoreOf(state, worker) + 1n);
/** Takes a third away for a faulty one. */
export const scoreDown = (state: State, worker: Address): void =>
  setScore(state, worker, (scoreOf(state, worker) * 2n) / 3n);
