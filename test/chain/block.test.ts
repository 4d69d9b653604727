import t from "tap";
import {
  type Block,
  consensusRoot,
  decodeBlock,
  decodeBlockHead,
  encodeBlock,
  receiptsRoot,
  transactionsRoot,
} from "../../chain/block.ts";
import { decodeHeader, EMPTY_OMMERS, encodeHeader, type Header, hashHeader, NO_REVEAL } from "../../chain/header.ts";
import { orderedRoot } from "../../chain/ordered-root.ts";
import { bloomBits, bloomHas, bloomOf, decodeReceipt, encodeReceipt } from "../../chain/receipt.ts";
import { signTransaction } from "../../chain/transaction.ts";
import { concat, type Hex, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";

const header: Header = {
  parentHash: ZERO_HASH,
  ommersHash: EMPTY_OMMERS,
  beneficiary: ZERO_ADDRESS,
  stateRoot: ZERO_HASH,
  transactionsRoot: ZERO_HASH,
  receiptsRoot: ZERO_HASH,
  logsBloom: new Uint8Array(256),
  difficulty: 4096n,
  number: 5,
  gasLimit: 300_000_000,
  gasUsed: 21_000,
  timestamp: 1_700_000_000,
  extraData: new Uint8Array(0),
  mixHash: ZERO_HASH,
  nonce: 1,
  baseFeePerGas: 10n ** 9n,
  validatorsRoot: ZERO_HASH,
  consensusRoot: ZERO_HASH,
  historyRoot: ZERO_HASH,
  randaoReveal: NO_REVEAL,
};
const tx = signTransaction(
  {
    type: 2,
    chainId: 1,
    nonce: 0,
    maxPriorityFeePerGas: 1n,
    maxFeePerGas: 2n,
    gasLimit: 21_000,
    to: ZERO_ADDRESS,
    value: 1n,
    data: new Uint8Array(0),
    accessList: [],
  },
  `0x${"11".repeat(32)}`,
);

t.test("headers and blocks decode to what was encoded", async (t) => {
  t.same(decodeHeader(encodeHeader(header)), header);
  const certificate = {
    sourceEpoch: 0,
    sourceHash: ZERO_HASH,
    targetEpoch: 1,
    targetHash: ZERO_HASH,
    bitmap: Uint8Array.of(15),
    signature: NO_REVEAL,
  };
  const share = {
    anchorHash: ZERO_HASH,
    beneficiary: ZERO_ADDRESS,
    extraNonce: ZERO_HASH,
    nonce: "0x00000000000000ff" as Hex,
    mixHash: ZERO_HASH,
  };
  const body = { transactions: [tx], workShares: [share], certificates: [certificate], evidence: [] };
  const block: Block = { hash: hashHeader(header), header, signature: `0x${"00".repeat(65)}` as Hex, body };
  t.same(decodeBlock(encodeBlock(block)), block);
  t.not(consensusRoot(body), consensusRoot({ ...body, certificates: [] }));
  t.not(consensusRoot(body), consensusRoot({ ...body, workShares: [] }));
});

t.test("header and signature of a block are read without its body", async (t) => {
  const body = { transactions: [tx, tx], workShares: [], certificates: [], evidence: [] };
  const block: Block = { hash: hashHeader(header), header, signature: `0x${"07".repeat(65)}` as Hex, body };
  const bytes = encodeBlock(block);
  const { body: _, ...head } = block;
  t.same(decodeBlockHead(bytes), head);
  const spoilt = Uint8Array.from(bytes).fill(0xff, bytes.length - 40);
  t.same(decodeBlockHead(spoilt), head);
  t.throws(() => decodeBlock(spoilt));
  t.throws(() => decodeBlockHead(bytes.subarray(0, -1)), { code: "rlp" });
  t.throws(() => decodeBlockHead(new Uint8Array(4_000_000)), { code: "block-format" });
});

t.test("a block with a byte too many or a list too long is refused", async (t) => {
  const body = { transactions: [tx], workShares: [], certificates: [], evidence: [] };
  const bytes = encodeBlock({ hash: hashHeader(header), header, signature: `0x${"00".repeat(65)}`, body });
  t.throws(() => decodeBlock(concat(bytes, Uint8Array.of(0))), { code: "rlp" });
  const share = {
    anchorHash: ZERO_HASH,
    beneficiary: ZERO_ADDRESS,
    extraNonce: ZERO_HASH,
    nonce: "0x0000000000000000" as Hex,
    mixHash: ZERO_HASH,
  };
  const crowded = { ...body, workShares: Array.from({ length: 17 }, () => share) };
  t.throws(
    () => decodeBlock(encodeBlock({ hash: ZERO_HASH, header, signature: `0x${"00".repeat(65)}`, body: crowded })),
    { code: "codec" },
  );
  const five = { ...body, evidence: Array.from({ length: 5 }, () => Uint8Array.of(1)) };
  t.throws(() => decodeBlock(encodeBlock({ hash: ZERO_HASH, header, signature: `0x${"00".repeat(65)}`, body: five })), {
    code: "codec",
  });
});

t.test("the empty ordered trie has Ethereum's root, and any change changes the root", async (t) => {
  t.equal(orderedRoot([]), "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");
  const values = Array.from({ length: 300 }, (_, i) => new Uint8Array(40).fill(i));
  const roots = new Set([values, values.slice(1), [...values].reverse()].map((list) => orderedRoot(list)));
  t.equal(roots.size, 3);
  t.equal(transactionsRoot([tx]), orderedRoot([tx.raw]));
  t.equal(receiptsRoot([]), orderedRoot([]));
});

t.test("receipts decode, and their bloom holds what they logged", async (t) => {
  const log = { address: ZERO_ADDRESS, topics: [ZERO_HASH], data: Uint8Array.of(1) };
  const receipt = {
    type: 2,
    status: 1,
    cumulativeGasUsed: 50_000,
    gasUsed: 21_000,
    logsBloom: bloomOf([log]),
    logs: [log],
  } as const;
  t.same(decodeReceipt(encodeReceipt(receipt), 29_000), receipt);
  t.ok(bloomHas(receipt.logsBloom, bloomBits(new Uint8Array(20))));
  t.notOk(bloomHas(receipt.logsBloom, bloomBits(new Uint8Array(20).fill(1))));
});
