/** The market's tables with their records kept as values: nobody here asks for a state root, and RLP takes most of the time. */
import type { State } from "../../../chain/state.ts";
import type { Address, Hash } from "../../../lib/bytes.ts";
import type { Coder } from "../../../lib/codec.ts";
import type { Table } from "../../../vm/market/tables.ts";

export * from "../../../vm/market/tables.ts";

/** What stands in the state for a record is an empty array of its own, so that its journal can undo writes. */
const values = new WeakMap<Uint8Array, unknown>();

export const tableOf = <T>(account: Address, number: number, _coder: Coder<T>): Table<T> => ({
  get: (state: State, id: Hash) => {
    const key = state.record(account, number, id);
    return key && (values.get(key) as T);
  },
  set: (state, id, value) => {
    const key = value === undefined ? undefined : new Uint8Array();
    if (key) values.set(key, value);
    state.setRecord(account, number, id, key);
  },
});
