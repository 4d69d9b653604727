/** What a lot needs is not to be had, now or later, by this machine: the worker declines at once. */
export class Unobtainable extends Error {
  override readonly name: string = "Unobtainable";
}

/** What a lot needs, or its answer, did not come in its time. */
export class OutOfTime extends Unobtainable {
  override readonly name: string = "OutOfTime";
}

/** Answers of HTTP that another try may change, of those that blame who asks. */
const PASSING: readonly number[] = [408, 425, 429];

/** Tells whether an answer of HTTP is for good. */
export const isFinalStatus = (status: number): boolean => status >= 400 && status < 500 && !PASSING.includes(status);
