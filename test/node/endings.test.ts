import t from "tap";
import "../helpers/plain-spawn.ts";
import loadWabt from "wabt";
import { memoryDb } from "../../chain/db.ts";
import { word, ZERO_HASH } from "../../lib/bytes.ts";
import { uploadData } from "../../node/data-client.ts";
import { dataPort } from "../../node/data-port.ts";
import { endingsOf, notOk, whyNothing } from "../../node/endings.ts";
import type { LotView } from "../../node/market-client.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { rpcClient } from "../../rpc/client.ts";
import { dataRoute } from "../../rpc/data.ts";
import { LOT_STATUS } from "../../vm/market/lot.ts";
import { outputCid } from "../../vm/market/result.ts";
import { runTask, type TaskResult } from "../../vm/wasm/host.ts";
import type { JobReceipt } from "../../vm/wasm/receipt.ts";
import { STATUS } from "../../vm/wasm/status.ts";
import { startRpc } from "../helpers/rpc.ts";

const data = dataPort(await openDataStore(memoryDb()), undefined);
const node = await startRpc([], { routes: [dataRoute(data)] });
t.teardown(() => node.stop());

/** Writes 14 lines to standard error, with what would clear a terminal, and ends as its number of arguments says. */
const PROGRAM = `(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\09\\00\\00\\00")
  (data (i32.const 16) "\\1b[2Jline\\0a")
  (func (export "_start") (local $i i32)
    (loop $again
      (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 64)))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 14))))
    (drop (call $args (i32.const 64) (i32.const 68)))
    (if (i32.eq (i32.load (i32.const 64)) (i32.const 2)) (then (call $exit (i32.const 3))))
    (if (i32.eq (i32.load (i32.const 64)) (i32.const 3)) (then unreachable))))`;
const module = new Uint8Array((await loadWabt()).parseWat("p.wat", PROGRAM).toBinary({}).buffer);

const run = async (args: string[], gasLimit = 1_000_000_000): Promise<TaskResult> => {
  const task = { taskid: ZERO_HASH, args, inputs: [], gasLimit, startTime: 0, hasCallback: false };
  const result = await runTask({ vmVersion: 1, module, timeoutMs: 60_000 }, task);
  const cid = await uploadData(node.url, [
    ...[...result.files].filter(([name]) => !name.endsWith("/")),
    ...[...result.files].filter(([name]) => name.endsWith("/")).map(([name]) => [name.slice(0, -1), null] as const),
  ]);
  t.equal(cid, outputCid(result.outputRoot));
  return result;
};

/** Looks at a job of lots of one task, whose receipts are on the chain. */
const endings = async (receipts: readonly Uint8Array[]) => {
  const lots = receipts.map(
    (receipt, first) => ({ id: word(BigInt(first)), first, count: 1, receipt }) as unknown as LotView,
  );
  return endingsOf(rpcClient(node.url), node.url, ZERO_HASH, lots);
};

t.test("a job whose tasks end well has nothing to say", async (t) => {
  const { receipt } = await run([]);
  t.same(await endings([receipt, receipt]), { tasks: 2, failed: 0, lines: [] });
});

t.test("what did not end well is counted by the way it ended, with the last lines of standard error", async (t) => {
  const [well, exit, trap, poor] = [await run([]), await run(["a"]), await run(["a", "b"]), await run(["a"], 1_000)];
  const { tasks, failed, lines } = await endings([
    well.receipt,
    exit.receipt,
    trap.receipt,
    exit.receipt,
    poor.receipt,
    new Uint8Array(0),
  ]);
  t.same([tasks, failed], [6, 5]);
  t.same(lines, [
    "task 1 and 1 more of 6 ended with EXIT 3",
    "task 2 of 6 ended with TRAP (it reached `unreachable`: most often a failed assertion or a panic)",
    "task 4 of 6 ended with OUT_OF_GAS (it needs more than 1000 gas)",
    "task 5 of 6 ended with no result: too few workers agreed on one",
    "a task gets more with --gas; rolec run tells how much it needs",
    "task 1 said last, on standard error:",
    ...Array.from({ length: 10 }, () => "  \\u001b[2Jline"),
  ]);
});

t.test("where nobody gives its standard error, the ending is told all the same", async (t) => {
  const { receipt } = await run(["a"]);
  const lots = [{ first: 0, count: 1, receipt } as unknown as LotView];
  const { failed, lines } = await endingsOf(rpcClient(node.url), "http://127.0.0.1:9", ZERO_HASH, lots);
  t.equal(failed, 1);
  t.same(lines, ["task 0 of 1 ended with EXIT 3"]);
});

t.test("a job whose tasks all ended INVALID says so, not that a result is to come", (t) => {
  const lots = (status: number) => [{ first: 0, count: 1, status } as unknown as LotView];
  const receipt = { status: STATUS.invalid, code: 0 } as JobReceipt;
  const outcomes = [{ index: 0, receipt }];
  t.match(whyNothing(lots(LOT_STATUS.completed), outcomes), /ended INVALID: nothing to fetch/);
  t.match(whyNothing(lots(LOT_STATUS.computing), [{ index: 0, receipt: undefined }]), /yet/);
  t.equal(notOk([...outcomes, { index: 1, receipt: { ...receipt, status: STATUS.ok } }]), 1);
  t.end();
});
