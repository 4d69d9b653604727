/** Where a NaN whose bits are not defined may stand: in a float or a lane of 32 bits, or in one of 64. */
export const NAN = { none: 0, f32: 1, f64: 2, any: 3 } as const;
