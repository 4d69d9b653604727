import { ONLY, single, table } from "../../chain/records.ts";
import { type Address, concat, type Hash, utf8, wordAddress, ZERO_HASH } from "../../lib/bytes.ts";
import { uint } from "../../lib/codec.ts";
import { keccak256, keccak256Bytes } from "../../lib/keccak.ts";
import { recoverOfWallet } from "../../lib/secp256k1.ts";
import { NRLC } from "../../lib/units.ts";
import { encodeAbi } from "../abi.ts";
import { MARKET } from "../addresses.ts";
import { MARKET_TABLE } from "../layout.ts";
import { revert } from "../revert.ts";
import { validators } from "../validator-store.ts";
import { MARKET_EVENTS } from "./abi.ts";
import { type Env, emitAt } from "./env.ts";
import { accepts } from "./group.ts";
import { inTurn, type Line } from "./line.ts";
import {
  CHANGE,
  changeEpoch,
  changingPools,
  firstChange,
  pushChange,
  pushSlotChange,
  shiftChange,
} from "./membership-queue.ts";
import { retireSlot } from "./pause.ts";
import { poolOf } from "./pool.ts";
import {
  addSlot,
  countJoin,
  isBacked,
  PAUSE,
  placeSlot,
  type Slot,
  saveSlot,
  slotOf,
  unplaceSlot,
  workerOf,
} from "./slot.ts";

/** Slots that an epoch changes at most, and pools that it looks at; what exceeds it waits for the next one. */
const CHANGES_PER_EPOCH = 1_024;
/** Slots that change in a pool's turn at most. */
const CHANGES_PER_TURN = 32;
/** The epoch in which what waits last took effect. */
const lastEpoch = table(MARKET, MARKET_TABLE.membershipEpoch, 1, single(uint));
const MAX_JOIN = 4_096n;
const MAX_LEAVE = 256;

/** Who joins what for whom. */
export interface Join {
  readonly pool: Address;
  readonly worker: Address;
  readonly staker: Address;
  readonly validator: Address;
  readonly count: bigint;
}

/**
 * Computes what a worker signs to let a staker put slots in for it: EIP-191 over
 * keccak256(abi.encode("rolec/join", genesisHash, pool, worker, staker, validator, count, nonce)).
 */
export const joinHash = (genesisHash: Hash, join: Join, nonce: number): Hash => {
  const message = keccak256Bytes(
    encodeAbi("string,bytes32,address,address,address,address,uint256,uint256", [
      "rolec/join",
      genesisHash,
      join.pool,
      join.worker,
      join.staker,
      join.validator,
      join.count,
      BigInt(nonce),
    ]),
  );
  return keccak256(concat(utf8("\x19Ethereum Signed Message:\n32"), message));
};

/** Asks for slots, whose stake is the call's value. Reverts where anything does not fit. */
export const askToJoin = (env: Env, join: Join, value: bigint, signature?: Uint8Array): void => {
  const { state, block } = env;
  const pool = poolOf(state, join.pool) ?? revert("no drawn pool");
  if (join.count < 1n || join.count > MAX_JOIN) revert(`a join takes 1 to ${MAX_JOIN} slots`);
  if (!accepts(state, pool.workerRestrict, join.worker)) revert("the pool does not take this worker");
  if (validators.indexOf(state, join.validator) === undefined) revert("unknown validator");
  const stake = block.params.slotStakeNrlc * NRLC;
  if (value !== join.count * stake) revert(`the value must be ${join.count * stake} wei`);
  if (signature) {
    const { joins } = workerOf(state, join.worker);
    if (recoverOfWallet(joinHash(block.genesisHash, join, joins), signature) !== join.worker)
      revert("not the worker's signature");
    countJoin(state, join.worker);
  }
  const epoch = changeEpoch(env);
  pushChange(state, { ...join, epoch, kind: CHANGE.join, count: Number(join.count), stake, slot: 0 });
  const { pool: at, worker, validator, staker, count } = join;
  emitAt(env, MARKET, MARKET_EVENTS.JoinRequested!, at, worker, validator, staker, count, BigInt(epoch));
};

