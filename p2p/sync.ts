import type { PeerId } from "@libp2p/interface";
import { type Block, decodeBlock, decodeBlockHead } from "../chain/block.ts";
import { slotOf } from "../chain/params.ts";
import type { Engine } from "../consensus/engine.ts";
import { decodeVote } from "../consensus/votes.ts";
import type { Log } from "../lib/log.ts";
import { RuleError } from "../lib/rule-error.ts";
import { expel } from "./bans.ts";
import { monotonic } from "./bucket.ts";
import {
  isStatus,
  joinPieces,
  MAX_PIECES_BYTES,
  MAX_VOTES,
  MAX_VOTES_BYTES,
  type Status,
  serveChain,
} from "./chain-server.ts";
import type { Host } from "./host.ts";
import { type Claim, createPlaces, type Turn } from "./places.ts";
import { createRivalReader } from "./rival.ts";
import { failPeer } from "./rules.ts";
import { ask, askFrames } from "./streams.ts";
import { protocolOf } from "./topics.ts";

/** How often somebody is asked, and those that wait for a place are looked at. */
const POLL_MS = 2_000;
const TICK_MS = 250;
/** How long one peer is asked in one go. */
const ROUND_MS = 60_000;
const MAX_WANTED = 256;
const WARN_MS = 60_000;

/** Catches up with peers that are ahead, and serves those that are behind. */
export interface Sync {
  start(): Promise<void>;
  stop(): void;
  /** Looks at a peer soon: it sent a block whose parent is not here. */
  poke(peer: PeerId): void;
}

/** A peer's status, and this node's clock in ms before it was asked and after it answered. */
export interface StatusReport {
  readonly peer: PeerId;
  readonly status: Status;
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
}

export interface SyncOptions {
  readonly host: Host;
  readonly engine: Engine;
  readonly log: Log;
  /** Called with each status that a peer gave. */
  readonly onStatus?: (report: StatusReport) => void;
}

