/** Gas of the market's calls beyond calldata (vm/gas.ts). A committee has at most 64 seats, and a call pays for all. */
export const MARKET_GAS = {
  /** A view of a lot, a deal or a task, whose seats and texts take time to decode (measured: 0.2 to 0.6 ms). */
  view: 100_000,
  /** A view that lists a page (measured: 4 to 9 ms where nobody has read it lately). */
  list: 1_350_000,
  /** A contribution or a decline; the last one of a round judges it. */
  answer: 250_000,
  reveal: 150_000,
  /** Pays, punishes and credits every seat. */
  finalize: 600_000,
  /** Frees every seat. */
  claim: 300_000,
  /** The hub's: of up to 64 contributors, each with an account of its own to read and write (measured: 10 to 20 ms). */
  finalizeTask: 1_200_000,
  /** The hub's, of as many (measured: 6 to 8 ms). */
  claimTask: 600_000,
  settle: 150_000,
  submit: 250_000,
  join: 150_000,
  leave: 100_000,
  /** For each word of calldata too: a slot's record and a change that waits, of 256 slots at most. */
  leavePerWord: 10_000,
  /** For each word of calldata too: a slot's record and a change that waits. */
  pause: 40_000,
  pausePerWord: 6_000,
  /** Four signatures, four orders, a deal. */
  match: 400_000,
  /** The same for each word of calldata that may hold orders: four have 40 words and more. */
  matchPerWord: 10_000,
} as const;
