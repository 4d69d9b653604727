import t from "tap";
import { type Address, word } from "../../lib/bytes.ts";
import { backingOf, backingWords, loneWarning } from "../../node/backing.ts";
import type { SeatView } from "../../node/market-client.ts";
import { lossWords } from "../../node/worker/losses.ts";
import { LOT_STATUS, SEAT } from "../../vm/market/lot.ts";

const seat = (worker: string, status: number = SEAT.proved) => ({ worker: worker as Address, status }) as SeatView;
const lot = (seats: SeatView[], status: number = LOT_STATUS.completed, count = 1) => ({ seats, status, count });

t.test("a buyer sees how many workers stand behind a result, not seats alone", (t) => {
  const lone = lot([seat("a"), seat("a"), seat("b", SEAT.silent)]);
  const apart = lot([seat("a"), seat("b")]);
  t.equal(backingWords(backingOf(lone)), "2 seats, 1 worker");
  t.equal(backingWords(backingOf(apart)), "2 seats, 2 workers");
  t.equal(backingWords(backingOf(lot([seat("a", SEAT.committed)], LOT_STATUS.computing))), "");
  t.equal(loneWarning([apart]), undefined);
  t.match(loneWarning([apart, lot(lone.seats, LOT_STATUS.completed, 4)]), /^4 of 5 results have one worker alone/);
  t.end();
});

t.test("a loss is named with block, lot, reason and what became of the slot", (t) => {
  const loss = { block: 7, lot: word(1), slot: 3, status: SEAT.silent, wei: "2500000000000000" };
  t.equal(lossWords(loss), `silent in lot ${word(1)} at block 7: -0.0025 RLC, slot 3 paused`);
  t.end();
});
