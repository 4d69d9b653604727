import { type Address, EMPTY, fromHex, type Hash, type Hex, toHex, word } from "../lib/bytes.ts";
import { big, decodeWith, encodeWith, hash, record, uint } from "../lib/codec.ts";
import { keccak256, keccak256Bytes } from "../lib/keccak.ts";
import { type Database, DatabaseError, type Op } from "./db.ts";
import { codeKey, nodeKey } from "./layout.ts";
import { differences } from "./trie/difference.ts";
import { type Branch, decodeNode, type Extension, type Leaf } from "./trie/node.ts";
import { EMPTY_ROOT, type Emit, type NodeStore, openTrie, type Trie } from "./trie/trie.ts";

export interface Account {
  readonly nonce: number;
  readonly balance: bigint;
  readonly storageRoot: Hash;
  readonly codeHash: Hash;
}

const EMPTY_CODE_HASH = keccak256(EMPTY);
const NO_ACCOUNT: Account = { nonce: 0, balance: 0n, storageRoot: EMPTY_ROOT, codeHash: EMPTY_CODE_HASH };
/** EIP-161, with storage: what is empty is not in the trie. */
const isEmpty = ({ nonce, balance, storageRoot, codeHash }: Account): boolean =>
  nonce === 0 && balance === 0n && storageRoot === EMPTY_ROOT && codeHash === EMPTY_CODE_HASH;
const coder = record({ nonce: uint, balance: big, storageRoot: hash, codeHash: hash });

/** EIP-1186: the nodes that prove an account, and those that prove each slot of its storage. */
export interface AccountProof {
  readonly account: Account;
  readonly accountProof: readonly Uint8Array[];
  readonly storage: readonly {
    readonly slot: Hash;
    readonly value: Uint8Array;
    readonly proof: readonly Uint8Array[];
  }[];
}

/**
 * The ledger: accounts and the records of system accounts, over a root of the state trie. Writes are journaled. A record is
 * one leaf of its account's storage trie, at slot keccak256(abi.encode(uint256 table, bytes32 id)), with its bytes as the
 * leaf's value (docs/state.md). Synchronous; one owner.
 */
export interface State {
  account(address: Address): Account;
  exists(address: Address): boolean;
  nonce(address: Address): number;
  setNonce(address: Address, nonce: number): void;
  balance(address: Address): bigint;
  /** Adds wei. */
  credit(address: Address, wei: bigint): void;
  /** Takes wei. Throws an Error when there is less: check before. */
  debit(address: Address, wei: bigint): void;
  code(address: Address): Uint8Array;
  setCode(address: Address, code: Uint8Array): void;
  record(address: Address, table: number, id: Hash): Uint8Array | undefined;
  setRecord(address: Address, table: number, id: Hash, value: Uint8Array | undefined): void;
  /** Marks a point to come back to. */
  snapshot(): number;
  /** Undoes everything since a snapshot. */
  revert(snapshot: number): void;
  /** Computes the root and gives the writes that keep it. The state goes on from there; snapshots before are gone. */
  commit(): { readonly root: Hash; readonly ops: readonly Op[] };
  /** Proves an account and slots of its storage. Needs a committed state. */
  prove(address: Address, slots: readonly Hash[]): AccountProof;
}

const MAX_CACHED_NODES = 100_000;
const caches = new WeakMap<Database, Map<Hex, Leaf | Extension | Branch>>();

/** Decodes a node out of the database. What has spoilt there must not be taken for the fault of who sent a block. */
const storedNode = (key: Hex, bytes: Uint8Array): Leaf | Extension | Branch => {
  let node: Leaf | Extension | Branch | undefined;
  try {
    node = decodeNode(bytes);
  } catch {
    // Said below.
  }
  const reference = node?.reference;
  const digest = reference?.length === 33 ? reference.subarray(1) : reference && keccak256Bytes(reference);
  if (!node || !digest || toHex(digest) !== key) throw new DatabaseError(`state node ${key} is spoilt in the database`);
  return node;
};

