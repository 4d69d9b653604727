import { thrower } from "../lib/rule-error.ts";

/** The rules that a transaction must keep to stand in a block, each with its verdict and its section in docs/spec.md. */
export const VM_RULES = {
  "tx-wrong-chain": { verdict: "reject", section: "5" },
  "tx-create": { verdict: "reject", section: "10" },
  "tx-nonce-low": { verdict: "reject", section: "14" },
  "tx-nonce-high": { verdict: "reject", section: "14" },
  "tx-sender-code": { verdict: "reject", section: "14" },
  "tx-fee-cap": { verdict: "reject", section: "14" },
  "tx-funds": { verdict: "reject", section: "14" },
  "tx-block-gas": { verdict: "reject", section: "14" },
  "tx-intrinsic-gas": { verdict: "reject", section: "14" },
} as const;

export const failVm = thrower(VM_RULES);
