import fc from "fast-check";
import t from "tap";
import { bigintToBytes, bigintToMinimal, bytesToBigint, fromHex, toHex } from "../../lib/bytes.ts";

const sizes = { minLength: 0, maxLength: 100 };

t.test("hex goes there and back, in either case", async (t) => {
  fc.assert(
    fc.property(fc.uint8Array(sizes), (bytes) => {
      const hex = toHex(bytes);
      if (hex !== `0x${Buffer.from(bytes).toString("hex")}`) throw new Error(hex);
      t.same(fromHex(hex), bytes);
      t.same(fromHex(`0x${hex.slice(2).toUpperCase()}`), bytes);
    }),
    { numRuns: 50 },
  );
  const within = new Uint8Array([1, 2, 3, 4]).subarray(1, 3);
  t.equal(toHex(within), "0x0203", "a view is itself, not what is behind it");
});

t.test("what is not hex is refused, short or long, wherever the fault is", async (t) => {
  for (const bad of ["", "0", "0x0", "00", "0X00", "1x00", "0xg0", "0x0g", "0x0٣", "0x 1", "-x00"])
    t.throws(() => fromHex(bad));
  fc.assert(
    fc.property(
      fc.uint8Array({ ...sizes, minLength: 1 }),
      fc.nat(),
      fc.constantFrom("g", " ", "٣", "\u0130", "\ud800"),
      (bytes, at, wrong) => {
        const hex = toHex(bytes);
        const place = 2 + (at % (hex.length - 2));
        t.throws(() => fromHex(hex.slice(0, place) + wrong + hex.slice(place + 1)), TypeError);
      },
    ),
    { numRuns: 100 },
  );
});

t.test("integers go there and back in the least bytes", async (t) => {
  const around = [0n, 1n, 255n, 256n, 2n ** 47n, 2n ** 48n - 1n, 2n ** 48n, 2n ** 53n, 2n ** 256n - 1n];
  fc.assert(
    fc.property(fc.oneof(fc.constantFrom(...around), fc.bigInt(0n, 2n ** 256n - 1n)), (value) => {
      const bytes = bigintToMinimal(value);
      t.equal(bytesToBigint(bytes), value);
      t.not(bytes[0], 0);
      t.equal(bytesToBigint(bigintToBytes(value, 32)), value);
    }),
    { numRuns: 200 },
  );
  t.throws(() => bigintToMinimal(-1n), RangeError);
  t.throws(() => bigintToBytes(256n, 1), RangeError);
});
