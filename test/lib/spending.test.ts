import t from "tap";
import { createSpending } from "../../lib/spending.ts";
import { createTurns } from "../../lib/turns.ts";

const ALL = { perSecond: 500, burst: 2_000 };
const OWN = { perSecond: 100, burst: 1_000 };
const start = () => {
  const clock = { ms: 0 };
  return { clock, spending: createSpending({ all: ALL, freely: 50, nowMs: () => clock.ms }) };
};

t.test("who has spent more than a burst waits until time has forgiven it", (t) => {
  const { clock, spending } = start();
  const account = spending.account("a", OWN);
  account.spend(1_000);
  t.equal(account.waitMs(), 0);
  account.spend(100);
  t.equal(account.waitMs(), 1_000);
  clock.ms += 400;
  t.equal(account.waitMs(), 600);
  clock.ms += 600;
  t.equal(account.waitMs(), 0);
  t.equal(account.spent(), 1_000);
  clock.ms += 60_000;
  t.equal(account.spent(), 0, "and has no more than a burst saved up");
  t.end();
});

t.test("a name has one account, none has one of its own", (t) => {
  const { spending } = start();
  spending.account("a", OWN).spend(1_500);
  t.equal(spending.account("a", OWN).waitMs(), 5_000);
  t.equal(spending.account("b", OWN).waitMs(), 0);
  spending.account(undefined, OWN).spend(1_500);
  t.equal(spending.account(undefined, OWN).waitMs(), 0);
  t.end();
});

t.test("where all together spend too much, those wait who have spent most", (t) => {
  const { clock, spending } = start();
  const heavy = ["a", "b", "c"].map((name) => spending.account(name, OWN));
  for (const each of heavy) each.spend(1_000);
  const light = spending.account("d", OWN);
  light.spend(20);
  t.equal(heavy[0]!.waitMs(), Math.ceil((1_000 * 1_020) / 500));
  t.equal(light.waitMs(), 0);
  clock.ms += 2_040;
  t.equal(heavy[0]!.waitMs(), 0);
  t.end();
});

t.test("so many names are remembered that nobody fills the memory with them", (t) => {
  const { spending } = start();
  spending.account("first", OWN).spend(1_100);
  for (let i = 0; i < 16_383; i++) spending.account(`n${i}`, OWN);
  t.ok(spending.account("first", OWN).waitMs() > 0);
  spending.account("one more", OWN);
  t.equal(spending.account("first", OWN).spent(), 0);
  t.end();
});

t.test("of those who wait for a turn, who has spent least goes first", async (t) => {
  const turns = createTurns(0);
  const log: string[] = [];
  await turns.turn();
  const wait = async (name: string, rank: number) => {
    await turns.turn(rank, () => log.push(`(${name}`));
    log.push(`${name})`);
  };
  await Promise.all([wait("heavy", 9), wait("light", 1), wait("heavier", 10), wait("light too", 1)]);
  t.same(log, ["(light", "light)", "(light too", "light too)", "(heavy", "heavy)", "(heavier", "heavier)"]);
});
