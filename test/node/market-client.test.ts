import t from "tap";
import { fromHex, type Hex, toHex } from "../../lib/bytes.ts";
import { lotsOfWorker, slotsOfWorker } from "../../node/market-client.ts";
import type { BatchItem, RpcClient } from "../../rpc/client.ts";
import { MARKET } from "../../vm/addresses.ts";
import { jobOf } from "../../vm/market/deal.ts";
import { addressBy, createWorld, market } from "../vm/market/world.ts";

const SLOTS = 2_100;
const world = createWorld({ workers: [["w0", SLOTS]], params: { drawsPerBlock: 512 } });
const names = ["slotsOf", "seatsOf", "viewSlot"] as const;
/** Blocks that were asked for. */
let asked: unknown[] = [];

/** A node of that chain. */
const call = async (method: string, params: readonly unknown[] = []): Promise<unknown> => {
  if (method === "eth_blockNumber") return "0x2a";
  const [{ data }, at] = params as [{ data: Hex }, string];
  asked.push(at);
  const bytes = fromHex(data);
  const name = names.find((each) => data.startsWith(toHex(market(each).encode(...zeros(each))).slice(0, 10)))!;
  const { values } = world.call(world.requester, MARKET, market(name), market(name).decode(bytes));
  return toHex(market(name).encodeResult(...values));
};
const zeros = (name: string) => (name === "viewSlot" ? [0n] : [addressBy("w0"), 0n]);
const client: RpcClient = {
  call,
  batch: (items: readonly BatchItem[]) => Promise.all(items.map(({ method, params }) => call(method, params))),
  subscribe: () => Promise.reject(new Error("none")),
};

t.test("a worker sees all its seats, however many slots it has, and all of one block", async (t) => {
  const bag = world.submit({ trust: 2n, volume: 400, gasLimit: 2_000_000_000n, value: 10n ** 21n });
  while (jobOf(world.state, bag)!.next < 400) world.advance(1);
  const lots = await lotsOfWorker(client, addressBy("w0"));
  t.equal(lots.length, 400);
  t.same(new Set(lots).size, 400);
  t.same(asked, Array(33).fill("0x2a"), "33 pages of one block, in three requests");

  asked = [];
  const slots = await slotsOfWorker(client, addressBy("w0"));
  t.equal(new Set(slots.map(({ id }) => id)).size, SLOTS);
  t.equal(slots.filter(({ lot }) => lots.includes(lot)).length, 800);
  t.ok(
    asked.every((at) => at === "0x2a"),
    "a slot that leaves meanwhile is one all the same",
  );
});

t.test("a list ends where its pages do", async (t) => {
  const page = (from: bigint) => world.call(world.requester, MARKET, market("slotsOf"), [addressBy("w0"), from]).values;
  t.same(page(0n)[1], 64n);
  t.same(page(2_048n), [
    page(0n)
      .slice(0, 1)
      .flatMap(() => page(2_048n)[0]),
    0n,
  ]);
  t.equal((page(2_048n)[0] as bigint[]).length, SLOTS - 2_048);
  for (const from of [BigInt(SLOTS), 2n ** 255n]) t.same(page(from), [[], 0n]);
});
