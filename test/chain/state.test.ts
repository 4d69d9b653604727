import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import { DatabaseError, memoryDb, openDb } from "../../chain/db.ts";
import { nodeKey } from "../../chain/layout.ts";
import { decodeMmr, EMPTY_MMR, encodeMmr, mmrAppend, mmrProve, mmrRootOf, mmrVerify } from "../../chain/mmr.ts";
import { accountPath, changedAccounts, openState, recordSlot } from "../../chain/state.ts";
import { EMPTY_ROOT, verifyProof } from "../../chain/trie/trie.ts";
import { fromHex, type Hex, word } from "../../lib/bytes.ts";
import { keccak256Bytes } from "../../lib/keccak.ts";

const address = (i: number): Hex => `0x${i.toString(16).padStart(40, "0")}`;

t.test("what is written is read, reverted, committed and read again from the root", async (t) => {
  const db = memoryDb();
  const state = openState(db);
  state.credit(address(1), 100n);
  const snapshot = state.snapshot();
  state.debit(address(1), 40n);
  state.setNonce(address(1), 1);
  state.setCode(address(2), Uint8Array.of(0xfe));
  state.setRecord(address(2), 1, word(5), Uint8Array.of(1, 2));
  state.revert(snapshot);
  t.equal(state.balance(address(1)), 100n);
  t.equal(state.record(address(2), 1, word(5)), undefined);
  state.setCode(address(2), Uint8Array.of(0xfe));
  state.setRecord(address(2), 1, word(5), Uint8Array.of(1, 2));
  const { root, ops } = state.commit();
  await db.batch(ops);
  const again = openState(db, root);
  t.equal(again.balance(address(1)), 100n);
  t.same(again.code(address(2)), Uint8Array.of(0xfe));
  t.same(again.record(address(2), 1, word(5)), Uint8Array.of(1, 2));
  t.throws(() => again.debit(address(1), 101n), /debit/);
  const { account, accountProof, storage } = again.prove(address(2), [recordSlot(1, word(5))]);
  t.ok(verifyProof(root, keccak256Bytes(fromHex(address(2))), accountProof));
  t.same(
    verifyProof(account.storageRoot, keccak256Bytes(fromHex(recordSlot(1, word(5)))), storage[0]!.proof),
    Uint8Array.of(1, 2),
  );
});

t.test("an account with nothing left is gone, as if it had never been", async (t) => {
  const state = openState(memoryDb());
  state.credit(address(1), 5n);
  state.setRecord(address(2), 1, word(1), Uint8Array.of(1));
  state.commit();
  state.debit(address(1), 5n);
  state.setRecord(address(2), 1, word(1), undefined);
  t.equal(state.commit().root, EMPTY_ROOT);
});

t.test("the accounts that differ between two states are found, whatever of them does", async (t) => {
  const db = memoryDb();
  const state = openState(db);
  for (let i = 1; i < 100; i++) state.credit(address(i), 100n);
  const before = state.commit();
  state.debit(address(3), 1n);
  state.setNonce(address(4), 1);
  state.setRecord(address(5), 1, word(1), Uint8Array.of(1));
  state.debit(address(6), 100n);
  state.credit(address(200), 1n);
  state.debit(address(7), 1n);
  state.credit(address(7), 1n);
  const after = state.commit();
  await db.batch([...before.ops, ...after.ops]);
  const changed = [3, 4, 5, 6, 200].map((i) => accountPath(address(i))).sort();
  t.same(changedAccounts(db, before.root, after.root).sort(), changed);
  t.same(changedAccounts(db, after.root, before.root).sort(), changed);
  t.same(changedAccounts(db, after.root, after.root), []);
});

