import type { Libp2pOptions } from "libp2p";

// The interface's package is libp2p's own, and no dependency of this project.
type Datastore = NonNullable<Libp2pOptions["datastore"]>;
type Key = Parameters<Datastore["get"]>[0];
interface Pair {
  readonly key: Key;
  readonly value: Uint8Array;
}
interface Query<T> {
  readonly prefix?: string;
  readonly filters?: readonly ((item: T) => boolean)[];
  readonly orders?: readonly ((a: T, b: T) => number)[];
  readonly limit?: number;
  readonly offset?: number;
}

export interface DatastoreLimits {
  /** Folders, the longest unused goes first; and entries of a folder, the oldest goes first. */
  readonly folders: number;
  readonly entries: number;
  /** Folders that an entry of one name may stand in: how much one provider may say to have. */
  readonly sameName: number;
  readonly valueBytes: number;
}

const LIMITS: DatastoreLimits = { folders: 8_192, entries: 4_096, sameName: 1_024, valueBytes: 64 * 1024 };

/**
 * Makes the memory in which libp2p keeps what other peers say: their addresses, and who provides what. A folder is a key
 * without its last name: all peers, or the providers of one CID. Whatever is said, it stays within the limits.
 */
export const boundedDatastore = (options: Partial<DatastoreLimits> = {}): Datastore => {
  const limits = { ...LIMITS, ...options };
  const folders = new Map<string, Map<string, Pair>>();
  const named = new Map<string, number>();

  const placeOf = (key: Key): { folder: string; name: string } => {
    const text = key.toString();
    const at = text.lastIndexOf("/");
    return { folder: text.slice(0, at), name: text.slice(at + 1) };
  };
  const count = (name: string, by: number): void => {
    const left = (named.get(name) ?? 0) + by;
    if (left > 0) named.set(name, left);
    else named.delete(name);
  };
  const remove = (folder: string, name: string): void => {
    const entries = folders.get(folder);
    if (!entries?.delete(name)) return;
    count(name, -1);
    if (entries.size === 0) folders.delete(folder);
  };
  const put = (key: Key, value: Uint8Array): Key => {
    const { folder, name } = placeOf(key);
    const entries = folders.get(folder) ?? new Map<string, Pair>();
    if (value.length > limits.valueBytes) return key;
    if (!entries.has(name)) {
      if ((named.get(name) ?? 0) >= limits.sameName) return key;
      count(name, 1);
    }
    entries.delete(name);
    entries.set(name, { key, value });
    folders.delete(folder);
    folders.set(folder, entries);
    if (entries.size > limits.entries) remove(folder, entries.keys().next().value!);
    if (folders.size > limits.folders) {
      const [oldest, held] = folders.entries().next().value!;
      for (const each of held.keys()) count(each, -1);
      folders.delete(oldest);
    }
    return key;
  };
  const get = (key: Key): Uint8Array => {
    const { folder, name } = placeOf(key);
    const found = folders.get(folder)?.get(name);
    // libp2p knows a missing key by the error's name.
    if (!found) throw Object.assign(new Error("not found"), { name: "NotFoundError" });
    return found.value;
  };
  const drop = (key: Key): void => {
    const { folder, name } = placeOf(key);
    remove(folder, name);
  };
  function* pairs(prefix: string | undefined): Generator<Pair> {
    // Asked for the providers of one CID, which is often, only they are looked at.
    const one = prefix === undefined ? undefined : folders.get(prefix);
    if (one) yield* [...one.values()];
    else
      for (const entries of [...folders.values()])
        for (const pair of [...entries.values()])
          if (prefix === undefined || pair.key.toString().startsWith(prefix)) yield pair;
  }
  const select = <T>(items: Iterable<T>, { filters = [], orders = [], offset = 0, limit }: Query<T>): T[] => {
    const found = [...items].filter((item) => filters.every((filter) => filter(item)));
    for (const order of orders) found.sort(order);
    return found.slice(offset, limit === undefined ? undefined : offset + limit);
  };

  return {
    has: (key) => folders.get(placeOf(key).folder)?.has(placeOf(key).name) ?? false,
    put,
    get,
    delete: drop,
    putMany: async function* (source) {
      for await (const { key, value } of source) yield put(key, value);
    },
    getMany: async function* (source) {
      for await (const key of source) yield { key, value: get(key) };
    },
    deleteMany: async function* (source) {
      for await (const key of source) {
        drop(key);
        yield key;
      }
    },
    batch: () => {
      const changes: (() => void)[] = [];
      return {
        put: (key, value) => void changes.push(() => put(key, value)),
        delete: (key) => void changes.push(() => drop(key)),
        commit: () => {
          for (const change of changes.splice(0)) change();
        },
      };
    },
    query: function* (query) {
      yield* select(pairs(query.prefix), query as Query<Pair>);
    },
    queryKeys: function* (query) {
      const keys = Array.from(pairs(query.prefix), ({ key }) => key);
      yield* select(keys, query as Query<Key>);
    },
  };
};
