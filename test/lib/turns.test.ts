import t from "tap";
import { createTurns } from "../../lib/turns.ts";

const work = async (turns: ReturnType<typeof createTurns>, name: string, steps: number, log: string[]) => {
  for (let i = 0; i < steps; i++) {
    await turns.turn();
    log.push(name);
  }
};

t.test("who computes for long takes turns with others, and with what the event loop has to do", async (t) => {
  const log: string[] = [];
  let rounds = 0;
  let isOver = false;
  const count = () => {
    rounds += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const turns = createTurns(0);
  await Promise.all([work(turns, "a", 3, log), work(turns, "b", 2, log), work(turns, "c", 1, log)]);
  isOver = true;
  t.equal(log.join(""), "abcaba");
  t.ok(rounds >= 5, `a round of the event loop between two turns, ${rounds} in all`);
});

t.test("what is short does not wait", async (t) => {
  const log: string[] = [];
  const turns = createTurns(60_000);
  setImmediate(() => log.push("loop"));
  await Promise.all([work(turns, "a", 2, log), work(turns, "b", 2, log)]);
  t.notOk(log.includes("loop"));
  t.equal(log.length, 4);
});
