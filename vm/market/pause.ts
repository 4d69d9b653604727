import type { Address } from "../../lib/bytes.ts";
import { ZERO_HASH } from "../../lib/bytes.ts";
import { MARKET } from "../addresses.ts";
import { revert } from "../revert.ts";
import { MARKET_EVENTS } from "./abi.ts";
import { schedule } from "./agenda.ts";
import { type Env, emitAt } from "./env.ts";
import { CHANGE, changeEpoch, pushSlotChange } from "./membership-queue.ts";
import { isBacked, PAUSE, removeSlot, type Slot, saveSlot, slotOf, unplaceSlot } from "./slot.ts";

/** Slots that one message pauses or takes up again at most. */
const MAX_SLOTS = 32;
/** An absence counts half after so long, and no slot has more than so many. */
const FADE_SECONDS = 6 * 3600;
const MAX_ABSENCES = 7;
/** An absence doubles the price of the next so often at most. */
const MAX_DOUBLINGS = 3;

/**
 * Ends the drawing of a slot, which keeps its stake; gives it, not yet written. It is passed by from now on, and out of its pool's
 * array `membershipEpochs` later: a length that changed at once would make another draw of whatever is drawn next.
 */
const stopDrawing = (env: Env, slot: Slot): Slot => {
  if (slot.pause === PAUSE.none) pushSlotChange(env, slot, CHANGE.pause);
  if (slot.pause === PAUSE.none) return { ...slot, pause: PAUSE.paused };
  return slot.pause === PAUSE.resuming ? { ...slot, pause: PAUSE.withdrawn } : slot;
};

/** Ends the drawing of a slot whose seat was wrong: it is bound until its lot is finalized, and thrown out then. */
export const withdrawSlot = (env: Env, id: number): void => {
  const slot = slotOf(env.state, id);
  if (slot) saveSlot(env, { ...stopDrawing(env, slot), leaveAsked: true, leaving: true });
};

/** Takes a slot that leaves out of its pool's array. Its stake stays bound as long as its absences count: to join anew forgets none. */
export const retireSlot = (env: Env, slot: Slot): void => {
  const end = memoryEnd(env, slot);
  if (end <= env.block.timestamp) {
    removeSlot(env, slot);
    return;
  }
  saveSlot(env, { ...unplaceSlot(env, slot), leaving: true, lot: ZERO_HASH });
  schedule(env, end, { lot: ZERO_HASH, round: slot.id });
};
/** Gives the stake of a slot back that has left, and whose absences are forgotten. */
export const endMemory = (env: Env, id: number): void => {
  const slot = slotOf(env.state, id);
  if (slot) removeSlot(env, slot);
};

/** Frees a slot of its lot; one that waited to leave leaves, and one that has too little left to be drawn pauses. */
export const releaseSlot = (env: Env, slot: Slot): void => {
  if (slot.leaving) {
    retireSlot(env, slot);
    return;
  }
  const free = { ...slot, lot: ZERO_HASH };
  saveSlot(env, isBacked(free, env.block.params) ? free : stopDrawing(env, free));
};

/** Notes that a slot's worker did not do what was awaited of it: the slot pauses, and the next absence costs more. */
export const noteAbsence = (env: Env, id: number): void => {
  const slot = slotOf(env.state, id);
  if (!slot) return;
  const { timestamp } = env.block;
  const halvings = Math.min(MAX_ABSENCES, Math.floor((timestamp - slot.absentAt) / FADE_SECONDS));
  const absences = Math.min(MAX_ABSENCES, (slot.absences >> halvings) + 1);
  saveSlot(env, stopDrawing(env, { ...slot, absences, absentAt: timestamp }));
};

/** By how much a slot's absences make the price of its last one dearer: 1, 2, 4, at most 8. */
export const absenceFactor = ({ absences }: Slot): bigint =>
  1n << BigInt(Math.min(MAX_DOUBLINGS, Math.max(0, absences - 1)));

/** When a slot that was absent may be taken up again, in seconds: at once the first time, then later and later. */
export const restEnd = ({ block: { params } }: Env, { absences, absentAt }: Slot): number => {
  const step = params.membershipEpochs * params.slotsPerEpoch * params.slotSeconds;
  return absences === 0 ? 0 : absentAt + (2 ** (absences - 1) - 1) * step;
};

/** When a slot's absences are forgotten, in seconds. */
const memoryEnd = (env: Env, slot: Slot): number => {
  const halvings = Math.ceil(Math.log2(slot.absences + 1));
  return halvings === 0 ? 0 : Math.max(restEnd(env, slot), slot.absentAt + halvings * FADE_SECONDS);
};

/** Tells whether a slot would be paused by its worker's word now, or taken up again. */
export const canPause = ({ pause }: Slot): boolean => pause === PAUSE.none || pause === PAUSE.resuming;
export const canResume = (env: Env, slot: Slot): boolean =>
  (slot.pause === PAUSE.paused || slot.pause === PAUSE.withdrawn) &&
  env.block.timestamp >= restEnd(env, slot) &&
  isBacked(slot, env.block.params) &&
  !slot.leaveAsked;

const ownSlots = (env: Env, sender: Address, ids: readonly bigint[]): Slot[] => {
  if (ids.length > MAX_SLOTS) revert(`a message names at most ${MAX_SLOTS} slots`);
  return ids.map((id) => {
    const slot = (id <= BigInt(Number.MAX_SAFE_INTEGER) && slotOf(env.state, Number(id))) || revert("no such slot");
    if (slot.worker !== sender) revert("not your slot");
    return slot;
  });
};

/** Pauses a worker's slots; those that pause already stay as they are. What they are seated in is still theirs to answer. */
export const askToPause = (env: Env, sender: Address, ids: readonly bigint[]): void => {
  for (const { id } of ownSlots(env, sender, ids)) {
    const slot = slotOf(env.state, id)!;
    if (!canPause(slot)) continue;
    saveSlot(env, stopDrawing(env, slot));
    emitAt(env, MARKET, MARKET_EVENTS.PauseRequested!, BigInt(id), slot.worker, BigInt(changeEpoch(env)));
  }
};

/** Takes a worker's slots up again, from `membershipEpochs` later on; those that do not pause stay as they are. */
export const askToResume = (env: Env, sender: Address, ids: readonly bigint[]): void => {
  for (const { id } of ownSlots(env, sender, ids)) {
    const slot = slotOf(env.state, id)!;
    if (canPause(slot)) continue;
    if (!isBacked(slot, env.block.params)) revert("the slot has too little left of its stake: leave, and join anew");
    if (slot.leaveAsked) revert("the slot leaves");
    const rest = restEnd(env, slot);
    if (env.block.timestamp < rest) revert(`the slot was absent often, and rests until ${rest}`);
    // One that was withdrawn comes into the array with what was asked then.
    if (slot.pause === PAUSE.paused) pushSlotChange(env, slot, CHANGE.resume);
    saveSlot(env, { ...slot, pause: PAUSE.resuming });
    emitAt(env, MARKET, MARKET_EVENTS.ResumeRequested!, BigInt(id), slot.worker, BigInt(changeEpoch(env)));
  }
};
