/** Prints how each test of the public WASI suite ends: ROLEC_WASI_SUITE=<folder> node test/vm/wasm/wasi-suite.ts */
import { isSuite, runSuite } from "../../helpers/wasi-suite.ts";

const suite = process.env.ROLEC_WASI_SUITE;
if (!suite || !isSuite(suite)) {
  console.error(
    "ROLEC_WASI_SUITE must name a checkout of github.com/WebAssembly/wasi-testsuite, branch prod/testsuite-base",
  );
  process.exit(1);
}
let passed = 0;
let total = 0;
for (const { name, failure } of runSuite(suite)) {
  total++;
  if (failure === undefined) passed++;
  console.log(failure === undefined ? `ok      ${name}` : `FAILED  ${name}: ${failure}`);
}
console.log(`${passed} of ${total} tests pass`);
