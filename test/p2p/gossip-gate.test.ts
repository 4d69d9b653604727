import { TopicValidatorResult } from "@libp2p/gossipsub";
import type { PeerId } from "@libp2p/interface";
import t from "tap";
import { createTurns } from "../../lib/turns.ts";
import { createGossipGate, type Judgement } from "../../p2p/gossip-gate.ts";
import type { Host } from "../../p2p/host.ts";
import { createPeerBudget } from "../../p2p/peer-budget.ts";

interface Message {
  readonly topic: string;
  readonly data: Uint8Array;
}
interface Envelope {
  readonly subscriptions: readonly unknown[];
  readonly messages: readonly Message[];
  readonly control?: {
    readonly iwant?: readonly unknown[];
    readonly ihave?: readonly { readonly topicID?: string; readonly messageIDs: readonly Uint8Array[] }[];
  };
}
const peerOf = (name: string): PeerId => ({ toString: () => name }) as PeerId;

/** A gate before a router that a test writes: it calls `onMessage` as gossipsub calls a validator. */
const createScene = (judge: (data: Uint8Array) => Promise<Judgement>, isKnown = (_: Uint8Array) => false) => {
  let ms = 0;
  const handled: Envelope[] = [];
  const left: string[] = [];
  const heartbeats: (() => void)[] = [];
  const hungUp: string[] = [];
  const streams = { protocol: "/meshsub/1.2.0", direction: "outbound", writeBufferLength: 0 };
  let isMute = false;
  const broken = new Map<string, number>();
  const budget = createPeerBudget(
    ({ peer }) => left.push(peer),
    () => ms,
  );
  const pubsub = {
    isGraylisted: false,
    acceptFrom: () => !pubsub.isGraylisted,
    handleReceivedRpc: async (from: PeerId, envelope: Envelope): Promise<void> => {
      handled.push(envelope);
      for (const message of envelope.messages)
        if (!isKnown(message.data)) await gate.judge(from, message, () => judge(message.data));
    },
    addEventListener: (_: string, onHeartbeat: () => void) => heartbeats.push(onHeartbeat),
    getPeers: () => [peerOf("a")],
    gossipTracer: { getBrokenPromises: () => new Map(broken) },
  };
  const host = {
    services: { pubsub, budget, turns: createTurns() },
    getConnections: () => [{ streams: isMute ? [] : [streams] }],
    hangUp: async (peer: PeerId) => void hungUp.push(peer.toString()),
  };
  const gate = createGossipGate(
    host as unknown as Host,
    (topic) => topic === "offer",
    () => ms,
  );
  const send = (name: string, messages: readonly Uint8Array[], control?: Envelope["control"], topic = "x") =>
    pubsub.handleReceivedRpc(peerOf(name), {
      subscriptions: [],
      messages: messages.map((data) => ({ topic, data })),
      ...(control ? { control } : {}),
    });
  return {
    budget,
    handled,
    broken,
    left,
    hungUp,
    pubsub,
    streams,
    send,
    pass: (more: number): void => {
      ms += more;
    },
    mute: (): void => {
      isMute = true;
    },
    beat: (): void => heartbeats.forEach((each) => void each()),
    messages: () => handled.flatMap((envelope) => envelope.messages).length,
  };
};
const of =
  (result: TopicValidatorResult, laterMs = 0) =>
  async (): Promise<Judgement> => ({ result, laterMs });
const some = (count: number, bytes = 100): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => new Uint8Array(bytes).fill(i));

t.test("the messages of an envelope are judged until their peer's budget is at an end", async (t) => {
  const scene = createScene(of(TopicValidatorResult.Reject));
  await scene.send("a", some(512));
  t.ok(scene.messages() >= 10 && scene.messages() <= 20, `${scene.messages()} of 512: 10 ms each, 150 ms in all`);
  await scene.send("a", some(100));
  t.ok(scene.messages() <= 20, "none after that");
  t.same(scene.left, ["a"], "500 unread ones end its patience");
});

