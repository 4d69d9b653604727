import t from "tap";
import { type Hash, word } from "../../../lib/bytes.ts";
import { agendaSize, runAgenda, schedule } from "../../../vm/market/agenda.ts";
import type { Env } from "../../../vm/market/env.ts";
import { LOT_STATUS } from "../../../vm/market/lot.ts";
import { marketSystemStep } from "../../../vm/market/system-step.ts";
import { balanced, drawn } from "./drawn.ts";
import { createWorld } from "./world.ts";

const lot = (i: number): Hash => word(i);

t.test("what is due is run in order, also what the last entry puts on the agenda again", (t) => {
  const world = createWorld({ workers: [["w0", 1]] });
  let slot = 0;
  const env = (): Env => {
    const block = { ...world.block(), slot, timestamp: world.genesis.genesisTime + slot };
    return { state: world.state, block, log: () => {} };
  };
  const ran: [number, Hash][] = [];
  const step = (): void => {
    slot += 1;
    runAgenda(env(), 10, (due) => {
      ran.push([slot, due.lot]);
      if (due.round > 0) schedule(env(), env().block.timestamp + 1, { lot: due.lot, round: due.round - 1 });
    });
  };
  schedule(env(), env().block.timestamp + 2, { lot: lot(1), round: 2 });
  schedule(env(), env().block.timestamp + 3, { lot: lot(2), round: 0 });
  for (let i = 0; i < 5; i++) step();
  t.strictSame(ran, [
    [2, lot(1)],
    [3, lot(2)],
    [3, lot(1)],
    [4, lot(1)],
  ]);
  t.equal(agendaSize(world.state), 0);
  t.end();
});

t.test("what exceeds the limit is run later", (t) => {
  const world = createWorld({ workers: [["w0", 1]] });
  const env = (): Env => ({ state: world.state, block: world.block(), log: () => {} });
  for (let i = 0; i < 3; i++) schedule(env(), world.block().timestamp, { lot: lot(i), round: 0 });
  const ran: Hash[] = [];
  const at = (slot: number): Env => ({ ...env(), block: { ...world.block(), slot } });
  for (const slot of [1, 2, 3, 4]) runAgenda(at(slot), 1, (due) => ran.push(due.lot));
  t.strictSame(ran, [lot(0), lot(1), lot(2)]);
  t.end();
});

t.test("a lot that meets a bug is left as it is, and the rounds of others end in the same block", (t) => {
  const world = createWorld({ workers: [["w0", 4]] });
  const { id } = drawn(world);
  const { roundEnd } = world.lot(id);
  const env: Env = { state: world.state, block: world.block(), log: () => {} };
  const { slotSeconds } = env.block.params;
  // No such lot: what a bug elsewhere could leave behind, before and behind the sound one.
  for (const time of [roundEnd - slotSeconds, roundEnd]) schedule(env, time, { lot: word(1), round: 0 });
  const slots = Math.ceil((roundEnd - env.block.timestamp) / slotSeconds);
  const later = {
    ...env.block,
    number: env.block.number + slots,
    slot: env.block.slot + slots,
    timestamp: env.block.timestamp + slots * slotSeconds,
  };
  const step = () => marketSystemStep(world.state, later);
  t.same(
    step().map(({ name }) => name),
    ["TypeError", "TypeError"],
  );
  t.not(world.lot(id).status, LOT_STATUS.computing, "nobody contributed: its round is over");
  t.same(step(), [], "nor are the others tried again");
  balanced(t, world);
  t.end();
});
