import { mmrRootOf } from "../chain/mmr.ts";
import type { Genesis } from "../chain/params.ts";
import { ONLY } from "../chain/records.ts";
import type { State } from "../chain/state.ts";
import { EMPTY, fromHex, type Hash } from "../lib/bytes.ts";
import { address, big, encodeWith, hexOf, record, uint } from "../lib/codec.ts";
import { keccak256 } from "../lib/keccak.ts";
import { putNewest } from "../lib/lru.ts";
import { encodeRlp } from "../lib/rlp.ts";
import { active, type Member, sets, validators } from "../vm/validator-store.ts";
import { must } from "./records.ts";
import { activeSets } from "./sets.ts";

const memberCoder = record({ index: uint, address, blsPublicKey: hexOf(48), power: big, votePower: big });

/**
 * Roots by chain and by the sets that they are over: a set lasts an era, its root is asked for in each block. A set is only
 * activated when the registrations of its members are final, so that an index means one validator on every fork.
 */
const roots = new Map<Hash, Hash>();
const CACHED_ROOTS = 16;

/** Computes validatorsRoot: the set by index, then the set before while its change is unconfirmed. O(members) once a set. */
export const validatorsRoot = (state: State, genesis: Genesis): Hash => {
  const { set, setBefore } = must(active.get(state, ONLY), "the active set");
  const records = [set, setBefore].map((id) => (id === 0 ? EMPTY : must(sets.raw(state, id), `set ${id}`)));
  const key = keccak256(fromHex(genesis.extraData), encodeRlp(records));
  const cached = roots.get(key);
  if (cached) return cached;
  const { members, before } = activeSets(state);
  const leaf = ({ index, power, votePower }: Member): Uint8Array => {
    const { address: at, blsPublicKey } = must(validators.get(state, index), `validator ${index}`);
    return encodeWith(memberCoder, { index, address: at, blsPublicKey, power, votePower });
  };
  const root = mmrRootOf([...members, ...before].map(leaf));
  putNewest(roots, key, root, CACHED_ROOTS);
  return root;
};