/** Makes the synchronizer of a node. */
export const createSync = ({ host, engine, log, onStatus }: SyncOptions): Sync => {
  const { genesisHash } = engine;
  const places = createPlaces();
  let warnedAt = Number.NEGATIVE_INFINITY;

  /** Yields what a peer answers, and counts the time that it takes for it. */
  async function* waitFor<T>(turn: Turn, answers: AsyncGenerator<T>): AsyncGenerator<T> {
    try {
      for (;;) {
        const { done, value } = await turn.waiting(answers.next());
        if (done) return;
        yield value;
      }
    } finally {
      await answers.return(undefined);
    }
  }
  /**
   * The block up to which a peer can be followed by this node's clock. One that is ahead of it is not at fault: this clock may
   * be slow, or not yet at slot 0.
   */
  const reachOf = (peer: PeerId, headNumber: number): number => {
    const slots = Math.max(0, Math.floor(slotOf(engine.chain.genesis, engine.now() / 1000)) + 1);
    if (headNumber > slots && monotonic() - warnedAt > WARN_MS) {
      warnedAt = monotonic();
      log.warn({ peer: peer.toString(), headNumber, slots }, "a peer has more blocks than this clock says can be");
    }
    return Math.min(headNumber, slots);
  };
  const rivals = createRivalReader(engine);
  const blocksFrom = (peer: PeerId, from: number, turn: Turn): AsyncGenerator<Uint8Array> =>
    waitFor(turn, joinPieces(askFrames(host, peer, protocolOf(genesisHash, "blocks"), { from }, MAX_PIECES_BYTES)));
  /** Imports blocks from one number on; gives how many came. */
  const takeBlocks = async (peer: PeerId, from: number, turn: Turn): Promise<{ came: number; isStuck: boolean }> => {
    let came = 0;
    for await (const bytes of blocksFrom(peer, from, turn)) {
      const { header, hash } = decodeBlockHead(bytes);
      // What was asked for, so that each round comes nearer to an end.
      if (header.number !== from + came) failPeer("peer-blocks");
      came += 1;
      if (engine.has(hash)) continue;
      // Its parent is the one before it, or final here: a chain has no holes, unless it parts from this one before.
      if (await isElsewhere(decodeBlock(bytes))) {
        await rivals.read(peer, from, (number) => blocksFrom(peer, number, turn));
        return { came, isStuck: true };
      }
      turn.brought();
      host.services.budget.reward(peer.toString());
    }
    return { came, isStuck: came === 0 };
  };
  /** Tells whether a block that comes after this node's final one does not build on it. */
  const isElsewhere = async (block: Block): Promise<boolean> => {
    try {
      return (await engine.importBlock(block)) === "waiting";
    } catch (error) {
      if (error instanceof RuleError && error.code === "block-not-on-finalized") return true;
      throw error;
    }
  };
  const takeVote = async (bytes: unknown, from: string): Promise<void> => {
    if (!(bytes instanceof Uint8Array)) return failPeer("peer-votes");
    try {
      await engine.addVote(decodeVote(bytes), from);
    } catch (error) {
      if (!(error instanceof RuleError) || error.verdict === "reject") throw error;
    }
  };
  const takeVotes = async (peer: PeerId, turn: Turn): Promise<void> => {
    const frames = askFrames(host, peer, protocolOf(genesisHash, "votes"), {}, MAX_VOTES_BYTES);
    let came = 0;
    for await (const votes of waitFor(turn, frames)) {
      if (!Array.isArray(votes) || votes.length === 0) return failPeer("peer-votes");
      came += votes.length;
      if (came > MAX_VOTES) return failPeer("peer-votes");
      // They are verified together.
      await Promise.all(votes.map((vote) => takeVote(vote, peer.toString())));
    }
  };
  /** Imports a peer's chain from the last block that is final here, for a while: others may have a turn then. */
  const catchUp = async (peer: PeerId, turn: Turn): Promise<void> => {
    const askedAtMs = engine.now();
    const status = await turn.waiting(ask(host, peer, protocolOf(genesisHash, "status"), {}, 1024));
    if (!isStatus(status) || status.genesisHash !== genesisHash) return failPeer("peer-status");
    onStatus?.({ peer, status, askedAtMs, answeredAtMs: engine.now() });
    const reach = reachOf(peer, status.headNumber);
    const deadline = monotonic() + ROUND_MS;
    for (let from = engine.finalized().number + 1; from <= reach && !engine.has(status.headHash); ) {
      const { came, isStuck } = await takeBlocks(peer, from, turn);
      if (isStuck || monotonic() > deadline) break;
      from += came;
    }
    await takeVotes(peer, turn);
  };

  /** Peers that are to be asked and had no place, or sent something new while they were asked. */
  const wanted = new Map<string, { readonly peer: PeerId; readonly claim: Claim }>();
  const claimOf = (peer: PeerId): Claim =>
    places.wasGood(peer.toString()) || host.getConnections(peer).some(({ direction }) => direction === "outbound")
      ? "known"
      : "stranger";
  const run = async (peer: PeerId, claim: Claim, turn: Turn): Promise<void> => {
    try {
      await catchUp(peer, turn);
      turn.done();
    } catch (error) {
      turn.failed();
      log.debug({ peer: peer.toString(), claim, error: (error as Error).message }, "no synchronization with a peer");
      // Who serves what breaks a rule is not talked to for a while.
      if (!(error instanceof RuleError) || error.verdict !== "reject") return;
      expel(host, peer);
    }
  };
  const want = (peer: PeerId, claim: Claim): void => {
    const id = peer.toString();
    if (places.isResting(id)) return;
    const turn = places.take(id, claim);
    if (turn) void run(peer, claim, turn);
    else if (wanted.size < MAX_WANTED) wanted.set(id, { peer, claim });
  };
  const lookAtWanted = (): void => {
    for (const [id, { peer, claim }] of [...wanted]) {
      wanted.delete(id);
      if (host.getConnections(peer).length > 0) want(peer, claim);
    }
  };
  const onConnect = ({ detail: peer }: CustomEvent<PeerId>): void => want(peer, claimOf(peer));
  let timers: NodeJS.Timeout[] = [];

  return {
    start: async () => {
      await serveChain(host, engine);
      host.addEventListener("peer:connect", onConnect);
      timers = [
        setInterval(lookAtWanted, TICK_MS),
        setInterval(() => {
          const peers = host.getPeers().filter((peer) => !places.isResting(peer.toString()));
          const peer = peers[Math.floor(Math.random() * peers.length)];
          if (peer) want(peer, claimOf(peer));
        }, POLL_MS),
      ];
    },
    stop: () => {
      for (const timer of timers) clearInterval(timer);
      host.removeEventListener("peer:connect", onConnect);
    },
    poke: (peer) => want(peer, "poked"),
  };
};
