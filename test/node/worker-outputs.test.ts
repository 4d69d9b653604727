import { randomBytes } from "node:crypto";
import t from "tap";
import { memoryDb } from "../../chain/db.ts";
import type { Hash } from "../../lib/bytes.ts";
import { uploadData } from "../../node/data-client.ts";
import { dataPort } from "../../node/data-port.ts";
import { createOutputs } from "../../node/worker/outputs.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { dataRoute } from "../../rpc/data.ts";
import { pinMethods } from "../../rpc/pins.ts";
import { GAS } from "../../vm/wasm/gas.ts";
import { startRpc } from "../helpers/rpc.ts";

const MIB = 1024 * 1024;
const store = await openDataStore(memoryDb(), { outputBytes: 4 * MIB });
const port = dataPort(store, undefined);
const node = await startRpc([], { routes: [dataRoute(port)], methods: pinMethods(port) });
t.teardown(() => node.stop());

const lot = (n: number): Hash => `0x${String(n).padStart(64, "0")}`;
/** Gas that pays for so many bytes of output. */
const gasOf = (bytes: number): number => GAS.job + bytes * GAS.outputByte;
const pins = () =>
  [...store.blocks.pins()].flatMap(({ holders }) => [...holders]).sort(([a], [b]) => a.localeCompare(b));
const upload = (id: Hash, bytes: Uint8Array) => uploadData(node.url, bytes, { holder: `worker:${id}`, until: 1_000 });

t.test("results are leased: moved to the lot's end, then to what is promised, or gone at once", async (t) => {
  const outputs = createOutputs(node.client);
  for (const n of [1, 2]) {
    outputs.begin(lot(n), gasOf(MIB), 1);
    await upload(lot(n), Uint8Array.of(n));
  }
  t.same(pins(), [
    [`worker:${lot(1)}`, 1_000],
    [`worker:${lot(2)}`, 1_000],
  ]);
  await outputs.keep(lot(1), 2_000);
  await outputs.keep(lot(1), 1_500);
  await outputs.release(lot(2));
  t.same(pins(), [[`worker:${lot(1)}`, 2_000]]);
  t.same(outputs.leased(), [lot(1)]);
  await outputs.keep(lot(1), 90_000);
  outputs.served(lot(1));
  t.same(outputs.leased(), []);
  t.same(pins(), [[`worker:${lot(1)}`, 90_000]], "what is promised stays");
  const later = createOutputs(node.client);
  later.resume([lot(1)]);
  t.same(later.leased(), [lot(1)], "another life of the worker looks at what became of it");
  await later.release(lot(1));
  t.same([later.leased(), pins()], [[], []]);
});

t.test("no lot begins without room for all that its gas can write, and what writes little always begins", async (t) => {
  const outputs = createOutputs(node.client);
  const half = gasOf(MIB / 2);
  t.equal(await outputs.lack(half, 3), undefined);
  t.match(await outputs.lack(half, 5), /may take 3 MiB.*room for 4 MiB/);
  t.match(await outputs.lack(10 ** 12, 2), /may take 42 MiB/, "a result has 16 MiB and 4,096 entries at most");

  outputs.begin(lot(3), half, 4);
  t.match(await outputs.lack(half, 3), /room for 1 MiB/, "what runs may still write as much");
  outputs.wrote(lot(3), { blocks: [{ cid: "", bytes: new Uint8Array(1_000) }] });
  t.equal(await outputs.lack(half, 3), undefined, "its first result says more");
  outputs.wrote(lot(3), { blocks: [{ cid: "", bytes: new Uint8Array(MIB / 2) }] });
  t.match(await outputs.lack(half, 3), /room for 2 MiB/);
  await outputs.release(lot(3));

  // An attacker takes all that it is let take, lot by lot.
  let [lots, gas] = [0, 0];
  for (let bytes = 2 * MIB; bytes > 32_768; bytes = Math.floor(bytes / 2))
    while ((await outputs.lack(gasOf(bytes), 1)) === undefined) {
      gas += gasOf(bytes);
      await upload(lot(100 + lots++), randomBytes(bytes));
    }
  const { outputBytes } = store.blocks.stats();
  t.ok(outputBytes > 3.7 * MIB, `${lots} lots`);
  t.ok(gas / GAS.outputByte > outputBytes, "each byte is paid for");
  t.equal(await outputs.lack(GAS.job + 10_000, 1), undefined, "a small lot still begins");
  for (let n = 0; n < lots; n++) await outputs.release(lot(100 + n));
  t.equal(store.blocks.stats().outputBytes, 0);
});
