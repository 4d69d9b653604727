import type { PeerId } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import t from "tap";
import { timestampOf } from "../../chain/params.ts";
import type { Engine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { localSigner } from "../../consensus/signer.ts";
import type { Network } from "../../p2p/network.ts";
import { serve } from "../../p2p/streams.ts";
import { protocolOf } from "../../p2p/topics.ts";
import { memoryProtection, silent, testGenesis } from "../helpers/chain.ts";
import { startHost, startNetworkNode, until } from "../helpers/hosts.ts";

t.setTimeout(120_000);
const { genesis, keys } = testGenesis(2, []);
const producerOf = ({ engine, network }: { engine: Engine; network: Network }, which = keys) =>
  createProducer({
    engine,
    signers: which.map(localSigner),
    protection: memoryProtection(),
    publishBlock: network.publishBlock,
    publishVote: network.publishVote,
    log: silent,
  });

t.test("peers that give a block now and then keep nobody from the chain", async (t) => {
  let slot = 0;
  const now = () => timestampOf(genesis, slot) * 1000;
  const maker = await startNetworkNode(t, { genesis, now });
  const producer = producerOf(maker);
  for (; slot < 60; ) await producer.onSlot(++slot);
  const { store, genesisHash } = maker.engine;
  const late = await startNetworkNode(t, { genesis, now });
  // Kademlia leads the slow ones to the others too.
  const isLate = (peer: PeerId): boolean => late.network.multiaddrs()[0]!.endsWith(peer.toString());
  let asked = 0;
  const never = new Promise(() => undefined);
  for (let i = 0; i < 6; i++) {
    const slow = await startHost(t, genesisHash, []);
    await serve(
      slow,
      protocolOf(genesisHash, "status"),
      () => true,
      () => ({ genesisHash, headNumber: 60, headHash: `0x${"ab".repeat(32)}`, finalizedNumber: 1 }),
    );
    await serve(slow, protocolOf(genesisHash, "blocks"), () => true, async function* (request: unknown, peer: PeerId) {
      if (isLate(peer)) asked += 1;
      const { from } = request as { from: number };
      yield [false, store.encoded(store.canonical(from)!)!];
      await never;
    } as Parameters<typeof serve>[3]);
    await slow.dial(multiaddr(late.network.multiaddrs()[0]!));
  }
  await until(() => asked >= 3, "the slow ones are asked");
  const relay = await startNetworkNode(t, {
    genesis,
    now,
    bootstrap: [...late.network.multiaddrs(), ...maker.network.multiaddrs()],
  });
  await until(() => late.engine.head().hash === maker.engine.head().hash, "the late node is in step");
  await until(() => relay.engine.head().hash === maker.engine.head().hash, "so is the one between");
  t.ok(asked <= 6, `each slow peer was asked once at most: ${asked}`);
});

t.test("nodes that are started before slot 0, with clocks that differ, share their first block", async (t) => {
  let ms = genesis.genesisTime * 1000 - 70_000;
  const warnings: string[] = [];
  const log = Object.assign(Object.create(silent), { warn: (_: unknown, text: string) => void warnings.push(text) });
  const first = await startNetworkNode(t, { genesis, now: () => ms, log });
  // Half a minute slow.
  const second = await startNetworkNode(t, {
    genesis,
    now: () => ms - 30_000,
    bootstrap: first.network.multiaddrs(),
    log,
  });
  const areConnected = () => first.network.peers().length > 0 && second.network.peers().length > 0;
  await until(areConnected, "they meet");
  // Long enough that each asked the other.
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  t.ok(areConnected(), "and stay together");
  const producer = producerOf(first);
  for (let slot = 1; slot <= 20; slot++) {
    ms = timestampOf(genesis, slot) * 1000;
    await producer.onSlot(slot);
  }
  t.equal(first.engine.head().header.number, 20);
  await until(() => warnings.some((text) => /more blocks than this clock/.test(text)), "the slow clock is noticed");
  t.equal(second.engine.head().header.number, 0, "by its clock nothing has begun");
  t.ok(areConnected(), "nobody is sent away for it");
  ms += 30_000;
  await until(() => second.engine.head().hash === first.engine.head().hash, "they share the chain");
});

t.test("a node whose clock is ahead, or that slept, goes on with the others", async (t) => {
  let ms = timestampOf(genesis, 0) * 1000;
  let aheadMs = 30_000;
  const maker = await startNetworkNode(t, { genesis, now: () => ms });
  const other = await startNetworkNode(t, {
    genesis,
    now: () => ms + aheadMs,
    bootstrap: maker.network.multiaddrs(),
  });
  const producer = producerOf(maker, keys.slice(0, 1));
  const early = producerOf(other, keys.slice(1));
  const run = async (from: number, to: number): Promise<void> => {
    for (let slot = from; slot <= to; slot++) {
      ms = timestampOf(genesis, slot) * 1000;
      await producer.onSlot(slot);
      // What it makes is of slots that have not come for the maker.
      if (aheadMs > 0) await early.onSlot(slot + aheadMs / 1000);
    }
  };
  await until(() => maker.network.peers().length > 0, "they meet");
  await run(1, 8);
  t.ok(maker.network.peers().length > 0 && other.network.peers().length > 0, "early blocks are no fault");
  aheadMs = 0;
  ms += 3_600_000;
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  t.ok(maker.network.peers().length > 0 && other.network.peers().length > 0, "nor is an hour that nobody saw");
});
