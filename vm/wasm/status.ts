/** How a task ended (spec section 11). */
export const STATUS = { ok: 0, exit: 1, trap: 2, outOfGas: 3, outputLimit: 4, invalid: 5 } as const;
export const STATUS_NAMES = ["OK", "EXIT", "TRAP", "OUT_OF_GAS", "OUTPUT_LIMIT", "INVALID"] as const;

/** Codes of a trap; with `other` the counter is not known, so the limit is used. */
export const TRAP = { other: 0, unreachable: 1, stack: 2 } as const;
