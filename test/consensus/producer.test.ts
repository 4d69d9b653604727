import t from "tap";
import { memoryDb } from "../../chain/db.ts";
import { createEngine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { localSigner } from "../../consensus/signer.ts";
import { memoryProtection, silent, testGenesis } from "../helpers/chain.ts";

t.test("a validator that is started weeks before slot 0 waits for it", async (t) => {
  const { genesis, keys } = testGenesis(1);
  // Longer than a timer of Node's can wait: such a one would end at once.
  const now = () => (genesis.genesisTime - 45 * 86_400) * 1000;
  const engine = await createEngine({ db: memoryDb(), genesis, now, log: silent });
  const warnings: string[] = [];
  const onWarning = ({ name }: Error): void => void warnings.push(name);
  process.on("warning", onWarning);
  const producer = createProducer({
    engine,
    signers: [localSigner(keys[0]!)],
    protection: memoryProtection(),
    publishBlock: () => t.fail("a block before its time"),
    publishVote: () => t.fail("a vote before its time"),
    log: silent,
  });
  producer.start();
  await new Promise((resolve) => setTimeout(resolve, 200));
  await producer.stop();
  process.off("warning", onWarning);
  t.same(warnings, []);
  t.equal(engine.head().header.number, 0);
  await engine.stop();
});
