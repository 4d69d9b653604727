// Imports blocks full of transfers into a fresh node's database, and measures the parts of it.
// Usage: node test/bench/import.ts [accounts] [transfers a block] [blocks]

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeBlock, encodeBlock } from "../../chain/block.ts";
import { memoryDb, openDb } from "../../chain/db.ts";
import { devGenesis, readGenesis } from "../../chain/genesis.ts";
import { timestampOf } from "../../chain/params.ts";
import { openState } from "../../chain/state.ts";
import { signTransaction } from "../../chain/transaction.ts";
import { createEngine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { localSigner } from "../../consensus/signer.ts";
import { type Hex, utf8 } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import { RLC } from "../../lib/units.ts";
import { genesisValidator, validatorKeys } from "../../node/folder.ts";
import { memoryProtection, silent } from "../helpers/chain.ts";

const ACCOUNTS = Number(process.argv[2] ?? 50_000);
const PER_BLOCK = Number(process.argv[3] ?? 2_000);
const BLOCKS = Number(process.argv[4] ?? 8);
const SENDERS = 200;
const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

const keys = validatorKeys(keccak256(utf8("bench")));
const senders = Array.from({ length: SENDERS }, (_, i) => keccak256(utf8(`sender ${i}`)));
const target = (i: number): Hex => `0x${keccak256(utf8(`account ${i % ACCOUNTS}`)).slice(26)}`;
const genesis = readGenesis(
  devGenesis({
    genesisTime: 1_700_000_000,
    validators: [genesisValidator(keys, 10_000n * RLC)],
    accounts: [
      ...senders.map((key) => ({ address: addressOf(key), balance: (100n * RLC).toString() })),
      ...Array.from({ length: ACCOUNTS }, (_, i) => ({ address: target(i), balance: "1000000000" })),
    ],
    slots: [],
  }),
);
let nowMs = genesis.genesisTime * 1000;
const maker = await createEngine({ db: memoryDb(), genesis, now: () => nowMs, log: silent });
const producer = createProducer({
  engine: maker,
  signers: [localSigner(keys)],
  protection: memoryProtection(),
  publishBlock: () => {},
  publishVote: () => {},
  log: silent,
});
const encoded: Uint8Array[] = [];
let sent = 0;
for (let slot = 1; slot <= BLOCKS; slot++) {
  nowMs = timestampOf(genesis, slot) * 1000;
  for (let i = 0; i < PER_BLOCK; i++, sent++) {
    maker.addTransaction(
      signTransaction(
        {
          type: 2,
          chainId: genesis.chainId,
          nonce: Math.floor(sent / SENDERS),
          maxPriorityFeePerGas: 1n,
          maxFeePerGas: 10n ** 10n,
          gasLimit: 21_000,
          to: target(sent * 7919),
          value: 1n,
          data: new Uint8Array(0),
          accessList: [],
        },
        senders[sent % SENDERS]!,
      ),
    );
  }
  await producer.onSlot(slot);
  encoded.push(encodeBlock(maker.head()));
}

const path = mkdtempSync(join(tmpdir(), "rolec-bench-"));
const db = await openDb(path);
const engine = await createEngine({ db, genesis, now: () => nowMs, log: silent });
const times: number[] = [];
let count = 0;
for (const bytes of encoded) {
  const started = performance.now();
  const block = decodeBlock(bytes);
  await engine.importBlock(block);
  times.push(performance.now() - started);
  count = Math.max(count, block.body.transactions.length);
}
const state = openState(db, engine.head().header.stateRoot);
const trie: number[] = [];
for (let round = 0; round < 5; round++) {
  const started = performance.now();
  for (let i = 0; i < PER_BLOCK; i++) state.credit(target((round * PER_BLOCK + i) * 104_729), 1n);
  const { ops } = state.commit();
  await db.batch(ops);
  trie.push(performance.now() - started);
}
const ms = median(times);
console.log(`${ACCOUNTS} accounts, ${BLOCKS} blocks of ${count} transfers, medians:`);
console.log(`  import of a block: ${ms.toFixed(0)} ms, ${((1000 * count) / ms).toFixed(0)} transfers a second`);
console.log(
  `  ${PER_BLOCK} accounts changed, hashed and written: ${median(trie).toFixed(0)} ms, ${((1000 * PER_BLOCK) / median(trie)).toFixed(0)} a second`,
);
await engine.stop();
await db.close();
rmSync(path, { recursive: true, force: true });
