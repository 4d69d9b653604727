import t from "tap";
import { isSuite, runSuite } from "../../helpers/wasi-suite.ts";

const suite = process.env.ROLEC_WASI_SUITE ?? "";
const skip = isSuite(suite) ? false : "ROLEC_WASI_SUITE names no checkout of the suite (docs/wasi.md)";

t.test("the public suite of WASI preview 1 passes but for the tests that docs/wasi.md lists", { skip }, async (t) => {
  const results = [...runSuite(suite)];
  t.ok(results.length >= 72, `${results.length} tests`);
  const failed = results.filter(({ failure }) => failure !== undefined);
  t.same(failed, []);
});
