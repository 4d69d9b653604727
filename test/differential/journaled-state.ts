import { OriginalStorageCache } from "@ethereumjs/statemanager";
import { type Account, type Address, bytesToHex, createAccount } from "@ethereumjs/util";
import { EMPTY } from "../../lib/bytes.ts";
import { keccak256Bytes } from "../../lib/keccak.ts";

/** Writes as they are undone: the map, the key, and what stood there. */
type Undo = readonly [map: Map<string, unknown>, key: string, before: unknown];

/**
 * The EVM's state in maps with a journal, so that a checkpoint costs nothing: the library's simple state copies all of it at
 * each call. Has no roots.
 */
export const createJournaledState = () => {
  const accounts = new Map<string, Account>();
  const codes = new Map<string, Uint8Array>();
  const storage = new Map<string, Uint8Array>();
  const journal: Undo[] = [];
  const marks: number[] = [];

  const write = <T>(map: Map<string, T>, key: string, value: T | undefined): void => {
    journal.push([map as Map<string, unknown>, key, map.get(key)]);
    if (value === undefined) map.delete(key);
    else map.set(key, value);
  };
  // The machine changes the accounts that it is given, before it says whether it keeps them.
  const copy = ({ nonce, balance, storageRoot, codeHash }: Account): Account =>
    createAccount({ nonce, balance, storageRoot, codeHash });
  const slotKey = (address: Address, key: Uint8Array): string => `${address.toString()}${bytesToHex(key)}`;
  const getStorage = async (address: Address, key: Uint8Array): Promise<Uint8Array> =>
    storage.get(slotKey(address, key)) ?? EMPTY;

  const state = {
    getAccount: async (address: Address): Promise<Account | undefined> => {
      const found = accounts.get(address.toString());
      return found && copy(found);
    },
    putAccount: async (address: Address, account?: Account): Promise<void> =>
      write(accounts, address.toString(), account && copy(account)),
    deleteAccount: async (address: Address): Promise<void> => write(accounts, address.toString(), undefined),
    modifyAccountFields: async (address: Address, fields: Partial<Account>): Promise<void> => {
      const account = (await state.getAccount(address)) ?? createAccount({});
      await state.putAccount(address, Object.assign(account, fields));
    },
    putCode: async (address: Address, code: Uint8Array): Promise<void> => {
      write(codes, address.toString(), code);
      await state.modifyAccountFields(address, { codeHash: keccak256Bytes(code) });
    },
    getCode: async (address: Address): Promise<Uint8Array> => codes.get(address.toString()) ?? EMPTY,
    getCodeSize: async (address: Address): Promise<number> => codes.get(address.toString())?.length ?? 0,
    getStorage,
    putStorage: async (address: Address, key: Uint8Array, value: Uint8Array): Promise<void> =>
      write(storage, slotKey(address, key), value),
    clearStorage: async (address: Address): Promise<void> => {
      for (const key of [...storage.keys()]) if (key.startsWith(address.toString())) write(storage, key, undefined);
    },
    /** Every slot of an account that was ever written. */
    slots: (address: Address): { key: string; value: Uint8Array }[] =>
      [...storage]
        .filter(([key]) => key.startsWith(address.toString()))
        .map(([key, value]) => ({ key: `0x${key.slice(44)}`, value })),
    checkpoint: async (): Promise<void> => {
      marks.push(journal.length);
    },
    commit: async (): Promise<void> => {
      marks.pop();
      if (marks.length === 0) journal.length = 0;
    },
    revert: async (): Promise<void> => {
      const mark = marks.pop() ?? 0;
      while (journal.length > mark) {
        const [map, key, before] = journal.pop()!;
        if (before === undefined) map.delete(key);
        else map.set(key, before);
      }
    },
    originalStorageCache: new OriginalStorageCache(getStorage),
    getStateRoot: (): never => {
      throw new Error("no roots");
    },
    setStateRoot: (): never => {
      throw new Error("no roots");
    },
    hasStateRoot: (): never => {
      throw new Error("no roots");
    },
    clearCaches: (): void => {},
    shallowCopy: (): never => {
      throw new Error("no copies");
    },
  };
  return state;
};
