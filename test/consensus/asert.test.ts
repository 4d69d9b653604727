import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import { asert, MAX_TARGET, shareDifficulty } from "../../consensus/asert.ts";

const vectors = process.env.ROLEC_VECTORS;

/** Bitcoin's compact form: 3 bytes of mantissa, 1 of exponent. */
const fromCompact = (bits: number): bigint => {
  const mantissa = BigInt(bits & 0x7fffff);
  const size = bits >>> 24;
  return size <= 3 ? mantissa >> BigInt(8 * (3 - size)) : mantissa << BigInt(8 * (size - 3));
};
const toCompact = (target: bigint): number => {
  let size = Math.ceil(target.toString(2).length / 8);
  let mantissa = size <= 3 ? target << BigInt(8 * (3 - size)) : target >> BigInt(8 * (size - 3));
  // The mantissa's highest bit is a sign.
  if (mantissa & 0x800000n) {
    mantissa >>= 8n;
    size += 1;
  }
  return Number(mantissa) + size * 2 ** 24;
};

interface Vectors {
  readonly params: Record<
    string,
    { readonly powLimit: string; readonly targetSecsPerBlock: number; readonly halfLifeSecs: number }
  >;
  readonly scenarios: readonly {
    readonly description: string;
    readonly params: string;
    readonly startDiffBits: number;
    readonly startHeight: number | string;
    readonly startTime: number | string;
    readonly tests: readonly {
      readonly height: number | string;
      readonly timestamp: number | string;
      readonly expectedDiffBits: number;
    }[];
  }[];
}

t.test(
  "every vector of Decred's ASERT tests holds",
  { skip: vectors ? false : "ROLEC_VECTORS is not set" },
  async (t) => {
    // Heights go beyond 2^53: they are read as text.
    const json = readFileSync(join(vectors!, "asert/decred.json"), "utf8").replace(/: *(-?\d{16,})/g, ': "$1"');
    const { params, scenarios } = JSON.parse(json) as Vectors;
    let count = 0;
    for (const scenario of scenarios) {
      const { powLimit, targetSecsPerBlock, halfLifeSecs } = params[scenario.params]!;
      const limit = BigInt(`0x${powLimit}`);
      const wrong = scenario.tests.filter(({ height, timestamp, expectedDiffBits }) => {
        count += 1;
        const time = BigInt(timestamp) - BigInt(scenario.startTime);
        const ideal = BigInt(targetSecsPerBlock) * (BigInt(height) - BigInt(scenario.startHeight));
        const exponent = ((time - ideal) * 65_536n) / BigInt(halfLifeSecs);
        return toCompact(asert(fromCompact(scenario.startDiffBits), exponent, limit)) !== expectedDiffBits;
      });
      t.same(wrong, [], scenario.description);
    }
    t.equal(count, 1_424);
  },
);

t.test(
  "difficulty is genesis' without drift, doubles each half-life of shares ahead, and never falls below",
  async (t) => {
    const at = (drift: bigint) => shareDifficulty(2n ** 20n, drift, 600);
    t.equal(at(0n), 2n ** 20n);
    t.equal(at(-600n), 2n ** 21n);
    t.equal(at(-6_000n), 2n ** 30n);
    t.equal(at(600n), 2n ** 20n, "an idle chain is as easy as its genesis, not easier");
    t.equal(at(-(10n ** 9n)), MAX_TARGET, "the hardest target is 1");
  },
);

t.test("more shares ahead are never easier", async () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 10n ** 6n), fc.bigInt(0n, 10n ** 4n), (ahead, more) => {
      return shareDifficulty(4_096n, -ahead - more, 60) >= shareDifficulty(4_096n, -ahead, 60);
    }),
  );
});
