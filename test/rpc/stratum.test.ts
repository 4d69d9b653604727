import { connect, type Socket } from "node:net";
import fc from "fast-check";
import { pino } from "pino";
import t from "tap";
import { allocate, type Kernel, openKernel } from "../../consensus/ethash/kernel.ts";
import { ethashEpoch, seedHash } from "../../consensus/ethash/sizes.ts";
import type { Hash, Hex } from "../../lib/bytes.ts";
import { createStratum, type STRATUM_LIMITS, stratumDifficulty } from "../../rpc/stratum.ts";
import { silent, type TestParams } from "../helpers/chain.ts";
import { EASY_WORK, openMiner } from "../helpers/mining.ts";
import { startRpc } from "../helpers/rpc.ts";

t.setTimeout(120_000);

const REAL = { ethashCacheBytes: 2 ** 24, ethashDatasetBytes: 2 ** 30 };

interface Message {
  readonly id: number | string | null;
  readonly method?: string;
  readonly params?: readonly unknown[];
  readonly result?: unknown;
  readonly error?: readonly [number, string, null] | { code: number; message: string } | null;
}

/** A client of lines of JSON, as the protocols describe it. */
const dial = (port: number) => {
  const socket: Socket = connect(port, "127.0.0.1");
  let rest = "";
  let lastId = 0;
  const waiting = new Map<number, (message: Message) => void>();
  const pushed: Message[] = [];
  const listeners = new Set<() => void>();
  const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  socket.on("error", () => undefined);
  socket.on("data", (data) => {
    const lines = (rest + data).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const message = JSON.parse(line) as Message;
      const reply = typeof message.id === "number" ? waiting.get(message.id) : undefined;
      if (reply) reply(message);
      else pushed.push(message);
      for (const listener of listeners) listener();
    }
  });
  return {
    closed,
    pushed,
    write: (text: string) => socket.write(text),
    call: (method: string, params: readonly unknown[], more = {}): Promise<Message> =>
      new Promise((resolve) => {
        waiting.set(++lastId, resolve);
        socket.write(`${JSON.stringify({ id: lastId, method, params, ...more })}\n`);
      }),
    /** The next message that the server sends by itself and that fits; it is taken out. */
    next: (fits: (message: Message) => boolean): Promise<Message> =>
      new Promise((resolve) => {
        const look = () => {
          const at = pushed.findIndex(fits);
          if (at < 0) return;
          listeners.delete(look);
          resolve(pushed.splice(at, 1)[0]!);
        };
        listeners.add(look);
        look();
      }),
    end: () => socket.destroy(),
  };
};
const isNotify = ({ method }: Message) => method === "mining.notify";

const start = async (params: TestParams, limits: Partial<Record<keyof typeof STRATUM_LIMITS, number>> = {}) => {
  const rpc = await startRpc([], {}, params);
  const { engine, desk } = rpc;
  const server = createStratum({ engine, desk, host: "127.0.0.1", port: 0, log: silent, limits });
  const port = await server.start();
  return {
    ...rpc,
    port,
    stop: async () => {
      await server.stop();
      await rpc.stop();
    },
  };
};

/** What a miner makes of a difficulty: its target. */
const targetOf = (difficulty: number): bigint =>
  ((0xffffn << 208n) * 2n ** 80n) / BigInt(Math.ceil(difficulty * 2 ** 80));

/** Searches for what a notification names, over nonces that begin with the extranonce. */
const search = (kernel: Kernel, notify: Message, prefix: string, difficulty: number, from = 0n) => {
  const first = (BigInt(`0x${prefix}`) << 48n) + from;
  const found = kernel.search(`0x${notify.params![2]}`, targetOf(difficulty), first, 2 ** 20);
  if (!found) throw new Error("nothing found");
  return { ...found, rest: found.nonce.slice(6) };
};

