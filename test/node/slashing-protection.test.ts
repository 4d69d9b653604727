import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { type Hash, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { openSlashingProtection } from "../../node/slashing-protection.ts";

const other: Hash = `0x${"11".repeat(32)}`;

t.test("nothing slashable is signed, also after the program was started again", async (t) => {
  const path = mkdtempSync(join(tmpdir(), "rolec-protection-"));
  t.teardown(() => rmSync(path, { recursive: true }));
  let protection = await openSlashingProtection(path);
  await protection.allowProposal(ZERO_ADDRESS, 5, ZERO_HASH);
  await protection.allowVote(ZERO_ADDRESS, 2, 4, ZERO_HASH);
  await protection.close();
  protection = await openSlashingProtection(path);
  await protection.allowProposal(ZERO_ADDRESS, 5, ZERO_HASH);
  await protection.allowVote(ZERO_ADDRESS, 2, 4, ZERO_HASH);
  await t.rejects(protection.allowProposal(ZERO_ADDRESS, 5, other), /slot 5 was/, "double proposal");
  await t.rejects(protection.allowProposal(ZERO_ADDRESS, 4, other), /slot 5 was/);
  await t.rejects(protection.allowVote(ZERO_ADDRESS, 2, 4, other), /one for 4 was/, "double vote");
  await t.rejects(protection.allowVote(ZERO_ADDRESS, 1, 5, other), /one from 2 was/, "surrounding vote");
  await t.rejects(protection.allowVote(ZERO_ADDRESS, 2, 3, other), /one for 4 was/, "surrounded vote");
  await t.rejects(protection.allowVote(ZERO_ADDRESS, 6, 5, other), /goes nowhere/);
  await protection.allowVote(ZERO_ADDRESS, 4, 5, other);
  await protection.allowProposal(`0x${"22".repeat(20)}`, 1, other);
  await protection.close();
});
