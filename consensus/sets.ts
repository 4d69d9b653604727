import { ONLY } from "../chain/records.ts";
import type { State } from "../chain/state.ts";
import type { Address, Hex } from "../lib/bytes.ts";
import { active, type Member, sets, validators } from "../vm/validator-store.ts";
import { type Checkpoint, must, withScore } from "./records.ts";

type ValidatorSet = NonNullable<ReturnType<typeof sets.get>>;
/** Reads a set by number. */
export const setAt = (state: State, id: number): ValidatorSet => must(sets.get(state, id), `set ${id}`);

const membersOf = (state: State, set: number): readonly Member[] => (set === 0 ? [] : setAt(state, set).members);

/** Gives the set in force in a state, and the one before while the change is unconfirmed. */
export const activeSets = (state: State): { members: readonly Member[]; before: readonly Member[] } => {
  const { set, setBefore } = must(active.get(state, ONLY), "the active set");
  return { members: membersOf(state, set), before: membersOf(state, setBefore) };
};

/** Who votes for a checkpoint, in the order of its bitmaps: its set by index, then those whom only the set before has. */
export const votersOf = (
  state: State,
  { set, setBefore }: Pick<Checkpoint, "set" | "setBefore">,
): { members: readonly Member[]; before: readonly Member[]; order: readonly number[] } => {
  const members = membersOf(state, set);
  const before = membersOf(state, setBefore);
  const now = new Set(members.map((member) => member.index));
  const order = [...members, ...before.filter((member) => !now.has(member.index))].map((member) => member.index);
  return { members, before, order };
};

/** What never changes of a voter: a set is only activated when the registrations of its members are final. */
export interface Voter {
  readonly index: number;
  readonly address: Address;
  readonly blsPublicKey: Hex;
}
const known = new WeakMap<Uint8Array, { readonly before: Uint8Array | undefined; readonly voters: readonly Voter[] }>();

/** Gives the voters of a checkpoint with their keys. O(members), once a set. */
export const votersWithKeys = (state: State, at: Pick<Checkpoint, "set" | "setBefore">): readonly Voter[] => {
  const raw = must(sets.raw(state, at.set), `set ${at.set}`);
  const before = at.setBefore === 0 ? undefined : sets.raw(state, at.setBefore);
  const cached = known.get(raw);
  if (cached && cached.before === before) return cached.voters;
  const voters = votersOf(state, at).order.map((index): Voter => {
    const { address, blsPublicKey } = must(validators.get(state, index), `validator ${index}`);
    return { index, address, blsPublicKey };
  });
  known.set(raw, { before, voters });
  return voters;
};

/** Changes vote powers in the sets in force (spec section 6: leak, slashing). A set that changes gets a new number. */
export const reweigh = (state: State, votePowerOf: (member: Member) => bigint): void => {
  const current = must(active.get(state, ONLY), "the active set");
  let { last } = current;
  const renew = (id: number): number => {
    if (id === 0) return 0;
    const set = setAt(state, id);
    const members = set.members.map((member) => ({ ...member, votePower: votePowerOf(member) }));
    if (members.every((member, i) => member.votePower === set.members[i]!.votePower)) return id;
    last += 1;
    sets.set(state, last, { ...set, members });
    return last;
  };
  const setBefore = renew(current.setBefore);
  const set = renew(current.set);
  if (last !== current.last) active.set(state, ONLY, { set, setBefore, last });
};

const shareQ32 = (members: readonly Member[], index: number): bigint | undefined => {
  const member = members.find((each) => each.index === index);
  if (!member) return undefined;
  const total = members.reduce((sum, each) => sum + each.power, 0n);
  return (member.power << 32n) / total;
};

/** The share of power, of 2^32, that a validator had in the last set that it was in. */
export const powerQ32 = (state: State, index: number): bigint => {
  const { members, before } = activeSets(state);
  return shareQ32(members, index) ?? shareQ32(before, index) ?? validators.get(state, index)?.lastPowerQ32 ?? 0n;
};

/** Tells whether a validator is in a set in force or was in one: it may have proposed and voted. */
export const hasServed = (state: State, address: Address): boolean => {
  const validator = validators.find(state, address);
  if (!validator) return false;
  const { members, before } = activeSets(state);
  return validator.lastPowerQ32 > 0n || [...members, ...before].some(({ index }) => index === validator.index);
};

/**
 * Makes a set the one in force. Who was slashed since it was chosen keeps its slots, which stay empty, and has no vote. Those that
 * leave keep the share of power that slashing may ask for later.
 */
export const activateSet = (
  state: State,
  next: { era: number; members: readonly Member[] },
  isJailedNow: (index: number) => boolean,
): void => {
  const current = must(active.get(state, ONLY), "the active set");
  const staying = new Set(next.members.map((member) => member.index));
  const leaving = membersOf(state, current.set);
  for (const { index } of leaving.filter((member) => !staying.has(member.index)))
    validators.set(state, {
      ...must(validators.get(state, index), "a member"),
      lastPowerQ32: shareQ32(leaving, index)!,
    });
  const last = current.last + 1;
  const members = next.members.map((member) => (isJailedNow(member.index) ? { ...member, votePower: 0n } : member));
  sets.set(state, last, { ...next, members, origin: last });
  active.set(state, ONLY, { set: last, setBefore: current.set, last });
};

/** Confirms a change of sets: the one before counts no more, and who is in it alone takes no inactivity score along. */
export const confirmSet = (state: State): void => {
  const current = must(active.get(state, ONLY), "the active set");
  const staying = new Set(membersOf(state, current.set).map((member) => member.index));
  let dropped = 0;
  for (const { index } of membersOf(state, current.setBefore)) {
    const validator = must(validators.get(state, index), `validator ${index}`);
    if (staying.has(index) || validator.inactivityScore === 0) continue;
    validators.set(state, { ...validator, inactivityScore: 0 });
    dropped += 1;
  }
  if (dropped > 0) withScore.set(state, ONLY, (withScore.get(state, ONLY) ?? 0) - dropped);
  active.set(state, ONLY, { ...current, setBefore: 0 });
};
