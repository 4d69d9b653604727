/**
 * A process of `finality.ts`: a node with some of the network's validators, on disk and on real sockets. Told to stop, it says how
 * long blocks took to be final here.
 */
import { join } from "node:path";
import { openDb } from "../../chain/db.ts";
import { readGenesis } from "../../chain/genesis.ts";
import { slotOf } from "../../chain/params.ts";
import { createEngine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { localSigner } from "../../consensus/signer.ts";
import { createLog } from "../../lib/log.ts";
import { devKey, readGivenJson, validatorKeys } from "../../node/folder.ts";
import { openSlashingProtection } from "../../node/slashing-protection.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { createNetwork } from "../../p2p/network.ts";
import { openOrderBook } from "../../p2p/orders/book.ts";

/** What a process tells of its time: milliseconds from a block's slot to its finality, and of processor time a slot. */
export interface Told {
  readonly latenciesMs: readonly number[];
  readonly cpuMs: number;
  readonly slots: number;
  readonly blocks: number;
}

const [datadir, validators, bootstrap] = [process.argv[2]!, process.argv[3]!, process.argv.slice(4)];
const genesis = readGenesis(readGivenJson(join(datadir, "..", "genesis.json")));
const log = createLog({ path: join(datadir, "node.log") });
const engine = await createEngine({ db: await openDb(join(datadir, "chain")), genesis, now: Date.now, log });
const dataDb = await openDb(join(datadir, "data"));
const network = await createNetwork({
  engine,
  datadir,
  listen: ["/ip4/127.0.0.1/tcp/0"],
  bootstrap,
  data: await openDataStore(dataDb),
  dataDb,
  orders: await openOrderBook({ db: dataDb, engine, now: Date.now, log }),
  log,
});
await network.start();
const producer = createProducer({
  engine,
  signers: validators.split(",").map((i) => localSigner(validatorKeys(devKey("validator", Number(i))))),
  protection: await openSlashingProtection(join(datadir, "slashing-protection"), engine.genesisHash),
  publishBlock: network.publishBlock,
  publishVote: network.publishVote,
  log,
});
producer.start();

const slotNow = (): number => Math.floor(slotOf(genesis, Date.now() / 1000));
/** What is counted from: all nodes take part by then. */
let from = { slot: Number.POSITIVE_INFINITY, block: 0, cpu: process.cpuUsage() };
const latenciesMs: number[] = [];
let told = 0;
engine.on("finalized", () => {
  const { number } = engine.finalized();
  for (; told < number; told++) {
    const { header } = engine.store.block(engine.store.canonical(told + 1)!)!;
    if (slotOf(genesis, header.timestamp) > from.slot) latenciesMs.push(Date.now() - header.timestamp * 1000);
  }
});
process.send!({ addresses: network.multiaddrs() });
process.on("message", (what) => {
  if (what === "begin") {
    from = { slot: slotNow(), block: engine.head().header.number, cpu: process.cpuUsage() };
    return;
  }
  const slots = slotNow() - from.slot;
  const { user, system } = process.cpuUsage(from.cpu);
  const blocks = engine.head().header.number - from.block;
  const report: Told = { latenciesMs, cpuMs: (user + system) / 1000 / slots, slots, blocks };
  process.send!(report, () => process.exit(0));
});
