import type { Message, Outcome } from "./world.ts";

/** A difference that is meant. `holds` says exactly when, and what rolec must answer then. */
export interface KnownDifference {
  /** The heading of its reason in docs/market-differences.md. */
  readonly id: string;
  holds(message: Message, expected: Outcome, got: Outcome): boolean;
}

export const KNOWN: readonly KnownDifference[] = [];

/** Finds the known difference that a call's two answers are an instance of. */
export const knownDifference = (message: Message, expected: Outcome, got: Outcome): KnownDifference | undefined =>
  KNOWN.find((each) => each.holds(message, expected, got));
