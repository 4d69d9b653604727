import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { decode, encode } from "rlp";
import t from "tap";
import { bytesToBigint, fromHex, toHex, utf8 } from "../../lib/bytes.ts";
import { big, bytes, decodeWith, encodeWith, hexOf, list, record, uint } from "../../lib/codec.ts";
import { decodeRlp, encodeRlp, type Item, rlpHeads } from "../../lib/rlp.ts";

const vectors = process.env.ROLEC_VECTORS;
const folder = vectors ? join(vectors, "ethereum", "RLPTests") : "";
const skip = existsSync(folder) ? false : "ROLEC_VECTORS is not set: Ethereum's RLP vectors are skipped";

const toItem = (value: unknown): Item => {
  if (Array.isArray(value)) return value.map(toItem);
  if (typeof value === "number") return value === 0 ? new Uint8Array(0) : fromHex(`0x${hex(BigInt(value))}`);
  const text = String(value);
  return text.startsWith("#") ? fromHex(`0x${hex(BigInt(text.slice(1)))}`) : utf8(text);
};
const hex = (value: bigint): string =>
  value.toString(16).padStart(value.toString(16).length + (value.toString(16).length % 2), "0");

t.test("Ethereum's rlptest encodes and decodes", { skip }, async (t) => {
  const tests = JSON.parse(readFileSync(join(folder, "rlptest.json"), "utf8")) as Record<
    string,
    { in: unknown; out: string }
  >;
  for (const [name, { in: input, out }] of Object.entries(tests)) {
    t.equal(toHex(encodeRlp(toItem(input))), out.toLowerCase(), name);
    t.equal(toHex(encodeRlp(decodeRlp(fromHex(out), { maxDepth: 2048 }))), out.toLowerCase(), `${name} again`);
  }
});

t.test("Ethereum's invalid RLP is refused", { skip }, async (t) => {
  const tests = JSON.parse(readFileSync(join(folder, "invalidRLPTest.json"), "utf8")) as Record<
    string,
    { out: string }
  >;
  for (const [name, { out }] of Object.entries(tests))
    t.throws(() => decodeRlp(fromHex(out.startsWith("0x") ? out : `0x${out}`)), { code: "rlp" }, name);
});

t.test("24 KB of nested lists are refused, not recursed into", async (t) => {
  t.throws(() => decodeRlp(new Uint8Array(24_000).fill(0xc1)), { code: "rlp" });
  t.throws(() => decodeRlp(new Uint8Array(100).fill(0x01), { maxBytes: 99 }), { code: "rlp" });
});

t.test("a field list decodes exactly what it encodes and refuses the rest", async (t) => {
  const coder = record({ id: hexOf(4), count: uint, amount: big, data: bytes(3), more: list(uint, 2) });
  const value = { id: "0x01020304" as const, count: 300, amount: 2n ** 255n, data: Uint8Array.of(1), more: [1, 2] };
  t.same(decodeWith(coder, encodeWith(coder, value)), value);
  const wrong: Item[] = [
    [fromHex("0x010203"), [], [], [], []],
    [fromHex("0x01020304"), fromHex("0x00"), fromHex("0x"), fromHex("0x"), []],
    [fromHex("0x01020304"), fromHex("0x01"), fromHex("0x"), fromHex("0x01020304"), []],
    [
      fromHex("0x01020304"),
      fromHex("0x01"),
      fromHex("0x"),
      fromHex("0x"),
      [fromHex("0x"), fromHex("0x"), fromHex("0x")],
    ],
    [fromHex("0x01020304"), fromHex("0x01"), fromHex("0x"), fromHex("0x")],
  ];
  for (const item of wrong) t.throws(() => decodeWith(coder, encodeRlp(item)));
  t.equal(bytesToBigint(fromHex("0x")), 0n);
});

t.test("any item is encoded and decoded as the rlp package does it", async () => {
  const { item } = fc.letrec((tie) => ({
    item: fc.oneof({ maxDepth: 4 }, fc.uint8Array({ maxLength: 70 }), fc.array(tie("item"), { maxLength: 20 })),
  }));
  fc.assert(
    fc.property(item, (value) => {
      const bytes = encodeRlp(value as Item);
      if (toHex(bytes) !== toHex(encode(value as Uint8Array[]))) throw new Error("encodings differ");
      if (toHex(encode(decodeRlp(bytes) as Uint8Array[])) !== toHex(bytes)) throw new Error("decoding differs");
    }),
  );
});

t.test("whatever the rlp package refuses is refused, and nothing else is thrown", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      let ours: string | undefined;
      try {
        ours = toHex(encodeRlp(decodeRlp(bytes)));
      } catch (error) {
        if ((error as { code?: string }).code !== "rlp") throw error;
      }
      let theirs: string | undefined;
      try {
        theirs = toHex(encode(decode(bytes) as Uint8Array[]));
      } catch {}
      if (ours !== undefined && ours !== theirs) throw new Error(`${toHex(bytes)}: ${ours} and ${theirs}`);
      if (ours === undefined && theirs === toHex(bytes) && bytes.length > 0)
        throw new Error(`${toHex(bytes)} is canonical and refused`);
    }),
    { numRuns: 2000 },
  );
});

t.test("the first items of a list are given as they are encoded, whatever follows them", async (t) => {
  const items: Item[] = [
    new Uint8Array(0),
    Uint8Array.of(5),
    new Uint8Array(60),
    [Uint8Array.of(1)],
    new Uint8Array(300),
  ];
  const bytes = encodeRlp([...items, new Uint8Array(70_000)]);
  t.same(rlpHeads(bytes, items.length), items.map(encodeRlp));
  const spoilt = Uint8Array.from(bytes);
  spoilt.fill(0xff, bytes.length - 70_000);
  t.same(rlpHeads(spoilt, items.length), items.map(encodeRlp), "what follows is not looked at");
  for (const [bad, count] of [
    [new Uint8Array(0), 1],
    [Uint8Array.of(0x80), 1],
    [Uint8Array.of(0xc0), 1],
    [Uint8Array.of(0xc1, 5), 2],
    [Uint8Array.of(0xc2, 5), 1],
    [Uint8Array.of(0xc1, 5, 5), 1],
    [Uint8Array.of(0xc1, 0x81), 1],
    [Uint8Array.of(0xff, 1, 1, 1, 1, 1, 1, 1, 1), 1],
    [Uint8Array.of(0xf8), 1],
  ] as const)
    t.throws(() => rlpHeads(bad, count), { code: "rlp" }, toHex(bad));
});
