import t from "tap";
import { memoryDb } from "../../chain/db.ts";
import { readGenesis } from "../../chain/genesis.ts";
import { timestampOf } from "../../chain/params.ts";
import { createEngine, type Engine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { localSigner } from "../../consensus/signer.ts";
import { RuleError } from "../../lib/rule-error.ts";
import { memoryProtection, silent, testGenesis } from "../helpers/chain.ts";

/**
 * Runs a network of which some validators know an upgrade that comes with era 2 and the others do not; blocks and votes reach
 * all. Gives what became of one that knows it and one that does not, and the verdicts that one had about the other's messages.
 */
const split = async (count: number, upgraded: number, slots: number) => {
  const { keys, document } = testGenesis(count, []);
  const old = readGenesis(document);
  const upgrade = readGenesis({ ...(document as object), upgrades: [{ era: 2, gasLimit: 200_000_000 }] });
  let slot = 0;
  const now = () => timestampOf(old, slot) * 1000;
  const engines: Engine[] = [];
  const codes = new Map<string, string>();
  let deliveries: Promise<unknown>[] = [];
  const note = (error: unknown): void => {
    if (error instanceof RuleError) codes.set(error.code, error.verdict);
  };
  const producers = await Promise.all(
    keys.map(async (key, i) => {
      const engine = await createEngine({
        db: memoryDb(),
        genesis: i < upgraded ? upgrade : old,
        now,
        log: silent,
      });
      engines.push(engine);
      const others = (): Engine[] => engines.filter((each) => each !== engine);
      return createProducer({
        engine,
        signers: [localSigner(key)],
        protection: memoryProtection(),
        publishBlock: (block) => {
          for (const other of others()) deliveries.push(other.importBlock(block, "gossip").catch(note));
        },
        publishVote: (vote) => {
          for (const other of others()) deliveries.push(other.addVote(vote).catch(note));
        },
        log: silent,
      });
    }),
  );
  const fatal: (string | undefined)[] = engines.map(() => undefined);
  for (const [i, engine] of engines.entries())
    engine.on("fatal", (error) => {
      fatal[i] = error.message;
    });
  for (; slot < slots; ) {
    slot += 1;
    for (const producer of producers) {
      await producer.onSlot(slot);
      await Promise.all(deliveries);
      deliveries = [];
    }
    await Promise.all(deliveries);
    for (const producer of producers) producer.onHalfSlot(slot);
  }
  return { engines, fatal, codes };
};

t.test("a node that does not know an upgrade stops once a quorum has gone on, and punishes nobody", async (t) => {
  const { engines, fatal, codes } = await split(4, 3, 44);
  const [upgraded, , , outdated] = engines as [Engine, Engine, Engine, Engine];
  t.ok(upgraded.finalized().epoch >= 8, "the others go on under the upgrade");
  t.same(fatal.slice(0, 3), [undefined, undefined, undefined]);
  t.match(fatal[3], /an upgrade is in force that this program does not know/);
  t.ok(outdated.head().header.number <= 33);
  t.equal(codes.get("header-upgrade-unknown"), "ignore");
  t.notOk([...codes.values()].includes("reject"), [...codes].join(" "));
});

t.test("below a quorum nobody stops: who follows an upgrade that others do not know is alone", async (t) => {
  const { fatal, codes } = await split(4, 1, 44);
  t.same(fatal, [undefined, undefined, undefined, undefined]);
  t.equal(codes.get("header-upgrades"), "ignore", "nor do those that know an upgrade punish those that do not");
  t.notOk([...codes.values()].includes("reject"), [...codes].join(" "));
});
