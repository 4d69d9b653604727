/** A worker that is there has twice the category's seconds, and these at least, before another is asked too. */
const LEAST_PATIENCE_SECONDS = 10;
/** Who declined is not asked for the task again before so long: by then it may have what it lacked. */
export const REFUSAL_MS = 10_000;

/** Gives how long a scheduler waits for the word of one worker, in milliseconds. */
export const patienceOf = ({ timeref }: { readonly timeref: number }): number =>
  1000 * Math.max(LEAST_PATIENCE_SECONDS, 2 * timeref);
