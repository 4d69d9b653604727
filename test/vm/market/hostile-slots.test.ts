import fc from "fast-check";
import t from "tap";
import { createPool, type PoolView, type TransactionPool } from "../../../chain/pool.ts";
import { accountPath } from "../../../chain/state.ts";
import { signTransaction, type Transaction } from "../../../chain/transaction.ts";
import { EMPTY_ROOT } from "../../../chain/trie/trie.ts";
import { type Address, type Hash, toHex, word, ZERO_HASH } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { GWEI, RLC } from "../../../lib/units.ts";
import { HUB, MARKET } from "../../../vm/addresses.ts";
import { applyTransaction } from "../../../vm/execute.ts";
import { resultHashOf, resultSealOf } from "../../../vm/market/contribution.ts";
import { LOT_STATUS, lotOf, SEAT } from "../../../vm/market/lot.ts";
import { isPaidBySlot, slotPayer } from "../../../vm/market/messages.ts";
import { poolOf } from "../../../vm/market/pool.ts";
import { slotAtIndex, slotOf, slotsOfWorker } from "../../../vm/market/slot.ts";
import { balanced, drawn, drawnApart, workersOf } from "./drawn.ts";
import { addressBy, createWorld, hub, keyOf, market, receiptFor, type World } from "./world.ts";

const RECEIPT = receiptFor(1_000_000);
const STAKE = 10n * RLC;
const NO_BYTES = new Uint8Array();

/** What a node's pool asks of the ledger (consensus/engine.ts). */
const poolViewOf = ({ state, block }: World): PoolView => ({
  stateRoot: EMPTY_ROOT,
  changedSince: () => ["w0", "stranger"].map((name) => accountPath(addressBy(name))),
  nonce: (address) => state.nonce(address),
  balance: (address) => state.balance(address),
  baseFee: block().baseFee,
  gasLimit: block().gasLimit,
  paidByOther: (tx, sender) => isPaidBySlot(state, block(), tx, sender),
});
/** Puts what waits into a block as a proposer does. Gives the selectors of what it took, and the gas of all. */
const mine = (world: World, pool: TransactionPool): { readonly selectors: string[]; readonly gasUsed: number } => {
  const { state } = world;
  const block = world.block();
  const taken: Transaction[] = [];
  let gasUsed = 0;
  const best = pool.best();
  for (let next = best.next(); !next.done; ) {
    const tx = next.value;
    const { root } = state.commit();
    let isRefused = false;
    try {
      const payer = (sender: Address) => slotPayer(state, block, tx, sender);
      gasUsed += applyTransaction(state, block, tx, block.gasLimit, payer).gasUsed;
      taken.push(tx);
    } catch (error) {
      if ((error as { code?: string }).code !== "tx-funds") throw error;
      if (state.commit().root !== root) throw new Error("a transaction that no block can hold changed the state");
      isRefused = true;
    }
    next = best.next(isRefused ? "skip" : undefined);
  }
  pool.reset(poolViewOf(world));
  return { selectors: taken.map(({ data }) => toHex(data.subarray(0, 4))), gasUsed };
};

