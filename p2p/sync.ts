import type { PeerId } from "@libp2p/interface";
import { decodeBlock } from "../chain/block.ts";
import { slotOf } from "../chain/params.ts";
import type { Engine } from "../consensus/engine.ts";
import { decodeVote, encodeVote } from "../consensus/votes.ts";
import { type Hash, isHex } from "../lib/bytes.ts";
import type { Log } from "../lib/log.ts";
import { RuleError } from "../lib/rule-error.ts";
import type { Host } from "./host.ts";
import { ask, createLimiter, serve } from "./streams.ts";
import { protocolOf } from "./topics.ts";

const BATCH_BLOCKS = 128;
const BATCH_BYTES = 16 * 1024 * 1024;
const MAX_VOTES = 4_096;
/** Votes of a peer that are verified together. */
const VOTES_AT_ONCE = 64;
const POLL_MS = 2_000;
/** How long one peer may be asked in one go, and how many are at a time. */
const ROUND_MS = 60_000;
const MAX_RUNNING = 3;

/** What nodes tell each other of their chains. */
export interface Status {
  readonly genesisHash: Hash;
  readonly headNumber: number;
  readonly headHash: Hash;
  readonly finalizedNumber: number;
  /** The node's clock in ms; nodes may leave it out. */
  readonly clockMs?: number;
}

/** A peer's status, and this node's clock in ms before it was asked and after it answered. */
export interface StatusReport {
  readonly peer: PeerId;
  readonly status: Status;
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
}

const isStatus = (value: unknown): value is Status => {
  const status = value as Status;
  return (
    typeof value === "object" &&
    value !== null &&
    isHex(status.genesisHash, 32) &&
    isHex(status.headHash, 32) &&
    Number.isSafeInteger(status.headNumber) &&
    Number.isSafeInteger(status.finalizedNumber) &&
    (status.clockMs === undefined || Number.isSafeInteger(status.clockMs))
  );
};

/** Catches up with peers that are ahead, and serves those that are behind. */
export interface Sync {
  start(): Promise<void>;
  stop(): void;
  /** Looks at a peer soon. */
  poke(peer: PeerId): void;
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
  const { store, genesisHash } = engine;
  const statusNow = (): Status => {
    const head = engine.head();
    return {
      genesisHash,
      headNumber: head.header.number,
      headHash: head.hash,
      finalizedNumber: engine.finalized().number,
      clockMs: Math.round(engine.now()),
    };
  };

  const blocksFrom = (request: unknown): Uint8Array[] => {
    const from = (request as { from?: unknown }).from;
    if (typeof from !== "number" || !Number.isSafeInteger(from) || from < 1) throw new Error("no number to begin at");
    const blocks: Uint8Array[] = [];
    let bytes = 0;
    for (let number = from; blocks.length < BATCH_BLOCKS; number++) {
      const hash = number <= engine.head().header.number ? store.canonical(number) : undefined;
      const encoded = hash && store.encoded(hash);
      if (!encoded) break;
      bytes += encoded.length;
      if (bytes > BATCH_BYTES - 1024 * 1024 && blocks.length > 0) break;
      blocks.push(encoded);
    }
    return blocks;
  };

  /** Imports a peer's chain from the last block that is final here, for a while: others may have a turn then. */
  const catchUp = async (peer: PeerId): Promise<void> => {
    const askedAtMs = engine.now();
    const status = await ask(host, peer, protocolOf(genesisHash, "status"), {}, 1024);
    // Before slot 0 too the head is block 0.
    const slotsSinceGenesis = Math.max(0, slotOf(engine.chain.genesis, engine.now() / 1000) + 1);
    if (!isStatus(status) || status.genesisHash !== genesisHash || status.headNumber > slotsSinceGenesis)
      throw new RuleError("peer-status", { verdict: "reject", section: "12" });
    onStatus?.({ peer, status, askedAtMs, answeredAtMs: engine.now() });
    let from = engine.finalized().number + 1;
    const deadline = Date.now() + ROUND_MS;
    while (from <= status.headNumber && !engine.has(status.headHash) && Date.now() < deadline) {
      const answer = await ask(host, peer, protocolOf(genesisHash, "blocks"), { from }, BATCH_BYTES);
      if (!Array.isArray(answer) || answer.length === 0) break;
      for (const [i, bytes] of answer.entries()) {
        if (!(bytes instanceof Uint8Array)) throw new RuleError("peer-blocks", { verdict: "reject", section: "12" });
        const block = decodeBlock(bytes);
        // What was asked for, so that each round comes nearer to an end.
        if (block.header.number !== from + i) throw new RuleError("peer-blocks", { verdict: "reject", section: "12" });
        // Its parent is the one before it, or final here: a chain has no holes.
        if ((await engine.importBlock(block)) === "waiting") return;
      }
      from += answer.length;
    }
    const votes = await ask(host, peer, protocolOf(genesisHash, "votes"), {}, MAX_VOTES * 600);
    if (!Array.isArray(votes)) throw new RuleError("peer-votes", { verdict: "reject", section: "12" });
    const take = async (bytes: unknown): Promise<void> => {
      try {
        await engine.addVote(decodeVote(bytes as Uint8Array));
      } catch (error) {
        if (!(error instanceof RuleError) || error.verdict === "reject") throw error;
      }
    };
    for (let at = 0; at < Math.min(votes.length, MAX_VOTES); at += VOTES_AT_ONCE)
      await Promise.all(votes.slice(at, at + VOTES_AT_ONCE).map(take));
  };

  let timer: NodeJS.Timeout | undefined;
  const running = new Set<string>();
  const run = async (peer: PeerId): Promise<void> => {
    const id = peer.toString();
    if (running.has(id) || running.size >= MAX_RUNNING) return;
    running.add(id);
    try {
      await catchUp(peer);
    } catch (error) {
      log.debug({ peer: peer.toString(), error: (error as Error).message }, "no synchronization with a peer");
      // Who serves what breaks a rule is not talked to for a while.
      if (!(error instanceof RuleError) || error.verdict !== "reject") return;
      host.services.bans.add(peer);
      await host.hangUp(peer).catch(() => undefined);
    } finally {
      running.delete(id);
    }
  };
  const onConnect = (event: CustomEvent<PeerId>): void => void run(event.detail);

  return {
    start: async () => {
      const allow = createLimiter();
      await serve(host, protocolOf(genesisHash, "status"), allow, statusNow);
      await serve(host, protocolOf(genesisHash, "blocks"), allow, blocksFrom);
      await serve(host, protocolOf(genesisHash, "votes"), allow, () =>
        engine.votes.all().slice(-MAX_VOTES).map(encodeVote),
      );
      host.addEventListener("peer:connect", onConnect);
      timer = setInterval(() => {
        const peers = host.getPeers();
        const peer = peers[Math.floor(Math.random() * peers.length)];
        if (peer) void run(peer);
      }, POLL_MS);
    },
    stop: () => {
      clearInterval(timer);
      host.removeEventListener("peer:connect", onConnect);
    },
    poke: (peer) => void run(peer),
  };
};
