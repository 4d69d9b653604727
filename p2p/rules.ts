import { type Rule, thrower } from "../lib/rule-error.ts";

/** Rules of what a peer answers when it is asked for its chain (spec section 12). */
export const PEER_RULES = {
  /** A frame larger than any honest answer, or no msgpack. */
  "peer-frame": { verdict: "reject", section: "12" },
  /** Not the state of a chain, or that of another chain. */
  "peer-status": { verdict: "reject", section: "12" },
  /** Not the blocks that were asked for. */
  "peer-blocks": { verdict: "reject", section: "12" },
  /** Not a list of votes, or too many. */
  "peer-votes": { verdict: "reject", section: "12" },
} as const satisfies Record<string, Rule>;

// A type that is written out, so that the compiler knows that nothing follows a call.
export const failPeer: (code: keyof typeof PEER_RULES, detail?: unknown) => never = thrower(PEER_RULES);
