import fc from "fast-check";
import { SIGNATURE_FORMS } from "./orders.ts";

const nat = fc.nat({ max: 0xffff });
/** A choice of which the first is the usual one. */
const mostly = <T>(usual: T, others: readonly T[], weight = 8): fc.Arbitrary<T> =>
  fc.oneof({ weight, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });
const [plain, ...badForms] = SIGNATURE_FORMS;
const form = mostly(plain!, badForms, 30);

/** nRLC, small ones often, so that floor divisions show. */
const price = fc.constantFrom(
  0n,
  0n,
  1n,
  3n,
  10n,
  33n,
  99n,
  1000n,
  12_345n,
  1_000_000_007n,
  30_000_000_000n,
  2n ** 200n,
);
const smallPrice = fc.constantFrom(0n, 1n, 3n, 33n, 99n, 1000n, 12_345n, 1_000_000_007n);
const amount = fc.constantFrom(
  0n,
  1n,
  999n,
  1_000_000n,
  5_000_000_000n,
  100_000_000_000n,
  10n ** 12n,
  2n ** 255n,
  2n ** 256n - 1n,
);
const volume = fc.constantFrom(1n, 2n, 3n, 3n, 5n, 5n, 2n ** 256n - 1n);
const trust = fc.constantFrom(0n, 1n, 1n, 1n, 2n, 2n, 3n, 3n, 3n, 4n, 4n, 4n, 5n, 2n ** 130n, 2n ** 256n - 1n);
const tag = mostly(0, [1, 2, 3, 4, 5], 8);

/** What a match asks for; numbers name places in the session's lists. */
const match = fc.record({
  step: fc.constant("match" as const),
  who: nat,
  requester: nat,
  app: nat,
  dataset: fc.option(nat, { nil: undefined }),
  pool: nat,
  prices: fc.tuple(
    smallPrice,
    smallPrice,
    fc.oneof({ weight: 6, arbitrary: smallPrice }, { weight: 1, arbitrary: price }),
  ),
  volumes: fc.tuple(volume, volume, volume, volume),
  trust,
  category: fc.constantFrom(0, 0, 1, 4),
  tags: fc.tuple(tag, tag, tag),
  beneficiary: nat,
  callback: mostly(0, [1, 2], 6),
  params: nat,
  forms: fc.tuple(form, form, form, form),
  presign: mostly(0, [1, 2, 4, 8, 15, 5], 6),
  flaws: fc.oneof(
    { weight: 5, arbitrary: fc.constant([] as number[]) },
    { weight: 2, arbitrary: fc.array(nat, { minLength: 1, maxLength: 2 }) },
  ),
  sponsored: mostly(false, [true], 4),
});
const rematch = fc.record({
  step: fc.constant("rematch" as const),
  who: nat,
  match: nat,
  volume: fc.option(volume, { nil: undefined }),
  mixed: fc.option(nat, { nil: undefined }),
  sponsored: fc.boolean(),
});
const manage = fc.record({
  step: fc.constant("manage" as const),
  who: fc.option(nat, { nil: undefined }),
  order: nat,
  kind: nat,
  operation: fc.constantFrom(0, 1, 1, 2),
  form: fc.option(form, { nil: undefined }),
});

const task = { who: nat, task: nat };
const digest = mostly(0, [1, 2], 3);
/** A second before a deadline, at it, or as it comes. */
const edge = mostly<number | undefined>(undefined, [-1, 0, 0], 3);
const money = fc.oneof(
  fc.record({ step: fc.constant("deposit" as const), how: nat, who: nat, to: nat, amount }),
  fc.record({ step: fc.constant("withdraw" as const), how: nat, who: nat, to: nat, amount }),
  fc.record({ step: fc.constant("erc20" as const), how: nat, who: nat, to: nat, from: nat, amount }),
);
const assets = fc.oneof(
  fc.record({ step: fc.constant("create" as const), kind: nat, who: nat, owner: nat, variant: fc.nat({ max: 3 }) }),
  fc.record({
    step: fc.constant("erc721" as const),
    kind: nat,
    how: nat,
    who: nat,
    owned: fc.boolean(),
    entry: nat,
    to: nat,
  }),
  fc.record({
    step: fc.constant("policy" as const),
    who: nat,
    owned: fc.boolean(),
    pool: nat,
    stake: price,
    reward: fc.constantFrom(0n, 1n, 50n, 100n, 101n),
  }),
);
const work = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({ step: fc.constant("advance" as const), ...task, times: mostly(1, [4, 8, 12], 3) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      step: fc.constant("initialize" as const),
      ...task,
      many: fc.boolean(),
      index: fc.constantFrom(0, 1, 2, 7),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      step: fc.constant("contribute" as const),
      ...task,
      digest,
      authorization: form,
      authorizer: mostly(0, [1, 2], 12),
      enclave: mostly(0, [1, 2, 3], 5),
      seal: mostly(0, [1], 8),
      edge,
    }),
  },
  { weight: 4, arbitrary: fc.record({ step: fc.constant("reveal" as const), ...task, digest, edge }) },
  {
    weight: 3,
    arbitrary: fc.record({
      step: fc.constant("finalize" as const),
      ...task,
      owner: mostly(true, [false], 8),
      late: mostly(false, [true], 3),
      results: nat,
      callback: mostly(0, [1, 2], 5),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      step: fc.constant("reopen" as const),
      ...task,
      owner: mostly(true, [false], 6),
      late: mostly(true, [false], 2),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      step: fc.constant("claim" as const),
      ...task,
      how: nat,
      other: nat,
      index: fc.constantFrom(0, 1, 2),
      late: mostly(true, [false], 2),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      step: fc.constant("fast" as const),
      ...task,
      digest,
      authorization: form,
      authorizer: mostly(0, [1, 2], 12),
      enclave: mostly(0, [1, 2, 3], 5),
      results: nat,
      callback: mostly(0, [1, 2], 5),
    }),
  },
);
const time = fc.record({
  step: fc.constant("time" as const),
  to: nat,
  task: nat,
  seconds: fc.constantFrom(0, 1, 2, 60, 600, 3000),
});
/** Any function of any contract with arguments from the session's lists. */
const any = fc.record({
  step: fc.constant("any" as const),
  contract: nat,
  fn: nat,
  who: nat,
  seeds: fc.array(nat, { minLength: 12, maxLength: 12 }),
  value: mostly(0n, [1n, 10n ** 9n, 3n * 10n ** 9n + 7n], 40),
});

export type Step = typeof stepArbitrary extends fc.Arbitrary<infer T> ? T : never;
const stepArbitrary = fc.oneof(
  { weight: 10, arbitrary: match },
  { weight: 3, arbitrary: rematch },
  { weight: 3, arbitrary: manage },
  { weight: 4, arbitrary: money },
  { weight: 3, arbitrary: assets },
  { weight: 50, arbitrary: work },
  { weight: 3, arbitrary: time },
  { weight: 10, arbitrary: any },
);
/** Sequences of steps; each begins with a match so that there is work. */
export const sequences: fc.Arbitrary<Step[]> = fc.noBias(
  fc
    .tuple(match, fc.array(stepArbitrary, { minLength: 5, maxLength: 50, size: "max" }))
    .map(([first, rest]) => [{ ...first, flaws: [], forms: ["plain", "plain", "plain", "plain"] }, ...rest]),
);
export type StepOf<Name extends Step["step"]> = Extract<Step, { step: Name }>;
