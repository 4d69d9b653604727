import { type Block, type Body, encodeBlock } from "../../chain/block.ts";
import { type Header, hashHeader } from "../../chain/header.ts";
import { timestampOf } from "../../chain/params.ts";
import { signTransaction } from "../../chain/transaction.ts";
import { nextBaseFee } from "../../consensus/fees.ts";
import { EMPTY, fromHex, type Hex, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { randomPrivateKey, signCompact } from "../../lib/secp256k1.ts";
import { type Attacks, fresh, freshHash, type World } from "./attack.ts";
import { WHOLE } from "./gossip-attacks.ts";

const NO_BODY: Body = { transactions: [], workShares: [], certificates: [], evidence: [] };

/** Encodes a block over a header that is made different from all before; its roots are those of its parent's body. */
const blockOf = (header: Header, key: Hex, body: Body = NO_BODY): Uint8Array => {
  const extraData = fromHex(`0x${fresh().toString(16).padStart(12, "0")}`);
  const made = { ...header, extraData };
  const hash = hashHeader(made);
  return encodeBlock({ header: made, hash, signature: signCompact(hash, key), body } as Block);
};

/** The head's child in a slot, as far as one can say without running it. */
const childOf = async (world: World, slot: number): Promise<Header> => {
  const { hash, header } = await world.head();
  return {
    ...header,
    parentHash: hash,
    number: header.number + 1,
    timestamp: timestampOf(world.genesis, slot),
    baseFeePerGas: nextBaseFee(header),
  };
};

/** Some 29,000 copies of one worthless transaction: 2.8 MB. */
const fullBody = (): Body => {
  const tx = signTransaction(
    {
      type: 0,
      chainId: 1,
      nonce: 0,
      maxPriorityFeePerGas: 1n,
      maxFeePerGas: 1n,
      gasLimit: 1,
      to: ZERO_ADDRESS,
      value: 0n,
      data: EMPTY,
      accessList: [],
    },
    randomPrivateKey(),
  );
  return { ...NO_BODY, transactions: Array.from({ length: 29_000 }, () => tx) };
};

/** Blocks by gossip that no chain will hold. */
export const BLOCK_ATTACKS: Attacks = {
  "blocks-unsigned": {
    about: "blocks of 2.8 MB with unknown parents that no validator signed",
    perSecond: 2,
    out: false,
    async *steps(world) {
      const body = fullBody();
      for (;;) {
        const { header } = await world.head();
        world.gossip("block", blockOf({ ...header, parentHash: freshHash() }, randomPrivateKey(), body));
        yield;
      }
    },
  },
  "blocks-unknown-parent": {
    about: "empty blocks with unknown parents, of a registered validator and of nobody",
    perSecond: 200,
    out: false,
    async *steps(world) {
      for (let n = 0; ; n++) {
        const { header } = await world.head();
        const key = n % 2 === 0 ? randomPrivateKey() : world.validators[WHOLE[n % 7]!]!.secp;
        world.gossip("block", blockOf({ ...header, parentHash: freshHash() }, key));
        yield;
      }
    },
  },
  "blocks-large-orphans": {
    about: "blocks of 2.8 MB with unknown parents, signed by a registered validator",
    perSecond: 2,
    out: false,
    async *steps(world) {
      const body = fullBody();
      for (;;) {
        const { header } = await world.head();
        world.gossip("block", blockOf({ ...header, parentHash: freshHash() }, world.validators[WHOLE[0]!]!.secp, body));
        yield;
      }
    },
  },
  "blocks-wrong-proposer": {
    about: "children of the head in this slot and the next, signed by nobody or by who is not drawn",
    perSecond: 100,
    out: true,
    async *steps(world) {
      for (let n = 0; ; n++) {
        const header = await childOf(world, world.slot() + (n % 2));
        world.gossip(
          "block",
          blockOf(header, n % 3 === 0 ? world.validators[WHOLE[n % 7]!]!.secp : randomPrivateKey()),
        );
        yield;
      }
    },
  },
  "blocks-twins": {
    about: "any number of blocks of one slot by one registered validator",
    perSecond: 200,
    out: false,
    async *steps(world) {
      for (;;) {
        const header = await childOf(world, world.slot());
        world.gossip("block", blockOf(header, world.validators[WHOLE[1]!]!.secp));
        yield;
      }
    },
  },
  "blocks-early": {
    about: "blocks of slots that are up to a minute, and up to a year, ahead",
    perSecond: 100,
    out: false,
    async *steps(world) {
      for (let n = 0; ; n++) {
        const ahead = n % 4 === 3 ? 31_000_000 : 2 + (n % 58);
        const header = await childOf(world, world.slot() + ahead);
        world.gossip("block", blockOf(header, world.validators[WHOLE[n % 7]!]!.secp));
        yield;
      }
    },
  },
};
