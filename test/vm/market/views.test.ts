import t from "tap";
import { decodeRlp, type Item } from "../../../lib/rlp.ts";
import { NATIVE_GAS } from "../../../vm/gas.ts";
import { counted, createViewScene } from "./view-scene.ts";

/** Gas of a field that is decoded and encoded again (0.3 us), and of a byte of text (2 ns). */
const FIELD_GAS = 25;
const BYTE_GAS = 0.2;
/** A call of a view may take 10 ms: a gas is worth 10 ns at most. */
const MOST_GAS = 1_500_000;

const fieldsOf = (record: Uint8Array): number => {
  const count = (item: Item): number =>
    item instanceof Uint8Array ? 1 : item.reduce((sum: number, each) => sum + count(each), 0);
  try {
    return count(decodeRlp(record, { maxDepth: 8 }));
  } catch {
    return 1;
  }
};

t.test("each view of each native contract pays for the records that it reads, whatever they hold", async (t) => {
  const { state, calls, run, gasOf } = createViewScene();
  let answered = 0;
  for (const { name, to, data } of calls) {
    let most = 0;
    for (const each of data) {
      const { state: on, taken } = counted(state);
      if (run(on, to, each) !== undefined) answered += 1;
      const records = taken();
      const fields = records.reduce((sum, record) => sum + fieldsOf(record), 0);
      const bytes = records.reduce((sum, record) => sum + record.length, 0);
      const costs = records.length * NATIVE_GAS.read + fields * FIELD_GAS + bytes * BYTE_GAS;
      most = Math.max(most, costs / gasOf(to, each));
      if (gasOf(to, each) > MOST_GAS) t.fail(`${name} may take ${gasOf(to, each)} gas`);
    }
    if (most > 1) t.fail(`${name} costs ${most.toFixed(2)} of what it pays`);
  }
  t.ok(calls.length > 110 && answered > 400, `${calls.length} views, ${answered} answers`);
});
