import type { Database } from "../chain/db.ts";
import { type Address, type Hash, type Hex, isHex, utf8 } from "../lib/bytes.ts";
import { keccak256 } from "../lib/keccak.ts";
import { bindToGenesis, lastProposal, lastVote } from "./slashing-protection.ts";

/**
 * What validators have signed, as EIP-3076 carries it from one program to another (version 5): its public keys are the
 * validators' BLS keys, `genesis_validators_root` is the hash of the genesis block, a signing root is the hash of the
 * block signed, or of the target voted for. The database is slashing-protection.ts's; the node must be stopped.
 */
export interface Interchange {
  readonly metadata: { readonly interchange_format_version: "5"; readonly genesis_validators_root: Hash };
  readonly data: readonly InterchangeValidator[];
}

export interface InterchangeValidator {
  readonly pubkey: Hex;
  readonly signed_blocks: readonly { readonly slot: string; readonly signing_root?: Hash }[];
  readonly signed_attestations: readonly {
    readonly source_epoch: string;
    readonly target_epoch: string;
    readonly signing_root?: Hash;
  }[];
}

/** A validator by both its names: records stand under its address, interchanges under its BLS key. */
export interface NamedValidator {
  readonly address: Address;
  readonly blsPublicKey: Hex;
}

const VERSION = "5";
const MAX_VALIDATORS = 100_000;
/** Stands where it is not known what was signed, so that nothing counts as the same again. No hash is known to be it. */
const UNKNOWN: Hash = keccak256(utf8("rolec/unknown signing root"));

const fail = (reason: string): never => {
  throw new Error(`slashing protection interchange: ${reason}`);
};

const fieldsOf = (value: unknown, name: string): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : fail(`${name} is not an object`);

const listOf = (value: unknown, name: string): readonly unknown[] =>
  Array.isArray(value) ? value : fail(`${name} is not a list`);

/** A decimal number in a string. What no chain reaches in 2^53 slots would forbid to sign for ever: refused. */
const numberOf = (value: unknown, name: string): string =>
  typeof value === "string" && /^(0|[1-9][0-9]{0,19})$/.test(value) && Number.isSafeInteger(Number(value))
    ? value
    : fail(`${name} must be a decimal number below 2^53 in a string, got ${JSON.stringify(value)}`);

const hexOf = (value: unknown, size: number, name: string): Hex => {
  const hex = typeof value === "string" ? value.toLowerCase() : value;
  return isHex(hex, size) ? hex : fail(`${name} must be ${size} bytes in hex`);
};

const rootOf = (value: unknown): { signing_root?: Hash } =>
  value === undefined ? {} : { signing_root: hexOf(value, 32, "signing_root") };

/** Reads an interchange of this network. Throws an Error with the reason where it is malformed or of another network. */
export const readInterchange = (json: unknown, genesisHash: Hash): Interchange => {
  const document = fieldsOf(json, "the document");
  const metadata = fieldsOf(document.metadata, "metadata");
  if (metadata.interchange_format_version !== VERSION)
    fail(`version ${JSON.stringify(metadata.interchange_format_version)}, only "${VERSION}" is supported`);
  const root = hexOf(metadata.genesis_validators_root, 32, "genesis_validators_root");
  if (root !== genesisHash) fail(`is of the network with genesis ${root}, this one has ${genesisHash}`);
  const data = listOf(document.data, "data");
  if (data.length > MAX_VALIDATORS) fail(`${data.length} validators, at most ${MAX_VALIDATORS}`);
  return {
    metadata: { interchange_format_version: VERSION, genesis_validators_root: root },
    data: data.map((entry) => {
      const validator = fieldsOf(entry, "an entry of data");
      return {
        pubkey: hexOf(validator.pubkey, 48, "pubkey"),
        signed_blocks: listOf(validator.signed_blocks, "signed_blocks").map((item) => {
          const block = fieldsOf(item, "a signed block");
          return { slot: numberOf(block.slot, "slot"), ...rootOf(block.signing_root) };
        }),
        signed_attestations: listOf(validator.signed_attestations, "signed_attestations").map((item) => {
          const signed = fieldsOf(item, "a signed attestation");
          return {
            source_epoch: numberOf(signed.source_epoch, "source_epoch"),
            target_epoch: numberOf(signed.target_epoch, "target_epoch"),
            ...rootOf(signed.signing_root),
          };
        }),
      };
    }),
  };
};

