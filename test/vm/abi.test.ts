import fc from "fast-check";
import t from "tap";
import {
  decodeEventLog,
  encodeAbiParameters,
  encodeEventTopics,
  encodeFunctionData,
  parseAbi,
  parseAbiParameters,
} from "viem";
import { fromHex, toHex, utf8 } from "../../lib/bytes.ts";
import {
  AbiError,
  abiEvent,
  abiFunction,
  abiTypes,
  decodeAbi,
  decodeArgs,
  decodeError,
  encodeAbi,
  encodeArgs,
  encodeError,
} from "../../vm/abi.ts";

const A = "0x00000000000000000000000000000000000000aa";
const B = "0x00000000000000000000000000000000000000bb";

t.test("calldata is byte for byte what viem makes, and is read back", (t) => {
  const source =
    "f(uint256 a, (address who, bytes data, (uint8 x, bytes32 y)[2] pairs)[] items, string[] names, bool, int64)";
  const fn = abiFunction(`function ${source} payable returns (uint256)`);
  const h = `0x${"11".repeat(32)}` as const;
  const items = [
    [
      A,
      Uint8Array.of(1, 2, 3),
      [
        [1n, h],
        [2n, h],
      ],
    ],
    [
      B,
      new Uint8Array(70).fill(9),
      [
        [3n, h],
        [4n, h],
      ],
    ],
  ];
  const args = [7n, items, ["eins", "zwölf"], true, -5n];
  const abi = parseAbi([
    "function f(uint256 a, Item[] items, string[] names, bool b, int64 c)",
    "struct Item { address who; bytes data; Pair[2] pairs; }",
    "struct Pair { uint8 x; bytes32 y; }",
  ]);
  const expected = encodeFunctionData({
    abi,
    args: [
      7n,
      items.map(([who, data, pairs]) => ({
        who: who as typeof A,
        data: toHex(data as Uint8Array),
        pairs: (pairs as [bigint, typeof h][]).map(([x, y]) => ({ x: Number(x), y })) as never,
      })),
      ["eins", "zwölf"],
      true,
      -5n,
    ],
  });
  t.equal(toHex(fn.encode(...args)), expected);
  t.strictSame(fn.decode(fromHex(expected)), args);
  t.equal(fn.signature, "f(uint256,(address,bytes,(uint8,bytes32)[2])[],string[],bool,int64)");
  t.end();
});

t.test("events carry indexed values in topics, dynamic ones as hashes", (t) => {
  const text = "Sent(address indexed from, string indexed note, uint256 value, bytes data)";
  const event = abiEvent(`event ${text}`);
  const abi = parseAbi([`event ${text}`] as const);
  const log = event.encode(A, "hi", 5n, Uint8Array.of(1));
  t.strictSame(log.topics, encodeEventTopics({ abi, args: { from: A, note: "hi" } }));
  t.equal(toHex(log.data), encodeAbiParameters(parseAbiParameters("uint256, bytes"), [5n, "0x01"]));
  t.equal(decodeEventLog({ abi, topics: log.topics as never, data: toHex(log.data) }).args.value, 5n);
  t.strictSame(event.decode(log), [A, log.topics[2], 5n, Uint8Array.of(1)]);
  t.end();
});

t.test("malformed data is refused", (t) => {
  const bad = (types: string, words: readonly string[]): void => {
    const data = fromHex(`0x${words.map((w) => w.padStart(64, "0")).join("")}`);
    t.throws(() => decodeArgs(abiTypes(types), data), { name: "AbiError" }, `${types} ${words.join(" ")}`);
  };
  bad("uint8", ["100"]);
  bad("bool", ["2"]);
  bad("int8", ["80"]);
  bad("address", [`1${"0".repeat(40)}`]);
  bad("bytes4", ["1"]);
  bad("uint256", []);
  bad("bytes", ["20", "1"]);
  bad("bytes", ["ffffffff"]);
  bad("bytes", ["f".repeat(64)]);
  bad("uint256[]", ["20", "7fffffff"]);
  bad("uint256[]", ["20", "2", "1"]);
  bad("string", ["20", "1", `ff${"0".repeat(62)}`]);
  t.end();
});

t.test("offsets that point at the same tail cannot multiply the work", (t) => {
  // ten levels would be 1000^10 values if every element could point at one shared array
  const inner = encodeArgs(abiTypes("uint256[]"), [new Array(500).fill(1n)]);
  const words = 1000;
  const data = new Uint8Array(64 + words * 32 + inner.length);
  data[31] = 32;
  data.set([words >> 8, words & 255], 62);
  for (let i = 0; i < words; i++) data.set([(words * 32) >> 8, (words * 32) & 255], 64 + i * 32 + 30);
  data.set(inner.subarray(32), 64 + words * 32);
  t.throws(() => decodeArgs(abiTypes("uint256[][]"), data), AbiError);
  t.end();
});

t.test("a reason is Error(string), as tools read it", (t) => {
  t.equal(toHex(encodeError("no")).slice(0, 10), "0x08c379a0");
  t.equal(decodeError(encodeError("no such slot")), "no such slot");
  t.equal(decodeError(utf8("junk")), undefined);
  t.equal(decodeError(fromHex("0x08c379a0")), undefined);
  t.end();
});

t.test("text that is no ABI is a syntax error", (t) => {
  for (const source of ["f(", "f(uint7)", "f(uint256", "f(foo)", "f(bytes33)"])
    t.throws(() => abiFunction(source), SyntaxError, source);
  t.end();
});

const types = "uint256,(address,bytes)[],bytes32,string,bool,uint64[2],(uint8,(string,bytes4))";
const hex = (size: number) => fc.uint8Array({ minLength: size, maxLength: size }).map((bytes) => toHex(bytes));

t.test("values are encoded and decoded as viem does", async () => {
  const values = fc.tuple(
    fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
    fc.array(fc.tuple(hex(20), fc.uint8Array({ maxLength: 70 })), { maxLength: 4 }),
    hex(32),
    fc.string({ unit: "grapheme", maxLength: 40 }),
    fc.boolean(),
    fc.tuple(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.constant(7n)),
    fc.tuple(fc.bigInt({ min: 0n, max: 255n }), fc.tuple(fc.constant("x"), hex(4))),
  );
  fc.assert(
    fc.property(values, (value) => {
      const theirs = encodeAbiParameters(parseAbiParameters(types.replaceAll(",", ", ")), [
        value[0],
        value[1].map(([a, b]) => [a, toHex(b)]),
        value[2],
        value[3],
        value[4],
        value[5],
        [Number(value[6][0]), value[6][1]],
      ] as never);
      const ours = encodeAbi(types, value);
      if (toHex(ours) !== theirs) throw new Error("encodings differ");
      const again = encodeAbi(types, decodeAbi(types, ours));
      if (toHex(again) !== theirs) throw new Error("decoding differs");
    }),
  );
});

t.test("any bytes are decoded or refused", (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (data) => {
      try {
        decodeAbi(types, data);
      } catch (error) {
        if (!(error instanceof AbiError)) throw error;
      }
    }),
  );
  t.end();
});
