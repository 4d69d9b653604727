import t from "tap";
import { createPlaces, type Turn } from "../../p2p/places.ts";

const createClock = () => {
  let ms = 0;
  const pass = (more: number): void => {
    ms += more;
  };
  return { now: () => ms, pass };
};
/** Lets a peer wait without an answer. */
const stall = (turn: Turn | undefined): void => void turn!.waiting(new Promise(() => undefined));

t.test("a peer that keeps a node waiting keeps no place from others", (t) => {
  const clock = createClock();
  const places = createPlaces(clock.now);
  const slow = ["a", "b", "c"].map((peer) => places.take(peer, "stranger"));
  for (const turn of slow) stall(turn);
  t.equal(places.take("d", "stranger"), undefined, "three bring what one could");
  clock.pass(1_001);
  for (const peer of ["d", "e", "f"]) stall(places.take(peer, "stranger"));
  clock.pass(1_001);
  for (const peer of ["g", "h", "i", "j", "k", "l"]) {
    stall(places.take(peer, "stranger"));
    clock.pass(1_001);
  }
  t.equal(places.take("m", "stranger"), undefined, "no more than twelve at once");
  t.ok(places.take("n", "known"), "but who was good has a place");
  slow[0]!.failed();
  slow[1]!.failed();
  t.ok(places.take("m", "stranger"));
  t.ok(places.take("o", "known"), "though a stranger was quick");
  t.end();
});

t.test("who fails rests, longer each time, and is forgiven once it does not", (t) => {
  const clock = createClock();
  const places = createPlaces(clock.now);
  for (const restMs of [5_000, 10_000, 20_000]) {
    places.take("a", "stranger")!.failed();
    clock.pass(restMs - 1);
    t.ok(places.isResting("a"));
    t.equal(places.take("a", "poked"), undefined);
    clock.pass(1);
  }
  const turn = places.take("a", "stranger")!;
  t.equal(places.take("a", "stranger"), undefined, "it is asked once at a time");
  turn.brought();
  turn.done();
  t.ok(places.wasGood("a"));
  places.take("a", "known")!.failed();
  t.notOk(places.wasGood("a"));
  clock.pass(5_000);
  t.notOk(places.isResting("a"), "its failures were forgiven");
  for (let i = 0; i < 20; i++) {
    clock.pass(600_000);
    places.take("a", "stranger")!.failed();
  }
  clock.pass(600_000);
  t.notOk(places.isResting("a"), "ten minutes at most");
  t.end();
});

t.test("a missing parent is asked for whatever else goes on", (t) => {
  const clock = createClock();
  const places = createPlaces(clock.now);
  for (const peer of ["a", "b", "c"]) t.ok(places.take(peer, "stranger"));
  for (const peer of ["p", "q", "r", "s"]) t.ok(places.take(peer, "poked"));
  t.equal(places.take("t", "poked"), undefined);
  t.end();
});

t.test("new blocks keep a peer brisk, and what is done with them is not its time", async (t) => {
  const clock = createClock();
  const places = createPlaces(clock.now);
  const turns = ["a", "b", "c"].map((peer) => places.take(peer, "stranger")!);
  for (let i = 0; i < 20; i++) {
    for (const turn of turns) {
      const answer = Promise.withResolvers<void>();
      const waited = turn.waiting(answer.promise);
      clock.pass(100);
      answer.resolve();
      await waited;
      turn.brought();
    }
    clock.pass(5_000);
    t.equal(places.take("d", "stranger"), undefined);
  }
});
