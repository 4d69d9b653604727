import t from "tap";
import { createPool, type PoolView, type TransactionPool } from "../../chain/pool.ts";
import { accountPath } from "../../chain/state.ts";
import { signTransaction, type TransactionFields } from "../../chain/transaction.ts";
import { EMPTY_ROOT } from "../../chain/trie/trie.ts";
import { type Address, type Hex, utf8, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { addressOf } from "../../lib/secp256k1.ts";

const keys = ["a", "b", "c"].map((name) => keccak256(utf8(name))) as [Hex, Hex, Hex];
const make = (key: Hex, nonce: number, changes: Partial<TransactionFields> = {}) =>
  signTransaction(
    {
      type: 2,
      chainId: 1,
      nonce,
      maxPriorityFeePerGas: 10n,
      maxFeePerGas: 1000n,
      gasLimit: 21_000,
      to: ZERO_ADDRESS,
      value: 0n,
      data: new Uint8Array(0),
      accessList: [],
      ...changes,
    },
    key,
  );
const pathOf = (key: Hex) => accountPath(addressOf(key));
const nonces = (pool: TransactionPool) => [...pool.all()].map((tx) => tx.nonce);
let nowMs = 0;
const now = () => nowMs;
const viewOf = (nonces: Record<Address, number> = {}, balance = 10n ** 18n): PoolView => ({
  stateRoot: EMPTY_ROOT,
  changedSince: () => keys.map(pathOf),
  nonce: (address) => nonces[address] ?? 0,
  balance: () => balance,
  baseFee: 100n,
  gasLimit: 30_000_000,
});

t.test("the best tip comes first, and each sender's nonces in order", async (t) => {
  const pool = createPool(1, viewOf(), { now });
  const list = [
    make(keys[0], 0),
    make(keys[0], 1, { maxPriorityFeePerGas: 500n }),
    make(keys[1], 0, { maxPriorityFeePerGas: 50n }),
    make(keys[2], 1, { maxPriorityFeePerGas: 900n }),
  ];
  for (const tx of [...list].reverse()) pool.add(tx);
  t.same(
    [...pool.best()].map((tx) => tx.hash),
    [list[2], list[0], list[1]].map((tx) => tx!.hash),
    "a gap of nonces waits",
  );
  t.equal(pool.nextNonce(addressOf(keys[0])), 2);
  t.equal(pool.nextNonce(addressOf(keys[2])), 0);
  pool.add(make(keys[2], 0));
  t.equal(pool.nextNonce(addressOf(keys[2])), 2);
});

t.test("what cannot be mined is refused with the phrase that wallets know", async (t) => {
  const pool = createPool(1, viewOf({ [addressOf(keys[0])]: 5 }), { now, maxSlotsPerSender: 2 });
  const refused = (tx: ReturnType<typeof make>, code: string, phrase: RegExp) =>
    t.throws(() => pool.add(tx), { code, message: phrase });
  refused(make(keys[0], 4), "pool-nonce-low", /nonce too low/);
  refused(make(keys[0], 50_000), "pool-nonce-gap", /nonce too high/);
  refused(make(keys[1], 0, { chainId: 2 }), "tx-chain-id", /invalid chain id/);
  refused(make(keys[1], 0, { gasLimit: 20_999 }), "pool-gas", /intrinsic gas too low/);
  refused(make(keys[1], 0, { gasLimit: 30_000_001 }), "pool-gas", /exceeds block gas limit/);
  refused(make(keys[1], 0, { value: 10n ** 18n }), "pool-funds", /insufficient funds for gas \* price \+ value/);
  refused(make(keys[1], 1_025), "pool-nonce-gap", /nonce too high/);
  refused(make(keys[1], 0, { maxFeePerGas: 1n, maxPriorityFeePerGas: 0n }), "pool-underpriced", /underpriced/);
  pool.add(make(keys[1], 0));
  refused(make(keys[1], 0), "pool-known", /already known/);
  pool.add(make(keys[1], 1));
  refused(make(keys[1], 2), "pool-full", /of this account/);
});

t.test("a replacement pays a tenth more in both fees, as wallets send it, and more in any case", async (t) => {
  const pool = createPool(1, viewOf({}, 10n ** 18n), { now });
  const fees = (maxFeePerGas: bigint, maxPriorityFeePerGas: bigint) =>
    make(keys[0], 0, { maxFeePerGas, maxPriorityFeePerGas });
  const refused = (cap: bigint, tip: bigint) =>
    t.throws(() => pool.add(fees(cap, tip)), {
      code: "pool-replacement",
      message: /replacement transaction underpriced/,
    });
  pool.add(fees(2_000_000_000n, 1_000_000_000n));
  refused(2_199_999_999n, 1_100_000_000n);
  refused(2_200_000_000n, 1_099_999_999n);
  pool.add(fees(2_200_000_000n, 1_100_000_000n));
  pool.add(fees((2_200_000_000n * 11n) / 10n, (1_100_000_000n * 11n) / 10n));
  t.equal(pool.size, 1);
  const small = createPool(1, viewOf(), { now });
  small.add(fees(9n, 0n));
  for (const [cap, tip] of [
    [9n, 1n],
    [10n, 0n],
  ] as const)
    t.throws(() => small.add(fees(cap, tip)), { code: "pool-replacement" }, "a tenth of 9 is nothing");
  small.add(fees(10n, 1n));
  t.same(
    [...small.all()].map((tx) => tx.maxFeePerGas),
    [10n],
  );
});

t.test("one balance does not pay for many transactions", async (t) => {
  const pool = createPool(1, viewOf({}, 50_000_000n), { now });
  pool.add(make(keys[0], 0));
  pool.add(make(keys[0], 1));
  t.throws(() => pool.add(make(keys[0], 2)), { code: "pool-funds" });
});

t.test("a new head takes what it mined, what lost against it, and what can no longer be paid", async (t) => {
  const pool = createPool(1, viewOf(), { now });
  pool.add(make(keys[0], 0));
  pool.add(make(keys[0], 1));
  pool.add(make(keys[1], 0));
  pool.reset(viewOf({ [addressOf(keys[0])]: 1 }));
  t.same(
    [...pool.all()].map((tx) => tx.nonce),
    [1, 0],
  );
  pool.reset(viewOf({ [addressOf(keys[0])]: 1 }, 0n));
  t.equal(pool.size, 0);
});

t.test(
  "a full pool drops what lacks a nonce before it, then who pays least, and refuses who pays no more",
  async (t) => {
    const pool = createPool(1, viewOf(), { now, maxSlots: 4 });
    pool.add(make(keys[0], 0, { maxFeePerGas: 20n }));
    pool.add(make(keys[0], 7));
    pool.add(make(keys[0], 6));
    pool.add(make(keys[1], 0, { maxFeePerGas: 300n }));
    t.throws(() => pool.add(make(keys[1], 2)), { code: "pool-full", message: /lower nonces are missing/ });
    pool.add(make(keys[1], 1, { maxFeePerGas: 300n }));
    t.same(nonces(pool), [0, 6, 0, 1], "the highest behind a gap went");
    pool.add(make(keys[2], 0, { maxFeePerGas: 300n }));
    t.same(nonces(pool), [0, 0, 1, 0], "the other one behind the gap too");
    t.throws(() => pool.add(make(keys[2], 1, { maxFeePerGas: 20n })), {
      code: "pool-full",
      message: /txpool is full: -80 wei a gas over base fee 100, more than -80 is needed/,
    });
    t.same(nonces(pool), [0, 0, 1, 0], "who is refused drops nobody");
    pool.add(make(keys[2], 1, { maxFeePerGas: 300n }));
    t.same(
      [...pool.all()].map((tx) => tx.maxFeePerGas),
      [300n, 300n, 300n, 300n],
      "who paid least went",
    );
    pool.add(make(keys[2], 1, { maxFeePerGas: 500n, maxPriorityFeePerGas: 20n }));
    t.equal(pool.size, 4, "a replacement needs no room");
    t.equal([...pool.best()].length, 4);
  },
);

t.test("room is counted in bytes too, and who does not get it drops nobody", async (t) => {
  const pool = createPool(1, viewOf(), { now, maxSlots: 4 });
  for (const key of keys) pool.add(make(key, 0, { maxPriorityFeePerGas: 5n }));
  const large = { data: new Uint8Array(2_500), gasLimit: 50_000 };
  t.throws(() => pool.add(make(keys[0], 1, { ...large, maxPriorityFeePerGas: 5n })), { code: "pool-full" });
  t.throws(() => pool.add(make(keys[0], 1, { data: new Uint8Array(4_096), gasLimit: 50_000 })), { code: "pool-full" });
  t.equal(pool.size, 3);
  pool.add(make(keys[0], 1, large));
  t.same(
    [...pool.all()].map((tx) => [tx.sender, tx.nonce]),
    [
      [addressOf(keys[0]), 0],
      [addressOf(keys[0]), 1],
    ],
    "it took the place of cheaper ones",
  );
  t.throws(() => pool.add(make(keys[0], 2, { maxPriorityFeePerGas: 50n })), { code: "pool-full" }, "it needs nonce 0");
});

t.test("to choose for a block reads no account, however many wait or cannot pay", async (t) => {
  let reads = 0;
  const view: PoolView = {
    ...viewOf(),
    nonce: () => {
      reads += 1;
      return 0;
    },
  };
  const pool = createPool(1, view, { now });
  for (const [i, key] of keys.entries()) pool.add(make(key, i % 2, { maxFeePerGas: i === 2 ? 50n : 1_000n }));
  pool.reset(view);
  reads = 0;
  t.equal([...pool.best()].length, 1);
  t.equal(reads, 0);
});

t.test("what no block took for three hours goes", async (t) => {
  nowMs = 1_000;
  const pool = createPool(1, viewOf(), { now });
  pool.add(make(keys[0], 0));
  nowMs += 1;
  pool.add(make(keys[1], 3));
  nowMs = 1_000 + 3 * 3_600_000;
  pool.reset(viewOf());
  t.same(nonces(pool), [3]);
  nowMs += 1;
  pool.reset(viewOf());
  t.equal(pool.size, 0);
});

t.test("who cannot pay may have each message that a slot pays wait once", async (t) => {
  let open = true;
  const view: PoolView = { ...viewOf({}, 0n), paidByOther: () => open };
  const pool = createPool(1, view, { now });
  const message = (nonce: number, byte: number, changes: Partial<TransactionFields> = {}) =>
    make(keys[0], nonce, { data: new Uint8Array(68).fill(byte), gasLimit: 100_000, ...changes });
  pool.add(message(0, 1));
  t.throws(() => pool.add(message(1, 1)), { code: "pool-sponsored", message: /waits already/ });
  pool.add(message(1, 2));
  pool.add(message(0, 1, { maxFeePerGas: 2_000n, maxPriorityFeePerGas: 20n }));
  t.equal(pool.size, 2, "a replacement of the same is none more");
  open = false;
  pool.reset(view);
  t.equal(pool.size, 0, "asked again at the next head");
});

t.test("after a change of branch a sender's nonces are those of the new head", async (t) => {
  const sender = addressOf(keys[0]);
  const pool = createPool(1, viewOf({ [sender]: 2 }), { now });
  pool.add(make(keys[0], 2));
  pool.reset(viewOf({ [sender]: 0 }));
  pool.add(make(keys[0], 1));
  t.same([...pool.best()], [], "nonce 0 is missing now");
  pool.add(make(keys[0], 0));
  t.same(
    [...pool.best()].map((tx) => tx.nonce),
    [0, 1, 2],
  );
  t.equal(pool.nextNonce(sender), 3);
});

t.test("whatever comes, goes and is mined, the pool offers each sender's nonces without a gap", async (t) => {
  const heads: Record<Address, number> = {};
  const view = viewOf(heads);
  const pool = createPool(1, view, { now, maxSlots: 12 });
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * below);
  };
  const waiting = new Map<string, number>();
  for (let i = 0; i < 600; i++) {
    const key = keys[random(3)]!;
    const at = heads[addressOf(key)] ?? 0;
    const fee = BigInt(100 + random(400));
    try {
      pool.add(make(key, at + random(6), { maxFeePerGas: fee, maxPriorityFeePerGas: fee }));
    } catch (error) {
      if ((error as { code?: string }).code === undefined) throw error;
    }
    const best = [...pool.best()];
    waiting.clear();
    for (const tx of best) {
      const next = waiting.get(tx.sender!) ?? heads[tx.sender!] ?? 0;
      t.equal(tx.nonce, next);
      waiting.set(tx.sender!, next + 1);
    }
    for (const each of keys)
      t.equal(pool.nextNonce(addressOf(each)), waiting.get(addressOf(each)) ?? heads[addressOf(each)] ?? 0);
    if (pool.size > 12) t.fail("more than fits");
    if (random(5) > 0 || best.length === 0) continue;
    const mined = best.slice(0, 1 + random(best.length));
    for (const tx of mined) heads[tx.sender!] = tx.nonce + 1;
    pool.reset(view);
  }
});
