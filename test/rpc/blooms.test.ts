import { createHash } from "node:crypto";
import t from "tap";
import type { Block } from "../../chain/block.ts";
import { type Hash, toHex } from "../../lib/bytes.ts";
import { createTurns } from "../../lib/turns.ts";
import { createBlooms } from "../../rpc/blooms.ts";

/** A tree of headers, and how many of them were read. */
const createTree = () => {
  const blocks = new Map<Hash, Block>();
  let made = 0;
  const tree = {
    head: undefined as unknown as Block,
    reads: 0,
    extend: (parent: Block | undefined): Block => {
      const seed = createHash("sha256").update(String(made++)).digest();
      const number = parent ? parent.header.number + 1 : 0;
      const logsBloom = Buffer.concat(Array.from({ length: 8 }, () => seed));
      const header = { number, parentHash: parent?.hash, logsBloom };
      const block = { hash: toHex(seed), header } as unknown as Block;
      blocks.set(block.hash, block);
      return block;
    },
    parentOf: ({ header }: Block): Block | undefined => blocks.get(header.parentHash),
    port: {
      head: () => tree.head,
      store: {
        head: (hash: Hash) => {
          tree.reads += 1;
          return blocks.get(hash);
        },
      },
    },
  };
  tree.head = tree.extend(undefined);
  return tree;
};

t.test("what is remembered is the chain of the head, whatever head comes and whoever asks at once", async (t) => {
  const tree = createTree();
  const blooms = createBlooms(tree.port as never, createTurns());
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 48_271) % 0x7fffffff;
    return seed % below;
  };
  const grow = (count: number): void => {
    for (let i = 0; i < count; i++) tree.head = tree.extend(tree.head);
  };
  const chain = (): Block[] => {
    const all: Block[] = [];
    for (let at: Block | undefined = tree.head; at; at = tree.parentOf(at)) all[at.header.number] = at;
    return all;
  };
  let wrong = 0;
  for (let round = 0; round < 400; round++) {
    const back = random(4) === 0 ? random(30) : 0;
    for (let i = 0; i < back; i++) tree.head = tree.parentOf(tree.head) ?? tree.head;
    grow(1 + random(back + 20));
    const expected = chain();
    const from = random(expected.length);
    const firsts = await Promise.all([blooms.follow(from), blooms.follow(random(expected.length))]);
    const [{ first, hashes }] = firsts;
    if (first !== from || hashes.length !== expected.length - from) wrong += 1;
    for (const [number, block] of expected.entries()) {
      if (number < from) continue;
      const bloom = blooms.of(number, block.hash);
      if (hashes[number - from] !== block.hash) wrong += 1;
      if (!bloom || Buffer.compare(bloom, block.header.logsBloom) !== 0) wrong += 1;
    }
  }
  t.equal(wrong, 0);
});

t.test("a header is read once, and no more are remembered than may be", async (t) => {
  const tree = createTree();
  const blooms = createBlooms(tree.port as never, createTurns());
  for (let i = 0; i < 20_000; i++) tree.head = tree.extend(tree.head);
  t.equal((await blooms.follow(19_000)).first, 19_000);
  const first = tree.reads;
  t.ok(first <= 1_010, "what is older than what is asked for is not read");
  await blooms.follow(19_000);
  t.ok(tree.reads - first <= 1, "only the head is looked at again");
  t.equal((await blooms.follow(0)).first, 20_000 - 16_384 + 1, "what is too old is for the database");
  t.equal((await blooms.follow(19_000)).first, 19_000);
  const all = tree.reads;
  tree.head = tree.extend(tree.head);
  await blooms.follow(10_000);
  t.ok(tree.reads - all <= 3, "a block more is a header more");
});

t.test("an answer is of one chain, and a head that went back is no fault", async (t) => {
  const tree = createTree();
  const blooms = createBlooms(tree.port as never, createTurns());
  for (let i = 0; i < 600; i++) tree.head = tree.extend(tree.head);
  const { hashes } = await blooms.follow(500);
  const orphans = hashes.slice(-3);
  for (let i = 0; i < 120; i++) tree.head = tree.parentOf(tree.head)!;
  t.same(await blooms.follow(490), { first: 490, hashes: [] });
  for (let i = 0; i < 130; i++) tree.head = tree.extend(tree.head);
  await blooms.follow(600);
  for (const [i, hash] of orphans.entries())
    t.equal(blooms.of(598 + i, hash), undefined, "what is not there any more is read again");
  t.equal((await blooms.follow(475)).hashes.length, tree.head.header.number - 474);
});
