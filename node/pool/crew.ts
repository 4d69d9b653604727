import { randomInt } from "node:crypto";
import type { Address, Hash } from "../../lib/bytes.ts";
import { putNewest } from "../../lib/lru.ts";

/** What a worker's last answer says of its next: it came in half of the time that was waited, or in all of it, or there was none. */
export const STANDING = { prompt: 0, slow: 1, unproven: 2 } as const;

/** A worker that asks for tasks. */
export interface CrewMember {
  readonly address: Address;
  /** When it was heard last, in milliseconds of this machine's clock. */
  heard: number;
  /** The time in its last ask. */
  time: number;
  /** Tasks that it would begin, less those that it was not told of yet. */
  credit: number;
  /** Tasks that it was told of. */
  readonly told: Set<Hash>;
  note: string | null;
  standing: (typeof STANDING)[keyof typeof STANDING];
  /** Tasks that it may have at a time: one more with each that it contributes to in time, half where it has one in vain. */
  most: number;
  /** nRLC that the tasks bind which it has and has not contributed to. */
  promised: bigint;
  /** Until when it is asked for nothing, since it had a task in vain. */
  restsUntil: number;
  /** nRLC that were free in the hub when the chain was asked last; undefined where it was not yet. */
  stake: bigint | undefined;
  checked: number;
}

/** A worker that was not heard for so long is not asked for anything. */
const ALIVE_MS = 10_000;
/** Clocks may differ so much. */
const MAX_SKEW_MS = 30_000;
/** Workers with stake, and keys without, which cost nothing. */
const MAX_MEMBERS = 10_000;
const MAX_STRANGERS = 1_024;
/** What a worker of one place fetches for at a time (node/worker/gate.ts): one that is new may have as many. */
const FIRST_TASKS = 8;
/** Who has no stake, or too little, is looked at again after so long; who had to make way, later. */
const RECHECK_MS = 5_000;
const TURNED_AWAY_MS = 60_000;
const MAX_TURNED_AWAY = 16_384;

/** Who is there. Keys without stake never push out workers that have some. */
export interface Crew {
  readonly size: number;
  /** Hears a worker. Throws an Error where the message is old, or there is no place for it. */
  hear(address: Address, time: number, free: number): CrewMember;
  get(address: Address): CrewMember | undefined;
  isAlive(address: Address): boolean;
  /** Tells whether anybody who has this stake would begin a task. */
  hasFree(stake: bigint): boolean;
  /** Those who would begin a task, and may be asked. */
  free(): CrewMember[];
  /** Those whose stake is to be asked for, who were never looked at first. */
  toCheck(most: number): CrewMember[];
  /** Notes what a member has in the hub. */
  checked(member: CrewMember, account: { readonly stake: bigint; readonly locked: bigint }): void;
}

/** Tells whether a member was seen to have the stake of a task beside those that it has. */
export const covers = ({ stake, promised }: CrewMember, needed: bigint): boolean =>
  stake !== undefined && stake >= promised + needed;
/** Notes that a member has contributed in time. */
export const praise = (member: CrewMember, isPrompt: boolean): void => {
  member.standing = isPrompt ? STANDING.prompt : STANDING.slow;
  member.most += 1;
};
/** Notes that a member has had a task, or some at one time, in vain. */
export const blame = (member: CrewMember): void => {
  member.standing = STANDING.unproven;
  member.most = Math.max(1, member.most >> 1);
};

/** Takes some of a list, in an order that nobody can foresee. */
export const drawn = <T>(list: readonly T[], count: number): T[] => {
  const rest = [...list];
  return Array.from({ length: Math.min(count, rest.length) }, (_, i) => {
    const j = i + randomInt(rest.length - i);
    [rest[i], rest[j]] = [rest[j]!, rest[i]!];
    return rest[i]!;
  });
};

