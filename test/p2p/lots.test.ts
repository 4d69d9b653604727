import t from "tap";
import { memoryDb } from "../../chain/db.ts";
import type { Engine } from "../../consensus/engine.ts";
import { type Hash, ZERO_HASH } from "../../lib/bytes.ts";
import { createDisk } from "../../lib/disk.ts";
import { openLotReceipts } from "../../p2p/lots.ts";
import { finalDeadline, lotOf, setReceipt } from "../../vm/market/lot.ts";
import { lotReceiptOf } from "../../vm/wasm/receipt.ts";
import { createWorld, receiptFor } from "../vm/market/world.ts";

const world = createWorld({ workers: [["a", 20]] });
const { state, genesis } = world;
/** What the receipts ask of an engine: the chain's state. */
const engine = {
  chain: { genesis },
  genesisHash: ZERO_HASH,
  head: () => undefined,
  stateOf: () => state,
} as unknown as Engine;
const receipts = Array.from({ length: 4 }, (_, i) => receiptFor(1_000 + i));
/** Draws a lot and has it agree on the receipts, as if its seats had. */
const agreed = (): Hash => {
  const deal = world.submit({ trust: 1n });
  world.advance(2);
  const id = world.lotIdOf(deal);
  setReceipt(state, id, lotReceiptOf(receipts));
  return id;
};
const [first, second, third] = [agreed(), agreed(), agreed()];
const size = receipts.reduce((sum, each) => sum + each.length, 0);

t.test("receipts are kept while their results are served, and no longer", async (t) => {
  const db = memoryDb();
  const lots = await openLotReceipts({ db, engine });
  await lots.put(first, receipts);
  await lots.put(first, receipts);
  await lots.put(second, receipts);
  t.same(await lots.get(first), receipts);
  t.equal(lots.stats().lots, 2);
  const again = await openLotReceipts({ db, engine });
  t.same(again.stats(), lots.stats(), "after a restart too");
  const until = finalDeadline(lotOf(state, first)!) + genesis.params.serveSeconds;
  await again.expire(until - 1);
  t.equal(again.stats().lots, 2);
  await again.expire(until);
  t.equal(again.stats().lots, 1);
  t.equal(await again.get(first), undefined);
  t.same(await again.get(second), receipts);
  await t.rejects(lots.put(third, receipts.slice(1)), { code: "lot-receipts" });
  t.equal(await lots.get(`0x${"11".repeat(32)}`), undefined, "of no lot there is nothing to ask for");
});

t.test("receipts are bounded, and leave the disk its reserve", async (t) => {
  const db = memoryDb();
  const lots = await openLotReceipts({ db, engine, mostBytes: 2.5 * size });
  for (const id of [first, second, third]) await lots.put(id, receipts);
  t.equal(lots.stats().lots, 2);
  t.equal(await lots.get(first), undefined, "the first to run out goes first");
  t.same(await lots.get(third), receipts);
  const full = await openLotReceipts({ db: memoryDb(), engine, disk: createDisk(() => 0) });
  await t.rejects(full.put(first, receipts), { code: "disk-reserve" });
  t.same(full.stats(), { lots: 0, bytes: 0 });
});
