import { blsVerifyProof } from "../lib/bls.ts";
import { type Address, type Hex, toHex, ZERO_ADDRESS } from "../lib/bytes.ts";
import { AbiError, abiEvent, abiFunction } from "./abi.ts";
import { NATIVE_GAS } from "./gas.ts";
import { type CallContext, emit, type NativeContract, nativeContract, revert } from "./natives.ts";
import { isJailed, type Validator, validators } from "./validator-store.ts";

export { isJailed, type Member, type Validator, validators, validatorsGenesis } from "./validator-store.ts";

/** What a view answers for an epoch that has not come. */
const NEVER = (1n << 256n) - 1n;
const epochWord = (epoch: number | undefined): bigint => (epoch === undefined ? NEVER : BigInt(epoch));

/** The human-readable ABI of 0x…1000. */
export const VALIDATORS_ABI = [
  "function register(bytes blsPublicKey, bytes proofOfPossession, address owner) payable returns (uint256 index)",
  "function bond(address validator) payable",
  "function exit()",
  "function exit(address validator)",
  "function withdraw(address validator)",
  "function validatorCount() view returns (uint256)",
  "function validatorAt(uint256 index) view returns (address)",
  "function viewValidator(address validator) view returns (uint256 index, address owner, bytes blsPublicKey, uint256 bond, uint256 exitEpoch, uint256 unbondingEpoch, uint256 slashedEpoch, uint256 inactivityScore)",
  "function viewPower(address validator) view returns (uint256 power, uint256 votePower, uint256 bond, uint256 workCredit, uint256 contributionCredit, uint256 pendingContribution)",
  "event ValidatorRegistered(address indexed validator, address indexed owner, uint256 index, bytes blsPublicKey, uint256 bond)",
  "event Bonded(address indexed validator, address indexed from, uint256 amount)",
  "event Exited(address indexed validator, uint256 epoch)",
  "event Withdrawn(address indexed validator, address indexed owner, uint256 amount)",
] as const;

const abi = (i: number) => abiFunction(VALIDATORS_ABI[i] as string);
const REGISTERED = abiEvent(VALIDATORS_ABI[9]);
const BONDED = abiEvent(VALIDATORS_ABI[10]);
const EXITED = abiEvent(VALIDATORS_ABI[11]);
const WITHDRAWN = abiEvent(VALIDATORS_ABI[12]);

const known = (ctx: CallContext, address: Address): Validator =>
  validators.find(ctx.state, address) ?? revert("unknown validator");

const exit = (ctx: CallContext, address: Address): readonly [] => {
  const validator = known(ctx, address);
  if (ctx.sender !== validator.address && ctx.sender !== validator.owner) revert("not the validator or its owner");
  if (validator.exitEpoch !== undefined) revert("exiting already");
  validators.set(ctx.state, { ...validator, exitEpoch: ctx.block.epoch });
  const exiting = [...validators.exiting(ctx.state), validator.index];
  validators.setExiting(
    ctx.state,
    exiting.sort((a, b) => a - b),
  );
  emit(ctx, EXITED, address, BigInt(ctx.block.epoch));
  return [];
};

/** The key and the proof of possession that a registration's calldata carries; undefined where it is none. */
export const proofIn = (data: Uint8Array): { readonly blsPublicKey: Hex; readonly proof: Hex } | undefined => {
  const register = abi(0);
  if (toHex(data.subarray(0, 4)) !== register.selector) return undefined;
  try {
    const [key, proof] = register.decode(data) as [Uint8Array, Uint8Array];
    return key.length === 48 && proof.length === 96 ? { blsPublicKey: toHex(key), proof: toHex(proof) } : undefined;
  } catch (error) {
    if (!(error instanceof AbiError)) throw error;
    return undefined;
  }
};

