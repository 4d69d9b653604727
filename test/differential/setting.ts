import { devGenesis, readGenesis } from "../../chain/genesis.ts";
import type { Genesis } from "../../chain/params.ts";
import { type Address, type Hash, utf8 } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import { RLC } from "../../lib/units.ts";
import { genesisValidator, validatorKeys } from "../../node/folder.ts";

/** An account that signs. */
export interface Actor {
  readonly key: Hash;
  readonly address: Address;
}

const actor = (name: string): Actor => {
  const key = keccak256(utf8(`actor ${name}`));
  return { key, address: addressOf(key) };
};

/** Wei in an RLC, and nRLC in one. */
export const BALANCE = 1_000n * RLC;
/** Accounts with RLC; any of them requests, computes, schedules and owns entries. */
export const ACTORS: readonly Actor[] = ["a", "b", "c", "d", "e", "f", "g", "h"].map(actor);
/** Who may create categories and set the hub's parameters. */
export const OWNER: Actor = actor("owner");
/** A key that enclaves sign with; it has no RLC. */
export const ENCLAVE: Actor = actor("enclave");

const validator = validatorKeys(keccak256(utf8("differential validator")));

/** The genesis that both worlds start from. */
export const GENESIS: Genesis = readGenesis({
  ...devGenesis({
    genesisTime: 1_700_000_000,
    validators: [genesisValidator(validator, 10_000n * RLC)],
    accounts: [...ACTORS, OWNER].map(({ address }) => ({ address, balance: BALANCE.toString() })),
    slots: [],
  }),
  hubOwner: OWNER.address,
});
