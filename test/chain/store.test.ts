import t from "tap";
import type { Block } from "../../chain/block.ts";
import { memoryDb } from "../../chain/db.ts";
import { hashHeader } from "../../chain/header.ts";
import { blockKey } from "../../chain/layout.ts";
import { EMPTY_MMR } from "../../chain/mmr.ts";
import type { Receipt } from "../../chain/receipt.ts";
import { openState } from "../../chain/state.ts";
import { openStore } from "../../chain/store.ts";
import { signTransaction } from "../../chain/transaction.ts";
import { buildGenesis } from "../../consensus/genesis-state.ts";
import { accountOf, testGenesis } from "../helpers/chain.ts";

const alice = accountOf("alice");
const first = buildGenesis(testGenesis(1).genesis, openState(memoryDb())).block;
const transfer = (nonce: number, dataBytes = 0) =>
  signTransaction(
    {
      type: 2,
      chainId: 77_216,
      nonce,
      maxPriorityFeePerGas: 1n,
      maxFeePerGas: 10n,
      gasLimit: 21_000,
      to: alice.address,
      value: 1n,
      data: new Uint8Array(dataBytes),
      accessList: [],
    },
    alice.key,
  );
const blockOf = (number: number, transactions: Block["body"]["transactions"]): Block => {
  const header = { ...first.header, number };
  return { hash: hashHeader(header), header, signature: `0x${"11".repeat(65)}`, body: { ...first.body, transactions } };
};
const receiptOf = (i: number): Receipt => ({
  type: 2,
  status: 1,
  cumulativeGasUsed: 21_000 * (i + 1),
  gasUsed: 21_000,
  logsBloom: new Uint8Array(256),
  logs: [],
});

t.test("a block is kept with its senders, and its parts are read without the rest", async (t) => {
  const db = memoryDb();
  const block = blockOf(1, [transfer(0), transfer(1)]);
  await db.batch(openStore(db).putBlock(block, [receiptOf(0), receiptOf(1)], EMPTY_MMR));
  const store = openStore(db);
  const { body, ...head } = block;
  t.same(store.head(block.hash), head);
  t.same(
    store.rawTransactions(block.hash),
    body.transactions.map(({ raw }) => raw),
  );
  t.same(
    store.transactionHashes(block.hash),
    body.transactions.map(({ hash }) => hash),
  );
  t.match(store.transactionAt(block.hash, 1), { nonce: 1, sender: alice.address });
  t.equal(store.transactionAt(block.hash, 2), undefined);
  t.equal(store.block(block.hash)!.body.transactions[0]!.sender, alice.address);
  t.equal(store.head(first.hash), undefined);
});

t.test("how large a block is, is read once", async (t) => {
  const db = memoryDb();
  const block = blockOf(1, [transfer(0)]);
  const own = openStore(db);
  await db.batch(own.putBlock(block, [receiptOf(0)], EMPTY_MMR));
  let reads = 0;
  const counted = (key: Uint8Array) => {
    reads += 1;
    return db.get(key);
  };
  const store = openStore({ ...db, get: counted });
  t.equal(store.size(block.hash), store.encoded(block.hash)!.length);
  t.equal(own.size(block.hash), store.size(block.hash), "who wrote it knows");
  t.equal(reads, 2);
  t.equal(store.size(first.hash), undefined);
});

t.test("a header is read where the body is not even readable", async (t) => {
  const db = memoryDb();
  const block = blockOf(1, [transfer(0)]);
  await db.batch(openStore(db).putBlock(block, [receiptOf(0)], EMPTY_MMR));
  await db.batch([{ key: blockKey(block.hash), value: new Uint8Array([1, 2, 3]) }]);
  const store = openStore(db);
  t.equal(store.head(block.hash)?.header.number, 1);
  t.throws(() => store.block(block.hash));
});

t.test("blocks are kept in memory up to a number of bytes", async (t) => {
  const db = memoryDb();
  const store = openStore(db);
  const large = Array.from({ length: 20 }, (_, i) => transfer(i, 120_000));
  const blocks = Array.from({ length: 30 }, (_, i) => blockOf(i, large));
  for (const block of blocks) await db.batch(store.putBlock(block, [], EMPTY_MMR));
  t.equal(store.block(blocks[29]!.hash), blocks[29], "the latest is at hand");
  t.not(store.block(blocks[0]!.hash), blocks[0], "the first is read again");
});
