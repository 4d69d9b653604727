import t from "tap";
import { type Block, decodeBlock, encodeBlock } from "../../chain/block.ts";
import { DatabaseError, memoryDb } from "../../chain/db.ts";
import { type Header, hashHeader } from "../../chain/header.ts";
import { type Genesis, timestampOf } from "../../chain/params.ts";
import { createEngine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { localSigner } from "../../consensus/signer.ts";
import type { Log } from "../../lib/log.ts";
import { signCompact } from "../../lib/secp256k1.ts";
import { memoryProtection, silent, testGenesis } from "../helpers/chain.ts";

/** A parameter that the market's system step alone reads, with a bug behind it. */
const withBug = (genesis: Genesis, onRead: () => void): Genesis => {
  const closesPerBlock = {
    valueOf: () => {
      onRead();
      return genesis.params.closesPerBlock;
    },
  };
  return { ...genesis, params: { ...genesis.params, closesPerBlock: closesPerBlock as unknown as number } };
};

/** A chain of one validator, and a node that imports its blocks; `isBroken` tells in which slots the step meets its bug. */
const startChain = async (error: Error, isBroken: (slot: number) => boolean) => {
  const { genesis: sound, keys } = testGenesis(1);
  let slot = 0;
  const genesis = withBug(sound, () => {
    if (isBroken(slot)) throw error;
  });
  const now = () => timestampOf(genesis, slot) * 1000;
  const errors: string[] = [];
  const log = { ...silent, debug: () => {}, error: (_: object, text: string) => errors.push(text) } as unknown as Log;
  const [maker, importer] = [
    await createEngine({ db: memoryDb(), genesis, now, log }),
    await createEngine({ db: memoryDb(), genesis, now, log }),
  ];
  const producer = createProducer({
    engine: maker,
    signers: keys.map(localSigner),
    protection: memoryProtection(),
    publishBlock: () => {},
    publishVote: () => {},
    log,
  });
  t.teardown(() => Promise.all([maker.stop(), importer.stop()]));
  return {
    maker,
    importer,
    keys,
    errors,
    /** Runs a slot; the importer sees whatever is made. */
    run: async () => {
      slot += 1;
      await producer.onSlot(slot);
      const head = maker.head();
      if (head.header.number > 0) await importer.importBlock(decodeBlock(encodeBlock(head)));
    },
  };
};

t.test("a bug that the market's step meets undoes it, and the chain goes on, alike on all nodes", async (t) => {
  const { maker, importer, errors, run } = await startChain(new TypeError("a bug"), (slot) => slot >= 3 && slot < 6);
  for (let i = 0; i < 12; i++) await run();
  t.equal(maker.head().header.number, 12);
  t.equal(importer.head().hash, maker.head().hash);
  t.ok(maker.finalized().epoch > 0);
  const said = errors.filter((text) => /market/.test(text));
  t.equal(said.length, 6, "once a block on each node");
  t.equal(errors.length, 6);
});

t.test("a database that fails in the market's step stops the node: it makes and judges no block", async (t) => {
  const { maker, importer, run } = await startChain(new DatabaseError("the disk is gone"), (slot) => slot === 3);
  for (let i = 0; i < 4; i++) await run();
  t.equal(maker.head().header.number, 3, "none in slot 3, which no other node takes for a fault of the chain");
  t.equal(importer.head().hash, maker.head().hash);
});

t.test("a node whose step met a bug does not blame the maker of a block that then looks bad", async (t) => {
  let isSound = true;
  const { maker, importer, keys, run } = await startChain(new TypeError("a bug of one node"), () => !isSound);
  await run();
  const parent = maker.head();
  await run();
  const header: Header = { ...maker.head().header, stateRoot: parent.header.stateRoot };
  const hash = hashHeader(header);
  const bad: Block = { ...maker.head(), header, hash, signature: signCompact(hash, keys[0]!.secp) };
  const other = await createEngine({ db: memoryDb(), genesis: importer.chain.genesis, now: importer.now, log: silent });
  t.teardown(() => other.stop());
  await other.importBlock(decodeBlock(encodeBlock(parent)));
  isSound = false;
  await t.rejects(other.importBlock(bad), { name: "Error", message: /a bug of ours came before .*header-state-root/ });
  isSound = true;
  await t.rejects(other.importBlock(bad), { code: "header-state-root" }, "nor was it remembered as bad");
});