/** Gives a store of trie nodes over a database, with one cache of decoded nodes a database. */
const nodeStore = (db: Database): NodeStore & { keep(hash: Uint8Array, node: Leaf | Extension | Branch): void } => {
  const cache = caches.get(db) ?? new Map<Hex, Leaf | Extension | Branch>();
  caches.set(db, cache);
  const put = (key: Hex, node: Leaf | Extension | Branch) => {
    // The oldest half goes at once: cheaper than moving a node at each read, and reads come back within blocks.
    if (cache.size >= MAX_CACHED_NODES) {
      let left = MAX_CACHED_NODES / 2;
      for (const old of cache.keys()) {
        if (left-- === 0) break;
        cache.delete(old);
      }
    }
    cache.set(key, node);
  };
  return {
    read: (digest) => {
      const key = toHex(digest);
      const cached = cache.get(key);
      if (cached) return cached;
      const bytes = db.get(nodeKey(digest));
      if (!bytes) throw new DatabaseError(`state node ${key} is not in the database`);
      const node = storedNode(key, bytes);
      put(key, node);
      return node;
    },
    keep: (digest, node) => put(toHex(digest), node),
  };
};

/** Remembers up to 65,536 answers of a pure function of a string; the older half goes at once. */
const remembered = <T>(compute: (key: string) => T): ((key: string) => T) => {
  let [young, old] = [new Map<string, T>(), new Map<string, T>()];
  return (key) => {
    let found = young.get(key);
    if (found !== undefined) return found;
    found = old.get(key) ?? compute(key);
    if (young.size >= 32_768) [young, old] = [new Map(), young];
    young.set(key, found);
    return found;
  };
};

/** Where an account or a slot lies in its trie: the hash of its address or number. */
const pathOf = remembered((key) => keccak256Bytes(fromHex(key)));
const slotOf = remembered((key) => {
  const at = key.indexOf(":");
  return keccak256(fromHex(word(Number(key.slice(0, at)))), fromHex(key.slice(at + 1)));
});
/** The storage slot of a record. */
export const recordSlot = (table: number, id: Hash): Hash => slotOf(`${table}:${id}`);

/** Names an account in what changedAccounts lists: the hash of its address. */
export const accountPath = (address: Address): Hash => keccak256(fromHex(address));

/**
 * Lists the accounts, by accountPath, that differ between two states: whoever changed them, and over any number of blocks, on
 * one branch or two. O(accounts that differ * depth of the trie).
 */
export const changedAccounts = (db: Database, before: Hash, after: Hash): Hash[] => {
  const changed: Hash[] = [];
  differences(nodeStore(db), before, after, (path) => changed.push(path));
  return changed;
};

