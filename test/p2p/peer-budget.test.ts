import type { PeerId } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import t from "tap";
import { concat } from "../../lib/bytes.ts";
import { subscriberOf } from "../../p2p/address.ts";
import { createAnswers } from "../../p2p/answers.ts";
import { createBans } from "../../p2p/bans.ts";
import { createBucket } from "../../p2p/bucket.ts";
import { createFrameScan, createPrefixScan } from "../../p2p/frame-scan.ts";
import { createLedger } from "../../p2p/ledger.ts";
import { createPeerBudget, processorMs } from "../../p2p/peer-budget.ts";

const createClock = () => {
  let ms = 0;
  const pass = (more: number): void => {
    ms += more;
  };
  return { now: () => ms, pass };
};
const CAME = { subscriber: undefined, isOutbound: false };
const CALLED = { subscriber: undefined, isOutbound: true };

t.test("a bucket fills again as time passes, and says when", (t) => {
  const clock = createClock();
  const bucket = createBucket(100, 10, clock.now);
  t.equal(bucket.level, 100);
  bucket.spend(150);
  t.equal(bucket.level, -50);
  t.equal(bucket.waitMs, 5_001);
  clock.pass(bucket.waitMs);
  t.ok(bucket.level > 0);
  clock.pass(1_000_000);
  t.equal(bucket.level, 100);
  t.end();
});

t.test(
  "a peer that is of no use is not read until time has passed, and is sent away only where it is at fault",
  (t) => {
    const clock = createClock();
    const sentAway: unknown[] = [];
    const budget = createPeerBudget((over) => sentAway.push(over), clock.now);
    budget.meet("a", CALLED);
    t.ok(budget.admits("a"));
    budget.spend("a", 200);
    t.notOk(budget.admits("a"));
    clock.pass(1_100);
    t.ok(budget.admits("a"), "50 ms a second come back");
    budget.spend("a", 200);
    for (let i = 0; i < 10_000; i++) budget.leave("a");
    for (let i = 0; i < 4; i++) budget.fault("a");
    budget.leave("a", 10_000);
    t.same(sentAway, [], "an empty budget is no fault, nor are a few messages");
    budget.fault("a");
    for (let i = 0; i < 499; i++) budget.leave("a");
    t.same(sentAway, []);
    budget.leave("a");
    t.same(sentAway, [{ peer: "a" }]);
    t.end();
  },
);

t.test("a flood from ever new names leaves those that were called, and those that were of use, their share", (t) => {
  const clock = createClock();
  const budget = createPeerBudget(() => undefined, clock.now);
  budget.meet("called", CALLED);
  budget.meet("good", CAME);
  for (let i = 0; i < 4; i++) budget.reward("good");
  for (let i = 0; i < 100; i++) {
    budget.meet(`flood ${i}`, CAME);
    if (budget.admits(`flood ${i}`)) budget.spend(`flood ${i}`, 100);
  }
  budget.meet("next", CAME);
  t.notOk(budget.admits("next"), "what comes by itself shares one budget");
  budget.leave("next");
  t.ok(budget.admits("called"));
  t.ok(budget.admits("good"));
  budget.spend("good", 21);
  t.notOk(budget.admits("good"), "what it earned is used up");
  t.equal(budget.credit("good"), 0);
  clock.pass(10_000);
  t.ok(budget.admits("next"));
  budget.reward("good", 0.5);
  t.equal(budget.credit("good"), 0.5, "never more than what it brought has cost");
  for (let i = 0; i < 1_000; i++) budget.reward("good", 50);
  t.equal(budget.credit("good"), 500, "no more than so much is saved");
  clock.pass(60_000);
  t.equal(budget.credit("good"), 250, "and half of it is gone in a minute");
  t.equal(budget.idleMs("good"), 60_000);
  clock.pass(24 * 3_600_000);
  t.equal(budget.credit("good"), 0);
  t.equal(budget.idleMs("next"), Number.POSITIVE_INFINITY);
  t.end();
});

