import t from "tap";
import { type Address, type Hash, ZERO_HASH } from "../../lib/bytes.ts";
import { finalizeAfter } from "../../node/worker/finalizing.ts";
import { SEAT } from "../../vm/market/lot.ts";

const addressOf = (digit: string): Address => `0x${digit.repeat(40)}`;
const [FIRST, SECOND, AWAY, UNABLE, WRONG] = ["1", "2", "3", "4", "5"].map(addressOf) as [
  Address,
  Address,
  Address,
  Address,
  Address,
];
const consensus: Hash = `0x${"aa".repeat(32)}`;
const other: Hash = `0x${"bb".repeat(32)}`;
const seat = (worker: Address, status: number, resultHash: Hash = ZERO_HASH) => ({
  ...{ worker, status, resultHash },
  ...{ validator: FIRST, round: 0 },
});
const lotWith = (second: number) => ({
  consensus,
  revealDeadline: 100,
  seats: [
    seat(FIRST, SEAT.proved, consensus),
    seat(SECOND, second, consensus),
    seat(AWAY, SEAT.silent),
    seat(UNABLE, SEAT.declined),
    seat(WRONG, SEAT.committed, other),
  ],
});

t.test(
  "who is paid finalizes; whom the lot binds does, where those leave it; who would lose its slot does not",
  (t) => {
    const workers = [FIRST, SECOND, AWAY, UNABLE, WRONG];
    const after = (second: number, now: number) => workers.map((worker) => finalizeAfter(lotWith(second), worker, now));
    t.same(after(SEAT.proved, 0), [0, 4, 8, 8, undefined]);
    t.same(
      after(SEAT.committed, 99),
      workers.map(() => undefined),
      "another may still reveal",
    );
    t.same(after(SEAT.committed, 100), [0, undefined, 8, 8, undefined]);
    const hidden = { ...lotWith(SEAT.committed), seats: lotWith(SEAT.committed).seats.slice(1) };
    t.equal(finalizeAfter(hidden, AWAY, 100), undefined, "nobody has revealed");
    t.end();
  },
);
