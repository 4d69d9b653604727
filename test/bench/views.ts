/**
 * Measures what views of the native contracts cost, with records as large as they may be, in a trie on disk beside
 * 200,000 others that nobody has read lately: `node test/bench/views.ts [rounds=5]`. Microseconds of processor time, cold and again.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDb } from "../../chain/db.ts";
import { openState } from "../../chain/state.ts";
import { word } from "../../lib/bytes.ts";
import { HUB, MARKET } from "../../vm/addresses.ts";
import { counted, createViewScene } from "../vm/market/view-scene.ts";

const rounds = Number(process.argv[2] ?? 5);
const OTHERS = 100_000;
const { state, calls, run, gasOf } = createViewScene();
for (let i = 0; i < OTHERS; i++)
  for (const account of [HUB, MARKET])
    state.setRecord(account, 2, word(10_000_000 + i), new Uint8Array(200).fill(i % 251, 0, 8));
const { root, ops } = state.commit();
const folder = mkdtempSync(join(tmpdir(), "rolec-views-"));
let db = await openDb(folder);
for (let i = 0; i < ops.length; i += 10_000) await db.batch(ops.slice(i, i + 10_000), false);
await db.close();

const timed = (work: () => void): number => {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
};
/** The calldata of each view that reads most. */
const worst = calls.map(({ name, to, data }) => {
  const tried = data.map((each) => {
    const { state: on, taken } = counted(state);
    const answer = run(on, to, each);
    const read = taken();
    const bytes = read.reduce((sum, record) => sum + record.length, 0);
    return { name, to, data: each, answer, records: read.length, bytes };
  });
  return tried.sort(
    (a, b) => b.records - a.records || b.bytes - a.bytes || (b.answer?.length ?? 0) - (a.answer?.length ?? 0),
  )[0]!;
});
const cold = new Map<string, number[]>();
const warm = new Map<string, number[]>();
for (let round = 0; round < rounds; round++) {
  db = await openDb(folder);
  for (const { name, to, data } of worst) {
    const on = openState(db, root);
    cold.set(name, [...(cold.get(name) ?? []), timed(() => run(on, to, data))]);
    warm.set(name, [...(warm.get(name) ?? []), timed(() => run(openState(db, root), to, data))]);
  }
  await db.close();
}
const least = (times: number[]): number => Math.min(...times);
console.log("view                                     records   bytes      gas   cold us   again us   ns a gas");
for (const { name, to, data, records, bytes } of worst.sort((a, b) => b.records - a.records)) {
  const gas = gasOf(to, data);
  const [first, again] = [least(cold.get(name)!), least(warm.get(name)!)];
  const columns = [records, bytes, gas, first, again, ((1000 * again) / gas).toFixed(1)];
  console.log(name.padEnd(40), ...columns.map((each) => String(each).padStart(9)));
}
rmSync(folder, { recursive: true });
