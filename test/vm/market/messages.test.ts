import t from "tap";
import { signTransaction, type TransactionFields } from "../../../chain/transaction.ts";
import { EMPTY, type Hash, type Hex, ZERO_HASH } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { GWEI, RLC } from "../../../lib/units.ts";
import { HUB, MARKET } from "../../../vm/addresses.ts";
import { resultHashOf, resultSealOf } from "../../../vm/market/contribution.ts";
import { slotPayer } from "../../../vm/market/messages.ts";
import { marketNatives } from "../../../vm/market/natives.ts";
import { slotOf } from "../../../vm/market/slot.ts";
import { addressBy, createWorld, hub, keyOf, market, receiptFor, type World } from "./world.ts";

t.test("a slot pays each message that is awaited from its worker, once in a round", (t) => {
  const world = createWorld({ workers: [["w0", 2]] });
  const { state } = world;
  const worker = addressBy("w0");
  const id = world.lotIdOf(world.submit());
  const sign = (data: Uint8Array, changes: Partial<TransactionFields> = {}, key: Hex = keyOf("w0")) =>
    signTransaction(
      {
        type: 2,
        chainId: world.genesis.chainId,
        nonce: 0,
        maxPriorityFeePerGas: GWEI,
        maxFeePerGas: 3n * GWEI,
        gasLimit: 500_000,
        to: MARKET,
        value: 0n,
        data,
        accessList: [],
        ...changes,
      },
      key,
    );
  const payer = (tx: ReturnType<typeof sign>, sender = worker) => slotPayer(state, world.block(), tx, sender);
  const receipt = receiptFor(1_000);
  const digest = keccak256(receipt);
  const contribute = market("contribute").encode(
    id,
    resultHashOf(id, digest),
    resultSealOf(worker, id, digest),
    ZERO_HASH,
  );
  t.equal(payer(sign(contribute)), undefined, "not before the draw");
  world.advance(2);
  t.equal(payer(sign(contribute), addressBy("w1")), undefined, "no seat");
  t.equal(payer(sign(contribute, { maxPriorityFeePerGas: 2n * GWEI })), undefined, "a tip over 1 gwei");
  t.equal(payer(sign(contribute, { value: 1n })), undefined, "value");
  t.equal(payer(sign(contribute, { to: worker })), undefined, "elsewhere");
  t.equal(payer(sign(EMPTY)), undefined);
  t.equal(payer(sign(market("reveal").encode(id, receipt))), undefined, "nothing to reveal yet");
  t.equal(payer(sign(market("finalize").encode(id))), undefined);
  t.equal(payer(sign(market("claim").encode(id))), undefined, "a claim is no such message");
  t.ok(payer(sign(market("decline").encode(id))));

  const pays = payer(sign(contribute))!;
  const lowest = world.lot(id).seats[0]!.slot;
  t.equal(pays.slotId, lowest);
  const before = slotOf(state, lowest)!.stake;
  t.equal(pays.available(), before);
  const marketBefore = state.balance(MARKET);
  pays.charge(1_000_000n * GWEI);
  t.equal(slotOf(state, lowest)!.stake, before - 1_000_000n * GWEI);
  t.equal(state.balance(MARKET), marketBefore - 1_000_000n * GWEI);
  t.equal(payer(sign(contribute)), undefined, "the call is used up, were it to revert");
  t.ok(payer(sign(market("decline").encode(id))), "another kind is not");

  world.contribute(worker, id, receipt);
  t.equal(payer(sign(market("decline").encode(id))), undefined);
  t.ok(payer(sign(market("reveal").encode(id, receipt))));
  t.ok(payer(sign(hub("reveal").encode(id, digest), { to: HUB })));
  world.reveal(worker, id, receipt);
  const finalize = payer(sign(market("finalize").encode(id)))!;
  finalize.charge(GWEI);
  world.finalize(id, worker);
  t.equal(payer(sign(market("finalize").encode(id))), undefined, "the lot has ended");
  t.equal(slotOf(state, lowest)!.stake > before - 1_000_000n * GWEI, true, "the reward refills the slot first");
  const { market: books } = world.books([]);
  t.equal(books[0], books[1]);
  t.end();
});

