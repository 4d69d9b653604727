import { type Database, openDb } from "../chain/db.ts";
import type { SlashingProtection } from "../consensus/producer.ts";
import { type Address, concat, fromHex, type Hash, utf8 } from "../lib/bytes.ts";
import { decodeWith, encodeWith, hash, record, uint } from "../lib/codec.ts";

/** The last vote and proposal of a validator; by EIP-3076's minimal form everything at or below them is forbidden. */
const proposal = record({ slot: uint, hash });
const vote = record({ sourceEpoch: uint, targetEpoch: uint, targetHash: hash });

const keyOf = (kind: string, validator: Address): Uint8Array => concat(utf8(kind), fromHex(validator));

/**
 * Opens the database of what was signed. It never allows a second block for a slot, a vote for a target at or before the last
 * one, nor a vote from a source before the last one; the very same thing may be signed again (EIP-3076, conditions 2, 4 and 5).
 */
export const openSlashingProtection = async (
  path: string,
): Promise<SlashingProtection & { close(): Promise<void> }> => {
  const db = await openDb(path);
  return { ...protectWith(db), close: () => db.close() };
};

/** Protects with any database. */
export const protectWith = (db: Database): SlashingProtection => ({
  allowProposal: async (validator, slot, blockHash) => {
    const key = keyOf("p", validator);
    const bytes = db.get(key);
    const last = bytes && decodeWith(proposal, bytes);
    if (last && last.slot === slot && last.hash === blockHash) return;
    if (last && slot <= last.slot) throw new Error(`a block for slot ${slot} is not signed: slot ${last.slot} was`);
    await db.batch([{ key, value: encodeWith(proposal, { slot, hash: blockHash }) }], true);
  },
  allowVote: async (validator, sourceEpoch, targetEpoch, targetHash: Hash) => {
    const key = keyOf("v", validator);
    const bytes = db.get(key);
    const last = bytes && decodeWith(vote, bytes);
    if (last && last.sourceEpoch === sourceEpoch && last.targetEpoch === targetEpoch && last.targetHash === targetHash)
      return;
    if (last && targetEpoch <= last.targetEpoch)
      throw new Error(`a vote for epoch ${targetEpoch} is not signed: one for ${last.targetEpoch} was`);
    if (last && sourceEpoch < last.sourceEpoch)
      throw new Error(`a vote from epoch ${sourceEpoch} is not signed: one from ${last.sourceEpoch} was`);
    if (sourceEpoch >= targetEpoch) throw new Error(`a vote from epoch ${sourceEpoch} to ${targetEpoch} goes nowhere`);
    await db.batch([{ key, value: encodeWith(vote, { sourceEpoch, targetEpoch, targetHash }) }], true);
  },
});
