/**
 * What the one who receives a thing that breaks a rule does with its sender.
 * reject: the sender misbehaved; ignore: no fault, not ours to pass on; retry: not yet, keep it and try again.
 */
export type Verdict = "reject" | "ignore" | "retry";

/** One rule of the protocol: its verdict and its section in docs/spec.md. */
export interface Rule {
  readonly verdict: Verdict;
  readonly section: string;
}

/** A block, transaction or message breaks a rule. Any other Error is a bug of ours. */
export class RuleError extends Error {
  readonly code: string;
  readonly verdict: Verdict;
  readonly detail: unknown;

  constructor(code: string, rule: Rule, detail?: unknown) {
    super(`${code}${detail === undefined ? "" : `: ${format(detail)}`} (spec ${rule.section})`);
    this.name = "RuleError";
    this.code = code;
    this.verdict = rule.verdict;
    this.detail = detail;
  }
}

const format = (detail: unknown): string =>
  typeof detail === "string"
    ? detail
    : JSON.stringify(detail, (_, value) => (typeof value === "bigint" ? value.toString() : value));

/** Makes the thrower of a table of rules: `const fail = thrower(RULES); fail("block-parent", { got, expected })`. */
export const thrower =
  <T extends Record<string, Rule>>(rules: T) =>
  (code: keyof T & string, detail?: unknown): never => {
    throw new RuleError(code, rules[code] as Rule, detail);
  };