/** Makes an empty crew. `now` gives milliseconds; `rests` tells who is not to be asked, though it is there. */
export const createCrew = (now: () => number = Date.now, rests: (address: Address) => boolean = () => false): Crew => {
  const members = new Map<Address, CrewMember>();
  const strangers = new Map<Address, CrewMember>();
  /** Strangers without stake that had to make way, and until when they are not heard. */
  const turnedAway = new Map<Address, number>();
  const find = (address: Address): CrewMember | undefined => members.get(address) ?? strangers.get(address);
  const isAlive = (member: CrewMember | undefined): boolean => member !== undefined && now() - member.heard < ALIVE_MS;
  const isFree = (member: CrewMember): boolean =>
    isAlive(member) && member.credit > 0 && now() >= member.restsUntil && !rests(member.address);
  const everybody = (): CrewMember[] => [...members.values(), ...strangers.values()];
  const dropSilent = (from: Map<Address, CrewMember>): void => {
    for (const [address, member] of from) if (!isAlive(member)) from.delete(address);
  };

  const turnAway = (address: Address): void => {
    strangers.delete(address);
    putNewest(turnedAway, address, now() + TURNED_AWAY_MS, MAX_TURNED_AWAY);
  };
  const admit = (address: Address): CrewMember => {
    if ((turnedAway.get(address) ?? 0) > now())
      throw new Error("nothing of yours lies in the hub: rolec account deposit, and ask again in a minute");
    turnedAway.delete(address);
    if (strangers.size >= MAX_STRANGERS) dropSilent(strangers);
    if (strangers.size >= MAX_STRANGERS) {
      const [poor] = drawn(
        [...strangers.values()].filter(({ stake }) => stake !== undefined),
        1,
      );
      if (!poor) throw new Error("the pool looks at too many new workers: ask again");
      turnAway(poor.address);
    }
    const member: CrewMember = {
      address,
      heard: 0,
      time: 0,
      credit: 0,
      told: new Set<Hash>(),
      note: null,
      standing: STANDING.unproven,
      most: FIRST_TASKS,
      promised: 0n,
      restsUntil: 0,
      stake: undefined,
      checked: 0,
    };
    strangers.set(address, member);
    return member;
  };
  /** Finds a place among the members; who has least gives way to who has more. */
  const promote = (member: CrewMember, stake: bigint): void => {
    if (members.size >= MAX_MEMBERS) dropSilent(members);
    if (members.size >= MAX_MEMBERS) {
      const least = [...members.values()].reduce((a, b) => ((a.stake ?? 0n) <= (b.stake ?? 0n) ? a : b));
      if ((least.stake ?? 0n) >= stake) return;
      members.delete(least.address);
    }
    strangers.delete(member.address);
    members.set(member.address, member);
  };

  return {
    get size() {
      return members.size + strangers.size;
    },
    hear: (address, time, places) => {
      if (Math.abs(time - now()) > MAX_SKEW_MS) throw new Error("the ask's time is too far from the pool's");
      const known = find(address);
      if (known && time <= known.time) throw new Error("the ask is older than the last");
      const member = known ?? admit(address);
      member.heard = now();
      member.time = time;
      member.credit = places;
      return member;
    },
    get: find,
    isAlive: (address) => isAlive(find(address)),
    hasFree: (stake) => everybody().some((member) => isFree(member) && covers(member, stake)),
    free: () => everybody().filter(isFree),
    toCheck: (most) => {
      const isDue = (member: CrewMember): boolean =>
        (strangers.has(member.address) || member.note !== null) && now() - member.checked >= RECHECK_MS;
      const alive = everybody().filter((member) => isAlive(member));
      const isNew = ({ stake }: CrewMember): boolean => stake === undefined;
      const again = alive.filter((member) => !isNew(member) && isDue(member)).sort((a, b) => a.checked - b.checked);
      return [...alive.filter(isNew), ...again].slice(0, most);
    },
    checked: (member, { stake, locked }) => {
      member.stake = stake;
      member.checked = now();
      if (stake + locked > 0n && strangers.has(member.address)) promote(member, stake + locked);
    },
  };
};
