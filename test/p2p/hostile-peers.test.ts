import type { Stream } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import t from "tap";
import { encodeBlock } from "../../chain/block.ts";
import { memoryDb } from "../../chain/db.ts";
import { hashHeader } from "../../chain/header.ts";
import { timestampOf } from "../../chain/params.ts";
import { signTransaction } from "../../chain/transaction.ts";
import { createEngine, type Engine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { localSigner } from "../../consensus/signer.ts";
import { encodeVote, type Vote } from "../../consensus/votes.ts";
import { concat, EMPTY, uint64, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { encodeRlp, rlpHeads } from "../../lib/rlp.ts";
import { signCompact } from "../../lib/secp256k1.ts";
import { serveChain } from "../../p2p/chain-server.ts";
import { startGossip } from "../../p2p/gossip.ts";
import type { Host } from "../../p2p/host.ts";
import { openOrderBook } from "../../p2p/orders/book.ts";
import { ask, askFrames, serve } from "../../p2p/streams.ts";
import { createSync } from "../../p2p/sync.ts";
import { protocolOf, topicOf } from "../../p2p/topics.ts";
import { accountOf, memoryProtection, silent, testGenesis } from "../helpers/chain.ts";
import { startHost, type Teardown, until } from "../helpers/hosts.ts";

t.setTimeout(120_000);
const alice = accountOf("alice");
const bob = accountOf("bob");
const { genesis, keys } = testGenesis(2, [alice.address, bob.address]);

/** A node that hears gossip and serves its chain, on a clock that the test moves, with its insides open. */
const startVictim = async (t: Teardown) => {
  let slot = 0;
  const now = () => timestampOf(genesis, slot) * 1000;
  const engine = await createEngine({ db: memoryDb(), genesis, now, log: silent });
  const host = await startHost(t, engine.genesisHash);
  const orders = await openOrderBook({ db: memoryDb(), engine, now, log: silent });
  startGossip({ host, engine, orders, log: silent, onMissingParent: () => undefined });
  await serveChain(host, engine);
  t.teardown(() => engine.stop());
  const producer = createProducer({
    engine,
    signers: keys.map(localSigner),
    protection: memoryProtection(),
    publishBlock: () => {},
    publishVote: () => {},
    log: silent,
  });
  const run = async (slots: number) => {
    for (let i = 0; i < slots; i++) {
      await producer.onSlot(++slot);
      producer.onHalfSlot(slot);
    }
  };
  return { engine, host, run };
};
const connect = async (from: Host, to: Host): Promise<void> => {
  await from.dial(to.getMultiaddrs());
  await until(() => to.getConnections(from.peerId).length > 0, "both sides are connected");
};
/** Subscribes a bare host to a topic of a node, and gives what publishes there. */
const publisher = async (from: Host, to: Host, topic: string) => {
  const { pubsub } = from.services;
  pubsub.subscribe(topic);
  await connect(from, to);
  const knows = (host: Host, other: Host) =>
    host.services.pubsub.getSubscribers(topic).some((peer) => peer.equals(other.peerId));
  await until(() => knows(from, to) && knows(to, from), "both have subscribed");
  return (data: Uint8Array) => pubsub.publish(topic, data);
};
const transfer = (nonce: number, maxFeePerGas = 10n ** 10n) =>
  signTransaction(
    {
      type: 2,
      chainId: genesis.chainId,
      nonce,
      maxPriorityFeePerGas: 1n,
      maxFeePerGas,
      gasLimit: 21_000,
      to: ZERO_ADDRESS,
      value: 0n,
      data: EMPTY,
      accessList: [],
    },
    alice.key,
  );
/** Counts calls of one of an engine's methods. */
const count = (
  engine: Engine,
  name: "addTransaction" | "addVote" | "importBlock" | "screenBlock",
): { calls: number } => {
  const counter = { calls: 0 };
  const method = engine[name] as (...args: unknown[]) => unknown;
  Object.assign(engine, {
    [name]: (...args: unknown[]) => {
      counter.calls += 1;
      return method(...args);
    },
  });
  return counter;
};
const reset = (stream: { addEventListener(name: "close", then: () => void): void }): Promise<void> =>
  new Promise((resolve) => stream.addEventListener("close", resolve));

t.test("a peer over its budget is not read, and what it sent is heard from another", async (t) => {
  const victim = await startVictim(t);
  const topic = topicOf(victim.engine.genesisHash, "tx");
  const [bad, good] = [await startHost(t, victim.engine.genesisHash), await startHost(t, victim.engine.genesisHash)];
  const [fromBad, fromGood] = [await publisher(bad, victim.host, topic), await publisher(good, victim.host, topic)];
  const read = count(victim.engine, "addTransaction");
  const { budget } = victim.host.services;
  budget.spend(bad.peerId.toString(), 200);
  const tx = transfer(0);
  await fromBad(tx.raw);
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.equal(read.calls, 0, "not even decoded");
  await fromGood(tx.raw);
  await until(() => victim.engine.pool.has(tx.hash), "it came from another");
  t.equal(budget.credit(good.peerId.toString()), 0, "transactions earn nothing");
});

t.test("a transaction that no block takes now is left, unread and without fault", async (t) => {
  const victim = await startVictim(t);
  const peer = await startHost(t, victim.engine.genesisHash);
  const publish = await publisher(peer, victim.host, topicOf(victim.engine.genesisHash, "tx"));
  const read = count(victim.engine, "addTransaction");
  const { baseFeePerGas } = victim.engine.head().header;
  await publish(transfer(0, baseFeePerGas - 1n).raw);
  const next = transfer(0, baseFeePerGas);
  await publish(next.raw);
  await until(() => victim.engine.pool.has(next.hash), "what pays the base fee is taken");
  t.equal(read.calls, 1);
});

t.test("who goes on and on is sent away, and does not come back", async (t) => {
  const victim = await startVictim(t);
  const bad = await startHost(t, victim.engine.genesisHash);
  const publish = await publisher(bad, victim.host, topicOf(victim.engine.genesisHash, "tx"));
  const read = count(victim.engine, "addTransaction");
  for (let i = 0; i < 2_000 && victim.host.getConnections(bad.peerId).length > 0; i++) {
    await publish(concat(uint64(i))).catch(() => undefined);
    if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => victim.host.getConnections(bad.peerId).length === 0, "it is sent away");
  t.ok(read.calls < 100, `${read.calls} messages of 2,000 were read`);
  await t.rejects(bad.dial(victim.host.getMultiaddrs()).then(({ newStream }) => newStream("/x")));
  t.ok(victim.host.services.bans.has(bad.peerId));
});

t.test("of a block that no validator signed, only the header is read", async (t) => {
  const victim = await startVictim(t);
  await victim.run(2);
  const head = victim.engine.head();
  const header = { ...head.header, extraData: Uint8Array.of(1) };
  const signature = signCompact(hashHeader(header), alice.key);
  const honest = encodeBlock({ ...head, header, hash: hashHeader(header), signature });
  const [first, second] = rlpHeads(honest, 2) as [Uint8Array, Uint8Array];
  // A body of two megabytes that is no body at all.
  const list = encodeRlp([EMPTY, EMPTY, new Uint8Array(2_000_000)]);
  const payload = concat(first, second, encodeRlp(new Uint8Array(2_000_000)));
  const forged = concat(list.subarray(0, 1), uint64(payload.length).subarray(8 - (list[0]! - 0xf7)), payload);

  const codes: unknown[] = [];
  const { screenBlock } = victim.engine;
  Object.assign(victim.engine, {
    screenBlock: (block: Parameters<Engine["screenBlock"]>[0]) => {
      try {
        screenBlock(block);
      } catch (error) {
        codes.push((error as { code: string }).code);
        throw error;
      }
    },
  });
  const imported = count(victim.engine, "importBlock");
  const bad = await startHost(t, victim.engine.genesisHash);
  const publish = await publisher(bad, victim.host, topicOf(victim.engine.genesisHash, "block"));
  await publish(forged);
  await until(() => codes.length > 0, "it is judged");
  t.same(codes, ["block-signer"]);
  await publish(encodeBlock(head));
  await until(() => codes.length > 1, "one that is known is judged");
  t.equal(codes[1], "block-known");
  t.equal(imported.calls, 0);
});

t.test("a vote that is known is not passed on once more, and earns nothing", async (t) => {
  const victim = await startVictim(t);
  await victim.run(6);
  const vote: Vote = victim.engine.votes.all()[0]!;
  const read = count(victim.engine, "addVote");
  const peer = await startHost(t, victim.engine.genesisHash);
  const publish = await publisher(peer, victim.host, topicOf(victim.engine.genesisHash, "vote"));
  await publish(encodeVote(vote));
  await publish(encodeVote({ ...vote, link: { ...vote.link, targetEpoch: 9_999 } }));
  await until(() => read.calls > 0, "the next vote is read");
  t.equal(read.calls, 1);
  t.equal(victim.host.services.budget.credit(peer.peerId.toString()), 0);
});

t.test("answers that nobody reads hold a piece each, and not more", async (t) => {
  const victim = await startVictim(t);
  for (let block = 0; block < 3; block++) {
    // More than the pool keeps of one sender.
    for (let i = 0; i < 18; i++)
      victim.engine.addTransaction(
        signTransaction(
          {
            type: 2,
            chainId: genesis.chainId,
            nonce: 9 * block + (i >> 1),
            maxPriorityFeePerGas: 1n,
            maxFeePerGas: 10n ** 11n,
            gasLimit: 2_000_000,
            to: ZERO_ADDRESS,
            value: 0n,
            data: new Uint8Array(115_000).fill(7),
            accessList: [],
          },
          (i % 2 === 0 ? alice : bob).key,
        ),
      );
    await victim.run(1);
  }
  const { genesisHash } = victim.engine;
  const { held } = victim.host.services.answers;
  const protocol = protocolOf(genesisHash, "blocks");
  const peers = [await startHost(t, genesisHash), await startHost(t, genesisHash)];
  const request = Uint8Array.of(0, 0, 0, 7, 0x81, 0xa4, 0x66, 0x72, 0x6f, 0x6d, 1);
  let opened = 0;
  for (const peer of peers) {
    await connect(peer, victim.host);
    for (let i = 0; i < 16; i++) {
      const stream = await peer.dialProtocol(victim.host.peerId, protocol);
      stream.pause();
      stream.send(request);
      opened += 1;
    }
  }
  t.equal(opened, 32);
  let most = 0;
  await until(() => {
    most = Math.max(most, held.bytes);
    return most > 0;
  }, "answers are written");
  for (let i = 0; i < 20; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    most = Math.max(most, held.bytes);
  }
  t.ok(most <= 2 * 300 * 1024, `${most} bytes for 32 requests: one answer a peer, one piece of it`);

  // Who reads gets all of it, one after another.
  const reader = await startHost(t, genesisHash);
  await connect(reader, victim.host);
  let bytes = 0;
  let largest = 0;
  for await (const frame of askFrames(reader, victim.host.peerId, protocol, { from: 1 }, 300 * 1024))
    for (const piece of (frame as [boolean, ...Uint8Array[]]).slice(1) as Uint8Array[]) {
      bytes += piece.length;
      largest = Math.max(largest, piece.length);
    }
  t.ok(bytes > 2_000_000 && bytes <= 4 * 1024 * 1024, `${bytes} bytes`);
  t.ok(largest <= 256 * 1024);
});

t.test("the votes of the present come first", async (t) => {
  const victim = await startVictim(t);
  await victim.run(13);
  const reader = await startHost(t, victim.engine.genesisHash);
  await connect(reader, victim.host);
  const epochs: number[] = [];
  const { decodeVote } = await import("../../consensus/votes.ts");
  const protocol = protocolOf(victim.engine.genesisHash, "votes");
  for await (const frame of askFrames(reader, victim.host.peerId, protocol, {}, 64 * 600))
    for (const bytes of frame as Uint8Array[]) epochs.push(decodeVote(bytes).link.targetEpoch);
  t.ok(new Set(epochs).size > 1, `${epochs}`);
  t.same(
    epochs,
    [...epochs].sort((a, b) => b - a),
  );
});

t.test("a frame of Yamux that is larger than its window ends the connection", async (t) => {
  const victim = await startVictim(t);
  const bad = await startHost(t, victim.engine.genesisHash);
  const connection = await bad.dial(victim.host.getMultiaddrs());
  const stream = await connection.newStream("/ipfs/ping/1.0.0");
  // What the muxer writes to, as a program of its own would.
  const { sendFrame } = stream as unknown as { sendFrame(head: object, body: unknown): boolean };
  const { Uint8ArrayList } = await import("uint8arraylist");
  const closed = reset(connection);
  sendFrame({ type: 0, flag: 0, streamID: 99, length: 0xffffffff }, new Uint8ArrayList(new Uint8Array(1_000)));
  await closed;
  await until(() => victim.host.getConnections(bad.peerId).length === 0, "the connection has ended");
  t.equal(victim.host.services.incoming.bytes, 0);
});

t.test("what has come of a message that does not end is counted, and given back", async (t) => {
  const victim = await startVictim(t);
  const bad = await startHost(t, victim.engine.genesisHash);
  await connect(bad, victim.host);
  const { incoming } = victim.host.services;
  const [connection] = bad.getConnections(victim.host.peerId);
  const stream = await connection!.newStream("/meshsub/1.1.0", { maxOutboundStreams: 8 });
  stream.send(Uint8Array.of(0x80, 0x80, 0xc0, 0x01));
  stream.send(new Uint8Array(200_000));
  await until(() => incoming.bytes >= 200_004, "it is counted");
  stream.send(new Uint8Array(3 * 1024 * 1024 - 200_000));
  await until(() => incoming.bytes < 1_000, "it has ended");
  stream.send(Uint8Array.of(0x80, 0x80, 0xc0, 0x01, 1, 2, 3));
  await until(() => incoming.bytes >= 7, "the next has begun");
  await bad.hangUp(victim.host.peerId);
  await until(() => incoming.bytes === 0, "whoever leaves holds nothing");
});

t.test("a ping is answered, and a stream of them that does not end is ended", async (t) => {
  const victim = await startVictim(t);
  const bad = await startHost(t, victim.engine.genesisHash);
  await connect(bad, victim.host);
  const [connection] = bad.getConnections(victim.host.peerId);
  // The library pings too, and has one stream for it.
  const open = async (): Promise<Stream> => {
    for (;;)
      try {
        return await connection!.newStream("/ipfs/ping/1.0.0");
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
  };
  const once = await open();
  const pong = new Promise((resolve) => once.addEventListener("message", resolve, { once: true }));
  once.send(new Uint8Array(32));
  await pong;
  await once.close();
  const stream = await open();
  const closed = reset(stream);
  for (let i = 0; i < 200; i++) if (stream.status === "open") stream.send(new Uint8Array(32));
  await closed;
  t.equal(victim.host.getConnections(bad.peerId).length, 1, "the connection goes on");
});

t.test("one peer has so many requests open in all, and no more", async (t) => {
  const victim = await startVictim(t);
  const bad = await startHost(t, victim.engine.genesisHash);
  await connect(bad, victim.host);
  const names = ["status", "blocks"] as const;
  const streams: { isEnded: boolean }[] = [];
  // Each begins a request of 16 KiB that never ends; one more than are allowed in all is refused.
  for (let i = 0; i < 17; i++) {
    const stream = await bad.dialProtocol(victim.host.peerId, protocolOf(victim.engine.genesisHash, names[i % 2]!));
    const outcome = { isEnded: stream.status !== "open" };
    stream.addEventListener("close", () => {
      outcome.isEnded = true;
    });
    if (!outcome.isEnded) stream.send(Uint8Array.of(0, 0, 0x3f, 0xff, 1));
    streams.push(outcome);
  }
  await until(() => streams.some(({ isEnded }) => isEnded), "one is refused");
  t.equal(streams.filter(({ isEnded }) => isEnded).length, 1);
});

t.test("what peers answer that is none ends in a ban, and being slow does not", async (t) => {
  const victim = await startVictim(t);
  await victim.run(1);
  const { genesisHash } = victim.engine;
  const codes: string[] = [];
  const log = Object.assign(Object.create(silent), {
    debug: ({ error }: { error: string }) => void codes.push(error),
  });
  const sync = createSync({ host: victim.host, engine: victim.engine, log });
  for (const name of ["status", "blocks", "votes"] as const) await victim.host.unhandle(protocolOf(genesisHash, name));
  await sync.start();
  t.teardown(async () => sync.stop());
  const status = { genesisHash, headNumber: 1, headHash: `0x${"ab".repeat(32)}`, finalizedNumber: 0 };
  const fitting = { status, blocks: [false, victim.engine.store.encoded(victim.engine.head().hash)!], votes: [] };
  for (const [code, false_] of [
    ["peer-status", { status: { ...status, headHash: "0x" } }],
    ["peer-blocks", { blocks: [false] }],
    ["peer-blocks", { blocks: [false, 7] }],
    ["peer-votes", { votes: "none" }],
    ["peer-frame", { blocks: [false, new Uint8Array(16_000_000)] }],
    ["peer-frame", { status: { ...status, more: "x".repeat(2_000) } }],
  ] as const) {
    const liar = await startHost(t, genesisHash);
    const answers = { ...fitting, ...false_ };
    for (const name of ["status", "blocks", "votes"] as const)
      await serve(
        liar,
        protocolOf(genesisHash, name),
        () => true,
        () => answers[name],
      );
    await liar.dial(victim.host.getMultiaddrs());
    await until(() => victim.host.services.bans.has(liar.peerId), code);
    t.match(codes.at(-1), code);
  }
  const empty = await startHost(t, genesisHash);
  await empty.dial(victim.host.getMultiaddrs());
  await until(() => /protocol/i.test(codes.at(-1) ?? ""), "it answers nothing");
  t.notOk(victim.host.services.bans.has(empty.peerId));
});

t.test("nodes meet by IPv6", async (t) => {
  const { genesisHash } = await createEngine({ db: memoryDb(), genesis, now: () => 0, log: silent });
  const six = await startHost(t, genesisHash, ["/ip6/::1/tcp/0"]);
  const other = await startHost(t, genesisHash);
  await serve(
    six,
    protocolOf(genesisHash, "status"),
    () => true,
    () => "here",
  );
  await other.dial(six.getMultiaddrs());
  t.match(other.getConnections()[0]!.remoteAddr.toString(), /^\/ip6\/::1\//);
  t.equal(await ask(other, six.peerId, protocolOf(genesisHash, "status"), {}, 1_024), "here");
  t.ok(multiaddr(six.getMultiaddrs()[0]!.toString()));
});
