/** The easiest target there is: 2^256-1. */
export const MAX_TARGET = 2n ** 256n - 1n;

const RADIX = 65_536n;

/**
 * Computes a target by the aserti3 integer form (Bitcoin Cash's 2020-11-15 ASERT specification, Decred's form): `exponent` is
 * the drift over the half-life in parts of 65,536, truncated toward zero by the caller. Never 0, never over `limit`.
 */
export const asert = (anchorTarget: bigint, exponent: bigint, limit: bigint = MAX_TARGET): bigint => {
  const shifts = exponent >> 16n;
  const frac = exponent - shifts * RADIX;
  const factor =
    ((195_766_423_245_049n * frac + 971_821_376n * frac ** 2n + 5_127n * frac ** 3n + 2n ** 47n) >> 48n) + RADIX;
  const scaled = anchorTarget * factor;
  const target = (shifts < 0n ? scaled >> -shifts : scaled << shifts) >> 16n;
  if (target === 0n) return 1n;
  return target > limit ? limit : target;
};

/** Computes the work-share difficulty from the drift in seconds (spec section 7). */
export const shareDifficulty = (genesisDifficulty: bigint, driftSeconds: bigint, halfLifeSeconds: number): bigint => {
  const easiest = MAX_TARGET / genesisDifficulty;
  return MAX_TARGET / asert(easiest, (driftSeconds * RADIX) / BigInt(halfLifeSeconds), easiest);
};
