import type { Address, Hash, Hex } from "../../lib/bytes.ts";

/** A call of one of the sequences; the same bytes go to both worlds. */
export interface Message {
  readonly from: Address;
  readonly to: Address;
  readonly data: Hex;
  /** Wei. */
  readonly value: bigint;
}

export interface WorldLog {
  readonly address: Address;
  readonly topics: readonly Hash[];
  readonly data: Hex;
}

/** What a call did: its return data, or what it reverted with, and its logs in order. */
export interface Outcome {
  readonly ok: boolean;
  readonly data: Hex;
  readonly logs: readonly WorldLog[];
}

/** A ledger with a PoCo hub at 0x…1001 and its registries after it. Addresses, chain id and time are the same in each. */
export interface World {
  readonly name: string;
  /** Runs a call in a block of this timestamp (seconds) and keeps what it does. */
  call(message: Message, timestamp: number): Promise<Outcome>;
  /** Runs a call and keeps nothing. */
  view(message: Message, timestamp: number): Promise<Outcome>;
  /** Wei. */
  balance(address: Address): Promise<bigint>;
  /** The root of the state, where there is one. */
  root?(): Hash;
  /** Marks a point, runs, and comes back to the point. */
  isolated<T>(run: () => Promise<T>): Promise<T>;
}
