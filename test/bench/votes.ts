/**
 * Measures what votes cost a node, with real signatures: `node test/bench/votes.ts [validators=128] [epochs=8]`. All vote in every
 * epoch of the testnet's profile, and their votes reach a node within 300 ms, as in the gossip of a network; in turn they are
 * verified together and one by one. Processor time of all threads, in milliseconds a slot; the gossip is measured among seven
 * hosts in one process, each connected with all others (gossipsub's mesh of six).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeBlock } from "../../chain/block.ts";
import { memoryDb, openDb } from "../../chain/db.ts";
import { firstOpenEpoch, timestampOf } from "../../chain/params.ts";
import { TESTNET_PARAMS } from "../../chain/profiles.ts";
import { createEngine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { localSigner } from "../../consensus/signer.ts";
import { encodeVote, type Vote } from "../../consensus/votes.ts";
import { createHost, type Host } from "../../p2p/host.ts";
import { topicOf } from "../../p2p/topics.ts";
import { memoryProtection, openAt, silent, testGenesis } from "../helpers/chain.ts";

const count = Number(process.argv[2] ?? 128);
const epochs = Number(process.argv[3] ?? 8);
const ARRIVAL_MS = 300;
const HOSTS = 7;
const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
/** Milliseconds of processor time, of all threads. */
const cpuOf = async (work: () => unknown): Promise<number> => {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
};

const { genesis, keys } = testGenesis(count, [], TESTNET_PARAMS);
const { slotsPerEpoch } = genesis.params;
const folder = mkdtempSync(join(tmpdir(), "rolec-votes-"));
let nowMs = genesis.genesisTime * 1000;
const settings = { genesis, now: () => nowMs, log: silent };
const maker = await createEngine({ db: memoryDb(), ...settings });
const node = await createEngine({ db: await openDb(join(folder, "db")), ...settings });
let cast: Vote[] = [];
const producer = createProducer({
  engine: maker,
  signers: keys.map((key) => localSigner(key)),
  protection: memoryProtection(),
  publishBlock: () => {},
  publishVote: (vote) => cast.push(vote),
  log: silent,
});

const [together, oneByOne, aggregated, imported, sizes]: number[][] = [[], [], [], [], []];
for (let slot = 1; slot < epochs * slotsPerEpoch; slot++) {
  nowMs = timestampOf(genesis, slot) * 1000;
  cast = [];
  await producer.onSlot(slot);
  producer.onHalfSlot(slot);
  const block = maker.head();
  const took = await cpuOf(() => node.importBlock(block));
  const isWarm = slot > 2 * slotsPerEpoch;
  if (block.body.certificates.length > 0 && isWarm) {
    imported!.push(took);
    sizes!.push(encodeBlock(block).length);
  }
  if (cast.length === 0) continue;
  const votes = [...cast];
  const isTogether = (slot - 1) % (2 * slotsPerEpoch) === 0;
  const verified = await cpuOf(async () => {
    if (isTogether)
      await Promise.all(
        votes.map(async (vote, i) => {
          await sleep((i * ARRIVAL_MS) / votes.length);
          await node.addVote(vote, `peer ${i % 6}`);
        }),
      );
    else for (const vote of votes) node.castVote(vote);
  });
  const { state } = openAt(node, slot + 1);
  const open = firstOpenEpoch(genesis, Math.floor((slot + 1) / slotsPerEpoch));
  const made = await cpuOf(() => [...node.votes.certificates(state, open)]);
  if (!isWarm) continue;
  (isTogether ? together : oneByOne)!.push(verified);
  aggregated!.push(made);
}
const voteBytes = encodeVote(cast[0] ?? node.votes.all()[0]!).length;
const { epoch: finalEpoch } = node.finalized();
await node.stop();
await maker.stop();

const topic = topicOf(node.genesisHash, "vote");
const hosts: Host[] = [];
let delivered = 0;
for (let i = 0; i < HOSTS; i++) {
  const datadir = mkdtempSync(join(folder, "host-"));
  const host = await createHost({ datadir, listen: ["/ip4/127.0.0.1/tcp/0"], genesisHash: node.genesisHash });
  await host.start();
  host.services.pubsub.subscribe(topic);
  host.services.pubsub.addEventListener("gossipsub:message", () => {
    delivered += 1;
  });
  for (const other of hosts) await host.dial(other.getMultiaddrs());
  hosts.push(host);
}
// Until the meshes are made.
await sleep(5_000);
const messages = 600;
const idle = await cpuOf(() => sleep(2_000));
const spread = await cpuOf(async () => {
  for (let i = 0; i < messages; i++) {
    const bytes = new Uint8Array(voteBytes).map(() => Math.random() * 256);
    await hosts[i % HOSTS]!.services.pubsub.publish(topic, bytes);
    if (i % 10 === 9) await sleep(10);
  }
  for (let waited = 0; delivered < messages * (HOSTS - 1) && waited < 10_000; waited += 20) await sleep(20);
});
for (const host of hosts) await host.stop();
rmSync(folder, { recursive: true, force: true });
const gossip = spread / messages / HOSTS;

const perSlot = (ms: number): string => (ms / slotsPerEpoch).toFixed(1);
const votesPerSlot = count / slotsPerEpoch;
const certificate = median(imported!);
console.log(`${count} validators, epochs of ${slotsPerEpoch} slots, final to epoch ${finalEpoch} of ${epochs}`);
console.log(
  `votes verified together ${perSlot(median(together!))} ms a slot, one by one ${perSlot(median(oneByOne!))}`,
);
console.log(`certificates made ${perSlot(median(aggregated!))} ms a slot, once an epoch and by one node`);
console.log(`block with certificates imported ${certificate.toFixed(1)} ms, ${median(sizes!)} bytes`);
console.log(
  `gossip ${(1_000 * gossip).toFixed(0)} us a vote and node (${delivered} of ${messages * (HOSTS - 1)} delivered; idle ${(idle / 2 / HOSTS).toFixed(1)} ms a second), ${(gossip * votesPerSlot).toFixed(1)} ms a slot`,
);
console.log(
  `a vote has ${voteBytes} bytes: ${((voteBytes * votesPerSlot) / 1024).toFixed(1)} KiB a slot once, up to ${((6 * voteBytes * votesPerSlot) / 1024).toFixed(0)} KiB each way in a mesh of six`,
);