t.test("offers are read at a rate, of a peer and of all strangers, whatever a peer has earned", (t) => {
  const clock = createClock();
  const budget = createPeerBudget(() => t.fail("nobody is sent away"), clock.now);
  const offer = (peer: string, count: number, ms = 0): number => {
    let read = 0;
    for (let i = 0; i < count; i++) {
      if (!budget.admitsOffer(peer)) continue;
      budget.spendOffer(peer, ms);
      read += 1;
    }
    return read;
  };
  budget.meet("a", CAME);
  for (let i = 0; i < 100; i++) budget.reward("a");
  t.equal(offer("a", 6_000), 300);
  t.ok(budget.admits("a"), "what else it brings is read");
  t.equal(offer("a", 100), 0);
  clock.pass(1_000);
  t.equal(offer("a", 6_000), 50);
  clock.pass(1_000);
  t.equal(offer("a", 6_000, 1), 25, "a dear one counts more");
  clock.pass(60_000);
  let read = 0;
  for (let i = 0; i < 64; i++) {
    budget.meet(`stranger ${i}`, CAME);
    read += offer(`stranger ${i}`, 300);
  }
  t.equal(read, 1_000);
  budget.meet("called", CALLED);
  t.equal(offer("called", 1_000), 300);
  clock.pass(60_000);
  const ofOne = { subscriber: subscriberOf(multiaddr("/ip6/2001:db8::1/tcp/1"))!, isOutbound: false };
  read = 0;
  for (let i = 0; i < 64; i++) {
    budget.meet(`name ${i}`, ofOne);
    read += offer(`name ${i}`, 300);
  }
  t.equal(read, 500, "many names at one address have a half of what strangers have");
  budget.meet("elsewhere", CAME);
  t.equal(offer("elsewhere", 300), 300);
  t.end();
});

t.test("peers of one address share what it has, whatever their names", (t) => {
  const clock = createClock();
  const sentAway: { subscriber?: string }[] = [];
  const budget = createPeerBudget((over) => sentAway.push(over), clock.now);
  const origin = { subscriber: "192.0.2.1", isOutbound: true };
  for (const name of ["a", "b", "c"]) {
    budget.meet(name, origin);
    if (budget.admits(name)) budget.spend(name, 140);
  }
  budget.meet("d", origin);
  t.notOk(budget.admits("d"));
  for (let i = 0; i < 500; i++) budget.leave("d");
  t.same(sentAway, [], "others used it up");
  for (let i = 0; i < 5; i++) budget.fault("d");
  budget.meet("e", { subscriber: "192.0.2.2", isOutbound: true });
  t.ok(budget.admits("e"));
  for (let i = 0; i < 500; i++) budget.leave("d");
  t.ok(sentAway.some(({ subscriber }) => subscriber === "192.0.2.1"));
  t.end();
});

t.test("what is measured is the time of this thread", (t) => {
  const began = processorMs();
  while (processorMs() - began < 2) JSON.stringify(process.versions);
  t.ok(processorMs() - began >= 2);
  t.end();
});

t.test("an address stands for its subscriber", (t) => {
  for (const [text, subscriber] of [
    ["/ip4/192.0.2.7/tcp/1", "192.0.2.7"],
    ["/ip4/10.0.0.7/tcp/1", "10.0.0.7"],
    ["/ip4/127.0.0.1/tcp/1", undefined],
    ["/ip6/::1/tcp/1", undefined],
    ["/ip6/::ffff:127.0.0.1/tcp/1", undefined],
    ["/ip6/::ffff:192.0.2.7/tcp/1", "192.0.2.7"],
    ["/ip6/2001:db8:1:2:3:4:5:6/tcp/1", "2001:db8:1:2::/64"],
    ["/ip6/2001:db8:1:2:ffff::1/tcp/1", "2001:db8:1:2::/64"],
    ["/ip6/2001:db8:1:3::/tcp/1", "2001:db8:1:3::/64"],
    ["/ip6/2001:db8::1/tcp/1", "2001:db8:0:0::/64"],
    ["/dns4/example.org/tcp/1", undefined],
  ] as const)
    t.equal(subscriberOf(multiaddr(text)), subscriber, text);
  t.end();
});

