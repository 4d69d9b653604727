import t from "tap";
import { memoryDb } from "../../chain/db.ts";
import { ONLY, table } from "../../chain/records.ts";
import { openState } from "../../chain/state.ts";
import { toHex, word } from "../../lib/bytes.ts";
import { big, record, uint } from "../../lib/codec.ts";

t.test("two tables have no place in common, and a record is read as the version that its table has", (t) => {
  const account = `0x${"ab".repeat(20)}` as const;
  const state = openState(memoryDb());
  const fields = record({ a: uint, b: uint });
  const first = table(account, 1, 0, fields);
  t.throws(() => table(account, 1, 1, fields), /was made before/);
  const second = table(account, 2, 2, fields);
  first.set(state, ONLY, { a: 3, b: 4 });
  second.set(state, 0, { a: 3, b: 4 });
  t.equal(toHex(first.raw(state, 0)!), "0xc20304");
  t.equal(toHex(second.raw(state, ONLY)!), "0xc3020304");
  t.equal(second.get(state, ONLY), second.get(state, 0), "what was decoded is handed out again");
  state.setRecord(account, 2, word(1), Uint8Array.of(0xc3, 1, 3, 4));
  t.throws(() => second.get(state, 1), /version 1, not 2/);
  second.set(state, account, { a: 1, b: 1 });
  t.ok(state.record(account, 2, `0x${"00".repeat(12)}${"ab".repeat(20)}`), "an address is padded on the left");
  second.set(state, account, undefined);
  t.equal(second.get(state, account), undefined);
  t.end();
});

t.test("alike leaves of two accounts are read as what each of them keeps", async (t) => {
  const db = memoryDb();
  const state = openState(db);
  const number = table(`0x${"01".repeat(20)}`, 1, 0, uint);
  const amount = table(`0x${"02".repeat(20)}`, 1, 0, big);
  number.set(state, ONLY, 5);
  amount.set(state, ONLY, 5n);
  const { root, ops } = state.commit();
  await db.batch(ops);
  const again = openState(db, root);
  t.equal(number.raw(again, ONLY), amount.raw(again, ONLY), "they have their bytes in common");
  t.equal(number.get(again, ONLY), 5);
  t.equal(amount.get(again, ONLY), 5n);
  t.equal(number.get(again, ONLY), 5);
});
