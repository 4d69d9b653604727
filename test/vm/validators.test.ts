import t from "tap";
import { blsKeygen, blsProve, blsPublicKey } from "../../lib/bls.ts";
import { type Address, fromHex, type Hex, utf8, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { RLC } from "../../lib/units.ts";
import { abiFunction, decodeError } from "../../vm/abi.ts";
import { VALIDATORS } from "../../vm/addresses.ts";
import { isJailed, VALIDATORS_ABI, validators } from "../../vm/validators.ts";
import { accountOf } from "../helpers/chain.ts";
import { createLedger } from "../helpers/ledger.ts";

const alice = accountOf("alice");
const bob = accountOf("bob");
const secret = blsKeygen(utf8("alice"));
const fn = (start: string) => abiFunction(VALIDATORS_ABI.find((each) => each.startsWith(`function ${start}`))!);
const register = (key: Hex, owner: Address, proof = blsProve(key)): Uint8Array =>
  fn("register").encode(fromHex(blsPublicKey(key)), fromHex(proof), owner);

t.test("a validator registers with a bond and a proof that it holds its key", (t) => {
  const { apply, sign, state, view } = createLedger([alice.address]);
  const before = state.balance(VALIDATORS);
  const tx = sign(alice.key, { to: VALIDATORS, value: 1_000n * RLC, data: register(secret, bob.address) });
  const done = apply(tx);
  t.equal(done.status, 1);
  t.equal(done.logs.length, 1);
  t.equal(state.balance(VALIDATORS), before + 1_000n * RLC);
  t.match(validators.find(state, alice.address), {
    index: 1,
    owner: bob.address,
    bond: 1_000n * RLC,
    blsPublicKey: blsPublicKey(secret),
  });
  t.strictSame(view(VALIDATORS, fn("validatorCount"), []), [2n]);
  t.strictSame(view(VALIDATORS, fn("validatorAt"), [1n]), [alice.address]);
  t.strictSame(view(VALIDATORS, fn("viewPower"), [alice.address]), [0n, 0n, 1_000n * RLC, 0n, 0n, 0n]);
  t.equal(view(VALIDATORS, fn("viewValidator"), [alice.address])[1], bob.address);
  t.end();
});

t.test("each condition of registration reverts with its reason", (t) => {
  const { apply, sign, state } = createLedger([alice.address, bob.address]);
  let nonce = 0;
  const refused = (reason: string, value: bigint, data: Uint8Array): void => {
    const done = apply(sign(alice.key, { to: VALIDATORS, nonce: nonce++, value, data }));
    t.equal(done.status, 0);
    t.equal(decodeError(done.returnData), reason);
  };
  const bond = 1_000n * RLC;
  refused("bond is below the minimum", bond - 1n, register(secret, alice.address));
  refused("owner is the zero address", bond, register(secret, ZERO_ADDRESS));
  refused("invalid proof of possession", bond, register(secret, alice.address, blsProve(blsKeygen(utf8("other")))));
  refused(
    "BLS public key is not 48 bytes",
    bond,
    fn("register").encode(new Uint8Array(47), new Uint8Array(96), alice.address),
  );
  refused(
    "proof of possession is not 96 bytes",
    bond,
    fn("register").encode(new Uint8Array(48), new Uint8Array(95), alice.address),
  );
  refused(
    "invalid proof of possession",
    bond,
    fn("register").encode(new Uint8Array(48), new Uint8Array(96), alice.address),
  );
  t.equal(apply(sign(bob.key, { to: VALIDATORS, value: bond, data: register(secret, bob.address) })).status, 1);
  refused("BLS public key is registered", bond, register(secret, alice.address));
  const own = register(blsKeygen(utf8("own")), alice.address);
  t.equal(apply(sign(alice.key, { to: VALIDATORS, nonce: nonce++, value: bond, data: own })).status, 1);
  refused("address is registered", bond, register(blsKeygen(utf8("second")), alice.address));
  t.equal(validators.count(state), 3);
  t.end();
});

t.test("anyone tops up a bond; the validator or its owner exits; the owner gets the bond after unbonding", (t) => {
  const { apply, sign, state, block } = createLedger([alice.address, bob.address]);
  const bond = 1_000n * RLC;
  apply(sign(alice.key, { to: VALIDATORS, value: bond, data: register(secret, bob.address) }));
  const top = fn("bond").encode(alice.address);
  t.equal(apply(sign(bob.key, { to: VALIDATORS, value: 5n * RLC, data: top })).status, 1);
  t.equal(validators.find(state, alice.address)?.bond, bond + 5n * RLC);
  const withdraw = fn("withdraw").encode(alice.address);
  const early = apply(sign(bob.key, { to: VALIDATORS, nonce: 1, data: withdraw }));
  t.equal(decodeError(early.returnData), "bond is locked");

  const stranger = accountOf("carol");
  state.credit(stranger.address, RLC);
  const exitOf = abiFunction("exit(address)").encode(alice.address);
  const refused = apply(sign(stranger.key, { to: VALIDATORS, data: exitOf }));
  t.equal(decodeError(refused.returnData), "not the validator or its owner");
  t.equal(apply(sign(bob.key, { to: VALIDATORS, nonce: 2, data: exitOf }), { epoch: 7 }).status, 1);
  t.equal(validators.find(state, alice.address)?.exitEpoch, 7);
  const again = apply(sign(alice.key, { to: VALIDATORS, nonce: 1, data: fn("exit()").encode() }));
  t.equal(decodeError(again.returnData), "exiting already");
  t.equal(
    decodeError(apply(sign(bob.key, { to: VALIDATORS, nonce: 3, value: 1n, data: top })).returnData),
    "exiting already",
  );

  validators.set(state, { ...validators.find(state, alice.address)!, unbondingEpoch: 10 });
  const due = 10 + block().params.unbondingEpochs;
  t.equal(apply(sign(bob.key, { to: VALIDATORS, nonce: 4, data: withdraw }), { epoch: due - 1 }).status, 0);
  const before = state.balance(bob.address);
  const paid = apply(sign(bob.key, { to: VALIDATORS, nonce: 5, data: withdraw }), { epoch: due });
  t.equal(paid.status, 1);
  const fee = BigInt(paid.gasUsed) * paid.effectiveGasPrice;
  t.equal(state.balance(bob.address), before + bond + 5n * RLC - fee);
  const twice = apply(sign(bob.key, { to: VALIDATORS, nonce: 6, data: withdraw }), { epoch: due });
  t.equal(decodeError(twice.returnData), "nothing to withdraw");
  t.end();
});

t.test("a function that takes no value reverts when it gets some", (t) => {
  const { apply, sign } = createLedger([alice.address]);
  const done = apply(sign(alice.key, { to: VALIDATORS, value: 1n, data: fn("exit()").encode() }));
  t.equal(decodeError(done.returnData), "Validators: exit takes no value");
  t.end();
});

t.test("contribution waits for the mint; a slashed validator is jailed for evidenceEpochs", (t) => {
  const { state } = createLedger([]);
  const [first] = validators.all(state);
  t.equal(validators.addPendingContribution(state, first!.address, 7n), true);
  t.equal(validators.addPendingContribution(state, first!.address, 5n), true);
  t.equal(validators.get(state, 0)?.pendingContribution, 12n);
  t.equal(validators.addPendingContribution(state, alice.address, 5n), false);
  t.equal(isJailed(first!, 3, 40), false);
  t.equal(isJailed({ ...first!, slashedEpoch: 3 }, 42, 40), true);
  t.equal(isJailed({ ...first!, slashedEpoch: 3 }, 43, 40), false);
  t.end();
});