t.test("a ban of a peer or an address ends", (t) => {
  const clock = createClock();
  const bans = createBans(clock.now);
  const peer = { toString: () => "peer" } as PeerId;
  bans.add(peer);
  bans.addAddress("192.0.2.1");
  t.ok(bans.has(peer) && bans.hasAddress("192.0.2.1"));
  t.notOk(bans.hasAddress("192.0.2.2") || bans.hasAddress(undefined));
  clock.pass(600_001);
  t.notOk(bans.has(peer) || bans.hasAddress("192.0.2.1"));
  t.end();
});

t.test("where too much is held, who holds for longest lets go", (t) => {
  const ledger = createLedger(100);
  const gone: string[] = [];
  const [slow, fast] = ["slow", "fast"].map((name) => ledger.open(() => gone.push(name)));
  slow!.set(40);
  fast!.set(50);
  fast!.set(0);
  fast!.set(60);
  t.same(gone, []);
  slow!.set(50);
  t.same(gone, ["slow"]);
  t.equal(ledger.bytes, 60);
  fast!.release();
  t.equal(ledger.bytes, 0);
  t.end();
});

t.test("frames that pass in pieces are followed, whatever the pieces", (t) => {
  const bytes = Uint8Array.of(1, 7, 0, 3, 1, 2, 3, 2, 9);
  for (let size = 1; size <= bytes.length; size++) {
    const scan = createFrameScan(1, (head) => head[0]);
    for (let at = 0; at < bytes.length; at += size) scan.push(bytes.subarray(at, at + size));
    t.equal(scan.frames, 3);
    t.equal(scan.pendingBytes, 2, "a head and one of two bytes");
  }
  const prefixed = createPrefixScan();
  prefixed.push(concat(Uint8Array.of(0x80, 0x02), new Uint8Array(256), Uint8Array.of(0, 0x81, 0x01, 5)));
  t.equal(prefixed.frames, 2);
  t.equal(prefixed.pendingBytes, 3);
  const seen: number[] = [];
  const bodies = createFrameScan(
    1,
    (head) => head[0],
    (piece) => seen.push(...piece),
  );
  bodies.push(bytes);
  t.same(seen, [7, 1, 2, 3, 9]);
  const endless = createFrameScan(2, () => undefined);
  t.throws(() => endless.push(Uint8Array.of(1, 2)), /does not end/);
  t.end();
});

t.test("answers are paid for, given one by one, and asked for a few at a time", async (t) => {
  const clock = createClock();
  const answers = createAnswers(clock.now);
  answers.pay("a", 70 * 1024 * 1024, 0);
  await answers.paid("b");
  answers.pay("a", 1024 ** 3, 0);
  await t.rejects(answers.paid("a"), /had all that it gets/);
  await t.rejects(answers.paid("b"), /had all that it gets/, "all share what a node gives");
  clock.pass(60_000);
  await answers.paid("a");
  answers.pay("a", 0, 100_000);
  await t.rejects(answers.paid("a"), /had all that it gets/, "processor time is paid for too");

  const order: string[] = [];
  const first = Promise.withResolvers<void>();
  const one = answers.inTurn("a", "blocks", async () => {
    await first.promise;
    order.push("first");
  });
  const two = answers.inTurn("a", "blocks", async () => void order.push("second"));
  await answers.inTurn("a", "status", async () => void order.push("other protocol"));
  first.resolve();
  await Promise.all([one, two]);
  t.same(order, ["other protocol", "first", "second"]);

  const places = Array.from({ length: 16 }, () => answers.enter("a"));
  t.equal(answers.enter("a"), undefined);
  t.ok(answers.enter("b"));
  places[0]!();
  t.ok(answers.enter("a"));
});
