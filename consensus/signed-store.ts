import type { Evidence } from "../chain/block.ts";
import type { Database } from "../chain/db.ts";
import { hashHeader, headerCoder } from "../chain/header.ts";
import { signedKey, signedPrefix } from "../chain/layout.ts";
import type { BlockHead } from "../chain/store.ts";
import type { Address } from "../lib/bytes.ts";
import { address, decodeWith, encodeWith, hexOf, record } from "../lib/codec.ts";
import { keccak256 } from "../lib/keccak.ts";
import type { Log } from "../lib/log.ts";
import { type Attestation, attestationCoder, decodeEvidence, encodeEvidence } from "./evidence.ts";
import { WATCHED_SLOTS } from "./slasher.ts";

const KIND = { vote: 0, header: 1, evidence: 2 } as const;
const header = record({ signer: address, header: headerCoder, signature: hexOf(65) });
const LIMITS = { maxBytes: 65_536, maxDepth: 4 };

/** Something that validators signed, as it was kept. */
type Kept =
  | { readonly kind: "vote"; readonly attestation: Attestation }
  | { readonly kind: "header"; readonly at: number; readonly signer: Address; readonly block: BlockHead }
  | { readonly kind: "evidence"; readonly evidence: Evidence };

/** Keeps on disk what the slasher has seen, and evidence that waits. What a crash takes is seen again by others. */
export interface SignedStore {
  load(): AsyncIterable<Kept>;
  putVote(attestation: Attestation): void;
  putHeader(slot: number, signer: Address, block: BlockHead): void;
  putEvidence(evidence: Evidence): void;
  dropEvidence(evidence: Evidence): void;
  /** Forgets what is too old to be watched. */
  prune(epoch: number, slot: number): void;
}

/** Opens the store in the chain's database; votes are kept for so many epochs. */
export const openSignedStore = (db: Database, watchedEpochs: number, log: Log): SignedStore => {
  /** Keys of votes and headers, by epoch or slot: what is to be forgotten is known without a search. */
  const keys = { vote: new Map<number, Uint8Array[]>(), header: new Map<number, Uint8Array[]>() };
  const note = (kind: "vote" | "header", at: number, key: Uint8Array): void => {
    const known = keys[kind].get(at);
    if (known) known.push(key);
    else keys[kind].set(at, [key]);
  };
  const write = (ops: Parameters<Database["batch"]>[0]): void => {
    // The engine's next batch meets the same fault, and stops the node for it.
    db.batch(ops).catch((error: Error) => log.debug({ error: error.message }, "what was signed is not kept"));
  };
  const evidenceKey = (encoded: Uint8Array): Uint8Array => signedKey(KIND.evidence, 0, keccak256(encoded));
  const forget = (kind: "vote" | "header", before: number): void => {
    for (const [at, old] of keys[kind]) {
      if (at >= before) continue;
      keys[kind].delete(at);
      write(old.map((key) => ({ key, value: undefined })));
    }
  };

  return {
    load: async function* () {
      for await (const [key, value] of db.iterate(signedPrefix)) {
        const kind = key[signedPrefix.length];
        const at = Number(new DataView(key.buffer, key.byteOffset + signedPrefix.length + 1).getBigUint64(0));
        if (kind === KIND.vote) {
          note("vote", at, key);
          yield { kind: "vote", attestation: decodeWith(attestationCoder, value, LIMITS) };
        } else if (kind === KIND.header) {
          note("header", at, key);
          const { signer, ...block } = decodeWith(header, value, LIMITS);
          yield { kind: "header", at, signer, block: { ...block, hash: hashHeader(block.header) } };
        } else yield { kind: "evidence", evidence: decodeEvidence(value) };
      }
    },
    putVote: (attestation) => {
      const value = encodeWith(attestationCoder, { ...attestation, indices: [...attestation.indices] });
      const key = signedKey(KIND.vote, attestation.link.targetEpoch, keccak256(value));
      note("vote", attestation.link.targetEpoch, key);
      write([{ key, value }]);
    },
    putHeader: (slot, signer, block) => {
      const key = signedKey(KIND.header, slot, block.hash);
      note("header", slot, key);
      write([{ key, value: encodeWith(header, { signer, header: block.header, signature: block.signature }) }]);
    },
    putEvidence: (evidence) => {
      const value = encodeEvidence(evidence);
      write([{ key: evidenceKey(value), value }]);
    },
    dropEvidence: (evidence) => write([{ key: evidenceKey(encodeEvidence(evidence)), value: undefined }]),
    prune: (epoch, slot) => {
      forget("vote", epoch - watchedEpochs);
      forget("header", slot - WATCHED_SLOTS);
    },
  };
};