/** Opens the state with this root. Cheap: nodes are read when they are needed. */
export const openState = (db: Database, root: Hash = EMPTY_ROOT): State => {
  const store = nodeStore(db);
  const top = openTrie(store, root);
  const storage = new Map<Address, Trie>();
  const accounts = new Map<Address, Account>();
  const codes = new Map<Hash, Uint8Array>();
  const newCodes = new Map<Hash, Uint8Array>();
  /** By account, then by slot. */
  const records = new Map<Address, Map<Hash, Uint8Array | undefined>>();
  const dirtyAccounts = new Set<Address>();
  const dirtyRecords = new Map<Address, Set<Hash>>();
  let journal: (() => void)[] = [];

  const account = (address: Address): Account => {
    let found = accounts.get(address);
    if (!found) {
      const bytes = top.get(pathOf(address));
      found = bytes ? decodeWith(coder, bytes) : NO_ACCOUNT;
      accounts.set(address, found);
    }
    return found;
  };
  const setAccount = (address: Address, changes: Partial<Account>): void => {
    const before = account(address);
    journal.push(() => accounts.set(address, before));
    accounts.set(address, { ...before, ...changes });
    dirtyAccounts.add(address);
  };
  const trieOf = (address: Address): Trie => {
    let trie = storage.get(address);
    if (!trie) {
      trie = openTrie(store, account(address).storageRoot);
      storage.set(address, trie);
    }
    return trie;
  };
  const slotsOf = (address: Address): Map<Hash, Uint8Array | undefined> => {
    let slots = records.get(address);
    if (!slots) {
      slots = new Map();
      records.set(address, slots);
    }
    return slots;
  };
  const readSlot = (address: Address, slot: Hash): Uint8Array | undefined => {
    const slots = slotsOf(address);
    if (slots.has(slot)) return slots.get(slot);
    const value = trieOf(address).get(pathOf(slot));
    slots.set(slot, value);
    return value;
  };

  return {
    account,
    exists: (address) => !isEmpty(account(address)),
    nonce: (address) => account(address).nonce,
    setNonce: (address, nonce) => setAccount(address, { nonce }),
    balance: (address) => account(address).balance,
    credit: (address, wei) => {
      if (wei < 0n) throw new Error(`a credit of ${wei} wei`);
      if (wei > 0n) setAccount(address, { balance: account(address).balance + wei });
    },
    debit: (address, wei) => {
      const { balance } = account(address);
      if (wei < 0n || wei > balance) throw new Error(`a debit of ${wei} wei from ${balance}`);
      if (wei > 0n) setAccount(address, { balance: balance - wei });
    },
    code: (address) => {
      const { codeHash } = account(address);
      if (codeHash === EMPTY_CODE_HASH) return EMPTY;
      const code = codes.get(codeHash) ?? db.get(codeKey(codeHash));
      if (!code) throw new DatabaseError(`code ${codeHash} is not in the database`);
      return code;
    },
    setCode: (address, code) => {
      const codeHash = keccak256(code);
      codes.set(codeHash, code);
      newCodes.set(codeHash, code);
      setAccount(address, { codeHash });
    },
    record: (address, table, id) => readSlot(address, recordSlot(table, id)),
    setRecord: (address, table, id, value) => {
      const slot = recordSlot(table, id);
      const before = readSlot(address, slot);
      const slots = slotsOf(address);
      journal.push(() => slots.set(slot, before));
      slots.set(slot, value);
      let dirty = dirtyRecords.get(address);
      if (!dirty) {
        dirty = new Set();
        dirtyRecords.set(address, dirty);
      }
      dirty.add(slot);
    },
    snapshot: () => journal.length,
    revert: (snapshot) => {
      while (journal.length > snapshot) journal.pop()!();
    },
    commit: () => {
      journal = [];
      const ops: Op[] = [];
      const emit: Emit = (digest, encoded, node) => {
        ops.push({ key: nodeKey(digest), value: encoded });
        store.keep(digest, node);
      };
      for (const [address, slots] of dirtyRecords) {
        const trie = trieOf(address);
        const values = slotsOf(address);
        for (const slot of slots) trie.put(pathOf(slot), values.get(slot));
        accounts.set(address, { ...account(address), storageRoot: trie.commit(emit) });
        dirtyAccounts.add(address);
      }
      for (const [codeHash, code] of newCodes) ops.push({ key: codeKey(codeHash), value: code });
      for (const address of dirtyAccounts) {
        const value = account(address);
        top.put(pathOf(address), isEmpty(value) ? undefined : encodeWith(coder, value));
      }
      dirtyAccounts.clear();
      dirtyRecords.clear();
      newCodes.clear();
      return { root: top.commit(emit), ops };
    },
    prove: (address, slots) => ({
      account: account(address),
      accountProof: top.prove(pathOf(address)),
      storage: slots.map((slot) => ({
        slot,
        value: readSlot(address, slot) ?? EMPTY,
        proof: trieOf(address).prove(pathOf(slot)),
      })),
    }),
  };
};
