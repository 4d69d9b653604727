import { isHex } from "../../lib/bytes.ts";
import { NRLC } from "../../lib/units.ts";
import type { DealView, JobView } from "../market-client.ts";
import type { Machine } from "./machine.ts";

/** What an owner lets a worker do. Every field may be left out. */
export interface WorkerPolicy {
  /** Lots computed at a time, each of which keeps one core busy. */
  readonly cores: number;
  /** MiB for all of them together. */
  readonly memoryMib: number;
  /** When it computes, in local time: "22:00-06:00", "sat,sun 00:00-24:00". Empty: always. */
  readonly hours: readonly string[];
  /** Others may use this share of the processors, 0 to 1, before it starts no more lots. */
  readonly maxOthersLoad: number;
  readonly onlyOnMains: boolean;
  /** Lots after which it takes no more, and gives its slots back. 0: no end. */
  readonly maxLots: number;
  /** Addresses of apps and requesters that it computes for. Empty: all. */
  readonly apps: readonly string[];
  readonly requesters: readonly string[];
  /** nRLC that a seat must be paid for 10^9 gas, after what is burned. */
  readonly minPayNrlcPerGgas: number;
  /** nRLC of the worker's that schedulers of pools may hold at a time: what a scheduler that lies can take. */
  readonly maxStakeNrlc: number;
  /** Lets inputs' URLs lead to this machine and its networks. */
  readonly allowPrivateUrls: boolean;
  /** Lots that this policy declines one after another before the worker gives its slots back. 0: never. */
  readonly leaveAfterDeclines: number;
  /** Seconds without a seat after which the program ends. 0: never. */
  readonly exitWhenIdleSeconds: number;
}

/** What a lot may take: a program's memory of 256 MiB, inputs of as much, twice while they are handed over, and a heap. */
export const LOT_MIB = 1_024;

export const defaultPolicy = (cores: number): WorkerPolicy => ({
  cores: Math.max(1, Math.floor(cores / 2)),
  memoryMib: Math.max(1, Math.floor(cores / 2)) * LOT_MIB,
  hours: [],
  maxOthersLoad: 1,
  onlyOnMains: false,
  maxLots: 0,
  apps: [],
  requesters: [],
  minPayNrlcPerGgas: 0,
  maxStakeNrlc: 100_000_000,
  allowPrivateUrls: false,
  leaveAfterDeclines: 0,
  exitWhenIdleSeconds: 0,
});

const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const DAY_MINUTES = 24 * 60;

interface Span {
  readonly days: readonly number[];
  /** Minutes of the day; the end is before the start where it lies on the next day. */
  readonly from: number;
  readonly to: number;
}

const parseSpan = (text: string): Span => {
  const found = /^(?:([a-z,]+) )?(\d\d):(\d\d)-(\d\d):(\d\d)$/.exec(text.trim().toLowerCase());
  const fail = (): never => {
    throw new Error(`hours "${text}" are none; like "22:00-06:00" or "sat,sun 00:00-24:00"`);
  };
  if (!found) return fail();
  const days = found[1] === undefined ? DAYS.map((_, i) => i) : found[1].split(",").map((day) => DAYS.indexOf(day));
  const [from, to] = [Number(found[2]) * 60 + Number(found[3]), Number(found[4]) * 60 + Number(found[5])];
  const isTime = Number(found[3]) < 60 && Number(found[5]) < 60 && from < DAY_MINUTES && to <= DAY_MINUTES;
  return days.includes(-1) || !isTime || from === to ? fail() : { days, from, to };
};

/** Tells whether a moment, in local time, lies in one of the spans. A span over midnight belongs to the day it starts on. */
export const isWithinHours = (hours: readonly string[], at: Date): boolean => {
  const minute = at.getHours() * 60 + at.getMinutes();
  const day = at.getDay();
  const dayBefore = (day + 6) % 7;
  return (
    hours.length === 0 ||
    hours.map(parseSpan).some(({ days, from, to }) => {
      if (from < to) return days.includes(day) && minute >= from && minute < to;
      return (days.includes(day) && minute >= from) || (days.includes(dayBefore) && minute < to);
    })
  );
};

const numberOf =
  (min: number, max: number, isWhole = true) =>
  (value: unknown): boolean =>
    typeof value === "number" && value >= min && value <= max && (!isWhole || Number.isSafeInteger(value));
const isBoolean = (value: unknown): boolean => typeof value === "boolean";
const listOf =
  (is: (item: string) => boolean) =>
  (value: unknown): boolean =>
    Array.isArray(value) && value.length <= 1_000 && value.every((item) => typeof item === "string" && is(item));
