import { type Rule, thrower } from "../../lib/rule-error.ts";

/** Rules of content-addressed data (spec section 12). */
export const DATA_RULES = {
  /** Not a CID of SHA-256 and dag-pb or raw. */
  "data-cid": { verdict: "reject", section: "12" },
  /** A peer gave bytes that do not have the hash that it was asked for. */
  "data-hash": { verdict: "reject", section: "12" },
  /** A peer's request or answer is not of the form of the protocol. */
  "data-message": { verdict: "reject", section: "12" },
  /** The blocks have their hashes, but are no UnixFS tree: whoever made them is at fault, not who passed them on. */
  "data-malformed": { verdict: "ignore", section: "12" },
  /** More bytes, entries, blocks or levels than this node takes. */
  "data-limit": { verdict: "ignore", section: "12" },
  /** A name that must not be written to a disk, or two entries of one name. */
  "data-path": { verdict: "ignore", section: "12" },
  /** Nobody who was asked has it: perhaps later. */
  "data-missing": { verdict: "retry", section: "12" },
  /** Who has it gives it too slowly. */
  "data-slow": { verdict: "retry", section: "12" },
} as const satisfies Record<string, Rule>;

// A type that is written out, so that the compiler knows that nothing follows a call.
export const failData: (code: keyof typeof DATA_RULES, detail?: unknown) => never = thrower(DATA_RULES);
