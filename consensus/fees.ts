import type { Header } from "../chain/header.ts";

/** Computes the base fee of the block after `parent`, in wei (EIP-1559). */
export const nextBaseFee = (parent: Pick<Header, "gasLimit" | "gasUsed" | "baseFeePerGas">): bigint => {
  const target = BigInt(Math.floor(parent.gasLimit / 2));
  const used = BigInt(parent.gasUsed);
  const base = parent.baseFeePerGas;
  if (used === target) return base;
  if (used > target) {
    const rise = (base * (used - target)) / target / 8n;
    return base + (rise > 1n ? rise : 1n);
  }
  return base - (base * (target - used)) / target / 8n;
};
