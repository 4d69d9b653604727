import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { memoryDb, openDb } from "../../chain/db.ts";
import { type Address, fromHex, type Hash, type Hex, ZERO_HASH } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import {
  exportInterchange,
  importInterchange,
  type NamedValidator,
  readInterchange,
} from "../../node/slashing-interchange.ts";
import { openSlashingProtection, protectWith } from "../../node/slashing-protection.ts";

const folder = join(process.env.ROLEC_VECTORS ?? "", "eip3076");
const skip =
  process.env.ROLEC_VECTORS && existsSync(folder)
    ? false
    : "ROLEC_VECTORS is not set: the vectors of EIP-3076 are skipped";

const named = (pubkey: Hex): NamedValidator => ({
  address: `0x${keccak256(fromHex(pubkey)).slice(26)}` as Address,
  blsPublicKey: pubkey,
});
const A = named(`0x${"aa".repeat(48)}`);
const B = named(`0x${"bb".repeat(48)}`);
const root = (byte: string): Hash => `0x${byte.repeat(32)}`;
const GENESIS = root("01");

interface Expected {
  readonly pubkey: Hex;
  readonly should_succeed: boolean;
  readonly should_succeed_complete: boolean;
  readonly signing_root: Hash;
}
interface Vector {
  readonly genesis_validators_root: Hash;
  readonly steps: readonly {
    readonly should_succeed: boolean;
    readonly interchange: { readonly data: readonly { readonly pubkey: Hex }[] };
    readonly blocks: readonly (Expected & { readonly slot: string })[];
    readonly attestations: readonly (Expected & { readonly source_epoch: string; readonly target_epoch: string })[];
  }[];
}

t.test("the vectors of EIP-3076: what is safe is signed, what is not is refused", { skip }, async (t) => {
  for (const file of readdirSync(folder)) {
    const vector = JSON.parse(readFileSync(join(folder, file), "utf8")) as Vector;
    const db = memoryDb();
    const protection = protectWith(db);
    // The minimal form may refuse what a complete history would allow.
    const holds = (expected: Expected, signed: boolean, name: string): void => {
      if (expected.should_succeed) t.ok(signed, name);
      else if (!expected.should_succeed_complete) t.notOk(signed, name);
    };
    const tries = (signing: Promise<void>): Promise<boolean> =>
      signing.then(
        () => true,
        () => false,
      );
    for (const step of vector.steps) {
      const known = step.interchange.data.map(({ pubkey }) => named(pubkey));
      const interchange = readInterchange(step.interchange, vector.genesis_validators_root);
      t.equal(step.should_succeed, true);
      t.same((await importInterchange(db, interchange, known)).unknown, []);
      for (const block of step.blocks) {
        const { address } = named(block.pubkey);
        const signed = await tries(protection.allowProposal(address, Number(block.slot), block.signing_root));
        holds(block, signed, `${file}: block ${block.slot} ${block.signing_root.slice(-2)}`);
      }
      for (const vote of step.attestations) {
        const [source, target] = [Number(vote.source_epoch), Number(vote.target_epoch)];
        const signed = await tries(protection.allowVote(named(vote.pubkey).address, source, target, vote.signing_root));
        holds(vote, signed, `${file}: vote ${source} to ${target}`);
      }
    }
  }
});

t.test("what one program signed the next one knows, over an interchange and through the disk", async (t) => {
  const [from, to] = [0, 1].map(() => mkdtempSync(join(tmpdir(), "rolec-interchange-"))) as [string, string];
  t.teardown(() => {
    for (const path of [from, to]) rmSync(path, { recursive: true });
  });
  const first = await openSlashingProtection(from, GENESIS);
  await first.allowProposal(A.address, 7, root("07"));
  await first.allowVote(A.address, 2, 5, root("05"));
  await first.allowVote(B.address, 0, 1, root("09"));
  await first.close();

  let db = await openDb(from);
  const text = JSON.stringify(exportInterchange(db, GENESIS, [A, B]));
  await db.close();
  db = await openDb(to);
  t.same(await importInterchange(db, readInterchange(JSON.parse(text), GENESIS), [A, B]), { imported: 2, unknown: [] });
  t.same(JSON.stringify(exportInterchange(db, GENESIS, [A, B])), text);
  await db.close();

  const second = await openSlashingProtection(to, GENESIS);
  await second.allowProposal(A.address, 7, root("07"));
  await second.allowVote(A.address, 2, 5, root("05"));
  await t.rejects(second.allowProposal(A.address, 7, root("08")), /slot 7 was/);
  await t.rejects(second.allowProposal(A.address, 6, root("06")), /slot 7 was/);
  await t.rejects(second.allowVote(A.address, 2, 5, root("06")), /one for 5 was/);
  await t.rejects(second.allowVote(A.address, 1, 6, root("06")), /one from 2 was/);
  await t.rejects(second.allowVote(B.address, 0, 1, root("06")), /one for 1 was/);
  await second.allowVote(B.address, 1, 2, root("06"));
  await second.close();
});

