import { decodeHeader, type Header, hashHeader } from "../../chain/header.ts";
import { firstSlot, type Genesis, slotOf, timestampOf } from "../../chain/params.ts";
import type { Link } from "../../consensus/finality.ts";
import { localSigner, type Signer, type SlashingProtection } from "../../consensus/signer.ts";
import { type Address, fromHex, type Hash, type Hex, isHex } from "../../lib/bytes.ts";
import { RuleError } from "../../lib/rule-error.ts";
import type { ValidatorKeys } from "../folder.ts";
import type { NamedValidator } from "../slashing-interchange.ts";
import { named } from "../validator-keystores.ts";

/** A request is not signed. `status` is HTTP's: 400 malformed, 404 no validator here, 412 forbidden. */
export class SigningRefused extends Error {
  override readonly name = "SigningRefused";
  readonly status: 400 | 404 | 412;

  constructor(status: 400 | 404 | 412, message: string) {
    super(message);
    this.status = status;
  }
}

/** How far the asking node's clock may be ahead of this one. */
const MAX_AHEAD_MS = 5_000;
const MAX_HEADER_HEX = 2 + 2 * 2_048;

export interface GuardOptions {
  readonly keys: readonly ValidatorKeys[];
  readonly genesis: Genesis;
  readonly genesisHash: Hash;
  readonly protection: SlashingProtection;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * Judges what nodes ask to have signed, and signs what is allowed. It trusts them with nothing: it makes every message itself,
 * keeps slashing protection of its own, and signs nothing for slots to come, since one vote far ahead would forbid all others,
 * and reveals of later slots are secrets. Every answer is a signature, or SigningRefused.
 */
export interface Guard {
  readonly validators: readonly NamedValidator[];
  /** Signs a header, given in RLP and hex, that pays its own validator. */
  proposal(request: Request): Promise<Hex>;
  /** Signs the reveal of a slot. */
  reveal(request: Request): Promise<Hex>;
  /** Signs a vote. */
  vote(request: Request): Promise<Hex>;
}

/** Fields of a request, as they came. */
export type Request = Readonly<Partial<Record<string, unknown>>>;

const refuse = (status: 400 | 404 | 412, message: string): never => {
  throw new SigningRefused(status, message);
};

const whole = (request: Request, name: string): number => {
  const value = request[name];
  return Number.isSafeInteger(value) && (value as number) >= 0
    ? (value as number)
    : refuse(400, `${name} must be a whole number`);
};

const hashField = (request: Request, name: string): Hash => {
  const value = request[name];
  return isHex(value, 32) ? value : refuse(400, `${name} must be 32 bytes in lower-case hex`);
};

const headerField = ({ header }: Request): Header => {
  if (typeof header !== "string" || header.length > MAX_HEADER_HEX || !/^0x([0-9a-f]{2})+$/.test(header))
    return refuse(400, "header must be RLP in lower-case hex");
  try {
    return decodeHeader(fromHex(header));
  } catch (error) {
    if (error instanceof RuleError) return refuse(400, `header: ${error.message}`);
    throw error;
  }
};

/** Makes the guard of some validators' keys. */
export const createGuard = ({ keys, genesis, genesisHash, protection, now }: GuardOptions): Guard => {
  const signers = new Map<Address, Signer>(keys.map((each) => [each.address, localSigner(each)]));
  const signerOf = ({ validator }: Request): Signer =>
    signers.get(validator as Address) ?? refuse(404, `no keys of validator ${String(validator).slice(0, 42)}`);
  const checkBegun = (slot: number): void => {
    if (timestampOf(genesis, slot) * 1000 > now() + MAX_AHEAD_MS) refuse(412, `slot ${slot} has not come`);
  };
  const allowed = (permission: Promise<void>): Promise<void> =>
    permission.catch((error: Error) => refuse(412, error.message));
  return {
    validators: keys.map(named),
    proposal: async (request) => {
      const signer = signerOf(request);
      const header = headerField(request);
      const slot = slotOf(genesis, header.timestamp);
      if (!Number.isSafeInteger(slot) || slot < 1) refuse(412, `timestamp ${header.timestamp} begins no slot`);
      if (header.beneficiary !== signer.address) refuse(412, `pays ${header.beneficiary}, not its validator`);
      checkBegun(slot);
      await allowed(protection.allowProposal(signer.address, slot, hashHeader(header)));
      return signer.proposal(header);
    },
    reveal: async (request) => {
      const signer = signerOf(request);
      const slot = whole(request, "slot");
      checkBegun(slot);
      return signer.reveal(genesisHash, slot);
    },
    vote: async (request) => {
      const signer = signerOf(request);
      const link: Link = {
        sourceEpoch: whole(request, "sourceEpoch"),
        sourceHash: hashField(request, "sourceHash"),
        targetEpoch: whole(request, "targetEpoch"),
        targetHash: hashField(request, "targetHash"),
      };
      checkBegun(firstSlot(genesis, link.targetEpoch));
      await allowed(protection.allowVote(signer.address, link.sourceEpoch, link.targetEpoch, link.targetHash));
      return signer.vote(genesisHash, link);
    },
  };
};
