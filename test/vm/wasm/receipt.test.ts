import "../../helpers/plain-spawn.ts";
import fc from "fast-check";
import t from "tap";
import type { Hash, Hex } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { cidOfRoot, outputRoot } from "../../../vm/wasm/output.ts";
import {
  decodeLotReceipt,
  decodeReceipt,
  digestOf,
  encodeLotReceipt,
  encodeReceipt,
  type JobReceipt,
  lotReceiptOf,
  merkleProof,
  merkleRoot,
  merkleVerify,
} from "../../../vm/wasm/receipt.ts";
import { STATUS } from "../../../vm/wasm/status.ts";

const text = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value));
const EMPTY = new Uint8Array(0);

t.test("output roots are those of the specification", async (t) => {
  const empty = await outputRoot(
    new Map([
      ["out/", EMPTY],
      ["stderr", EMPTY],
      ["stdout", EMPTY],
    ]),
  );
  t.equal(empty.root, "0xd1702d661901cb6748104b7357f96212a8824ced1ffc0f0b7a7494639748960e");
  t.equal(empty.cid, "bafybeigroawwmgibzntuqeclonl7syqsvcbez3i77qhqw6tusrrzosewby");
  t.equal(cidOfRoot(empty.root), empty.cid);
  const files = new Map([
    ["stdout", text("hi\n")],
    ["out/r.csv", text("1\n")],
    ["stderr", EMPTY],
  ]);
  const result = await outputRoot(files);
  t.equal(result.root, "0x5d6fcc974f720d342288064ebe0c56e06c5a65961db98c3756fc6b0d8bb2aa07");
  t.equal((await outputRoot(new Map([...files].reverse()))).root, result.root, "whatever the order of the files");
  t.ok(result.blocks.some(({ cid }) => cid === result.cid));
});

t.test("receipts survive encoding, and only what was encoded is decoded", async (t) => {
  const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => keccak256(bytes));
  const gas = fc.tuple(fc.maxSafeNat(), fc.maxSafeNat()).map(([a, b]) => ({
    gasUsed: Math.max(a, b),
    gasExecuted: Math.min(a, b),
  }));
  const rest = fc.record({
    status: fc.nat(5),
    code: fc.nat(0xffff_ffff),
    outputRoot: hash,
    stateRoot: hash,
    callbackData: fc.uint8Array({ maxLength: 100 }),
  });
  const receipts = fc.tuple(gas, rest).map(([each, more]) => ({ ...each, ...more }));
  fc.assert(
    fc.property(receipts, fc.nat(), fc.nat(255), (receipt, place, value) => {
      const bytes = encodeReceipt(receipt);
      const decoded = decodeReceipt(bytes) as JobReceipt;
      t.same(
        { ...decoded, callbackData: [...decoded.callbackData] },
        { ...receipt, callbackData: [...receipt.callbackData] },
      );
      const changed = bytes.slice();
      changed[place % bytes.length] = value;
      const again = decodeReceipt(changed);
      if (again && Buffer.compare(encodeReceipt(again), changed) !== 0) throw new Error("two encodings of one receipt");
    }),
    { numRuns: 200 },
  );
  t.equal(decodeReceipt(EMPTY), undefined);
  t.equal(decodeReceipt(new Uint8Array(256)), undefined, "version 0");
  const sample = fc.sample(receipts, 1)[0]!;
  t.equal(encodeReceipt(sample).length % 32, 0);
  t.equal(decodeReceipt(encodeReceipt({ ...sample, gasUsed: 1, gasExecuted: 2 })), undefined, "more than was used");
});

t.test(
  "a lot of one task has the task's receipt, a larger lot the sums of gas, how many are valid, and the root",
  async (t) => {
    const one: JobReceipt = {
      status: 0,
      code: 0,
      gasUsed: 5,
      gasExecuted: 4,
      outputRoot: keccak256(text("a")),
      stateRoot: keccak256(text("b")),
      callbackData: EMPTY,
    };
    const refused = { ...one, status: STATUS.invalid, gasUsed: 8, gasExecuted: 0 };
    const receipts = [one, { ...one, gasUsed: 7 }, refused].map(encodeReceipt);
    t.same(lotReceiptOf(receipts.slice(0, 1)), receipts[0]);
    const lot = lotReceiptOf(receipts);
    const root = merkleRoot(receipts.map(digestOf));
    t.same(decodeLotReceipt(lot), { gasUsed: 20, gasExecuted: 8, valid: 2, root });
    t.equal(decodeLotReceipt(encodeLotReceipt({ gasUsed: 1, gasExecuted: 2, valid: 0, root })), undefined);
    t.same(encodeLotReceipt(decodeLotReceipt(lot)!), lot);
    t.equal(decodeLotReceipt(receipts[0]!), undefined);
    t.equal(decodeReceipt(lot), undefined);
  },
);

t.test("each leaf of a tree of any size has a proof, which proves no other leaf", async (t) => {
  for (let count = 1; count <= 40; count++) {
    const leaves = Array.from({ length: count }, (_, i): Hash => keccak256(Uint8Array.of(i)));
    const root = merkleRoot(leaves);
    for (let i = 0; i < count; i++) {
      const proof = merkleProof(leaves, i);
      const at = (index: number, leaf: Hex = leaves[i]!): boolean => merkleVerify(root, leaf, index, count, proof);
      if (!at(i)) throw new Error(`leaf ${i} of ${count}`);
      if (count > 1 && at((i + 1) % count)) throw new Error(`leaf ${i} of ${count} elsewhere`);
      if (at(i, keccak256(EMPTY))) throw new Error("another leaf");
      if (merkleVerify(root, leaves[i]!, i, count, [...proof, root])) throw new Error("a longer proof");
    }
    if (merkleVerify(root, leaves[0]!, count, count, [])) throw new Error("beyond the end");
  }
  t.pass();
});
