/** Tables with their records kept as values: nobody here asks for a state root, and RLP takes most of the time. */
import type { Id, Table } from "../../../chain/records.ts";
import type { State } from "../../../chain/state.ts";
import { type Address, addressWord, word } from "../../../lib/bytes.ts";

export * from "../../../chain/records.ts";

/** What stands in the state for a record is an empty array of its own, so that its journal can undo writes. */
const values = new WeakMap<Uint8Array, unknown>();
const idOf = (id: Id) => (typeof id !== "string" ? word(id) : addressWord(id));

export const table = <T>(account: Address, number: number): Table<T> => {
  const raw = (state: State, id: Id) => state.record(account, number, idOf(id));
  return {
    raw,
    get: (state, id) => {
      const key = raw(state, id);
      return key && (values.get(key) as T);
    },
    set: (state, id, value) => {
      const key = value === undefined ? undefined : new Uint8Array();
      if (key) values.set(key, value);
      state.setRecord(account, number, idOf(id), key);
    },
  };
};
