import t from "tap";
import { createPresence } from "../../node/worker/presence.ts";
import { MARKET } from "../../vm/addresses.ts";
import { saveSlot, slotOf, slotsOfWorker } from "../../vm/market/slot.ts";
import { silent } from "../helpers/chain.ts";
import { clientOf } from "../helpers/market-client.ts";
import { addressBy, createWorld, keyOf, market } from "../vm/market/world.ts";

/** Has a worker's slots paused, some of which have too little stake, and lets it look after them for a while. */
const follow = async (slots: number, poor: readonly number[], failing = 0, looks = 30) => {
  const world = createWorld({
    workers: [
      ["w0", slots],
      ["w1", 2],
    ],
  });
  const worker = addressBy("w0");
  const ids = slotsOfWorker(world.state, worker, 99).map(({ id }) => id);
  const env = { state: world.state, block: world.block(), log: () => {} };
  for (const id of ids) world.call(worker, MARKET, market("pause"), [BigInt(id), []]);
  for (const i of poor) {
    const slot = slotOf(world.state, ids[i]!)!;
    saveSlot(env as never, { ...slot, stake: (slot.stake * 7n) / 10n });
  }
  world.advance(40);
  const { client, tried } = clientOf(world, worker);
  const call: typeof client.call = async (method, params) => {
    if (method === "eth_estimateGas" && failing-- > 0) throw new Error("no answer");
    return client.call(method, params);
  };
  const presence = createPresence({ ...client, call }, keyOf("w0"), silent);
  const said: (string | undefined)[] = [];
  const clock = Date.now;
  try {
    for (let i = 0; i < looks; i++) {
      // Between two looks, and then at the next.
      const at = clock() + 10_000 * (i + 1) + (i % 2);
      Date.now = () => at;
      for (let tick = 0; tick < 2; tick++)
        said.push(
          await presence.follow(undefined, 5).then(
            () => undefined,
            (error: Error) => error.message,
          ),
        );
      world.advance(4);
    }
  } finally {
    Date.now = clock;
  }
  return { tried, said: [...new Set(said)], drawable: ids.map((id) => slotOf(world.state, id)!.drawable) };
};

t.test(
  "a slot with too little stake keeps none of the others out, and is told of for as long as it is so",
  async (t) => {
    const whole = await follow(2, []);
    t.same(whole, { tried: { messages: 1, reverts: 0 }, said: [undefined], drawable: [true, true] });
    const { tried, said, drawable } = await follow(2, [0]);
    t.same([tried, drawable], [{ messages: 1, reverts: 0 }, [false, true]]);
    t.match(said, [/^slots \d+ have too little left of their stake/], "not gone and back between two looks");
    t.equal(said.length, 1);
  },
);

t.test("messages for many slots go one by one, whatever becomes of the first", async (t) => {
  const { tried, said } = await follow(40, [], 1, 1);
  t.same([tried, said], [{ messages: 1, reverts: 0 }, ["no answer"]]);
});
