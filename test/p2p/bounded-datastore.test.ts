import t from "tap";
import { boundedDatastore } from "../../p2p/bounded-datastore.ts";

type Store = ReturnType<typeof boundedDatastore>;
/** libp2p's keys, as far as a store looks at them. */
const key = (text: string) => ({ toString: () => text }) as unknown as Parameters<Store["put"]>[0];
const keysOf = async (store: Store, prefix?: string): Promise<string[]> => {
  const found: string[] = [];
  for await (const each of store.queryKeys(prefix === undefined ? {} : { prefix })) found.push(each.toString());
  return found;
};
const x = Uint8Array.of(1);

t.test("it keeps, finds and forgets as libp2p asks", async (t) => {
  const store = boundedDatastore();
  for (const name of ["/peers/a", "/peers/b", "/dht/provider/c1/a", "/dht/provider/c1/b", "/dht/provider/c2/a"])
    await store.put(key(name), x);
  t.same(await keysOf(store, "/dht/provider/c1"), ["/dht/provider/c1/a", "/dht/provider/c1/b"]);
  t.equal((await keysOf(store, "/dht")).length, 3);
  t.same(await store.get(key("/peers/a")), x);
  t.ok(await store.has(key("/peers/b")));
  await store.delete(key("/peers/b"));
  t.notOk(await store.has(key("/peers/b")));
  await t.rejects(async () => store.get(key("/peers/b")), { name: "NotFoundError" });
  const batch = store.batch();
  batch.put(key("/peers/c"), x);
  batch.delete(key("/peers/a"));
  t.notOk(await store.has(key("/peers/c")), "not before it is committed");
  await batch.commit();
  const found: string[] = [];
  for await (const pair of store.query({ prefix: "/peers", filters: [({ value }) => value.length === 1], limit: 5 }))
    found.push(pair.key.toString());
  t.same(found, ["/peers/c"]);
});

t.test("whatever peers say, it stays within its limits", async (t) => {
  const store = boundedDatastore({ folders: 10, entries: 4, sameName: 6, valueBytes: 8 });
  await store.put(key("/peers/large"), new Uint8Array(9));
  t.same(await keysOf(store), []);
  for (let i = 0; i < 100; i++) await store.put(key(`/dht/provider/c${i}/liar`), x);
  t.equal((await keysOf(store)).length, 6, "one provider has so much");
  for (let i = 0; i < 100; i++) await store.put(key(`/dht/provider/c0/p${i}`), x);
  t.same(
    await keysOf(store, "/dht/provider/c0"),
    ["p96", "p97", "p98", "p99"].map((name) => `/dht/provider/c0/${name}`),
  );
  for (let i = 0; i < 100; i++) await store.put(key(`/dht/provider/d${i}/q${i}`), x);
  t.equal((await keysOf(store)).length, 10);
  for (let i = 0; i < 100; i++) await store.put(key(`/dht/provider/e${i}/liar`), x);
  t.equal((await keysOf(store)).filter((name) => name.endsWith("liar")).length, 6, "what was dropped counts no more");
});
