import type { State } from "../../chain/state.ts";
import { type Address, concat, type Hash, utf8, ZERO_HASH } from "../../lib/bytes.ts";
import { address, big, record, uint } from "../../lib/codec.ts";
import { keccak256, keccak256Bytes } from "../../lib/keccak.ts";
import { recoverOfWallet } from "../../lib/secp256k1.ts";
import { encodeAbi } from "../abi.ts";
import { revert } from "../revert.ts";
import { MARKET, numberId } from "../tables.ts";
import { validators } from "../validator-store.ts";
import { MARKET_EVENTS } from "./abi.ts";
import { type Env, emitAt, NRLC } from "./env.ts";
import { accepts } from "./group.ts";
import { poolOf } from "./pool.ts";
import { addSlot, countJoin, removeSlot, type Slot, saveSlot, slotOf, workerOf } from "./slot.ts";
import { MARKET_TABLE, tableOf } from "./tables.ts";

/** Slots that a block changes at most; what exceeds it waits for the next epoch. */
const CHANGES_PER_BLOCK = 1_024;
const MAX_JOIN = 4_096n;
const MAX_LEAVE = 256;

const JOIN = 0;
const LEAVE = 1;

/** A join of `count` slots, or a leave of one, that waits for its epoch. */
const waiting = tableOf(
  MARKET,
  MARKET_TABLE.membership,
  record({
    epoch: uint,
    kind: uint,
    pool: address,
    worker: address,
    staker: address,
    validator: address,
    /** Slots that are still to be put in. */
    count: uint,
    /** Wei for each. */
    stake: big,
    /** Of a leave. */
    slot: uint,
  }),
);
type Waiting = NonNullable<ReturnType<typeof waiting.get>>;
/** Entries from `head` to before `tail` wait; `epoch` is the last one that the queue was run in. */
const queue = tableOf(MARKET, MARKET_TABLE.membershipQueue, record({ head: uint, tail: uint, epoch: uint }));
const queueOf = (state: State) => queue.get(state, ZERO_HASH) ?? { head: 0, tail: 0, epoch: 0 };

const push = (state: State, entry: Waiting): void => {
  const ends = queueOf(state);
  waiting.set(state, numberId(ends.tail), entry);
  queue.set(state, ZERO_HASH, { ...ends, tail: ends.tail + 1 });
};

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
  const epoch = block.epoch + block.params.membershipEpochs;
  push(state, { ...join, epoch, kind: JOIN, count: Number(join.count), stake, slot: 0 });
  const { pool: at, worker, validator, staker, count } = join;
  emitAt(env, MARKET, MARKET_EVENTS.JoinRequested!, at, worker, validator, staker, count, BigInt(epoch));
};

/** Asks for slots to leave. Reverts unless they are the sender's, as worker or staker. */
export const askToLeave = (env: Env, sender: Address, ids: readonly bigint[]): void => {
  if (ids.length > MAX_LEAVE) revert(`a leave takes at most ${MAX_LEAVE} slots`);
  const epoch = env.block.epoch + env.block.params.membershipEpochs;
  for (const id of ids) {
    const slot = (id <= BigInt(Number.MAX_SAFE_INTEGER) && slotOf(env.state, Number(id))) || revert("no such slot");
    if (slot.worker !== sender && slot.staker !== sender) revert("not your slot");
    if (slot.leaveAsked) revert("the slot leaves already");
    saveSlot(env, { ...slot, leaveAsked: true });
    const { pool, worker, staker, validator } = slot;
    push(env.state, { epoch, kind: LEAVE, pool, worker, staker, validator, count: 1, stake: 0n, slot: slot.id });
    emitAt(env, MARKET, MARKET_EVENTS.LeaveRequested!, id, worker, BigInt(epoch));
  }
};

const leave = (env: Env, slot: Slot | undefined): void => {
  if (!slot) return; // it was thrown out before
  if (slot.lot === ZERO_HASH) removeSlot(env, slot);
  else saveSlot(env, { ...slot, leaving: true });
};

/** At an epoch's first block, lets come and go whoever waits for it, in the order that they asked. Bounded work. */
export const applyMembership = (env: Env): void => {
  const { state, block } = env;
  const ends = queueOf(state);
  if (block.epoch <= ends.epoch || ends.head === ends.tail) return;
  let { head } = ends;
  let left = CHANGES_PER_BLOCK;
  while (head < ends.tail && left > 0) {
    const entry = waiting.get(state, numberId(head))!;
    if (entry.epoch > block.epoch) break;
    const now = Math.min(entry.count, left);
    left -= now;
    if (entry.kind === LEAVE) leave(env, slotOf(state, entry.slot));
    else for (let i = 0; i < now; i++) addSlot(env, entry);
    if (now < entry.count) {
      waiting.set(state, numberId(head), { ...entry, count: entry.count - now });
      break;
    }
    waiting.set(state, numberId(head), undefined);
    head += 1;
  }
  queue.set(state, ZERO_HASH, { ...ends, head, epoch: block.epoch });
};

/** Gives the wei of stakes that wait to come into pools. Reads the whole queue: for checks, not for blocks. */
export const waitingStakes = (state: State): bigint => {
  const { head, tail } = queueOf(state);
  let sum = 0n;
  for (let at = head; at < tail; at++) {
    const { count, stake } = waiting.get(state, numberId(at))!;
    sum += BigInt(count) * stake;
  }
  return sum;
};
