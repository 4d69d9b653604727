import type { Address } from "../lib/bytes.ts";

/** What was refused to requesters, and by whom. Bounded: who has most remembered forgets its oldest. */
export interface Refusals {
  /** Tells whether something is not to be looked at for a requester now. */
  has(requester: Address, what: string): boolean;
  add(requester: Address, what: string): void;
  /** How often what a signer offers was refused to a requester since it passed last. */
  of(requester: Address, signer: Address): number;
  blame(requester: Address, signer: Address): void;
  passed(requester: Address, signer: Address): void;
  /** Forgets all other requesters. */
  keep(requesters: ReadonlySet<Address>): void;
}

/** What was refused is not looked at again for so long. */
const RETRY_MS = 60_000;
const MAX_REFUSED = 65_536;
const MAX_BLAMED = 65_536;

/** Notes by requester, so many in all: one requester's never push out what another's few say. */
const createNotes = <T>(most: number) => {
  const byRequester = new Map<Address, Map<string, T>>();
  let size = 0;
  const forget = (requester: Address, notes: Map<string, T>, key: string): void => {
    if (notes.delete(key)) size -= 1;
    if (notes.size === 0) byRequester.delete(requester);
  };
  const makeRoom = (): void => {
    let [owner, longest] = [...byRequester][0]!;
    for (const [requester, notes] of byRequester) if (notes.size > longest.size) [owner, longest] = [requester, notes];
    forget(owner, longest, longest.keys().next().value!);
  };
  return {
    get: (requester: Address, key: string): T | undefined => byRequester.get(requester)?.get(key),
    set: (requester: Address, key: string, note: T): void => {
      const notes = byRequester.get(requester) ?? new Map<string, T>();
      byRequester.set(requester, notes);
      if (!notes.delete(key)) size += 1;
      notes.set(key, note);
      if (size > most) makeRoom();
    },
    delete: (requester: Address, key: string): void => {
      const notes = byRequester.get(requester);
      if (notes) forget(requester, notes, key);
    },
    keep: (requesters: ReadonlySet<Address>): void => {
      for (const [requester, notes] of byRequester) {
        if (requesters.has(requester)) continue;
        size -= notes.size;
        byRequester.delete(requester);
      }
    },
  };
};

/** Makes an empty memory; `now` in ms. */
export const createRefusals = (now: () => number): Refusals => {
  /** Until when. */
  const refused = createNotes<number>(MAX_REFUSED);
  /** How often. */
  const blamed = createNotes<number>(MAX_BLAMED);
  return {
    has: (requester, what) => (refused.get(requester, what) ?? 0) > now(),
    add: (requester, what) => refused.set(requester, what, now() + RETRY_MS),
    of: (requester, signer) => blamed.get(requester, signer) ?? 0,
    blame: (requester, signer) => blamed.set(requester, signer, (blamed.get(requester, signer) ?? 0) + 1),
    passed: (requester, signer) => blamed.delete(requester, signer),
    keep: (requesters) => {
      refused.keep(requesters);
      blamed.keep(requesters);
    },
  };
};