t.test("an import never lowers what is known, and conflicting history leaves nothing to sign again", async (t) => {
  const db = memoryDb();
  const protection = protectWith(db);
  await protection.allowProposal(A.address, 20, root("20"));
  await protection.allowVote(A.address, 8, 9, root("09"));
  const entry = (pubkey: Hex, blocks: object[], votes: object[]) => ({
    pubkey,
    signed_blocks: blocks,
    signed_attestations: votes,
  });
  const take = (...data: object[]) =>
    importInterchange(
      db,
      readInterchange(
        { metadata: { interchange_format_version: "5", genesis_validators_root: GENESIS }, data },
        GENESIS,
      ),
      [A],
    );
  await take(entry(A.blsPublicKey, [{ slot: "3" }], [{ source_epoch: "1", target_epoch: "2" }]));
  await protection.allowProposal(A.address, 20, root("20"));
  await protection.allowVote(A.address, 8, 9, root("09"));
  t.same((await take(entry(B.blsPublicKey, [], []))).unknown, [B.blsPublicKey]);

  await take(
    entry(
      A.blsPublicKey,
      [{ slot: "20", signing_root: root("21") }],
      [{ source_epoch: "8", target_epoch: "9", signing_root: root("0a") }],
    ),
  );
  for (const byte of ["20", "21"]) await t.rejects(protection.allowProposal(A.address, 20, root(byte)));
  for (const byte of ["09", "0a"]) await t.rejects(protection.allowVote(A.address, 8, 9, root(byte)));
  await take(entry(A.blsPublicKey, [], [{ source_epoch: "3", target_epoch: "15" }]));
  await t.rejects(protection.allowVote(A.address, 7, 16, root("01")), /one from 8 was/);
  await t.rejects(protection.allowVote(A.address, 8, 15, root("01")), /one for 15 was/);
  const [exported] = exportInterchange(db, GENESIS, [A]).data;
  t.same(exported!.signed_blocks, [{ slot: "20" }]);
  t.same(exported!.signed_attestations, [{ source_epoch: "8", target_epoch: "15" }]);
});

t.test("an interchange that is malformed or of another network is refused whole", async (t) => {
  const metadata = { interchange_format_version: "5", genesis_validators_root: GENESIS };
  const block = (slot: unknown, more: object = {}) => ({
    metadata,
    data: [{ pubkey: A.blsPublicKey, signed_blocks: [{ slot, ...more }], signed_attestations: [] }],
  });
  const cases: [unknown, RegExp][] = [
    [null, /the document is not an object/],
    [{}, /metadata is not an object/],
    [{ metadata: { ...metadata, interchange_format_version: "4" }, data: [] }, /version "4"/],
    [{ metadata: { ...metadata, genesis_validators_root: ZERO_HASH }, data: [] }, /of the network with genesis/],
    [{ metadata }, /data is not a list/],
    [{ metadata, data: [5] }, /an entry of data is not an object/],
    [{ metadata, data: [{ pubkey: "0x00" }] }, /pubkey must be 48 bytes/],
    [{ metadata, data: [{ pubkey: A.blsPublicKey }] }, /signed_blocks is not a list/],
    [block(5), /slot must be a decimal number/],
    [block("05"), /slot must be a decimal number/],
    [block("-5"), /slot must be a decimal number/],
    [block("18446744073709551615"), /slot must be a decimal number below 2\^53/],
    [block("5", { signing_root: "0x" }), /signing_root must be 32 bytes/],
  ];
  for (const [json, reason] of cases) t.throws(() => readInterchange(json, GENESIS), reason);
});
