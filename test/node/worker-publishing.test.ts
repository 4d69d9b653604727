import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { word } from "../../lib/bytes.ts";
import { openJournal } from "../../node/worker/journal.ts";
import { createPublishing } from "../../node/worker/publishing.ts";
import { clientOf } from "../helpers/market-client.ts";
import { createWorld, receiptFor } from "../vm/market/world.ts";

t.test("a lot that the chain does not have is published no more", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-publishing-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const [lot, receipts] = [word(5), [receiptFor(1), receiptFor(2)]];
  const journal = openJournal(folder);
  journal.put(lot, { taskids: [word(1), word(2)], receipts, cids: [undefined, undefined] });
  const { client } = clientOf(createWorld({ workers: [["w0", 2]] }));
  const publishing = createPublishing(client, journal);
  t.same(publishing.lots(), [lot]);
  await publishing.follow(lot);
  t.same(publishing.lots(), []);
  t.same(openJournal(folder).unpublished(), [], "nor after a restart");
  t.ok(journal.get(lot), "what was computed stays until it is old");
  const broken = createPublishing({ call: () => Promise.reject(new Error("no answer")) } as never, journal);
  broken.add(lot);
  await t.rejects(broken.follow(lot), /no answer/);
  t.same(broken.lots(), [lot], "a node that does not answer says nothing of a lot");
});
