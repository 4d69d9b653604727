import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import { memoryDb } from "../../chain/db.ts";
import { nodeKey } from "../../chain/layout.ts";
import { differences } from "../../chain/trie/difference.ts";
import { decodeNode } from "../../chain/trie/node.ts";
import { EMPTY_ROOT, type NodeStore, openTrie, verifyProof } from "../../chain/trie/trie.ts";
import { concat, fromHex, type Hash, toHex, utf8 } from "../../lib/bytes.ts";
import { keccak256Bytes } from "../../lib/keccak.ts";

const memory = () => {
  const db = memoryDb();
  const store: NodeStore = { read: (hash) => decodeNode(db.get(nodeKey(hash))!) };
  return { store, emit: (hash: Uint8Array, value: Uint8Array) => void db.batch([{ key: nodeKey(hash), value }]) };
};
const vectors = process.env.ROLEC_VECTORS;
const folder = vectors ? join(vectors, "ethereum", "TrieTests") : "";
const skip = existsSync(folder) ? false : "ROLEC_VECTORS is not set: Ethereum's trie vectors are skipped";
const bytes = (text: string) => (text.startsWith("0x") ? fromHex(text) : utf8(text));

t.test("Ethereum's vectors of tries with hashed keys", { skip }, async (t) => {
  for (const file of ["trietest_secureTrie", "trieanyorder_secureTrie", "hex_encoded_securetrie_test"]) {
    const tests = JSON.parse(readFileSync(join(folder, `${file}.json`), "utf8")) as Record<
      string,
      { in: [string, string | null][] | Record<string, string | null>; root: string }
    >;
    for (const [name, { in: input, root }] of Object.entries(tests)) {
      const { store, emit } = memory();
      const trie = openTrie(store, EMPTY_ROOT);
      for (const [key, value] of Array.isArray(input) ? input : Object.entries(input))
        trie.put(keccak256Bytes(bytes(key)), value === null ? undefined : bytes(value));
      t.equal(trie.commit(emit), root, `${file} ${name}`);
    }
  }
});

const key = (i: number) => keccak256Bytes(Uint8Array.of(i));
const writes = fc.array(fc.tuple(fc.nat(60), fc.option(fc.uint8Array({ minLength: 1, maxLength: 40 }))), {
  maxLength: 120,
});

t.test("any order of writes, deletions and commits gives the root of what is left, and proofs of it", async () => {
  fc.assert(
    fc.property(writes, fc.integer({ min: 1, max: 20 }), (list, every) => {
      const { store, emit } = memory();
      let trie = openTrie(store, EMPTY_ROOT);
      const left = new Map<number, Uint8Array>();
      for (const [i, [k, value]] of list.entries()) {
        trie.put(key(k), value ?? undefined);
        if (value) left.set(k, value);
        else left.delete(k);
        if (i % every === 0) trie = openTrie(store, trie.commit(emit));
      }
      const root: Hash = trie.commit(emit);
      const fresh = openTrie(store, EMPTY_ROOT);
      for (const [k, value] of [...left].reverse()) fresh.put(key(k), value);
      if (fresh.commit(emit) !== root) throw new Error("roots differ");
      for (let k = 0; k <= 60; k++) {
        const value = left.get(k);
        const read = openTrie(store, root).get(key(k));
        const proved = verifyProof(root, key(k), openTrie(store, root).prove(key(k)));
        for (const got of [read, proved])
          if ((got && toHex(got)) !== (value && toHex(value))) throw new Error(`key ${k}: ${got} for ${value}`);
      }
    }),
    { numRuns: 200 },
  );
});

t.test("a proof that lacks a node or has a changed one proves nothing", async (t) => {
  const { store, emit } = memory();
  const trie = openTrie(store, EMPTY_ROOT);
  for (let i = 0; i < 200; i++) trie.put(key(i), new Uint8Array(40).fill(i));
  const root = trie.commit(emit);
  const proof = trie.prove(key(7));
  t.same(verifyProof(root, key(7), proof), new Uint8Array(40).fill(7));
  t.throws(() => verifyProof(root, key(7), proof.slice(1)), /lacks node/);
  t.throws(
    () =>
      verifyProof(
        root,
        key(7),
        proof.map((node, i) => (i === 1 ? Uint8Array.of(...node.slice(0, -1), 9) : node)),
      ),
    /lacks node/,
  );
});

/** Keys that part late, so that short nodes stand inside their parents. */
const near = (i: number) => concat(new Uint8Array(31), Uint8Array.of(i));

t.test("what differs between two tries is told once each, whatever their shapes", async () => {
  fc.assert(
    fc.property(writes, writes, fc.constantFrom(key, near), (first, second, keyOf) => {
      const { store, emit } = memory();
      const trie = openTrie(store, EMPTY_ROOT);
      const values = new Map<number, string>();
      const apply = (list: typeof first): Hash => {
        for (const [k, value] of list) {
          trie.put(keyOf(k), value ?? undefined);
          if (value) values.set(k, toHex(value));
          else values.delete(k);
        }
        return trie.commit(emit);
      };
      const [before, old] = [apply(first), new Map(values)];
      const after = apply(second);
      const expected = Array.from({ length: 61 }, (_, k) => k).filter((k) => old.get(k) !== values.get(k));
      const want = JSON.stringify(expected.map((k) => toHex(keyOf(k))).sort());
      for (const [a, b] of [
        [before, after],
        [after, before],
      ] as const) {
        const told: Hash[] = [];
        differences(store, a, b, (each) => told.push(each));
        if (JSON.stringify(told.sort()) !== want) throw new Error(`${told.length} told, not ${expected.length}`);
      }
    }),
    { numRuns: 300 },
  );
});

t.test("to find one change among many keys reads the nodes on its way alone", async (t) => {
  const { store, emit } = memory();
  const trie = openTrie(store, EMPTY_ROOT);
  for (let i = 0; i < 5_000; i++) trie.put(keccak256Bytes(utf8(String(i))), new Uint8Array(40).fill(1));
  const before = trie.commit(emit);
  trie.put(keccak256Bytes(utf8("77")), new Uint8Array(40).fill(2));
  const after = trie.commit(emit);
  let reads = 0;
  const told: Hash[] = [];
  const counted: NodeStore = {
    read: (hash) => {
      reads += 1;
      return store.read(hash);
    },
  };
  differences(counted, before, after, (each) => told.push(each));
  t.same(told, [toHex(keccak256Bytes(utf8("77")))]);
  t.ok(reads <= 12, `${reads} nodes`);
  differences(counted, after, after, () => t.fail("nothing differs"));
});