t.test(
  "a miner of EthereumStratum/1.0.0 with Ethereum's sizes finds a share, and it is in the next block",
  async (t) => {
    const { port, engine, validator, mine, stop } = await start({ ...REAL, genesisDifficulty: "32" });
    await mine(1);
    const miner = dial(port);
    const { result } = await miner.call("mining.subscribe", ["test/1.0", "EthereumStratum/1.0.0"]);
    const [[what, session, protocol], prefix] = result as [[string, string, string], string];
    t.same([what, protocol], ["mining.notify", "EthereumStratum/1.0.0"]);
    t.match(session, /^[0-9a-f]+$/);
    t.match(prefix, /^[0-9a-f]{4}$/);
    t.match(await miner.call("mining.extranonce.subscribe", []), { result: true, error: null });
    t.match(await miner.call("mining.authorize", ["rig1", "x"]), { result: true, error: null });
    const set = await miner.next(({ method }) => method === "mining.set_difficulty");
    const difficulty = set.params![0] as number;
    const target = (2n ** 256n - 1n) / 32n;
    t.ok(targetOf(difficulty) <= target && targetOf(difficulty) > (target * 999n) / 1000n, "the block's own target");
    const notify = await miner.next(isNotify);
    const [job, seed, seal, clean] = notify.params as [string, string, string, boolean];
    t.equal(`0x${seed}`, seedHash(0));
    t.match(seal, /^[0-9a-f]{64}$/);
    t.equal(clean, true);
    const kernel = openKernel(allocate(ethashEpoch(0, REAL), 1, false), 0);
    kernel.makeCache();
    const found = search(kernel, notify, prefix, difficulty);
    t.match(await miner.call("mining.submit", ["rig1", job, found.rest]), { result: true, error: null });
    t.match(await miner.call("mining.submit", ["rig1", job, found.rest]), { error: [22] });
    await mine(1);
    const [share] = engine.head().body.workShares;
    t.same([share?.nonce, share?.mixHash, share?.beneficiary], [found.nonce, found.mixHash, validator.address]);
    const again = await miner.next(isNotify);
    t.not(again.params![2], seal, "a new head is new work");
    const late = search(kernel, notify, prefix, difficulty, 2n ** 40n);
    t.match(
      await miner.call("mining.submit", ["rig1", job, late.rest]),
      { result: true },
      "the older job is still good",
    );
    miner.end();
    await stop();
  },
);

t.test("a miner of the older eth-proxy form is given and gives work", async (t) => {
  const { port, engine, genesis, client, mine, stop } = await start(EASY_WORK);
  await mine(1);
  const miner = dial(port);
  const version = { jsonrpc: "2.0" };
  t.match(await miner.call("eth_getWork", [], version), { error: { code: 24 } });
  t.match(await miner.call("eth_submitLogin", ["rig", "mail@example.org"], version), { result: true });
  const [seal, , target] = (await miner.call("eth_getWork", [], version)).result as [Hash, Hash, Hash, Hex];
  const found = openMiner(genesis).search(seal, BigInt(target), 0n, 100_000)!;
  t.match(await miner.call("eth_submitHashrate", ["0x64", seal], version), { result: true });
  t.equal(await client.call("eth_hashrate"), "0x64");
  const submit = (nonce: Hex, mix: Hash) => miner.call("eth_submitWork", [nonce, seal, mix], version);
  // A mix that is not Ethash's: above the target (23), or by luck below it and then found out (20).
  t.match(await submit(found.nonce, `0x${"11".repeat(32)}`), { result: null, error: { code: /^2[03]$/ } });
  t.match(await submit(found.nonce, found.mixHash), { result: true });
  t.match(await submit(found.nonce, found.mixHash), { error: { code: 22 } });
  t.match(await submit("0x12", found.mixHash), { error: { code: 20 } });
  await mine(1);
  t.equal(engine.head().body.workShares[0]?.nonce, found.nonce);
  const pushed = await miner.next(({ id }) => id === 0);
  t.equal((pushed.result as string[]).length, 4, "a new head comes by itself");
  miner.end();
  await stop();
});

t.test("each connection has a seal of its own, and a user that is an address works for that validator", async (t) => {
  const { port, validator, mine, stop } = await start(EASY_WORK);
  await mine(1);
  const seals = [];
  for (const user of ["a", "b", `${validator.address}.rig`]) {
    const miner = dial(port);
    await miner.call("mining.subscribe", ["test", "EthereumStratum/1.0.0"]);
    t.match(await miner.call("mining.authorize", [user, "x"]), { result: true });
    seals.push((await miner.next(isNotify)).params![2]);
    miner.end();
  }
  t.equal(new Set(seals).size, 3);
  const stranger = dial(port);
  await stranger.call("mining.subscribe", ["test"]);
  const { error } = await stranger.call("mining.authorize", [`0x${"ab".repeat(20)}`, "x"]);
  t.match(error, [20, /no validator/]);
  stranger.end();
  await stop();
});

t.test("what is out of turn or wrong is answered with Stratum's number for it", async (t) => {
  const { port, genesis, mine, stop } = await start(EASY_WORK);
  await mine(1);
  const miner = dial(port);
  t.match(await miner.call("mining.authorize", ["a", "x"]), { error: [25, "not subscribed"] });
  t.match(await miner.call("mining.subscribe", ["test", "Stratum/2"]), { error: [20] });
  const { result } = await miner.call("mining.subscribe", ["test", null]);
  t.match(await miner.call("mining.submit", ["a", "1", "0".repeat(12)]), { error: [24] });
  await miner.call("mining.authorize", ["a", "x"]);
  const notify = await miner.next(isNotify);
  t.match(await miner.call("mining.submit", ["a", "77", "0".repeat(12)]), { error: [21] });
  t.match(await miner.call("mining.submit", ["a", notify.params![0], "0".repeat(16)]), { error: [20] });
  t.match(await miner.call("mining.submit", ["a", notify.params![0], 5]), { error: [20] });
  t.match(await miner.call("constructor", []), { error: [20, "no such method: constructor"] });
  // One of the first nonces is not within a target of one in sixteen.
  const kernel = openMiner(genesis);
  const [, prefix] = result as [unknown, string];
  const seal: Hash = `0x${notify.params![2]}`;
  const rests = Array.from({ length: 8 }, (_, i) => i.toString(16).padStart(12, "0"));
  const bad = rests.find((rest) => BigInt(kernel.hash(seal, `0x${prefix}${rest}`).result) > 2n ** 252n)!;
  t.match(await miner.call("mining.submit", ["a", notify.params![0], bad]), { error: [23] });
  miner.end();
  await stop();
});