type Proposal = NonNullable<ReturnType<typeof lastProposal.read>>;
type SignedVote = NonNullable<ReturnType<typeof lastVote.read>>;

/** The later of two proposals; of two for one slot, neither may be signed again. */
const laterProposal = (a: Proposal | undefined, b: Proposal): Proposal =>
  !a || b.slot > a.slot ? b : b.slot < a.slot || a.hash === b.hash ? a : { ...a, hash: UNKNOWN };

/** The highest source and the highest target of two votes: unless they are one vote's, none is the same again. */
const laterVote = (a: SignedVote | undefined, b: SignedVote): SignedVote => {
  if (!a) return b;
  const sourceEpoch = Math.max(a.sourceEpoch, b.sourceEpoch);
  const targetEpoch = Math.max(a.targetEpoch, b.targetEpoch);
  const holds = (one: SignedVote): boolean => one.sourceEpoch === sourceEpoch && one.targetEpoch === targetEpoch;
  const [first, second] = [holds(a), holds(b)];
  if (first && (!second || a.targetHash === b.targetHash)) return a;
  if (second && !first) return b;
  return { sourceEpoch, targetEpoch, targetHash: UNKNOWN };
};

/**
 * Adds an interchange to the database: of each validator the highest of what both know, so that nothing that either
 * forbids is signed (the minimal form of EIP-3076). Resolves once the disk has all of it, or none. Answers how many
 * validators it took, and the public keys that none of `validators` has, which it leaves out.
 */
export const importInterchange = async (
  db: Database,
  interchange: Interchange,
  validators: readonly NamedValidator[],
): Promise<{ readonly imported: number; readonly unknown: readonly Hex[] }> => {
  await bindToGenesis(db, interchange.metadata.genesis_validators_root);
  const addresses = new Map(validators.map(({ address, blsPublicKey }) => [blsPublicKey, address]));
  const proposals = new Map<Address, Proposal>();
  const votes = new Map<Address, SignedVote>();
  const seen = new Set<Address>();
  const unknown = new Set<Hex>();
  for (const { pubkey, signed_blocks, signed_attestations } of interchange.data) {
    const address = addresses.get(pubkey);
    if (address === undefined) {
      unknown.add(pubkey);
      continue;
    }
    if (!seen.has(address)) {
      const [oldProposal, oldVote] = [lastProposal.read(db, address), lastVote.read(db, address)];
      if (oldProposal) proposals.set(address, oldProposal);
      if (oldVote) votes.set(address, oldVote);
      seen.add(address);
    }
    for (const { slot, signing_root } of signed_blocks)
      proposals.set(
        address,
        laterProposal(proposals.get(address), { slot: Number(slot), hash: signing_root ?? UNKNOWN }),
      );
    for (const { source_epoch, target_epoch, signing_root } of signed_attestations) {
      const signed = {
        sourceEpoch: Number(source_epoch),
        targetEpoch: Number(target_epoch),
        targetHash: signing_root ?? UNKNOWN,
      };
      votes.set(address, laterVote(votes.get(address), signed));
    }
  }
  await db.batch(
    [
      ...Array.from(proposals, ([address, last]) => lastProposal.op(address, last)),
      ...Array.from(votes, ([address, last]) => lastVote.op(address, last)),
    ],
    true,
  );
  return { imported: seen.size, unknown: [...unknown] };
};

const rootField = (root: Hash): { signing_root?: Hash } => (root === UNKNOWN ? {} : { signing_root: root });

/** Makes the interchange of some validators: the last proposal and the last vote of each (the minimal form). */
export const exportInterchange = (
  db: Database,
  genesisHash: Hash,
  validators: readonly NamedValidator[],
): Interchange => ({
  metadata: { interchange_format_version: VERSION, genesis_validators_root: genesisHash },
  data: validators.map(({ address, blsPublicKey }) => {
    const [proposal, vote] = [lastProposal.read(db, address), lastVote.read(db, address)];
    return {
      pubkey: blsPublicKey,
      signed_blocks: proposal ? [{ slot: String(proposal.slot), ...rootField(proposal.hash) }] : [],
      signed_attestations: vote
        ? [
            {
              source_epoch: String(vote.sourceEpoch),
              target_epoch: String(vote.targetEpoch),
              ...rootField(vote.targetHash),
            },
          ]
        : [],
    };
  }),
});
