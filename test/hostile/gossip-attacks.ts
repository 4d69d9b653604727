import { randomBytes } from "node:crypto";
import { hashHeader } from "../../chain/header.ts";
import { slotOf } from "../../chain/params.ts";
import { signTransaction } from "../../chain/transaction.ts";
import { encodeEvidence, proposalEvidence, voteEvidence } from "../../consensus/evidence.ts";
import { type Link, voteMessage } from "../../consensus/finality.ts";
import { randaoMessage } from "../../consensus/proposer.ts";
import { checkTarget, encodeShare } from "../../consensus/shares.ts";
import { encodeVote } from "../../consensus/votes.ts";
import { blsSign } from "../../lib/bls.ts";
import { EMPTY, fromHex, type Hex, toHex, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { randomPrivateKey, signCompact } from "../../lib/secp256k1.ts";
import { signOrder } from "../../node/orders.ts";
import { KINDS, topicOf } from "../../p2p/topics.ts";
import { encodeOrder } from "../../vm/market/signed-order.ts";
import { type Attacks, fresh, freshHash, type World } from "./attack.ts";

/** Validator of the attacker's that is slashed once, and those that it keeps whole. */
const SLASHED = 0;
export const WHOLE = [1, 2, 3, 4, 5, 6, 7];

const signVote = ({ genesisHash, validators }: World, of: number, link: Link): Hex =>
  blsSign(validators[of]!.bls, voteMessage(genesisHash, link));
const attest = (world: World, of: number, link: Link) => ({
  indices: [world.validators[of]!.index],
  link,
  signature: signVote(world, of, link),
});
const voteOf = (world: World, of: number, link: Link): Uint8Array =>
  encodeVote({ index: world.validators[of]!.index, link, signature: signVote(world, of, link) });
const doubleVote = (world: World, of: number, link: Link): Uint8Array =>
  encodeEvidence(voteEvidence(attest(world, of, link), attest(world, of, { ...link, targetHash: freshHash() })));

/** A link for an epoch that the attacker's validators sign whatever it says. */
const falseLink = (targetEpoch: number): Link => ({
  sourceEpoch: Math.max(0, targetEpoch - 1),
  sourceHash: freshHash(),
  targetEpoch,
  targetHash: freshHash(),
});

export const GOSSIP_ATTACKS: Attacks = {
  "evidence-early": {
    about: "conflicting votes of a registered validator for an epoch in the far future",
    perSecond: 400,
    out: false,
    async *steps(world) {
      for (;;) {
        world.gossip("evidence", doubleVote(world, WHOLE[0]!, falseLink(10_000_000)));
        yield;
      }
    },
  },
  "evidence-useless": {
    about: "ever new proofs against a validator that is slashed already",
    perSecond: 400,
    out: false,
    async *steps(world) {
      const link = falseLink(Math.max(1, world.epoch() - 1));
      const first = attest(world, SLASHED, link);
      for (;;) {
        const second = attest(world, SLASHED, { ...link, targetHash: freshHash() });
        world.gossip("evidence", encodeEvidence(voteEvidence(first, second)));
        yield;
      }
    },
  },
  "evidence-variants": {
    about: "one offence of each validator in every form: both orders, v of 27 and 28, other headers",
    perSecond: 200,
    out: false,
    async *steps(world) {
      const { header } = await world.head();
      const v27 = (s: Hex): Hex => `${s.slice(0, -2)}${(Number.parseInt(s.slice(-2), 16) + 27).toString(16)}` as Hex;
      for (let n = 0; ; n++) {
        const key = world.validators[WHOLE[n % WHOLE.length]!]!;
        const signed = [0, 1].map((i) => {
          const slot = slotOf(world.genesis, header.timestamp);
          const randaoReveal = blsSign(key.bls, randaoMessage(world.genesisHash, slot));
          const extraData = fromHex(`0x${(fresh() + i).toString(16).padStart(12, "0")}`);
          const made = { ...header, randaoReveal, extraData };
          return { header: made, signature: signCompact(hashHeader(made), key.secp) };
        });
        const [a, b] = signed as [(typeof signed)[number], (typeof signed)[number]];
        for (const first of [a, { ...a, signature: v27(a.signature) }])
          for (const second of [b, { ...b, signature: v27(b.signature) }]) {
            world.gossip("evidence", encodeEvidence(proposalEvidence(first, second)));
            world.gossip("evidence", encodeEvidence(proposalEvidence(second, first)));
          }
        yield;
      }
    },
  },
  "votes-false-source": {
    about: "votes of registered validators for the head, from sources that are none",
    perSecond: 200,
    out: true,
    async *steps(world) {
      for (let n = 0; ; n++) {
        const { hash } = await world.head();
        world.gossip("vote", voteOf(world, WHOLE[n % 7]!, { ...falseLink(world.epoch()), targetHash: hash }));
        yield;
      }
    },
  },
  "votes-unknown-target": {
    about: "votes of registered validators for blocks that nobody has",
    perSecond: 200,
    out: false,
    async *steps(world) {
      for (let n = 0; ; n++) {
        world.gossip("vote", voteOf(world, WHOLE[n % 7]!, falseLink(world.epoch())));
        yield;
      }
    },
  },
  "votes-future": {
    about: "votes of registered validators for epochs that are far away",
    perSecond: 200,
    out: false,
    async *steps(world) {
      for (let n = 0; ; n++) {
        world.gossip("vote", voteOf(world, WHOLE[n % 7]!, falseLink(world.epoch() + 1_000 + n)));
        yield;
      }
    },
  },
  "votes-non-member": {
    about: "votes that claim to be of validators that there are not, and of others than who signed",
    perSecond: 400,
    out: true,
    async *steps(world) {
      for (let n = 0; ; n++) {
        const { hash } = await world.head();
        const link = { ...falseLink(world.epoch()), targetHash: hash };
        const signature = signVote(world, WHOLE[n % 7]!, link);
        world.gossip("vote", encodeVote({ index: n % 2 === 0 ? 900 : n % 4, link, signature }));
        yield;
      }
    },
  },
  "votes-many-identities": {
    about: "false votes, from a new identity whenever the one before is not heard any more",
    perSecond: 4,
    out: false,
    async *steps(world) {
      for (;;) {
        const host = await world.join();
        const topic = topicOf(world.genesisHash, "vote");
        for (let n = 0; n < 40; n++)
          await host.services.pubsub.publish(topic, voteOf(world, WHOLE[n % 7]!, falseLink(world.epoch())));
        world.count("identities");
        world.onEnd(() => host.stop());
        setTimeout(() => host.stop(), 1_500).unref();
        yield;
      }
    },
  },
  "votes-repeated": {
    about: "one message again and again",
    perSecond: 2_000,
    out: false,
    async *steps(world) {
      const vote = voteOf(world, WHOLE[0]!, falseLink(world.epoch()));
      for (;;) {
        world.gossip("vote", vote);
        yield;
      }
    },
  },
  shares: {
    about: "work shares over the head that no work is behind",
    perSecond: 1_000,
    out: true,
    async *steps(world) {
      for (;;) {
        const { hash } = await world.head();
        const share = { anchorHash: hash, beneficiary: world.validators[WHOLE[0]!]!.address, extraNonce: freshHash() };
        world.gossip("share", encodeShare({ ...share, nonce: toHex(randomBytes(8)), mixHash: freshHash() }));
        yield;
      }
    },
  },
  "shares-forged-mix": {
    about: "work shares whose claimed mix passes the cheap check, so that Ethash is asked",
    perSecond: 10,
    out: false,
    async *steps(world) {
      for (;;) {
        const { hash, header } = await world.head();
        const share = { anchorHash: hash, beneficiary: world.validators[WHOLE[0]!]!.address, extraNonce: freshHash() };
        for (let tries = 0; tries < 50_000; tries++) {
          const forged = { ...share, nonce: toHex(randomBytes(8)), mixHash: toHex(randomBytes(32)) };
          try {
            checkTarget(world.genesisHash, forged, header.difficulty);
          } catch {
            continue;
          }
          world.gossip("share", encodeShare(forged));
          world.count("forged");
          break;
        }
        yield;
      }
    },
  },
  "transactions-unfunded": {
    about: "well-formed transactions of accounts that have nothing",
    perSecond: 500,
    out: false,
    async *steps(world) {
      for (;;) {
        world.gossip("tx", unfunded(world));
        yield;
      }
    },
  },
  "transactions-malformed": {
    about: "bytes that are no transactions, and transactions of other chains",
    perSecond: 500,
    out: true,
    async *steps(world) {
      for (let n = 0; ; n++) {
        world.gossip("tx", n % 2 === 0 ? randomBytes(200) : unfunded(world, 1));
        yield;
      }
    },
  },
  orders: {
    about: "signed orders that nothing is behind: no entry, no means",
    perSecond: 200,
    out: false,
    async *steps(world) {
      for (;;) {
        world.gossip("order", worthlessOrder(world));
        yield;
      }
    },
  },
  "gossip-malformed": {
    about: "random bytes on every topic",
    perSecond: 300,
    out: true,
    async *steps(world) {
      for (let n = 0; ; n++) {
        world.gossip(KINDS[n % KINDS.length]!, randomBytes(1 + (n % 500)));
        yield;
      }
    },
  },
  "gossip-oversized": {
    about: "messages over their topic's size: votes of 2 MB",
    perSecond: 3,
    out: false,
    async *steps(world) {
      for (let n = 0; ; n++) {
        world.gossip(n % 2 === 0 ? "vote" : "tx", randomBytes(2_000_000));
        yield;
      }
    },
  },
  "gossip-many-messages": {
    about: "envelopes of 500 messages each, all refused",
    perSecond: 20,
    out: false,
    async *steps(world) {
      const topic = topicOf(world.genesisHash, "vote");
      for (;;) {
        world.sendRpc({
          subscriptions: [],
          messages: Array.from({ length: 500 }, () => ({ topic, data: randomBytes(170) })),
        });
        yield;
      }
    },
  },
  "gossip-control": {
    about: "IHAVE and IWANT of thousands of names, grafts and prunes without end",
    perSecond: 20,
    out: false,
    async *steps(world) {
      const topicID = topicOf(world.genesisHash, "tx");
      const ids = () => Array.from({ length: 4_000 }, () => randomBytes(32));
      for (let n = 0; ; n++) {
        const control = {
          ihave: n % 2 === 0 ? [{ topicID, messageIDs: ids() }] : [],
          iwant: n % 2 === 1 ? [{ messageIDs: ids() }] : [],
          graft: KINDS.map((kind) => ({ topicID: topicOf(world.genesisHash, kind) })),
          prune: KINDS.map((kind) => ({ topicID: topicOf(world.genesisHash, kind), peers: [] })),
          idontwant: [],
        };
        world.sendRpc({ subscriptions: [], messages: [], control });
        yield;
      }
    },
  },
  "gossip-subscriptions": {
    about: "subscriptions to topics that are none",
    perSecond: 100,
    out: false,
    async *steps(world) {
      for (let n = 0; ; n++) {
        const subscriptions = Array.from({ length: 30 }, (_, i) => ({
          subscribe: n % 2 === 0,
          topic: `junk ${n} ${i}`,
        }));
        world.sendRpc({ subscriptions, messages: [] });
        yield;
      }
    },
  },
};

/** A transfer by an account that is made for it and has nothing. */
export const unfunded = (world: World, chainId = world.genesis.chainId): Uint8Array =>
  signTransaction(
    {
      type: 2,
      chainId,
      nonce: 0,
      maxPriorityFeePerGas: 10n ** 9n,
      maxFeePerGas: 10n ** 11n,
      gasLimit: 21_000,
      to: ZERO_ADDRESS,
      value: BigInt(fresh()),
      data: EMPTY,
      accessList: [],
    },
    randomPrivateKey(),
  ).raw;

const worthlessOrder = (world: World): Uint8Array => {
  const key = randomPrivateKey();
  const zero = ZERO_ADDRESS;
  return encodeOrder(
    signOrder(world.genesis.chainId, key, {
      kind: "workerpool",
      order: {
        workerpool: toHex(randomBytes(20)),
        workerpoolprice: 0n,
        volume: 1n,
        tag: `0x${"00".repeat(32)}`,
        category: 0n,
        trust: 1n,
        apprestrict: zero,
        datasetrestrict: zero,
        requesterrestrict: zero,
        salt: freshHash(),
        sign: EMPTY,
      },
    }),
  );
};