t.test("who breaks a limit is told which, and loses the connection", async (t) => {
  const { port, mine, stop } = await start(EASY_WORK, {
    maxConnections: 3,
    loginMs: 2_000,
    idleMs: 3_000,
    maxFaults: 5,
  });
  await mine(1);
  const reason = async (text: string): Promise<unknown> => {
    const miner = dial(port);
    miner.write(text);
    await miner.closed;
    return (miner.pushed.at(-1)?.error as readonly unknown[] | undefined)?.[1];
  };
  t.equal(await reason("x".repeat(5_000)), "the line is too long");
  t.equal(await reason(`${"x".repeat(5_000)}\n`), "the line is too long");
  t.equal(await reason("hello\n"), "not JSON");
  t.equal(await reason("5\n"), "not a request");
  t.equal(await reason('{"id":1,"method":"x"}\n'.repeat(9)), "too many errors");
  t.equal(await reason(""), "no login in time");
  const idle = dial(port);
  await idle.call("eth_submitLogin", ["a"]);
  await idle.closed;
  t.match(idle.pushed.at(-1)?.error, [20, "idle too long"]);
  const three = [dial(port), dial(port), dial(port)];
  for (const each of three) await each.call("mining.subscribe", ["test"]);
  const fourth = dial(port);
  await fourth.closed;
  for (const each of three) each.end();
  await stop();
});

t.test("who sends faster than the rate waits, and gets every answer in turn", async (t) => {
  const { port, stop } = await start(EASY_WORK, { linesPerSecond: 50 });
  const miner = dial(port);
  const answers: number[] = [];
  const calls = Array.from({ length: 260 }, (_, i) =>
    miner.call("mining.extranonce.subscribe", []).then(() => answers.push(i)),
  );
  await Promise.all(calls);
  t.same(
    answers,
    Array.from({ length: 260 }, (_, i) => i),
  );
  miner.end();
  await stop();
});

t.test("no line makes the server fail: it is answered, or the connection ends", async (t) => {
  const failures: unknown[] = [];
  const log = pino({ level: "error" }, { write: (line) => void failures.push(line) });
  const rpc = await startRpc([], {}, EASY_WORK);
  const { engine, desk } = rpc;
  const limits = { maxFaults: 1_000_000, linesPerSecond: 1_000_000 };
  const server = createStratum({ engine, desk, host: "127.0.0.1", port: 0, log, limits });
  const port = await server.start();
  const names = ["mining.subscribe", "mining.authorize", "mining.submit", "eth_submitLogin", "eth_getWork"];
  const method = fc.constantFrom(...names, "eth_submitWork", "eth_submitHashrate", "mining.extranonce.subscribe", "x");
  const hex = fc.constantFrom("1", "0".repeat(12), "0x0000000000000001", `0x${"00".repeat(32)}`);
  const params = fc.oneof(fc.array(fc.oneof(hex, fc.jsonValue())), fc.jsonValue());
  const line = fc.oneof(
    fc
      .record({ id: fc.jsonValue(), method, params, jsonrpc: fc.constantFrom("2.0", 1) })
      .map((each) => JSON.stringify(each)),
    fc.jsonValue().map((each) => JSON.stringify(each)),
    fc.string(),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 20 }), async (lines) => {
      const miner = dial(port);
      miner.write(lines.map((each) => `${each}\n`).join(""));
      const answer = miner.call("mining.subscribe", ["test"]);
      await Promise.race([answer, miner.closed]);
      miner.end();
      await miner.closed;
    }),
    { numRuns: 100 },
  );
  t.same(failures, []);
  await server.stop();
  await rpc.stop();
});

t.test("EthereumStratum's difficulty is never easier than the target it stands for", async (t) => {
  for (const difficulty of [1n, 3n, 4_096n, 2n ** 20n, 2n ** 32n + 7n, 10n ** 12n]) {
    const target = (2n ** 256n - 1n) / difficulty;
    t.ok(targetOf(stratumDifficulty(target)) <= target, `difficulty ${difficulty}`);
    t.ok(
      targetOf(stratumDifficulty(target)) > target - target / 10n ** 9n,
      `difficulty ${difficulty} within a billionth`,
    );
  }
  t.equal(Math.round(stratumDifficulty(0xffffn << 208n) * 1e9), 1e9);
});
