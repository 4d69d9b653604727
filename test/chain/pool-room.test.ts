import secp256k1 from "secp256k1";
import t from "tap";
import { createPool, type PoolView, type TransactionPool } from "../../chain/pool.ts";
import { accountPath } from "../../chain/state.ts";
import { decodeTransaction, signTransaction, type TransactionFields } from "../../chain/transaction.ts";
import { EMPTY_ROOT } from "../../chain/trie/trie.ts";
import { type Address, EMPTY, type Hex, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { accountOf } from "../helpers/chain.ts";

/** A ledger that a test changes; what it changed is told at the next head. */
const createLedger = () => {
  const accounts = new Map<Address, { nonce: number; balance: bigint }>();
  const changed = new Set<Address>();
  let reads = 0;
  const account = (of: Address) => {
    reads += 1;
    return accounts.get(of) ?? { nonce: 0, balance: 0n };
  };
  const view = (changes: Partial<PoolView> = {}): PoolView => ({
    stateRoot: EMPTY_ROOT,
    nonce: (of) => account(of).nonce,
    balance: (of) => account(of).balance,
    baseFee: 100n,
    gasLimit: 30_000_000,
    changedSince: () => {
      const paths = [...changed].map(accountPath);
      changed.clear();
      return paths;
    },
    ...changes,
  });
  return {
    view,
    set: (of: Address, nonce: number, balance: bigint) => {
      accounts.set(of, { nonce, balance });
      changed.add(of);
    },
    reads: () => reads,
    balance: (of: Address) => accounts.get(of)?.balance ?? 0n,
  };
};
const make = (key: Hex, nonce: number, changes: Partial<TransactionFields> = {}) =>
  signTransaction(
    {
      type: 2,
      chainId: 1,
      nonce,
      maxPriorityFeePerGas: 10n,
      maxFeePerGas: 1_000n,
      gasLimit: 21_000,
      to: ZERO_ADDRESS,
      value: 0n,
      data: EMPTY,
      accessList: [],
      ...changes,
    },
    key,
  );
const COST = 21_000n * 1_000n;
const now = () => 0;
const [alice, bob, carol, thief] = ["alice", "bob", "carol", "thief"].map(accountOf) as [Who, Who, Who, Who];
type Who = ReturnType<typeof accountOf>;
const waiting = (pool: TransactionPool, who: Who) => pool.from(who.address).map(({ nonce }) => nonce);
const boundBy = (pool: TransactionPool, who: Who): bigint =>
  pool
    .from(who.address)
    .reduce((sum, { value, gasLimit, maxFeePerGas }) => sum + value + BigInt(gasLimit) * maxFeePerGas, 0n);

t.test("whoever took the money: what a balance does not pay goes, and what waits behind it", async (t) => {
  const ledger = createLedger();
  for (const { address } of [alice, bob]) ledger.set(address, 0, 10n * COST);
  const pool = createPool(1, ledger.view(), { now });
  for (let nonce = 0; nonce < 10; nonce++) for (const { key } of [alice, bob]) pool.add(make(key, nonce));
  ledger.set(alice.address, 0, 4n * COST + 1n);
  pool.reset(ledger.view());
  t.same(waiting(pool, alice), [0, 1, 2, 3]);
  t.equal(waiting(pool, bob).length, 10);
  t.equal(pool.nextNonce(alice.address), 4);
  ledger.set(alice.address, 2, 2n * COST);
  pool.reset(ledger.view());
  t.same(waiting(pool, alice), [2, 3], "what two mined ones cost was theirs");
  ledger.set(alice.address, 2, 0n);
  ledger.set(bob.address, 0, 0n);
  pool.reset(ledger.view());
  t.equal(pool.size, 0);
});

t.test("a dear transaction that is not paid any more takes what is cheap behind it along", async (t) => {
  const ledger = createLedger();
  ledger.set(alice.address, 0, 100n * COST);
  const pool = createPool(1, ledger.view(), { now });
  pool.add(make(alice.key, 0));
  pool.add(make(alice.key, 1, { value: 50n * COST }));
  pool.add(make(alice.key, 2));
  pool.add(make(alice.key, 5));
  ledger.set(alice.address, 0, 5n * COST);
  pool.reset(ledger.view());
  t.same(waiting(pool, alice), [0]);
  t.equal(pool.queued, 0);
});

t.test("one purse that goes from hand to hand never has more waiting than it holds", async (t) => {
  const ledger = createLedger();
  const hands = Array.from({ length: 40 }, (_, i) => accountOf(`hand ${i}`));
  const pool = createPool(1, ledger.view(), { now });
  for (const [i, hand] of hands.entries()) {
    if (i > 0) ledger.set(hands[i - 1]!.address, 0, 0n);
    ledger.set(hand.address, 0, 20n * COST);
    pool.reset(ledger.view());
    for (let nonce = 0; nonce < 30; nonce++) {
      try {
        pool.add(make(hand.key, nonce));
      } catch (error) {
        t.equal((error as { code: string }).code, "pool-funds");
        break;
      }
    }
    t.equal(pool.size, 20, "those of the hand that has it");
    for (const each of hands) t.ok(boundBy(pool, each) <= ledger.balance(each.address));
  }
});

t.test("a head asks the accounts that differ alone", async (t) => {
  const ledger = createLedger();
  const people = Array.from({ length: 300 }, (_, i) => accountOf(`person ${i}`));
  for (const { address } of people) ledger.set(address, 0, COST);
  const pool = createPool(1, ledger.view(), { now });
  for (const { key } of people) pool.add(make(key, 0));
  pool.reset(ledger.view());
  ledger.set(people[7]!.address, 0, 0n);
  const before = ledger.reads();
  pool.reset(ledger.view());
  t.equal(pool.size, 299);
  t.equal(ledger.reads() - before, 2, "a nonce and a balance");
});

t.test("after a change of branch money that was never there pays nothing", async (t) => {
  const ledger = createLedger();
  ledger.set(alice.address, 3, 10n * COST);
  const pool = createPool(1, ledger.view(), { now });
  pool.reset(ledger.view());
  for (const nonce of [3, 4, 5]) pool.add(make(alice.key, nonce));
  ledger.set(alice.address, 1, COST);
  pool.reset(ledger.view());
  t.same(waiting(pool, alice), [3]);
  t.equal(pool.queued, 1, "nonces 1 and 2 are missing now");
});

t.test("what a block builder could not be paid for goes at once, and what waits behind it", async (t) => {
  const ledger = createLedger();
  for (const { address } of [alice, bob]) ledger.set(address, 0, 10n * COST);
  const pool = createPool(1, ledger.view(), { now });
  for (const nonce of [0, 1, 2, 5]) for (const { key } of [alice, bob]) pool.add(make(key, nonce));
  pool.removeUnpaid(make(alice.key, 1));
  t.same(waiting(pool, alice), [0]);
  t.same(waiting(pool, bob), [0, 1, 2, 5]);
  pool.removeUnpaid(make(alice.key, 1));
  t.equal(pool.size, 5);
});

t.test(
  "one sender has no more than its part of a full pool, and a newcomer finds room without paying more",
  async (t) => {
    const ledger = createLedger();
    for (const { address } of [alice, bob, carol, thief]) ledger.set(address, 0, 1_000n * COST);
    const pool = createPool(1, ledger.view(), { now, maxSlots: 20, maxSlotsPerSender: 16, fairSlots: 4 });
    const dear = { maxFeePerGas: 10_000n, maxPriorityFeePerGas: 5_000n };
    for (let nonce = 0; nonce < 16; nonce++) pool.add(make(thief.key, nonce, dear));
    t.throws(() => pool.add(make(thief.key, 16, dear)), {
      code: "pool-full",
      message: /too many transactions of this/,
    });
    for (let nonce = 0; nonce < 4; nonce++) pool.add(make(alice.key, nonce));
    t.equal(pool.size, 20);
    for (let nonce = 0; nonce < 4; nonce++) pool.add(make(bob.key, nonce));
    t.equal(waiting(pool, thief).length, 12, "the last of who has most went");
    t.throws(() => pool.add(make(bob.key, 4, dear)), { code: "pool-full", message: /this account has 4 of its slots/ });
    for (let nonce = 0; nonce < 4; nonce++) pool.add(make(carol.key, nonce));
    t.same(waiting(pool, thief), [0, 1, 2, 3, 4, 5, 6, 7]);
    for (const who of [alice, bob, carol]) t.same(waiting(pool, who), [0, 1, 2, 3], "nobody else lost any");
  },
);

t.test("in a full pool a high cap that no block is paid gives way to a higher tip", async (t) => {
  const ledger = createLedger();
  const people = Array.from({ length: 10 }, (_, i) => accountOf(`person ${i}`));
  for (const { address } of [...people, bob]) ledger.set(address, 0, 10n ** 18n);
  const pool = createPool(1, ledger.view(), { now, maxSlots: 10 });
  for (const { key } of people) pool.add(make(key, 0, { maxFeePerGas: 10n ** 6n, maxPriorityFeePerGas: 1n }));
  t.throws(() => pool.add(make(bob.key, 0, { maxFeePerGas: 101n, maxPriorityFeePerGas: 1n })), { code: "pool-full" });
  pool.add(make(bob.key, 0, { maxFeePerGas: 110n, maxPriorityFeePerGas: 2n }));
  t.equal(waiting(pool, bob).length, 1);
  pool.reset(ledger.view({ baseFee: 109n }));
  t.throws(
    () => pool.add(make(bob.key, 1, { maxFeePerGas: 108n, maxPriorityFeePerGas: 108n })),
    { code: "pool-full", message: /-1 wei a gas over base fee 109, more than 1 is needed/ },
    "what the next block cannot have is worth nothing to it",
  );
});

t.test("who hides dear transactions behind one that no block takes loses all of them first", async (t) => {
  const ledger = createLedger();
  for (const { address } of [alice, bob, thief]) ledger.set(address, 0, 10n ** 18n);
  const pool = createPool(1, ledger.view(), { now, maxSlots: 6 });
  pool.add(make(thief.key, 0, { maxFeePerGas: 7n, maxPriorityFeePerGas: 7n }));
  for (let nonce = 1; nonce < 5; nonce++)
    pool.add(make(thief.key, nonce, { maxFeePerGas: 10n ** 9n, maxPriorityFeePerGas: 10n ** 8n }));
  pool.add(make(alice.key, 0));
  for (let nonce = 0; nonce < 5; nonce++) pool.add(make(bob.key, nonce));
  t.same(waiting(pool, thief), []);
  t.same(waiting(pool, alice), [0]);
});

t.test("a signature is recovered last of what needs no account, and once for all times that it comes", async (t) => {
  const ledger = createLedger();
  ledger.set(alice.address, 1, 3n * COST);
  const pool = createPool(1, ledger.view(), { now });
  const { ecdsaRecover } = secp256k1;
  let recoveries = 0;
  Object.assign(secp256k1, {
    ecdsaRecover: (...args: Parameters<typeof ecdsaRecover>) => {
      recoveries += 1;
      return ecdsaRecover(...args);
    },
  });
  t.teardown(() => Object.assign(secp256k1, { ecdsaRecover }));
  /** Sends the bytes as a peer does, and counts. */
  const send = (raw: Uint8Array): [string, number] => {
    const before = recoveries;
    try {
      pool.add(decodeTransaction(raw));
      return ["taken", recoveries - before];
    } catch (error) {
      return [(error as { code: string }).code, recoveries - before];
    }
  };
  const { raw } = make(alice.key, 1);
  t.same(send(raw), ["taken", 1]);
  t.same(send(raw), ["pool-known", 0]);
  const cheap: [Partial<TransactionFields>, string][] = [
    [{ chainId: 2 }, "tx-chain-id"],
    [{ to: undefined }, "tx-format"],
    [{ gasLimit: 30_000_001 }, "pool-gas"],
    [{ gasLimit: 20_999 }, "pool-gas"],
    [{ maxFeePerGas: 6n, maxPriorityFeePerGas: 0n }, "pool-underpriced"],
  ];
  for (const [changes, code] of cheap) t.same(send(make(alice.key, 2, changes).raw), [code, 0]);
  const dear: [Uint8Array, string][] = [
    [make(alice.key, 0).raw, "pool-nonce-low"],
    [make(alice.key, 2_000).raw, "pool-nonce-gap"],
    [make(alice.key, 2, { value: 5n * COST }).raw, "pool-funds"],
    [make(alice.key, 1, { value: 1n }).raw, "pool-replacement"],
  ];
  for (const [bytes, code] of dear) {
    t.same(send(bytes), [code, 1]);
    t.same(send(bytes), [code, 0]);
  }
  // r that is no point of the curve: nobody's signature, which costs a try.
  const spoilt = raw.slice();
  const { yParity, r } = make(alice.key, 1);
  t.ok(yParity <= 1 && r > 0n);
  const at = spoilt.length - 65;
  for (let byte = 0; byte < 256; byte++) {
    spoilt[at] = byte;
    const [code, cost] = send(spoilt);
    if (code !== "tx-signature") continue;
    t.equal(cost, 1);
    t.same(send(spoilt), ["tx-signature", 0]);
    return;
  }
  t.fail("one of 256 is no point");
});
