import t from "tap";
import { DatabaseError } from "../../chain/db.ts";
import { hashHeader, headerCoder } from "../../chain/header.ts";
import { signTransaction, type Transaction } from "../../chain/transaction.ts";
import { checkHeader } from "../../consensus/header-rules.ts";
import { slash } from "../../consensus/slashing.ts";
import { buildBlock, openBlock } from "../../consensus/transition.ts";
import { ZERO_ADDRESS } from "../../lib/bytes.ts";
import type { Item } from "../../lib/rlp.ts";
import type { RuleError } from "../../lib/rule-error.ts";
import { signCompact } from "../../lib/secp256k1.ts";
import { accountOf, createTestNetwork, openAt } from "../helpers/chain.ts";

const alice = accountOf("alice");
const heavy = (nonce: number): Transaction =>
  signTransaction(
    {
      type: 2,
      chainId: 77_216,
      nonce,
      maxPriorityFeePerGas: 1n,
      maxFeePerGas: 10n ** 10n,
      gasLimit: 600_000,
      to: ZERO_ADDRESS,
      value: 0n,
      data: new Uint8Array(120_000),
      accessList: [],
    },
    alice.key,
  );

t.test("a header's timestamp lies on a slot exactly", async (t) => {
  const { nodes, run } = await createTestNetwork(1);
  await run(2);
  const { engine } = nodes[0]!;
  const { genesis } = engine.chain;
  const slow = { ...engine.chain, genesis: { ...genesis, params: { ...genesis.params, slotSeconds: 2 } } };
  const { header } = engine.head();
  const parent = engine.store.block(header.parentHash)!.header;
  t.throws(() => checkHeader(slow, parent, { ...header, timestamp: genesis.genesisTime + 3 }), {
    code: "header-timestamp",
  });
});

t.test("a header whose fields have other sizes is refused", (t) => {
  const sized = (item: Item, place: number, bytes: number): Item =>
    (item as Item[]).map((field, i) => (i === place ? new Uint8Array(bytes) : field));
  const network = createTestNetwork(1);
  return network.then(({ nodes }) => {
    const item = headerCoder.encode(nodes[0]!.engine.head().header);
    t.throws(() => headerCoder.decode(sized(item, 6, 255)), { code: "block-format" }, "a bloom of 255 bytes");
    t.doesNotThrow(() => headerCoder.decode(item));
  });
});

t.test("a block beside what is final is not looked at", async (t) => {
  const { nodes, run, keys } = await createTestNetwork(1);
  const { engine } = nodes[0]!;
  await run(24);
  t.ok(engine.finalized().number > 1);
  const first = engine.store.block(engine.store.canonical(1)!)!;
  const header = { ...first.header, extraData: Uint8Array.of(9) };
  const hash = hashHeader(header);
  const twin = { ...first, header, hash, signature: signCompact(hash, keys[0]!.secp) };
  await t.rejects(engine.importBlock(twin), { code: "block-not-on-finalized" });
});

t.test("a block holds so many bytes of transactions and no more", async (t) => {
  const { nodes, run } = await createTestNetwork(1, [alice.address]);
  const { engine } = nodes[0]!;
  await run(1);
  const refused: string[] = [];
  const { body } = buildBlock(engine.chain, openAt(engine), {
    beneficiary: ZERO_ADDRESS,
    randaoReveal: engine.head().header.randaoReveal,
    transactions: Array.from({ length: 20 }, (_, nonce) => heavy(nonce)),
    workShares: [],
    certificates: [],
    evidence: [],
    onRefused: (_, error) => refused.push((error as RuleError).code),
    onBug: (error) => t.fail(error.message),
  });
  t.equal(body.transactions.length, 17, "17 of 120 kB in 2 MiB");
  t.equal(refused[0], "block-size");
});

t.test(
  "a certificate or evidence that meets a bug of ours is left out, and a database that fails is not",
  async (t) => {
    const { nodes, run } = await createTestNetwork(1);
    const { engine } = nodes[0]!;
    await run(1);
    const meeting = (error: Error) =>
      new Proxy({} as never, {
        get: () => {
          throw error;
        },
      });
    const bugs: string[] = [];
    const build = (error: Error) =>
      buildBlock(engine.chain, openAt(engine), {
        beneficiary: ZERO_ADDRESS,
        randaoReveal: engine.head().header.randaoReveal,
        transactions: [],
        workShares: [],
        certificates: [meeting(error)],
        evidence: [meeting(error)],
        onRefused: (_, refused) => t.fail(refused.message),
        onBug: ({ message }) => bugs.push(message),
      });
    const { body } = build(new TypeError("a bug"));
    t.same([body.certificates, body.evidence, bugs], [[], [], ["a bug", "a bug"]]);
    t.throws(() => build(new DatabaseError("the disk is gone")), { name: "DatabaseError" });
  },
);

t.test("the block of a slashed proposer is invalid", async (t) => {
  const { nodes, run, keys } = await createTestNetwork(4);
  const { engine } = nodes[0]!;
  await run(9);
  const block = engine.head();
  const parent = engine.store.block(block.header.parentHash)!;
  const index = keys.findIndex((each) => each.address === block.header.beneficiary);
  const openState = () => {
    const state = engine.stateOf(parent);
    slash(state, 2, index, ZERO_ADDRESS);
    return state;
  };
  t.throws(() => openBlock(engine.chain, { ...engine.baseOf(parent), openState }, block), {
    code: "block-proposer-slashed",
  });
});
