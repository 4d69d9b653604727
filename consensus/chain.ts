import type { Genesis } from "../chain/params.ts";
import type { Hash } from "../lib/bytes.ts";

/** What never changes on a chain. */
export interface Chain {
  readonly genesis: Genesis;
  readonly genesisHash: Hash;
  readonly genesisMix: Hash;
}
