import t from "tap";
import { createPool, type PoolView } from "../../chain/pool.ts";
import { signTransaction, type TransactionFields } from "../../chain/transaction.ts";
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
const viewOf = (nonces: Record<Address, number> = {}, balance = 10n ** 18n): PoolView => ({
  nonce: (address) => nonces[address] ?? 0,
  balance: () => balance,
  baseFee: 100n,
  gasLimit: 30_000_000,
});

t.test("the best tip comes first, and each sender's nonces in order", async (t) => {
  const pool = createPool(1, viewOf());
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
  const pool = createPool(1, viewOf({ [addressOf(keys[0])]: 5 }), { maxCount: 4, maxBytes: 10_000, maxPerSender: 2 });
  const refused = (tx: ReturnType<typeof make>, code: string, phrase: RegExp) =>
    t.throws(() => pool.add(tx), { code, message: phrase });
  refused(make(keys[0], 4), "pool-nonce-low", /nonce too low/);
  refused(make(keys[0], 50_000), "pool-nonce-gap", /nonce too high/);
  refused(make(keys[1], 0, { chainId: 2 }), "tx-chain-id", /invalid chain id/);
  refused(make(keys[1], 0, { gasLimit: 20_999 }), "pool-gas", /intrinsic gas too low/);
  refused(make(keys[1], 0, { gasLimit: 30_000_001 }), "pool-gas", /exceeds block gas limit/);
  refused(make(keys[1], 0, { value: 10n ** 18n }), "pool-funds", /insufficient funds for gas \* price \+ value/);
  refused(make(keys[1], 0, { maxFeePerGas: 1n, maxPriorityFeePerGas: 0n }), "pool-underpriced", /underpriced/);
  pool.add(make(keys[1], 0));
  refused(make(keys[1], 0), "pool-known", /already known/);
  refused(
    make(keys[1], 0, { maxFeePerGas: 1050n, maxPriorityFeePerGas: 20n }),
    "pool-replacement",
    /replacement transaction underpriced/,
  );
  pool.add(make(keys[1], 0, { maxFeePerGas: 1101n, maxPriorityFeePerGas: 12n }));
  t.equal(pool.size, 1, "the replacement took the place of the other");
  pool.add(make(keys[1], 1));
  refused(make(keys[1], 2), "pool-full", /of this account/);
  refused(make(keys[2], 0, { maxFeePerGas: 99n }), "pool-underpriced", /at least 100/);
  refused(make(keys[2], 1), "pool-nonce-gap", /nonce too high/);
  pool.add(make(keys[2], 0));
  pool.add(make(keys[2], 1));
  refused(make(keys[0], 5), "pool-full", /txpool is full/);
});

t.test("one balance does not pay for many transactions", async (t) => {
  const pool = createPool(1, viewOf({}, 50_000_000n));
  pool.add(make(keys[0], 0));
  pool.add(make(keys[0], 1));
  t.throws(() => pool.add(make(keys[0], 2)), { code: "pool-funds" });
});

t.test("a new head takes what it mined, what lost against it, and what can no longer be paid", async (t) => {
  const pool = createPool(1, viewOf());
  const mined = make(keys[0], 0, { value: 5n });
  pool.add(make(keys[0], 0));
  pool.add(make(keys[0], 1));
  pool.add(make(keys[1], 0));
  pool.reset(viewOf({ [addressOf(keys[0])]: 1 }), [mined]);
  t.same(
    [...pool.all()].map((tx) => tx.nonce),
    [1, 0],
  );
  pool.reset(viewOf({ [addressOf(keys[0])]: 1 }, 0n), [mined]);
  t.same([...pool.best()].length, 1, "only senders that the block touched are looked at");
});
