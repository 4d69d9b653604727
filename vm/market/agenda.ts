import { ONLY, pairId, single, table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import { type Hash, word } from "../../lib/bytes.ts";
import { hash, record, uint } from "../../lib/codec.ts";
import { MARKET } from "../addresses.ts";
import { MARKET_TABLE } from "../layout.ts";
import type { Env } from "./env.ts";

/** Slots without entries that a block passes by at most, after a network stood still. */
const EMPTY_SLOTS_PER_BLOCK = 1_024;

/** The end of a lot's round, or of the time to reveal in it; with the zero hash as its lot, that of the rest of the slot of this number. */
interface Due {
  readonly lot: Hash;
  readonly round: number;
}

const entries = table(MARKET, MARKET_TABLE.agenda, 1, record({ lot: hash, round: uint }));
const counts = table(MARKET, MARKET_TABLE.agendaCount, 1, single(uint));
/** The agenda was run up to before entry `index` of `slot`; `waiting` entries are not yet due or not yet run. */
const cursors = table(MARKET, MARKET_TABLE.agendaCursor, 1, record({ slot: uint, index: uint, waiting: uint }));
const entryId = (slot: number, index: number): Hash => pairId(word(slot), word(index));

/** Puts a lot on the agenda of the first slot at or after a time in the future, in seconds. */
export const schedule = (env: Env, time: number, due: Due): void => {
  const { state, block } = env;
  const slot = block.slot + Math.max(1, Math.ceil((time - block.timestamp) / block.params.slotSeconds));
  const index = counts.get(state, slot) ?? 0;
  entries.set(state, entryId(slot, index), due);
  counts.set(state, slot, index + 1);
  const cursor = cursors.get(state, ONLY);
  // With nothing on it, the agenda need not have been run in every block.
  const at = cursor && cursor.waiting > 0 ? cursor : { slot: block.slot, index: 0, waiting: 0 };
  cursors.set(state, ONLY, { ...at, waiting: at.waiting + 1 });
};

/** Runs what is due, oldest first, at most `limit` entries; the rest waits. */
export const runAgenda = (env: Env, limit: number, run: (due: Due) => void): void => {
  const { state, block } = env;
  for (let left = limit, empty = EMPTY_SLOTS_PER_BLOCK; left > 0 && empty > 0; ) {
    const cursor = cursors.get(state, ONLY);
    if (!cursor || cursor.waiting === 0 || cursor.slot > block.slot) return;
    const { slot, index, waiting } = cursor;
    const count = counts.get(state, slot) ?? 0;
    if (count === 0) {
      cursors.set(state, ONLY, { slot: slot + 1, index: 0, waiting });
      empty -= 1;
      continue;
    }
    const due = entries.get(state, entryId(slot, index))!;
    entries.set(state, entryId(slot, index), undefined);
    const isLast = index + 1 === count;
    // A slot's last entry takes its count along, before it runs: what it schedules may start the cursor anew.
    if (isLast) counts.set(state, slot, undefined);
    const next = isLast ? { slot: slot + 1, index: 0 } : { slot, index: index + 1 };
    cursors.set(state, ONLY, { ...next, waiting: waiting - 1 });
    run(due);
    left -= 1;
  }
};

/** Gives how many entries wait. */
export const agendaSize = (state: State): number => cursors.get(state, ONLY)?.waiting ?? 0;