t.test("what is ignored may leave a peer unread, and is never a fault", async (t) => {
  const scene = createScene(of(TopicValidatorResult.Ignore, 50));
  for (let i = 0; i < 100; i++) await scene.send("a", some(512));
  t.ok(scene.messages() < 10, `${scene.messages()} were read`);
  t.notOk(scene.budget.admits("a"));
  scene.pubsub.isGraylisted = true;
  for (let i = 0; i < 100; i++) await scene.send("a", some(512));
  t.same(scene.left, []);
});

for (const [name, result] of [
  ["taken", TopicValidatorResult.Accept],
  ["not taken", TopicValidatorResult.Ignore],
] as const)
  t.test(`offers that are ${name} are read at a rate, earn nothing and are no fault`, async (t) => {
    const scene = createScene(of(result));
    const offer = (count: number) => scene.send("a", some(count), undefined, "offer");
    for (let i = 0; i < 20; i++) await offer(300);
    t.ok(scene.messages() > 100 && scene.messages() <= 300, `${scene.messages()} of 6,000`);
    t.equal(scene.budget.credit("a"), 0);
    t.equal(scene.budget.idleMs("a"), Number.POSITIVE_INFINITY);
    t.ok(scene.budget.admits("a"), "blocks and votes are read");
    t.same(scene.left, []);
    const before = scene.messages();
    scene.pass(1_000);
    for (let i = 0; i < 10; i++) await offer(300);
    t.ok(scene.messages() > before && scene.messages() <= before + 50, `${scene.messages() - before} more in a second`);
  });

t.test("no promise is broken by what this node left unread, or has not judged yet", async (t) => {
  let judged: (() => void) | undefined;
  const scene = createScene(async () => {
    await new Promise<void>((resolve) => {
      judged = resolve;
    });
    return { result: TopicValidatorResult.Accept, laterMs: 0 };
  });
  for (const peer of ["over", "judging", "other"]) scene.broken.set(peer, 1);
  const penalized = (): string[] => [...scene.pubsub.gossipTracer.getBrokenPromises().keys()];
  t.same(penalized(), ["over", "judging", "other"]);
  scene.budget.spendOffer("over", 1_000);
  await scene.send("over", some(1), undefined, "offer");
  const sent = scene.send("judging", some(1));
  while (!judged) await new Promise((resolve) => setImmediate(resolve));
  t.same(penalized(), ["other"]);
  judged();
  await sent;
  await new Promise((resolve) => setImmediate(resolve));
  scene.pass(60_000);
  t.same(penalized(), ["over", "judging", "other"], "a minute later");
});

t.test("offers are not asked for while they are not going to be read", async (t) => {
  const scene = createScene(of(TopicValidatorResult.Accept));
  const ihave = ["offer", "x"].map((topicID) => ({ topicID, messageIDs: some(1) }));
  const asked = () => scene.handled.at(-1)!.control!.ihave!.map(({ topicID }) => topicID);
  await scene.send("a", [], { ihave });
  t.same(asked(), ["offer", "x"]);
  scene.budget.spendOffer("a", 1_000);
  await scene.send("a", [], { ihave });
  t.same(asked(), ["x"]);
});

t.test("offers that no honest peer can have sent are paid for and are a fault", async (t) => {
  const scene = createScene(of(TopicValidatorResult.Reject));
  await scene.send("a", some(512), undefined, "offer");
  await scene.send("a", some(100), undefined, "offer");
  t.ok(scene.messages() <= 20);
  t.same(scene.left, ["a"]);
});