const isAddress = (text: string): boolean => isHex(text.toLowerCase(), 20);
const isSpan = (text: string): boolean => parseSpan(text) !== undefined;

const FIELDS: Readonly<Record<keyof WorkerPolicy, (value: unknown) => boolean>> = {
  cores: numberOf(1, 1_024),
  memoryMib: numberOf(LOT_MIB, 2 ** 30),
  hours: listOf(isSpan),
  maxOthersLoad: numberOf(0, 1, false),
  onlyOnMains: isBoolean,
  maxLots: numberOf(0, Number.MAX_SAFE_INTEGER),
  apps: listOf(isAddress),
  requesters: listOf(isAddress),
  minPayNrlcPerGgas: numberOf(0, Number.MAX_SAFE_INTEGER),
  maxStakeNrlc: numberOf(0, Number.MAX_SAFE_INTEGER),
  allowPrivateUrls: isBoolean,
  leaveAfterDeclines: numberOf(0, Number.MAX_SAFE_INTEGER),
  exitWhenIdleSeconds: numberOf(0, Number.MAX_SAFE_INTEGER),
};

/** Puts a policy together: what is given on top of the defaults. Throws for a field that is unknown or of another kind. */
export const readPolicy = (defaults: WorkerPolicy, ...given: readonly unknown[]): WorkerPolicy => {
  let policy = defaults;
  for (const part of given) {
    if (part === undefined) continue;
    if (typeof part !== "object" || part === null || Array.isArray(part)) throw new Error("a policy is a JSON object");
    for (const [name, value] of Object.entries(part)) {
      if (value === undefined) continue;
      const is = Object.hasOwn(FIELDS, name) ? FIELDS[name as keyof WorkerPolicy] : undefined;
      if (!is) throw new Error(`a policy has no ${name}; it has ${Object.keys(FIELDS).join(", ")}`);
      if (!is(value)) throw new Error(`the policy's ${name} cannot be ${JSON.stringify(value)?.slice(0, 80)}`);
      policy = { ...policy, [name]: value };
    }
  }
  return policy;
};

/** Lots that the policy lets run at a time. */
export const placesOf = ({ cores, memoryMib }: WorkerPolicy): number =>
  Math.min(cores, Math.floor(memoryMib / LOT_MIB));

/** nRLC that a seat gets for 10^9 gas of a job, after what is burned (spec section 8). */
export const payPerGgas = (
  { priceNrlc }: Pick<DealView, "priceNrlc">,
  { gasLimit, committee }: Pick<JobView, "gasLimit" | "committee">,
  burnQ16: bigint,
): bigint => (priceNrlc * NRLC * (65_536n - burnQ16)) / 65_536n / BigInt(gasLimit) / BigInt(committee);

/** Says why a job is not this worker's, whenever it comes; undefined where it is. */
export const refusalOf = (
  policy: WorkerPolicy,
  deal: Pick<DealView, "app" | "priceNrlc">,
  job: Pick<JobView, "requester" | "gasLimit" | "committee">,
  burnQ16: bigint,
): string | undefined => {
  const names = (list: readonly string[], address: string): boolean =>
    list.length === 0 || list.some((each) => each.toLowerCase() === address);
  if (!names(policy.apps, deal.app)) return `the policy does not name app ${deal.app}`;
  if (!names(policy.requesters, job.requester)) return `the policy does not name requester ${job.requester}`;
  const pay = payPerGgas(deal, job, burnQ16);
  if (pay < BigInt(policy.minPayNrlcPerGgas))
    return `it pays ${pay} nRLC for 10^9 gas, the policy asks ${policy.minPayNrlcPerGgas}`;
  return undefined;
};

/** Says why a task's stake is too much beside the `held` nRLC that schedulers have already; undefined where it is not. */
export const stakeRefusalOf = (policy: WorkerPolicy, stake: bigint, held: bigint): string | undefined =>
  held + stake > BigInt(policy.maxStakeNrlc)
    ? `it holds ${stake} nRLC of the worker's beside ${held}, the policy lets schedulers hold ${policy.maxStakeNrlc}`
    : undefined;

/** Says why no lot is started now; undefined where one may be. `jobs` run already. */
export const pauseOf = (policy: WorkerPolicy, machine: Machine, now: Date, jobs: number): string | undefined => {
  if (!isWithinHours(policy.hours, now)) return `not within ${policy.hours.join(" or ")}`;
  if (policy.onlyOnMains && !machine.onMains()) return "on battery";
  const load = policy.maxOthersLoad < 1 ? machine.othersLoad(jobs) : 0;
  if (load > policy.maxOthersLoad) return `others use ${Math.round(load * 100)} % of the processors`;
  return undefined;
};
