import { thrower } from "../lib/rule-error.ts";

/** The rules of formats and of the pool, each with its verdict and its section in docs/spec.md. */
export const CHAIN_RULES = {
  "tx-type": { verdict: "reject", section: "5" },
  "tx-format": { verdict: "reject", section: "5" },
  "tx-signature": { verdict: "reject", section: "5" },
  "tx-chain-id": { verdict: "reject", section: "5" },
  "tx-fee-order": { verdict: "reject", section: "5" },
  "tx-size": { verdict: "reject", section: "5" },
  "block-format": { verdict: "reject", section: "5" },
  "pool-known": { verdict: "ignore", section: "5" },
  "pool-nonce-low": { verdict: "ignore", section: "5" },
  "pool-nonce-gap": { verdict: "ignore", section: "5" },
  "pool-underpriced": { verdict: "ignore", section: "5" },
  "pool-replacement": { verdict: "ignore", section: "5" },
  "pool-funds": { verdict: "ignore", section: "5" },
  "pool-gas": { verdict: "ignore", section: "5" },
  "pool-sponsored": { verdict: "ignore", section: "10" },
  "pool-full": { verdict: "ignore", section: "5" },
} as const;

export const failChain = thrower(CHAIN_RULES);
