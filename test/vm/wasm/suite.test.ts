import "../../helpers/plain-spawn.ts";
import t from "tap";
import { runSuite } from "./suite.ts";

const FOLDER = process.env.ROLEC_WASM_SUITE;

t.test(
  "the specification suite: no valid module is refused, no invalid one accepted, no assertion changed by the meters",
  { skip: FOLDER ? false : "ROLEC_WASM_SUITE names no folder of the WebAssembly specification suite" },
  async (t) => {
    const { counts, failures } = await runSuite(FOLDER!);
    t.same(failures, []);
    // The suite of November 2022 (commit 3a04b2c); a later one has more.
    const atLeast = (name: string, least: number): void => {
      t.ok((counts[name] ?? 0) >= least, `${name}: ${counts[name]}`);
    };
    atLeast("module: accepted and started", 1_463);
    atLeast("invalid: refused by its rule", 2_072);
    atLeast("malformed: refused by its rule", 734);
    atLeast("return: the same", 44_964);
    atLeast("trap: the same", 628);
    atLeast("exhaustion: the same", 15);
  },
);