/** Asks for slots to leave. Reverts unless they are the sender's, as worker or staker. */
export const askToLeave = (env: Env, sender: Address, ids: readonly bigint[]): void => {
  if (ids.length > MAX_LEAVE) revert(`a leave takes at most ${MAX_LEAVE} slots`);
  for (const id of ids) {
    const slot = (id <= BigInt(Number.MAX_SAFE_INTEGER) && slotOf(env.state, Number(id))) || revert("no such slot");
    if (slot.worker !== sender && slot.staker !== sender) revert("not your slot");
    if (slot.leaveAsked) revert("the slot leaves already");
    saveSlot(env, { ...slot, leaveAsked: true });
    const epoch = pushSlotChange(env, slot, CHANGE.leave);
    emitAt(env, MARKET, MARKET_EVENTS.LeaveRequested!, id, slot.worker, BigInt(epoch));
  }
};

/** What each change does to a slot that there is. */
const CHANGES: Readonly<Record<number, (env: Env, slot: Slot) => void>> = {
  [CHANGE.leave]: (env, slot) => {
    if (slot.lot === ZERO_HASH) retireSlot(env, slot);
    // Its lot may end at any time, and who ends it knows the next draws: the array changes now.
    else saveSlot(env, { ...unplaceSlot(env, slot), leaving: true });
  },
  [CHANGE.pause]: (env, slot) => {
    unplaceSlot(env, slot);
  },
  [CHANGE.resume]: (env, slot) => {
    if (slot.leaving) return;
    const placed = placeSlot(env, slot);
    const stays = slot.pause === PAUSE.resuming && isBacked(slot, env.block.params);
    if (!stays) pushSlotChange(env, slot, CHANGE.pause);
    saveSlot(env, { ...placed, pause: stays ? PAUSE.none : PAUSE.paused });
  },
};

/** What is left of an epoch's work: slots to change, and pools to look at. */
interface Work {
  slots: number;
  looks: number;
}
/** Changes what is due of a pool in its turn; gives how many slots that were. */
const changePool = (env: Env, pool: Address, most: number): number => {
  const { state, block } = env;
  let done = 0;
  while (done < most) {
    const entry = firstChange(state, pool);
    if (!entry || entry.epoch > block.epoch) break;
    const now = Math.min(entry.count, most - done);
    const slot = entry.kind === CHANGE.join ? undefined : slotOf(state, entry.slot);
    shiftChange(state, pool, now);
    if (slot) CHANGES[entry.kind]!(env, slot);
    else if (entry.kind === CHANGE.join) for (let i = 0; i < now; i++) addSlot(env, entry);
    done += now;
  }
  return done;
};
const changeLine = (env: Env, line: Line, work: Work): void =>
  inTurn(
    env.state,
    line,
    () => work.slots > 0 && work.looks > 0,
    (value) => {
      const pool: Address = wordAddress(value);
      work.slots -= changePool(env, pool, Math.min(CHANGES_PER_TURN, work.slots));
      work.looks -= 1;
      const next = firstChange(env.state, pool);
      if (!next) return "done";
      return next.epoch > env.block.epoch ? "rest" : "again";
    },
  );

/**
 * At an epoch's first block, lets come and go whoever waits for it: in each pool in the order that they asked, pools in turn, half of
 * the work for those that genesis names. Bounded work.
 */
export const applyMembership = (env: Env): void => {
  const { state, block } = env;
  if (block.epoch <= (lastEpoch.get(state, ONLY) ?? 0)) return;
  lastEpoch.set(state, ONLY, block.epoch);
  const half = CHANGES_PER_EPOCH >> 1;
  const forGenesis = { slots: half, looks: half };
  changeLine(env, changingPools.genesis, forGenesis);
  const rest = { slots: half + forGenesis.slots, looks: half + forGenesis.looks };
  changeLine(env, changingPools.others, rest);
  changeLine(env, changingPools.genesis, rest);
};
