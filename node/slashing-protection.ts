import { type Database, type Op, openDb } from "../chain/db.ts";
import type { SlashingProtection } from "../consensus/signer.ts";
import { type Address, concat, fromHex, type Hash, toHex, utf8 } from "../lib/bytes.ts";
import { type Coder, decodeWith, encodeWith, hash, record, uint } from "../lib/codec.ts";
import { DamagedFileError } from "../lib/whole-file.ts";
import { REMEDIES } from "./remedies.ts";

/** A kind of record, one a validator. */
interface Layout<T> {
  read(db: Database, validator: Address): T | undefined;
  op(validator: Address, value: T): Op;
}

const layout = <T>(kind: string, coder: Coder<T>): Layout<T> => {
  const keyOf = (validator: Address): Uint8Array => concat(utf8(kind), fromHex(validator));
  return {
    read: (db, validator) => {
      const bytes = db.get(keyOf(validator));
      return bytes && decodeWith(coder, bytes);
    },
    op: (validator, value) => ({ key: keyOf(validator), value: encodeWith(coder, value) }),
  };
};

/** The last proposal and the last vote: by EIP-3076's minimal form everything at or below them is forbidden. */
export const lastProposal = layout("p", record({ slot: uint, hash }));
export const lastVote = layout("v", record({ sourceEpoch: uint, targetEpoch: uint, targetHash: hash }));

/** That a validator began to be protected: what it signed since then is known, and if that is nothing. */
const begun = layout("b", record({}));

const isKnown = (db: Database, validator: Address): boolean =>
  [begun, lastProposal, lastVote].some(({ read }) => read(db, validator) !== undefined);

/** Slashing protection of a folder. */
export interface OpenProtection extends SlashingProtection {
  /** Tells whether it knows what a validator signed. */
  knows(validator: Address): boolean;
  /**
   * Begins to protect validators. Throws where one that it does not know may have signed, since then its records are lost, or
   * are elsewhere. Resolves once the disk knows.
   */
  begin(validators: readonly Address[], mayHaveSigned: (validator: Address) => boolean): Promise<void>;
  close(): Promise<void>;
}

const GENESIS_KEY = utf8("genesis");

/** Binds a database to a network at its first use. Throws where it is another's: its slots and epochs mean nothing here. */
export const bindToGenesis = async (db: Database, genesisHash: Hash): Promise<void> => {
  const bound = db.get(GENESIS_KEY);
  if (!bound) return db.batch([{ key: GENESIS_KEY, value: fromHex(genesisHash) }], true);
  if (toHex(bound) !== genesisHash)
    throw new Error(`this slashing protection is of the network with genesis ${toHex(bound)}, not ${genesisHash}`);
};

/** Opens the database of what was signed on a network. Throws where another process has it open, or another network. */
export const openProtectionDb = async (
  path: string,
  genesisHash: Hash,
  onFailure?: (error: Error) => void,
): Promise<Database> => {
  const db = await openDb(path, { onFailure, remedy: REMEDIES.protection });
  try {
    await bindToGenesis(db, genesisHash);
  } catch (error) {
    await db.close();
    throw error;
  }
  return db;
};

/**
 * Opens slashing protection. It never allows a second block for a slot, a vote for a target at or before the last one, nor a
 * vote from a source before the last one; the very same thing may be signed again (EIP-3076, conditions 2, 4 and 5).
 */
export const openSlashingProtection = async (
  path: string,
  genesisHash: Hash,
  /** Told of the first batch that the disk does not take: nothing is signed any more. */
  onFailure?: (error: Error) => void,
): Promise<OpenProtection> => {
  const db = await openProtectionDb(path, genesisHash, onFailure);
  const knows = (validator: Address): boolean => isKnown(db, validator);
  return {
    ...protectWith(db),
    knows,
    begin: async (validators, mayHaveSigned) => {
      const fresh = validators.filter((each) => !knows(each));
      const lost = fresh.find(mayHaveSigned);
      if (lost) throw new DamagedFileError(path, `does not say what ${lost} signed`, REMEDIES.newProtection);
      await db.batch(
        fresh.map((each) => begun.op(each, {})),
        true,
      );
    },
    close: () => db.close(),
  };
};

/** Protects with any database. */
export const protectWith = (db: Database): SlashingProtection => {
  /** What was allowed a moment ago may still be on its way to the disk: an empty batch ends after it. */
  const settled = (): Promise<void> => db.batch([], true);
  return {
    allowProposal: async (validator, slot, blockHash) => {
      const last = lastProposal.read(db, validator);
      if (last && last.slot === slot && last.hash === blockHash) return settled();
      if (last && slot <= last.slot) throw new Error(`a block for slot ${slot} is not signed: slot ${last.slot} was`);
      await db.batch([lastProposal.op(validator, { slot, hash: blockHash })], true);
    },
    allowVote: async (validator, sourceEpoch, targetEpoch, targetHash) => {
      const last = lastVote.read(db, validator);
      if (last?.sourceEpoch === sourceEpoch && last.targetEpoch === targetEpoch && last.targetHash === targetHash)
        return settled();
      if (last && targetEpoch <= last.targetEpoch)
        throw new Error(`a vote for epoch ${targetEpoch} is not signed: one for ${last.targetEpoch} was`);
      if (last && sourceEpoch < last.sourceEpoch)
        throw new Error(`a vote from epoch ${sourceEpoch} is not signed: one from ${last.sourceEpoch} was`);
      if (sourceEpoch >= targetEpoch)
        throw new Error(`a vote from epoch ${sourceEpoch} to ${targetEpoch} goes nowhere`);
      await db.batch([lastVote.op(validator, { sourceEpoch, targetEpoch, targetHash })], true);
    },
  };
};