t.test("a node of the state that is missing or spoilt is the database's fault, never a rule's", async (t) => {
  const make = async (spoil: (value: Uint8Array) => Uint8Array | undefined) => {
    const db = memoryDb();
    const state = openState(db);
    for (let i = 1; i < 50; i++) state.credit(address(i), 100n);
    const { root, ops } = state.commit();
    // Under another database nothing of it is cached.
    const other = memoryDb();
    await other.batch(ops);
    const key = nodeKey(fromHex(root));
    await other.batch([{ key, value: spoil(other.get(key)!) }]);
    t.throws(() => openState(other, root).balance(address(1)), { name: "DatabaseError" });
    t.throws(() => openState(other, root).balance(address(1)), DatabaseError);
  };
  await make(() => undefined);
  await make((value) => value.slice(0, -1));
  await make((value) => value.with(40, value[40]! ^ 1));
  await make(() => Uint8Array.of(0x80));
  await make(() => Uint8Array.of(0xc2, 0x20, 0x01));
});

t.test("snapshots nest in any order of writes", async () => {
  const step = fc.record({ account: fc.nat(5), record: fc.nat(3), value: fc.option(fc.nat(255)), keep: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const [one, two] = [openState(memoryDb()), openState(memoryDb())];
      for (const { account, record, value, keep } of steps) {
        const write = (state: typeof one) => {
          state.setRecord(address(account), 1, word(record), value === null ? undefined : Uint8Array.of(value));
          state.credit(address(account), BigInt(record));
        };
        const snapshot = one.snapshot();
        write(one);
        if (keep) write(two);
        else one.revert(snapshot);
      }
      if (one.commit().root !== two.commit().root) throw new Error("roots differ");
    }),
  );
});

t.test("a database on disk keeps its batches, and opens for one process alone", async (t) => {
  const path = mkdtempSync(join(tmpdir(), "rolec-db-"));
  t.teardown(() => rmSync(path, { recursive: true }));
  const db = await openDb(path);
  const written = db.batch([{ key: Uint8Array.of(1), value: Uint8Array.of(2) }], true);
  t.same(db.get(Uint8Array.of(1)), Uint8Array.of(2), "seen before it is written");
  await written;
  await t.rejects(openDb(path), /does not open/);
  await db.close();
  const again = await openDb(path);
  t.same(Uint8Array.from(again.get(Uint8Array.of(1))!), Uint8Array.of(2));
  await again.batch([{ key: Uint8Array.of(1), value: undefined }]);
  t.equal(again.get(Uint8Array.of(1)), undefined);
  await again.close();
});

t.test("what is deleted gives its room back to the disk when that is asked for", async (t) => {
  const path = mkdtempSync(join(tmpdir(), "rolec-db-"));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  const db = await openDb(path);
  t.teardown(() => db.close());
  const keys = Array.from({ length: 24 }, (_, i) => Uint8Array.of(1, i));
  for (const key of keys) await db.batch([{ key, value: new Uint8Array(1024 * 1024).fill(key[1]!) }]);
  const bytes = () => readdirSync(path).reduce((sum, name) => sum + statSync(join(path, name)).size, 0);
  const before = bytes();
  await db.batch(keys.slice(1).map((key) => ({ key, value: undefined })));
  await db.compact!(Uint8Array.of(1));
  // LevelDB removes the files that it needs no more a little later, in a thread of its own.
  for (let i = 0; i < 100 && bytes() >= before / 4; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    await db.compact!(Uint8Array.of(1));
  }
  t.ok(bytes() < before / 4, `${before} bytes before, ${bytes()} then`);
  t.equal(db.get(keys[0]!)!.length, 1024 * 1024);
});

t.test("every leaf of a mountain range of any size has a proof, and no other leaf has it", async (t) => {
  for (let count = 1; count <= 20; count++) {
    const leaves = Array.from({ length: count }, (_, i) => Uint8Array.of(i));
    const root = mmrRootOf(leaves);
    for (let i = 0; i < count; i++) {
      const proof = mmrProve(leaves, i);
      if (!mmrVerify(root, leaves[i]!, proof)) t.fail(`leaf ${i} of ${count}`);
      if (mmrVerify(root, Uint8Array.of(99), proof)) t.fail(`a wrong leaf ${i} of ${count}`);
      if (mmrVerify(root, leaves[i]!, { ...proof, count: count + 1 })) t.fail(`leaf ${i} of another count`);
    }
  }
  const range = [1, 2, 3, 4, 5].reduce((mmr, i) => mmrAppend(mmr, Uint8Array.of(i)), EMPTY_MMR);
  t.same(decodeMmr(encodeMmr(range)), range);
});
