/**
 * Compares generated programs as the rewriter leaves them with the same programs, not rewritten, that make each result of a
 * float operation canonical themselves: `node test/vm/wasm/determinism/oracle.ts [programs] [seed]`.
 */
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import fc from "fast-check";
import loadWabt from "wabt";
import { compileModule, runInstance, stateRootOf } from "../../../../vm/wasm/instance.ts";
import { STATUS } from "../../../../vm/wasm/status.ts";
import { NEWEST_RULES } from "../../../../vm/wasm/versions.ts";
import { FEATURES, generateProgram } from "./generator.ts";

const TASK = {
  taskid: `0x${"11".repeat(32)}`,
  args: [],
  inputs: [],
  gasLimit: 200_000_000,
  startTime: 1_700_000_000,
  hasCallback: false,
} as const;

/** Runs a module as it is; gives the root of its memory. Throws where it does not end by itself. */
const runPlain = (bytes: Uint8Array): string | undefined => {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>), {
    wasi_snapshot_preview1: { proc_exit: () => undefined },
  });
  (exports._start as () => void)();
  return stateRootOf(new Uint8Array((exports.memory as WebAssembly.Memory).buffer));
};

/** What was compared: programs that end well, and those whose memory is another than the oracle's. */
export interface Judged {
  readonly compared: number;
  readonly differences: readonly string[];
}

const compare = async (count: number, seed: number): Promise<Judged> => {
  const wabt = await loadWabt();
  const assemble = (text: string): Uint8Array => {
    const module = wabt.parseWat("generated.wat", text, FEATURES);
    const bytes = module.toBinary({}).buffer.slice();
    module.destroy();
    return bytes;
  };
  const tapes = fc.sample(fc.array(fc.nat(0xffff), { minLength: 20, maxLength: 200 }), { numRuns: count, seed });
  const differences: string[] = [];
  let compared = 0;
  for (const [i, tape] of tapes.entries()) {
    const module = assemble(generateProgram(tape));
    const { status, stateRoot } = runInstance(compileModule(module, NEWEST_RULES), TASK);
    if (status !== STATUS.ok) continue;
    compared++;
    const expected = runPlain(assemble(generateProgram(tape, true)));
    if (stateRoot !== expected) differences.push(`program ${i}: ${stateRoot}, not ${expected}`);
  }
  return { compared, differences };
};

/** Compares `count` programs in a thread with a job's stack. */
export const compareWithOracle = (count: number, seed: number): Promise<Judged> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(fileURLToPath(import.meta.url), {
      workerData: [count, seed],
      resourceLimits: { stackSizeMb: 64 },
    });
    worker.on("message", resolve);
    worker.on("error", reject);
  });

if (!isMainThread && import.meta.url.endsWith("oracle.ts")) {
  const [count, seed] = workerData as [number, number];
  parentPort!.postMessage(await compare(count, seed));
} else if (import.meta.main) {
  const { compared, differences } = await compareWithOracle(
    Number(process.argv[2] ?? 1_000),
    Number(process.argv[3] ?? 1),
  );
  for (const difference of differences) console.log(difference);
  console.log(`${compared} programs ended well, ${differences.length} differences`);
  process.exit(differences.length > 0 ? 1 : 0);
}