/** The contract at 0x…1000: validators join with a bond and a proof that they hold their key, and leave (spec section 6). */
export const validatorsNative: NativeContract = nativeContract("Validators", [
  {
    abi: abi(0),
    gas: NATIVE_GAS.proof,
    payable: true,
    run: (ctx, args) => {
      const [keyBytes, proofBytes, owner] = args as [Uint8Array, Uint8Array, Address];
      const blsPublicKey: Hex = toHex(keyBytes);
      if (keyBytes.length !== 48) revert("BLS public key is not 48 bytes");
      if (proofBytes.length !== 96) revert("proof of possession is not 96 bytes");
      if (owner === ZERO_ADDRESS) revert("owner is the zero address");
      if (ctx.value < ctx.block.params.minBondWei) revert("bond is below the minimum");
      if (validators.indexOf(ctx.state, ctx.sender) !== undefined) revert("address is registered");
      if (validators.hasKey(ctx.state, blsPublicKey)) revert("BLS public key is registered");
      if (!blsVerifyProof(blsPublicKey, toHex(proofBytes))) revert("invalid proof of possession");
      const bond = ctx.value;
      const { index } = validators.register(ctx.state, { address: ctx.sender, owner, blsPublicKey, bond });
      emit(ctx, REGISTERED, ctx.sender, owner, BigInt(index), keyBytes, bond);
      return [BigInt(index)];
    },
  },
  {
    abi: abi(1),
    gas: NATIVE_GAS.write,
    payable: true,
    run: (ctx, args) => {
      const validator = known(ctx, args[0] as Address);
      if (ctx.value === 0n) revert("no value");
      if (validator.exitEpoch !== undefined) revert("exiting already");
      validators.set(ctx.state, { ...validator, bond: validator.bond + ctx.value });
      emit(ctx, BONDED, validator.address, ctx.sender, ctx.value);
      return [];
    },
  },
  { abi: abi(2), gas: NATIVE_GAS.write, run: (ctx) => exit(ctx, ctx.sender) },
  { abi: abi(3), gas: NATIVE_GAS.write, run: (ctx, args) => exit(ctx, args[0] as Address) },
  {
    abi: abi(4),
    gas: NATIVE_GAS.write,
    run: (ctx, args) => {
      const validator = known(ctx, args[0] as Address);
      const { epoch, params } = ctx.block;
      if (validator.unbondingEpoch === undefined || epoch < validator.unbondingEpoch + params.unbondingEpochs)
        revert("bond is locked");
      // What a slashing takes later is taken before the bond can leave.
      if (isJailed(validator, epoch, params.evidenceEpochs)) revert("bond is locked: slashed");
      if (validator.bond === 0n) revert("nothing to withdraw");
      validators.set(ctx.state, { ...validator, bond: 0n });
      ctx.state.debit(ctx.self, validator.bond);
      ctx.state.credit(validator.owner, validator.bond);
      emit(ctx, WITHDRAWN, validator.address, validator.owner, validator.bond);
      return [];
    },
  },
  { abi: abi(5), gas: NATIVE_GAS.view, run: (ctx) => [BigInt(validators.count(ctx.state))] },
  {
    abi: abi(6),
    gas: NATIVE_GAS.view,
    run: (ctx, [index]) => {
      const at = index as bigint;
      if (at >= BigInt(validators.count(ctx.state))) revert("unknown validator");
      return [validators.get(ctx.state, Number(at))!.address];
    },
  },
  {
    abi: abi(7),
    gas: NATIVE_GAS.view,
    run: (ctx, args) => {
      const v = known(ctx, args[0] as Address);
      const epochs = [epochWord(v.exitEpoch), epochWord(v.unbondingEpoch), epochWord(v.slashedEpoch)];
      return [BigInt(v.index), v.owner, v.blsPublicKey, v.bond, ...epochs, BigInt(v.inactivityScore)];
    },
  },
  {
    abi: abi(8),
    // reads the whole set, at most 1,024 members
    gas: 4 * NATIVE_GAS.view,
    run: (ctx, args) => {
      const v = known(ctx, args[0] as Address);
      const member = validators.activeSet(ctx.state).find(({ index }) => index === v.index);
      const powers = [member?.power ?? 0n, member?.votePower ?? 0n];
      return [...powers, v.bond, v.workCredit, v.contributionCredit, v.pendingContribution];
    },
  },
]);
