import "../helpers/plain-spawn.ts";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
