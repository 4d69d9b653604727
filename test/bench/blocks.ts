/**
 * Measures what a block without transactions costs a node that imports it: header, proposer, reveal, certificates, roots.
 * `node test/bench/blocks.ts [validators=1024] [epochs=6]`. All validators vote; medians in milliseconds.
 */
import { memoryDb } from "../../chain/db.ts";
import { timestampOf } from "../../chain/params.ts";
import { createEngine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { localSigner } from "../../consensus/signer.ts";
import { memoryProtection, silent, testGenesis } from "../helpers/chain.ts";

const count = Number(process.argv[2] ?? 1_024);
const epochs = Number(process.argv[3] ?? 6);
const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

const { genesis, keys } = testGenesis(count);
let nowMs = genesis.genesisTime * 1000;
const settings = { genesis, now: () => nowMs, log: silent };
const maker = await createEngine({ db: memoryDb(), ...settings });
const importer = await createEngine({ db: memoryDb(), ...settings });
const producer = createProducer({
  engine: maker,
  signers: keys.map((key) => localSigner(key)),
  protection: memoryProtection(),
  publishBlock: () => {},
  publishVote: () => {},
  log: silent,
});

const { slotsPerEpoch } = genesis.params;
const [plain, certified, crossing]: number[][] = [[], [], []];
for (let slot = 1; slot <= epochs * slotsPerEpoch; slot++) {
  nowMs = timestampOf(genesis, slot) * 1000;
  await producer.onSlot(slot);
  producer.onHalfSlot(slot);
  const block = maker.head();
  const start = performance.now();
  await importer.importBlock(block);
  const times = block.body.certificates.length > 0 ? certified : slot % slotsPerEpoch === 0 ? crossing : plain;
  // The first epochs decode the keys of the set, once for ever.
  if (slot > 2 * slotsPerEpoch) times!.push(performance.now() - start);
}
const { epoch } = importer.finalized();
console.log(`${count} validators, ${epochs} epochs, final to epoch ${epoch}; a block without transactions:`);
console.log(`no certificate ${median(plain!).toFixed(2)} ms (${plain!.length} blocks)`);
console.log(`with certificates ${median(certified!).toFixed(2)} ms (${certified!.length} blocks)`);
console.log(`an epoch's first ${median(crossing!).toFixed(2)} ms (${crossing!.length} blocks)`);
