import { devGenesis } from "../../chain/genesis.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import { RLC } from "../../lib/units.ts";
import { devKey, genesisValidator, type ValidatorKeys, validatorKeys } from "../../node/folder.ts";

/** Validators that run, and validators that only an attacker has the keys of. */
export const HONEST = 4;
const HOSTILE = 8;
/** Accounts of the harness itself come first, the attacker's behind them. */
const OWN_ACCOUNTS = 2;
const HOSTILE_ACCOUNTS = 6;

/** Keys that the attacker has: registered, with a ten-thousandth of an honest validator's bond. */
export const hostileValidators = (): (ValidatorKeys & { index: number })[] =>
  Array.from({ length: HOSTILE }, (_, i) => ({ ...validatorKeys(devKey("hostile", i)), index: HONEST + i }));

export const accountsOf = (whose: "own" | "hostile") => {
  const from = whose === "own" ? 0 : OWN_ACCOUNTS;
  const count = whose === "own" ? OWN_ACCOUNTS : HOSTILE_ACCOUNTS;
  return Array.from({ length: count }, (_, i) => {
    const privateKey = devKey("account", from + i);
    return { address: addressOf(privateKey), privateKey };
  });
};

/** A network's genesis in which the attacker's validators are registered beside the four that run. */
export const hostileGenesis = (genesisTime: number): unknown => {
  const honest = Array.from({ length: HONEST }, (_, i) => validatorKeys(devKey("validator", i)));
  return devGenesis({
    genesisTime,
    validators: [
      ...honest.map((keys) => genesisValidator(keys, 10_000n * RLC)),
      ...hostileValidators().map((keys) => genesisValidator(keys, RLC)),
    ],
    accounts: [...accountsOf("own"), ...accountsOf("hostile")].map(({ address }) => ({
      address,
      balance: (10_000n * RLC).toString(),
    })),
    slots: [],
    params: { minBondWei: RLC.toString() },
  });
};
