import t from "tap";
import { failuresOf } from "../hostile/judge.ts";
import { attackAll } from "../hostile/run.ts";

/** Machines that test for others stand still at times: what is asserted here is what no hiccup explains. */
const BOUNDS = { missedSlots: 3, turnMs: 500, gcMs: 500, grewMiB: 400 };
const SECONDS = 8;

/** The attacks that were cheapest for what they did, all from one peer and one client at once. */
const ATTACKS = [
  "evidence-early+evidence-useless+votes-false-source+blocks-unsigned+gossip-many-messages",
  "json-deep+json-flat+directory-sharded+sync-silent",
];

t.setTimeout(300_000);
t.test("four validators go on while a peer and a client send all they have", async (t) => {
  for await (const { window, control } of attackAll(ATTACKS, SECONDS, { port: 18_945 }))
    if (control) t.strictSame(failuresOf(window, control, BOUNDS), [], window.attack);
});