t.test("each round has its own messages", (t) => {
  const worker = addressBy("w0");
  const other = addressBy("w1");
  const mine = (world: World, id: Hash, round: number) =>
    world.lot(id).seats.filter((seat) => seat.worker === worker && seat.round === round).length;
  /** A lot of one seat each, whose second round has a seat of the first worker again. */
  const drawn = (seed: number): { world: World; id: Hash } => {
    const make = () => {
      const world = createWorld({
        workers: [
          ["w0", 8],
          ["w1", 8],
        ],
        seed: `rounds ${seed}`,
      });
      const id = world.lotIdOf(world.submit());
      world.advance(2);
      return { world, id };
    };
    const tried = make();
    if (mine(tried.world, tried.id, 0) !== 1) return drawn(seed + 1);
    tried.world.call(worker, MARKET, market("decline"), [tried.id]);
    tried.world.contribute(other, tried.id, receiptFor(1));
    tried.world.advance(2);
    return mine(tried.world, tried.id, 1) > 0 ? make() : drawn(seed + 1);
  };
  const { world, id } = drawn(0);
  const decline = signTransaction(
    {
      type: 2,
      chainId: world.genesis.chainId,
      nonce: 0,
      maxPriorityFeePerGas: 0n,
      maxFeePerGas: GWEI,
      gasLimit: 500_000,
      to: MARKET,
      value: 0n,
      data: market("decline").encode(id),
      accessList: [],
    },
    keyOf("w0"),
  );
  const payer = () => slotPayer(world.state, world.block(), decline, worker);
  payer()!.charge(1n);
  t.equal(payer(), undefined);
  world.call(worker, MARKET, market("decline"), [id]);
  world.contribute(other, id, receiptFor(1));
  t.equal(payer(), undefined, "no round is open");
  world.advance(2);
  t.equal(world.lot(id).round, 1);
  t.ok(payer());
  t.end();
});

t.test("a slot pays to pause and to be taken up again, once in a while, whatever comes of it", (t) => {
  const world = createWorld({
    workers: [
      ["w0", 2],
      ["w1", 2],
    ],
  });
  const { state } = world;
  const sign = (data: Uint8Array, gasLimit = 100_000, changes: Partial<TransactionFields> = {}) =>
    signTransaction(
      {
        ...{ type: 2, chainId: world.genesis.chainId, nonce: 0, to: MARKET, value: 0n, data, accessList: [] },
        ...{ maxPriorityFeePerGas: GWEI, maxFeePerGas: 3n * GWEI, gasLimit, ...changes },
      },
      keyOf("w0"),
    );
  const w0 = addressBy("w0");
  const payer = (tx: ReturnType<typeof sign>, sender = w0) => slotPayer(state, world.block(), tx, sender);
  const pause = market("pause").encode(0n, [1n]);
  const resume = market("resume").encode(0n, [1n]);
  t.equal(payer(sign(resume)), undefined, "nothing pauses yet");
  t.equal(payer(sign(pause), addressBy("w1")), undefined, "another's slot");
  t.equal(payer(sign(pause, 400_001)), undefined, "more gas than it can need");
  t.equal(payer(sign(pause, 100_000, { to: HUB })), undefined, "elsewhere");
  t.equal(payer(sign(market("pause").encode(2n ** 255n, []))), undefined, "no such slot");
  t.ok(marketNatives[MARKET]!.gas(market("pause").encode(0n, Array<bigint>(31).fill(1n))) < 350_000);
  payer(sign(pause))!.charge(GWEI);
  t.equal(slotOf(state, 0)!.stake, 10n * RLC - GWEI);
  t.equal(payer(sign(pause)), undefined, "the call is used up, though it may have reverted");
  world.call(w0, MARKET, market("pause"), [0n, [1n]]);
  t.equal(payer(sign(resume)), undefined, "nor the other one in the same epochs");
  world.advance(8);
  payer(sign(resume))!.charge(GWEI);
  world.call(w0, MARKET, market("resume"), [0n, [1n]]);
  world.advance(8);
  t.ok(payer(sign(pause)));
  const books = world.books([]);
  t.equal(books.market[0], books.market[1]);
  t.end();
});