t.test("a flood of messages for slots to pay leaves one of each that is awaited, and costs who sent it", (t) => {
  const world = createWorld({ workers: [["w0", 2]] });
  const { state, genesis } = world;
  const { id } = drawn(world);
  const worker = addressBy("w0");
  const digest = keccak256(RECEIPT);
  const { slot } = world.lot(id).seats[0]!;
  const pool = createPool(genesis.chainId, poolViewOf(world), { now: () => 0 });
  /** Sends a message, and gives the code of the rule that it breaks. */
  const send = (name: string, to: Address, data: Uint8Array, maxFeePerGas = 3n * GWEI): string => {
    const fees = { maxPriorityFeePerGas: GWEI, maxFeePerGas, gasLimit: 500_000 };
    const nonce = pool.nextNonce(addressBy(name));
    const fields = { type: 2 as const, chainId: genesis.chainId, nonce, to, value: 0n, data, accessList: [] };
    try {
      pool.add(signTransaction({ ...fields, ...fees }, keyOf(name)));
      return "taken";
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  const messages = (lot: Hash, salt: number): [Address, Uint8Array][] => [
    [MARKET, market("contribute").encode(lot, resultHashOf(id, digest), word(salt), ZERO_HASH)],
    [HUB, hub("contribute").encode(lot, word(salt + 1), word(salt), worker, NO_BYTES, NO_BYTES)],
    [MARKET, market("decline").encode(lot)],
    [MARKET, market("reveal").encode(lot, receiptFor(salt))],
    [HUB, hub("reveal").encode(lot, word(salt))],
    [MARKET, market("finalize").encode(lot)],
    [HUB, hub("finalize").encode(lot, NO_BYTES, NO_BYTES)],
    [MARKET, market("claim").encode(lot)],
    [MARKET, market("join").encode(world.pool, worker, 1n)],
  ];
  /** Sends each message again and again, for this lot and others, as worker and as nobody. Counts the answers. */
  const flood = (): Record<string, number> => {
    const counts: Record<string, number> = { taken: 0 };
    for (let i = 0; i < 30; i++)
      for (const lot of [id, word(1_000 + i)])
        for (const [to, data] of messages(lot, i))
          for (const name of ["w0", "stranger"]) {
            const code = send(name, to, data);
            counts[code] = (counts[code] ?? 0) + 1;
          }
    return counts;
  };
  const commit = market("contribute").encode(id, resultHashOf(id, digest), resultSealOf(worker, id, digest), ZERO_HASH);
  t.equal(send("w0", MARKET, commit, 100_000n * GWEI), "pool-funds", "more than the slot has fits no block");
  t.equal(send("w0", MARKET, commit), "taken");
  t.match(flood(), { taken: 2, "pool-sponsored": 88 }, "the hub's contribute and the decline; the rest is refused");
  let stake = slotOf(state, slot)!.stake;
  /** What a block takes; the slot pays for it to the wei. */
  const mined = (): string[] => {
    const { selectors, gasUsed } = mine(world, pool);
    stake -= BigInt(gasUsed) * 2n * GWEI;
    t.equal(slotOf(state, slot)!.stake, stake);
    return selectors;
  };
  t.same(mined(), [market("contribute").selector]);
  t.equal(pool.size, 0, "what is not awaited any more goes at the next head");
  t.equal(world.lot(id).status, LOT_STATUS.revealing);

  t.match(flood(), { taken: 2 }, "a reveal at each of the two");
  t.same(mined(), [market("reveal").selector], "which shows something else, and reverts");
  t.equal(world.lot(id).status, LOT_STATUS.revealing);
  t.same([flood().taken, pool.size], [0, 0], "the call is used up");
  world.advance(20);
  t.ok(
    world.lot(id).seats.every(({ status }) => status === SEAT.silent),
    "seats that hid what they agreed on are silent",
  );
  t.same([flood().taken, pool.size], [0, 0]);
  balanced(t, world);
  t.end();
});

type Membership = readonly { readonly slot: number; readonly join: number; readonly leave: readonly number[] }[];
const membership: fc.Arbitrary<Membership> = fc.array(
  fc.record({
    slot: fc.nat({ max: 7 }),
    join: fc.nat({ max: 3 }),
    leave: fc.array(fc.nat({ max: 7 }), { maxLength: 4 }),
  }),
  { minLength: 1, maxLength: 8 },
);
/** Runs two epochs with two jobs, while the hostile join and leave. Gives the pool's slots and the jobs' seats, block by block. */
const history = (changes: Membership) => {
  const world = createWorld({
    workers: [
      ["hostile", 4],
      ["w1", 4],
    ],
  });
  const { state, pool, call, validators, staker } = world;
  const hostile = addressBy("hostile");
  const deals = [world.submit(), world.submit({ volume: 3 })];
  const seen: unknown[] = [];
  for (let slot = 0; slot < 8; slot++) {
    for (const { join, leave } of changes.filter((each) => each.slot === slot)) {
      const count = BigInt(join);
      if (join > 0) call(staker, MARKET, market("join"), [pool, validators[0]!, count], count * STAKE);
      const staying = slotsOfWorker(state, hostile, 8).filter(({ leaveAsked }) => !leaveAsked);
      const leaving = new Set(leave.flatMap((n) => staying.slice(n % 4, (n % 4) + 1).map(({ id }) => BigInt(id))));
      call(hostile, MARKET, market("leave"), [[...leaving]]);
    }
    if (slot === 7) break; // the next block is the first of the epoch after next
    world.advance(1);
    const { length, drawable } = poolOf(state, pool)!;
    const places = Array.from({ length }, (_, i) => slotAtIndex(state, pool, i));
    seen.push([
      places,
      drawable,
      deals.map((deal) => lotOf(state, world.lotIdOf(deal))?.seats.map((seat) => seat.slot)),
    ]);
  }
  return { world, seen };
};

t.test("whoever joins and leaves once it knows of a job moves no slot and changes no draw", (t) => {
  const quiet = history([]).seen;
  t.equal(quiet.length, 7);
  fc.assert(
    fc.property(membership, (changes) => {
      const { world, seen } = history(changes);
      if (JSON.stringify(seen) !== JSON.stringify(quiet)) throw new Error("the draw is another one");
      world.advance(1);
      // What was asked in the second epoch waits for the fourth.
      const asked = changes.reduce((sum, { slot, join }) => sum + (slot < 4 ? join : 0), 0);
      const { length } = poolOf(world.state, world.pool)!;
      if (length < 4 + asked || length > 8 + asked) throw new Error(`${length} slots, of which ${asked} joined`);
      for (const [name, [owed, has]] of Object.entries(world.books([])))
        if (owed !== has) throw new Error(`${name} owes ${owed} and has ${has}`);
    }),
    { numRuns: 30, seed: 1 },
  );
  t.end();
});

t.test("who asked to leave answers for its seat all the same", (t) => {
  for (const lies of [false, true]) {
    const { world, id } = drawnApart();
    const { state } = world;
    const [hostile, honest] = workersOf(world, id) as [Address, Address];
    const { slot } = world.lot(id).seats.find(({ worker }) => worker === hostile)!;
    world.call(hostile, MARKET, market("leave"), [[BigInt(slot)]]);
    if (lies) world.contribute(hostile, id, receiptFor(2));
    world.contribute(honest, id, RECEIPT);
    const others = (wanted: number): Set<Address> =>
      new Set(
        world
          .lot(id)
          .seats.flatMap(({ slot: own, status, worker }) => (own !== slot && status === wanted ? [worker] : [])),
      );
    for (let i = 0; world.lot(id).status !== LOT_STATUS.revealing && i < 60; i++) {
      world.advance(1);
      for (const worker of others(SEAT.drawn)) world.contribute(worker, id, RECEIPT);
    }
    for (const worker of others(SEAT.committed)) world.reveal(worker, id, RECEIPT);
    world.finalize(id);
    // Its part of the burned share of four seats' rounds, of 2 Ggas at 0.01 RLC.
    const stake = STAKE - 10_000_000n * GWEI;
    if (lies) t.equal(slotOf(state, slot), undefined, "a liar has left with nothing");
    else t.match(slotOf(state, slot), { leaving: true, isPlaced: false, stake }, "the silent has left its pool");
    t.equal(state.balance(hostile), 0n);
    balanced(t, world);
  }
  t.end();
});
