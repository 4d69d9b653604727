import { pino } from "pino";
import t from "tap";
import type { Engine } from "../../consensus/engine.ts";
import { createDisk } from "../../lib/disk.ts";
import { createStatus, type StatusOptions } from "../../node/status.ts";
import type { StatusReport } from "../../p2p/sync.ts";
import { createTestNetwork } from "../helpers/chain.ts";

const LEVELS: Readonly<Record<number, string>> = { 30: "info", 40: "warn", 50: "error" };
const MIB = 1024 * 1024;

interface Line {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** A status on a chain of one validator, with a clock, peers and a disk that the test moves. */
const setUp = async (given: { alone?: boolean; duties?: StatusOptions["duties"]; bootstrap?: string[] } = {}) => {
  const network = await createTestNetwork(1);
  const { engine } = network.nodes[0]!;
  const world = { nowMs: engine.now(), peers: 0, called: 0, faults: new Map<string, string>(), free: 1_000 * MIB };
  const lines: Line[] = [];
  let listener: (report: StatusReport) => void = () => undefined;
  const node: Engine = { ...engine, now: () => world.nowMs };
  const status = createStatus({
    engine: node,
    ...(given.alone
      ? {}
      : {
          network: {
            contacts: {
              count: () => world.peers,
              called: () => world.called,
              fault: (address: string) => world.faults.get(address),
            } as NonNullable<StatusOptions["network"]>["contacts"],
            onStatus: (each) => {
              listener = each;
              return () => undefined;
            },
          },
        }),
    bootstrap: given.bootstrap ?? [],
    duties: given.duties,
    disk: createDisk(() => world.free),
    log: pino({ base: null }, { write: (text) => lines.push(JSON.parse(text)) }),
  });
  status.start();
  await new Promise((resolve) => setImmediate(resolve));
  status.stop();
  /** Lets time pass, with the ticks that a timer would make; blocks come with it unless told otherwise. */
  const pass = async (seconds: number, makesBlocks = true): Promise<void> => {
    for (let i = 0; i < seconds; i += 5) {
      if (makesBlocks) await network.run(5);
      world.nowMs += 5_000;
      await status.tick();
    }
  };
  /** The messages since the last call, of a level and a subject. */
  const told = (level: "info" | "warn", subject = /./): string[] => {
    const some = lines.filter((each) => LEVELS[each.level] === level).map(({ msg }) => msg);
    lines.splice(0, lines.length, ...lines.filter((each) => LEVELS[each.level] !== level));
    return some.filter((msg) => subject.test(msg));
  };
  const hear = (peer: string, more: { headNumber?: number; clockMs?: number; tookMs?: number }): void =>
    listener({
      peer: { toString: () => peer },
      status: { headNumber: 0, ...more },
      askedAtMs: world.nowMs - (more.tookMs ?? 0),
      answeredAtMs: world.nowMs,
    } as unknown as StatusReport);
  return { network, status, world, lines, pass, told, hear };
};

t.test("a line at once and each minute says where the node stands", async (t) => {
  const { pass, lines, told, world, status } = await setUp({ duties: { firstSlot: 0, mayWork: () => true } });
  t.equal(lines.length, 1);
  t.match(lines[0], { level: 30, slot: 0, head: 0, peers: 0, final: 0 });
  t.match(told("info"), [/^slot 0, head 0 0x[0-9a-f]{8} 0 s old, justified 0, final 0, 0 peers, in step, proposed 0/]);
  world.peers = 1;
  for (let i = 0; i < 3; i++) status.signed("block");
  status.signed("vote");
  await pass(60);
  t.match(lines, [{ slot: 60, head: 60, ageSeconds: 0, peers: 1, state: "in step", proposed: 3, voted: 1 }]);
  t.match(told("info"), [
    /^slot 60, head 60 0x\w{8} 0 s old, justified 14, final 13, 1 peer, in step, proposed 3, voted 1$/,
  ]);
  await pass(180);
  t.equal(lines.length, 3);
  t.match(lines[2], { slot: 240, proposed: 0, voted: 0 });
});

t.test("before slot 0 the line says how long it is until then", async (t) => {
  const { world, status, told, lines } = await setUp();
  told("info");
  world.nowMs -= 45 * 86_400_000 - 60_000;
  await status.tick();
  t.match(lines.at(-1), { slot0InSeconds: 45 * 86_400 - 60 });
  t.match(told("info"), [/^slot 0 in 44 days, 0 peers$/]);
  world.nowMs += 44 * 86_400_000;
  await status.tick();
  t.match(told("info"), [/^slot 0 in 23 h/]);
});

t.test("who has peers ahead is syncing, and who has none has no block", async (t) => {
  const { pass, told, hear, world, network } = await setUp();
  world.peers = 1;
  await pass(55);
  await pass(60, false);
  told("info");
  hear("a", { headNumber: 100 });
  hear("liar", { headNumber: 10 ** 12 });
  await pass(10, false);
  await network.run(1);
  await pass(55, false);
  t.match(
    told("info", /^slot/),
    [/no new block$/, /syncing, 124 blocks behind$/],
    "as many at most as there were slots",
  );
  await pass(300, false);
  t.match(told("info").at(-1), / 7 min old, .*no new block$/, "what a peer claimed long ago counts no more");
});

t.test("no peers are told after half a minute, again every ten minutes, and when it is over", async (t) => {
  const { pass, told, world } = await setUp();
  world.called = 2;
  await pass(25, false);
  t.same(told("warn", /peers/), []);
  await pass(10, false);
  t.match(told("warn", /peers/), [/^no peers of this network since 30 s: none of 2 known addresses/]);
  await pass(595, false);
  t.same(told("warn", /peers/), []);
  await pass(5, false);
  t.match(told("warn", /peers/), [/since 10 min/]);
  told("info");
  world.peers = 1;
  await pass(5, false);
  t.match(told("info", /^there/), [/^there are peers again, after 10 min$/]);
  for (let i = 0; i < 20; i++) {
    world.peers = i % 2;
    await pass(35, false);
  }
  t.ok(told("warn", /peers/).length <= 11, "what comes and goes is told once a minute at most");
});

t.test("a first node without bootstrap says so once, and one without a network nothing", async (t) => {
  const first = await setUp();
  await first.pass(1_200, false);
  t.same(first.told("warn", /peers/), []);
  t.equal(first.told("info").filter((each) => /^no bootstrap given/.test(each)).length, 1);
  first.world.peers = 1;
  await first.pass(5, false);
  first.world.peers = 0;
  await first.pass(35, false);
  t.match(first.told("warn", /peers/), [/^no peers of this network since 30 s$/], "who had peers misses them");
  const dev = await setUp({ alone: true });
  await dev.pass(1_200, false);
  t.same(dev.told("warn", /peers/), []);
  t.ok(dev.told("info").every((each) => /^slot \d+, head/.test(each) && !/peer/.test(each)));
});

t.test("an address that is wrong is named with what is wrong", async (t) => {
  const [away, foreign] = ["/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2"];
  const { pass, told, world } = await setUp({ bootstrap: [away, foreign] });
  world.peers = 1;
  world.faults.set(away, "is not reached: connection refused").set(foreign, "is of another network");
  await pass(5);
  t.same(told("warn"), [], "others may still be starting");
  await pass(60);
  t.same(told("warn"), [`${away} is not reached: connection refused`, `${foreign} is of another network`]);
  world.faults.clear();
  told("info");
  await pass(5);
  t.equal(told("info").filter((each) => /^\/ip4.* is reached, after/.test(each)).length, 2);
});

t.test("a chain that is not final is told, unless the node is still catching up", async (t) => {
  const { pass, told, hear, world, network } = await setUp();
  world.peers = 1;
  await pass(60);
  t.same(told("warn"), []);
  for (let i = 0; i < 12; i++) {
    hear("ahead", { headNumber: 1_000 });
    await network.run(1);
    await pass(5, false);
  }
  t.same(told("warn"), [], "it is catching up");
  for (let i = 0; i < 14; i++) {
    hear("ahead", { headNumber: 1_000 });
    await pass(5, false);
  }
  t.match(told("warn"), [/^no finality for/], "a peer's word alone is no catching up");
  const stuck = await setUp();
  stuck.world.peers = 1;
  await stuck.pass(60);
  await stuck.pass(35, false);
  t.match(stuck.told("warn"), [/^no finality for \d+ epochs: the last final one is 13$/]);
  stuck.told("info");
  stuck.network.skip(35);
  await stuck.pass(60);
  t.match(
    stuck.told("info").filter((each) => !each.startsWith("slot")),
    [/^blocks become final again, after/],
  );
});

t.test("a disk below its reserve is told with what is left", async (t) => {
  const { pass, told, world } = await setUp({ alone: true });
  await pass(60);
  t.same(told("warn"), []);
  world.free = 255 * MIB;
  await pass(120);
  t.match(told("warn"), [
    /^the disk has 255 MiB left, and keeps 256 MiB for what cannot wait: it takes no data, receipts and orders of others, and a full disk stops it$/,
  ]);
  told("info");
  world.free = 300 * MIB;
  await pass(60);
  t.match(
    told("info").filter((each) => !each.startsWith("slot")),
    [/^there is room on the disk again, after 1\d\d s|2 min$/],
  );
});

t.test(
  "a clock that is off is told by the median of its peers', and what an answer's way takes is not held against it",
  async (t) => {
    const { pass, told, hear, world } = await setUp();
    world.peers = 3;
    const say = async (...aheadMs: number[]): Promise<string[]> => {
      for (let i = 0; i < 3; i++) {
        for (const [peer, ms] of aheadMs.entries()) hear(`${peer}`, { clockMs: world.nowMs - ms });
        await pass(5);
      }
      return told("warn");
    };
    t.same(await say(400, -300, 86_400_000), [], "within the tolerance of blocks, and one liar of three");
    t.same(await say(0, 9_000, 0, 9_000), [], "half are no median");
    t.match(await say(3_200, 3_100, 3_300, 3_200), [
      /^this machine's clock is 3\.2 s ahead of those of its 4 peers: .*NTP$/,
    ]);
    await say(0, 0, 0, 0);
    t.match(
      told("info").filter((each) => !each.startsWith("slot")),
      [/^this machine's clock agrees with its peers' again/],
    );
    await pass(60);
    t.match(await say(-2_000, -2_000, -2_000, -2_000), [/clock is 2\.0 s behind those/]);
    const slow = await setUp();
    slow.world.peers = 1;
    for (let i = 0; i < 5; i++) {
      slow.hear("slow", { clockMs: slow.world.nowMs - 4_000, tookMs: 5_000 });
      slow.hear("old version", {});
      await slow.pass(5);
    }
    t.same(slow.told("warn"), []);
  },
);

t.test("after a pause the node says so, goes on, and blames nobody for it", async (t) => {
  const { pass, told, hear, world, network } = await setUp();
  world.called = 1;
  world.peers = 1;
  await pass(30);
  hear("a", { headNumber: 30, clockMs: world.nowMs });
  told("info");
  world.peers = 0;
  await pass(5);
  world.nowMs += 140_000;
  await pass(5, false);
  t.match(told("warn"), [/^nothing ran for 2 min: this machine slept, .*; going on$/]);
  t.match(told("info"), [/^slot 180, head 35/], "a line at once");
  network.skip(145);
  await pass(20);
  t.same(told("warn"), [], "peers have half a minute to come back");
  world.nowMs -= 20_000;
  await pass(5, false);
  t.match(told("warn"), [/^this machine's clock was set back by 15 s or more$/]);
});

t.test("a validator says from when on it signs, and that it does not", async (t) => {
  let mayWork = true;
  const { pass, told } = await setUp({ duties: { firstSlot: 70, mayWork: (slot) => mayWork && slot >= 70 } });
  t.match(told("info"), [/its validators sign from slot 70 on$/]);
  await pass(60);
  t.equal(told("info").length, 2, "a line, and that there is no bootstrap");
  await pass(15);
  t.match(told("info"), [/^no double of its validators was heard: they sign from now on$/]);
  mayWork = false;
  await pass(60);
  t.match(told("info"), [/its validators sign nothing: another program has their keys$/]);
});
