/** A program with a job that never ends, a process that waits, and one that stands still; prints their ids. It is there to be killed. */
import { startProcess } from "../../vm/wasm/process.ts";
import { createProcessPool } from "../../vm/wasm/process-pool.ts";
import { VM_VERSION } from "../../vm/wasm/versions.ts";
import { build, op } from "./wasm-builder.ts";

const pool = createProcessPool(2);
const [busy, idle] = await Promise.all([pool.take(), pool.take()]);
await Promise.all([busy.ready, idle.ready]);
const module = build({ functions: [{ code: [op.loop(op.br(0))] }] });
await busy.ask({ kind: "prepare", vmVersion: VM_VERSION, module, isWanted: false });
await busy.ask({ kind: "compile", vmVersion: VM_VERSION, rewritten: undefined, tier: "optimizing" });
const taskid = `0x${"11".repeat(32)}` as const;
const task = { taskid, args: [], inputs: [], gasLimit: 2 ** 52, startTime: 0, hasCallback: false };
busy.ask({ kind: "task", task }).catch(() => {});
const still = await startProcess();
await still.ready;
still.freeze();
console.log(`${busy.pid} ${idle.pid} ${still.pid}`);
