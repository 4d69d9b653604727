import { randomInt } from "node:crypto";
import type { Address, Hash } from "../../lib/bytes.ts";

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
}

/** A worker that was not heard for so long is not asked for anything. */
const ALIVE_MS = 10_000;
const MAX_CREW = 10_000;
/** Clocks may differ so much. */
const MAX_SKEW_MS = 30_000;

/** Who is there. */
export interface Crew {
  readonly size: number;
  /** Hears a worker. Throws an Error where the message is old, or there are too many workers. */
  hear(address: Address, time: number, free: number): CrewMember;
  get(address: Address): CrewMember | undefined;
  isAlive(address: Address): boolean;
  /** Tells whether anybody would begin a task. */
  hasFree(): boolean;
  /** Those who would begin a task, in an order that nobody can foresee. */
  free(): CrewMember[];
}

/** Makes an empty crew. `now` gives milliseconds. */
export const createCrew = (now: () => number = Date.now): Crew => {
  const members = new Map<Address, CrewMember>();
  const isAlive = (member: CrewMember | undefined): boolean => member !== undefined && now() - member.heard < ALIVE_MS;
  const free = (): CrewMember[] => [...members.values()].filter((member) => isAlive(member) && member.credit > 0);
  return {
    get size() {
      return members.size;
    },
    hear: (address, time, places) => {
      if (Math.abs(time - now()) > MAX_SKEW_MS) throw new Error("the ask's time is too far from the pool's");
      const known = members.get(address);
      if (known && time <= known.time) throw new Error("the ask is older than the last");
      if (!known && members.size >= MAX_CREW) {
        for (const [old, member] of members) if (!isAlive(member)) members.delete(old);
        if (members.size >= MAX_CREW) throw new Error("the pool has too many workers");
      }
      const member: CrewMember = known ?? { address, heard: 0, time, credit: 0, told: new Set(), note: null };
      member.heard = now();
      member.time = time;
      member.credit = places;
      members.set(address, member);
      return member;
    },
    get: (address) => members.get(address),
    isAlive: (address) => isAlive(members.get(address)),
    hasFree: () => free().length > 0,
    free: () => {
      const list = free();
      for (let i = list.length - 1; i > 0; i--) {
        const j = randomInt(i + 1);
        [list[i], list[j]] = [list[j]!, list[i]!];
      }
      return list;
    },
  };
};
