import { blsVerifySameMessage } from "../lib/bls.ts";
import type { Hash, Hex } from "../lib/bytes.ts";
import { type Link, voteMessage } from "./finality.ts";

/** Votes that are verified together at most: from here on a vote's share of the common part is small. */
const MAX_BATCH = 64;
/** Votes that wait at most: those of an epoch of 1,024 members, and as many that only the set before has. */
const MAX_PENDING = 2_048;

/** What is known of a signature: "left" is one that was not looked at, since too many wait or its bringer lied. */
export type Judgement = "good" | "bad" | "left";

interface Ballot {
  readonly publicKey: Hex;
  readonly signature: Hex;
  /** Who brought it; nobody where it is this node's own to ask for. */
  readonly from: string | undefined;
  readonly settle: (judgement: Judgement) => void;
}
interface Batch {
  readonly message: Uint8Array;
  readonly ballots: Ballot[];
  readonly timer: NodeJS.Timeout;
}

/** Verifies votes that come about the same time together, off the thread but for one pairing each time. */
export interface VoteVerifier {
  /** Tells whether a signature of a link is a key's. */
  verify(publicKey: Hex, link: Link, signature: Hex, from?: string): Promise<Judgement>;
  /** Verifies what waits and ends. */
  stop(): Promise<void>;
}

/**
 * Makes a verifier for a chain. `waitMs` says how long the first vote for a link waits for others. All of a batch are good where a
 * random sum of them is; else its halves are tried. Who brought a bad one is not worth that search again: what else it brought and
 * still waits is left unverified. So bad votes cost about as much as one by one, however many come at once.
 */
export const createVoteVerifier = (genesisHash: Hash, waitMs: () => number): VoteVerifier => {
  const open = new Map<string, Batch>();
  const liars = new Set<string>();
  let pending = 0;
  let turn: Promise<void> = Promise.resolve();

  const settle = async (message: Uint8Array, ballots: readonly Ballot[]): Promise<void> => {
    const isLeft = ({ from }: Ballot): boolean => from !== undefined && liars.has(from);
    for (const ballot of ballots.filter(isLeft)) ballot.settle("left");
    const asked = ballots.filter((ballot) => !isLeft(ballot));
    if (asked.length === 0) return;
    const isGood = await blsVerifySameMessage(message, asked);
    if (isGood || asked.length === 1) {
      const { from } = asked[0]!;
      if (!isGood && from !== undefined) liars.add(from);
      for (const ballot of asked) ballot.settle(isGood ? "good" : "bad");
      return;
    }
    const half = asked.length >> 1;
    await settle(message, asked.slice(0, half));
    await settle(message, asked.slice(half));
  };
  /** One batch after the other: the threads that verify are also those that read the disk. */
  const close = (key: string): void => {
    const batch = open.get(key);
    if (!batch) return;
    open.delete(key);
    clearTimeout(batch.timer);
    turn = turn.then(async () => {
      await settle(batch.message, batch.ballots);
      pending -= batch.ballots.length;
      if (pending === 0) liars.clear();
    });
  };

  return {
    verify: (publicKey, link, signature, from) =>
      new Promise((settle) => {
        if (pending >= MAX_PENDING) return settle("left");
        pending += 1;
        const key = `${link.sourceEpoch} ${link.sourceHash} ${link.targetEpoch} ${link.targetHash}`;
        const batch = open.get(key) ?? {
          message: voteMessage(genesisHash, link),
          ballots: [],
          timer: setTimeout(() => close(key), waitMs()),
        };
        open.set(key, batch);
        batch.ballots.push({ publicKey, signature, from, settle });
        if (batch.ballots.length >= MAX_BATCH) close(key);
      }),
    stop: async () => {
      for (const key of [...open.keys()]) close(key);
      await turn;
    },
  };
};