t.test("however many messages come, the node's own work has its turns between them", async (t) => {
  const busy = async (): Promise<Judgement> => {
    const began = performance.now();
    while (performance.now() - began < 4);
    return { result: TopicValidatorResult.Accept, laterMs: 0 };
  };
  const scene = createScene(busy);
  let rounds = 0;
  let isOver = false;
  const count = (): void => {
    rounds += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  await Promise.all(["a", "b", "c", "d"].map((name) => scene.send(name, some(10))));
  isOver = true;
  t.equal(scene.messages(), 40);
  t.ok(rounds >= 10, `${rounds} rounds of the event loop for 40 messages of 4 ms`);
});

t.test("what is accepted earns, what was left unread can come later, and the graylisted are not heard", async (t) => {
  const scene = createScene(of(TopicValidatorResult.Accept, 50));
  scene.budget.spend("a", 160);
  await scene.send("a", some(1));
  t.equal(scene.messages(), 0);
  scene.pass(10_000);
  await scene.send("a", some(1));
  t.equal(scene.messages(), 1);
  t.equal(scene.budget.credit("a"), 5);
  scene.pubsub.isGraylisted = true;
  await scene.send("a", some(1));
  t.equal(scene.messages(), 1);
});

t.test("who repeats what others brought is not charged, and who does nothing else is", async (t) => {
  const scene = createScene(of(TopicValidatorResult.Accept), (data) => data.length === 7);
  const repeats = (count: number) => scene.send("a", some(count, 7));
  await repeats(1_024);
  t.ok(scene.budget.admits("a"));
  await repeats(2_000);
  t.ok(scene.budget.admits("a"), "0.05 ms each");
  await repeats(2_000);
  t.notOk(scene.budget.admits("a"));

  const other = createScene(of(TopicValidatorResult.Accept), (data) => data.length === 7);
  for (let i = 0; i < 40; i++) {
    await other.send("b", some(100));
    await other.send("a", some(100, 7));
  }
  t.ok(other.budget.admits("a"), "one for each that is accepted");
  t.equal(other.messages(), 8_000);
});

t.test("what is being judged has a bound, and what came meanwhile is left to others", async (t) => {
  const gone = Promise.withResolvers<Judgement>();
  const scene = createScene(() => gone.promise);
  await scene.send("a", some(5, 2 * 1024 * 1024));
  t.equal(scene.messages(), 4, "eight mebibytes of one peer");
  for (const name of ["b", "c", "d", "e", "f", "g"]) await scene.send(name, some(4, 2 * 1024 * 1024));
  t.equal(scene.messages(), 24, "48 of all");
  gone.resolve({ result: TopicValidatorResult.Ignore, laterMs: 50 });
  await new Promise((resolve) => setImmediate(resolve));
  t.notOk(scene.budget.admits("a"), "what it cost later is paid too");
  scene.pass(60_000);
  await scene.send("h", some(1));
  t.equal(scene.messages(), 25);
});

t.test("who does not read what it was sent gets nothing more that it asks for", async (t) => {
  const scene = createScene(of(TopicValidatorResult.Accept));
  const iwant = [{ messageIDs: some(2) }];
  await scene.send("a", [], { iwant });
  t.same(scene.handled.at(-1)?.control, { iwant });
  scene.streams.writeBufferLength = 1024 * 1024;
  await scene.send("a", [], { iwant, ihave: [] });
  t.same(scene.handled.at(-1)?.control, { iwant: [], ihave: [] });
});

t.test("a peer whose stream was given up is let go, so that it can begin anew", async (t) => {
  const scene = createScene(of(TopicValidatorResult.Accept));
  for (let i = 0; i < 20; i++) scene.beat();
  t.same(scene.hungUp, []);
  scene.mute();
  for (let i = 0; i < 9; i++) scene.beat();
  t.same(scene.hungUp, []);
  scene.beat();
  t.same(scene.hungUp, ["a"]);
});

t.test("a gossipsub that cannot be held to account is not used", (t) => {
  const host = { services: { pubsub: {}, budget: {}, turns: createTurns() } } as unknown as Host;
  t.throws(() => createGossipGate(host, () => false), /no way to hold peers to account/);
  t.end();
});
