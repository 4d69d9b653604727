import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { type Address, type Hash, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { openSlashingProtection } from "../../node/slashing-protection.ts";

const genesis: Hash = `0x${"99".repeat(32)}`;
const other: Hash = `0x${"11".repeat(32)}`;

t.test("nothing slashable is signed, also after the program was started again", async (t) => {
  const path = mkdtempSync(join(tmpdir(), "rolec-protection-"));
  t.teardown(() => rmSync(path, { recursive: true }));
  let protection = await openSlashingProtection(path, genesis);
  await protection.allowProposal(ZERO_ADDRESS, 5, ZERO_HASH);
  await protection.allowVote(ZERO_ADDRESS, 2, 4, ZERO_HASH);
  await protection.close();
  protection = await openSlashingProtection(path, genesis);
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

t.test("protection of one network says nothing about another, and opens there no more", async (t) => {
  const path = mkdtempSync(join(tmpdir(), "rolec-protection-"));
  t.teardown(() => rmSync(path, { recursive: true }));
  await (await openSlashingProtection(path, genesis)).close();
  await t.rejects(openSlashingProtection(path, other), /of the network with genesis 0x9999/);
  const open = await openSlashingProtection(path, genesis);
  await t.rejects(openSlashingProtection(path, genesis), /does not open/, "a second process that signs");
  await open.close();
});

t.test("a validator that may have signed begins with its records alone", async (t) => {
  const path = mkdtempSync(join(tmpdir(), "rolec-protection-"));
  t.teardown(() => rmSync(path, { recursive: true }));
  const [A, B, C] = ["aa", "bb", "cc"].map((each): Address => `0x${each.repeat(20)}`) as [Address, Address, Address];
  let protection = await openSlashingProtection(path, genesis);
  await protection.allowVote(A, 2, 4, ZERO_HASH);
  await protection.begin([A, B], (each) => each === A);
  const lost = { name: "DamagedFileError", message: new RegExp(`^${path} does not say what ${C} signed\\. `) };
  await t.rejects(
    protection.begin([A, B, C], () => true),
    lost,
  );
  await protection.close();
  protection = await openSlashingProtection(path, genesis);
  t.same([A, B, C].map(protection.knows), [true, true, false], "who began without a signature is known");
  await protection.begin([A, B], () => true);
  await protection.close();
});

t.test("of requests at the same moment one is allowed, and its repetition once the disk knows it", async (t) => {
  const path = mkdtempSync(join(tmpdir(), "rolec-protection-"));
  t.teardown(() => rmSync(path, { recursive: true }));
  const protection = await openSlashingProtection(path, genesis);
  const settled: string[] = [];
  const note = (name: string) => () => void settled.push(name);
  await Promise.all([
    protection.allowProposal(ZERO_ADDRESS, 5, ZERO_HASH).then(note("first")),
    protection.allowProposal(ZERO_ADDRESS, 5, ZERO_HASH).then(note("again")),
    t.rejects(protection.allowProposal(ZERO_ADDRESS, 5, other), /slot 5 was/),
  ]);
  t.same(settled, ["first", "again"]);
  await protection.close();
});
