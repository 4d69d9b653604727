import t from "tap";
import { utf8 } from "../../lib/bytes.ts";
import { GWEI, RLC } from "../../lib/units.ts";
import { abiFunction, decodeError } from "../../vm/abi.ts";
import { VALIDATORS } from "../../vm/addresses.ts";
import { applyTransaction, call } from "../../vm/execute.ts";
import { accountOf } from "../helpers/chain.ts";
import { createLedger } from "../helpers/ledger.ts";

const alice = accountOf("alice");
const bob = accountOf("bob");

t.test("a transfer moves value, burns the base fee and tips the beneficiary", (t) => {
  const { state, apply, sign, beneficiary } = createLedger([alice.address]);
  const before = state.balance(alice.address);
  const done = apply(sign(alice.key, { to: bob.address, value: 5n * RLC, gasLimit: 21_000 }));
  t.match(done, { status: 1, gasUsed: 21_000, effectiveGasPrice: 2n * GWEI, tip: 21_000n * GWEI });
  t.equal(state.balance(bob.address), 5n * RLC);
  t.equal(state.balance(beneficiary), 21_000n * GWEI);
  t.equal(state.balance(alice.address), before - 5n * RLC - 42_000n * GWEI);
  t.equal(state.nonce(alice.address), 1);
  t.end();
});

t.test("calldata to an account without code costs its bytes and does nothing", (t) => {
  const { apply, sign, state } = createLedger([alice.address]);
  const done = apply(sign(alice.key, { to: bob.address, value: 1n, data: Uint8Array.of(0, 1, 2) }));
  t.match(done, { status: 1, gasUsed: 21_000 + 4 + 16 + 16, logs: [] });
  t.equal(state.balance(bob.address), 1n);
  t.end();
});

t.test("an access list costs what EIP-2930 says", (t) => {
  const { apply, sign } = createLedger([alice.address]);
  const accessList = [{ address: bob.address, storageKeys: [`0x${"00".repeat(32)}` as const] }];
  t.equal(apply(sign(alice.key, { to: bob.address, accessList })).gasUsed, 21_000 + 2_400 + 1_900);
  t.end();
});

t.test("each rule refuses with its code, and leaves the state as it was", (t) => {
  const { state, sign, apply, block } = createLedger([alice.address]);
  const { root } = state.commit();
  const refused = (code: string, changes: Parameters<typeof sign>[1], key = alice.key): void => {
    t.throws(() => apply(sign(key, changes)), { code, verdict: "reject" }, code);
    t.equal(state.commit().root, root, `${code} changes nothing`);
  };
  refused("tx-wrong-chain", { chainId: 1 });
  refused("tx-create", { to: undefined });
  refused("tx-nonce-high", { nonce: 1 });
  refused("tx-fee-cap", { maxFeePerGas: GWEI - 1n, maxPriorityFeePerGas: 0n });
  refused("tx-funds", {}, bob.key);
  refused("tx-funds", { value: 100_000n * RLC });
  refused("tx-intrinsic-gas", { gasLimit: 20_999 });
  refused("tx-block-gas", { gasLimit: 30_000_001 });
  t.throws(() => applyTransaction(state, block(), sign(alice.key, { gasLimit: 21_000 }), 20_999), {
    code: "tx-block-gas",
  });
  t.throws(() => apply({ ...sign(alice.key, {}), s: 0n }), { code: "tx-signature" });
  apply(sign(alice.key, {}));
  t.throws(() => apply(sign(alice.key, {})), { code: "tx-nonce-low" });
  state.setCode(alice.address, Uint8Array.of(0xfe));
  t.throws(() => apply(sign(alice.key, { nonce: 1 })), { code: "tx-sender-code" });
  t.end();
});

t.test("a revert is undone but keeps nonce and gas, and gives its reason", (t) => {
  const { state, apply, sign } = createLedger([alice.address]);
  const before = state.balance(alice.address);
  const at = state.balance(VALIDATORS);
  const data = abiFunction("bond(address)").encode(bob.address);
  const done = apply(sign(alice.key, { to: VALIDATORS, value: RLC, data }));
  t.equal(done.status, 0);
  t.equal(decodeError(done.returnData), "unknown validator");
  t.equal(state.balance(VALIDATORS), at);
  t.equal(state.nonce(alice.address), 1);
  t.equal(state.balance(alice.address), before - BigInt(done.gasUsed) * 2n * GWEI);
  t.end();
});

t.test("an unknown function and malformed arguments revert", (t) => {
  const { apply, sign } = createLedger([alice.address]);
  const unknown = apply(sign(alice.key, { to: VALIDATORS, data: utf8("what") }));
  t.match(unknown, { status: 0 });
  t.equal(decodeError(unknown.returnData), "Validators: unknown function");
  const data = abiFunction("bond(address)").encode(bob.address).subarray(0, 20);
  t.match(apply(sign(alice.key, { to: VALIDATORS, nonce: 1, data })), { status: 0, returnData: new Uint8Array(0) });
  t.end();
});

t.test("too little gas for a native call takes all of it and does nothing", (t) => {
  const { apply, sign, view } = createLedger([alice.address]);
  const data = abiFunction("exit()").encode();
  const done = apply(sign(alice.key, { to: VALIDATORS, data, gasLimit: 22_000 }));
  t.match(done, { status: 0, gasUsed: 22_000 });
  t.strictSame(view(VALIDATORS, abiFunction("validatorCount() returns (uint256)"), []), [1n]);
  t.end();
});

t.test("another payer's stake pays in place of the sender's balance", (t) => {
  const { state, block, sign } = createLedger([]);
  let stake = RLC;
  const payer = {
    available: () => stake,
    charge: (wei: bigint) => {
      stake -= wei;
    },
  };
  const tx = sign(bob.key, { to: alice.address, gasLimit: 21_000 });
  const done = applyTransaction(state, block(), tx, 30_000_000, () => payer);
  t.equal(stake, RLC - BigInt(done.gasUsed) * done.effectiveGasPrice);
  t.equal(state.balance(bob.address), 0n);
  stake = 1n;
  const next = sign(bob.key, { to: alice.address, gasLimit: 21_000, nonce: 1 });
  t.throws(() => applyTransaction(state, block(), next, 30_000_000, () => payer), { code: "tx-funds" });
  t.end();
});

t.test("a call outside a block tells what would happen, and keeps nothing", (t) => {
  const { state, block } = createLedger([alice.address]);
  const { root } = state.commit();
  const base = { from: alice.address, to: bob.address, value: RLC, data: new Uint8Array(0), gasLimit: 1_000_000 };
  t.match(call(state, block(), base), { reverted: false, outOfGas: false, gasNeeded: 21_000 });
  t.throws(() => call(state, block(), { ...base, from: bob.address }), { code: "tx-funds" });
  t.throws(() => call(state, block(), { ...base, gasLimit: 20_000 }), { code: "tx-intrinsic-gas" });
  const exit = { ...base, to: VALIDATORS, value: 0n, data: abiFunction("exit()").encode() };
  t.match(call(state, block(), exit), { reverted: true });
  t.match(call(state, block(), { ...exit, gasLimit: 22_000 }), { outOfGas: true });
  t.equal(state.commit().root, root);
  t.end();
});
