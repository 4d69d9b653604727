import "../helpers/plain-spawn.ts";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { memoryDb } from "../../chain/db.ts";
import type { Hash } from "../../lib/bytes.ts";
import { dataPort } from "../../node/data-port.ts";
import { createDealRooms, type DealRoom, type DealRooms } from "../../node/worker/deals.ts";
import { openInputs } from "../../node/worker/inputs.ts";
import { openRewritten } from "../../node/worker/rewritten.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { dataRoute } from "../../rpc/data.ts";
import { createProcessPool } from "../../vm/wasm/process-pool.ts";
import { VM_VERSION } from "../../vm/wasm/versions.ts";
import { countingPool } from "../helpers/counting-pool.ts";
import { dealClient } from "../helpers/deal-client.ts";
import { startRpc } from "../helpers/rpc.ts";
import { build } from "../helpers/wasm-builder.ts";

t.setTimeout(120_000);
const store = await openDataStore(memoryDb());
const node = await startRpc([], { routes: [dataRoute(dataPort(store, undefined))] });
const root = mkdtempSync(join(tmpdir(), "rolec-deals-"));
t.teardown(async () => {
  await node.stop();
  rmSync(root, { recursive: true, force: true });
});
const { cid: app } = await store.importFile(build({ functions: [{ code: [] }] }));
const dealid = (index: number): Hash => `0x${String(index).padStart(64, "0")}`;
const patience = () => ({ signal: AbortSignal.timeout(60_000), until: Date.now() + 60_000 });

const runLot = async (room: DealRoom, index: number): Promise<number> => {
  const loaded = await room.load();
  const session = room.take(loaded);
  const task = { taskid: dealid(index), args: [], inputs: [], gasLimit: 1e9, startTime: 0, hasCallback: false };
  try {
    for await (const { status } of session.run([task], { timeoutMs: 60_000 })) return status;
    throw new Error("no result");
  } finally {
    room.give(session);
  }
};
/** Runs a lot of each deal to its end, in turn. */
const runDeals = async (rooms: DealRooms, from: number, count: number): Promise<void> => {
  for (let i = from; i < from + count; i++)
    t.equal(await runLot(await rooms.of(dealid(i), VM_VERSION, patience()), i), 0);
};

t.test("deal after deal of one app: a requester's share a process, all share what is rewritten", async (t) => {
  const pool = createProcessPool(0, { free: () => Number.POSITIVE_INFINITY });
  const { counted, counts, taken } = countingPool(pool);
  const inputs = openInputs({ node: node.url, folder: join(root, "inputs") });
  const folder = join(root, "rewritten");
  const kept = openRewritten({ folder, secret: "0x01", leastBytes: 0 });
  const [alice, bob] = ["a1", "b0"].map((byte) => {
    const client = dealClient({ app: `/ipfs/${app}`, requester: `0x${byte.repeat(20)}` });
    return createDealRooms({ client, pool: counted, inputs, store: kept });
  });
  t.teardown(() => {
    for (const rooms of [alice!, bob!]) rooms.close();
    pool.close();
  });
  await runDeals(alice!, 1, 4);
  t.equal(new Set(taken.map(({ pid }) => pid)).size, 1, "one process for four deals");
  t.match(counts, { prepare: 1, compile: 1, task: 4, rest: undefined });
  await runDeals(bob!, 11, 2);
  t.equal(new Set(taken.map(({ pid }) => pid)).size, 2, "and another for another requester");
  t.match(counts, { prepare: 1, compile: 2, task: 6 });
  t.equal(readdirSync(folder).length, 1);
});

t.test("inputs that take longer than a worker may wait come all the same, for who asks again", async (t) => {
  const bytesOf = (i: number): Buffer => Buffer.alloc(300_000, i);
  const TAKES_MS = 1_500;
  const [asked, left]: [string[], string[]] = [[], []];
  const web = createServer(async (request, response) => {
    asked.push(request.url!);
    const bytes = bytesOf(Number(request.url!.slice(1)));
    response.on("close", () => {
      if (!response.writableFinished) left.push(request.url!);
    });
    response.write(bytes.subarray(0, 100_000));
    await sleep(TAKES_MS);
    response.end(bytes.subarray(100_000));
  });
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  const shaOf = (i: number): string => createHash("sha256").update(bytesOf(i)).digest("hex");
  const url = (i: number): string => `http://127.0.0.1:${(web.address() as AddressInfo).port}/${i}#sha256=${shaOf(i)}`;
  const pool = createProcessPool(0);
  const inputs = openInputs({ node: node.url, folder: join(root, "slow"), allowPrivate: true });
  const roomsOf = (i: number): DealRooms =>
    createDealRooms({
      client: dealClient({ app: `/ipfs/${app}`, params: JSON.stringify({ iexec_input_files: [url(i)] }) }),
      ...{ pool, inputs },
    });
  const rooms = [1, 2, 3].map(roomsOf);
  t.teardown(() => {
    for (const each of rooms) each.close();
    pool.close();
    web.closeAllConnections();
    web.close();
  });
  const ofMs = (each: DealRooms, ms: number, lastsMs = ms): Promise<DealRoom> => {
    const until = Date.now() + ms;
    return each.of(dealid(1), VM_VERSION, { signal: AbortSignal.timeout(ms), until, lasts: Date.now() + lastsMs });
  };
  await t.rejects(ofMs(rooms[0]!, 500, 60_000), "it is not there in time");
  await sleep(TAKES_MS);
  const room = await ofMs(rooms[0]!, 1_000, 60_000);
  t.equal((await room.load()).inputs[0]!.bytes.length, bytesOf(1).length);
  room.leave();
  t.same([asked, left], [["/1"], []], "it was fetched once, and to its end");

  await t.rejects(ofMs(rooms[1]!, 500), "where nobody will ask again");
  await sleep(500);
  t.same(left, ["/2"], "the fetch ends with the wait");
  await t.rejects(ofMs(rooms[2]!, 500, 60_000));
  rooms[2]!.close();
  await sleep(500);
  t.same(left, ["/2", "/3"], "nor does it outlive the worker");
});
