import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Connection } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import type { Block } from "../chain/block.ts";
import { encodeBlock } from "../chain/block.ts";
import type { Database } from "../chain/db.ts";
import type { Engine } from "../consensus/engine.ts";
import { encodeEvidence } from "../consensus/evidence.ts";
import { encodeShare } from "../consensus/shares.ts";
import { encodeVote, type Vote } from "../consensus/votes.ts";
import type { Disk } from "../lib/disk.ts";
import type { Log } from "../lib/log.ts";
import { readRegular, writeWhole } from "../lib/whole-file.ts";
import { encodeOrder } from "../vm/market/signed-order.ts";
import { type Contacts, createContacts } from "./contacts.ts";
import { createExchange, type FetchOptions } from "./data/exchange.ts";
import type { DataStore } from "./data/store.ts";
import { startDiscovery } from "./discovery.ts";
import { startGossip } from "./gossip.ts";
import { createHost, MAX_OUTBOUND } from "./host.ts";
import { type LotReceipts, openLotReceipts } from "./lots.ts";
import type { OrderBook } from "./orders/book.ts";
import { startOrderExchange } from "./orders/exchange.ts";
import { createSync, type StatusReport } from "./sync.ts";
import { protocolOf } from "./topics.ts";

export interface NetworkOptions {
  readonly engine: Engine;
  readonly datadir: string;
  readonly listen: readonly string[];
  readonly bootstrap: readonly string[];
  /** Addresses beside those it listens on, at which others reach it. */
  readonly announce?: readonly string[];
  /** The node's data, shared with other nodes. */
  readonly data: DataStore;
  /** Where the receipts of lots are kept. */
  readonly dataDb: Database;
  /** The node's book of orders. */
  readonly orders: OrderBook;
  /** What foreign data may not fill; left out: there is no end. */
  readonly disk?: Disk | undefined;
  readonly log: Log;
}

/** A node's place among the others. */
export interface Network {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Addresses at which others reach this node, with its peer id. */
  multiaddrs(): string[];
  peers(): { readonly id: string; readonly address: string }[];
  readonly contacts: Contacts;
  /** Calls a listener with each status that a peer gives; it ends by calling what it gets. */
  onStatus(listener: (report: StatusReport) => void): () => void;
  publishBlock(block: Block): void;
  publishVote(vote: Vote): void;
  /** Brings a tree of data here. Throws RuleError where nobody has it. */
  fetchData(cid: string, options?: FetchOptions): Promise<void>;
  /** Tells others, in the background, that this node has a tree. */
  provideData(cid: string): void;
  readonly lots: LotReceipts;
}

const REDIAL_MS = 3_000;
const MAX_KNOWN = 64;

/** Puts host, gossip and synchronization together. */
export const createNetwork = async ({
  engine,
  datadir,
  listen,
  bootstrap,
  announce = [],
  data,
  dataDb,
  orders,
  disk,
  log,
}: NetworkOptions): Promise<Network> => {
  const host = await createHost({ datadir, listen, announce, genesisHash: engine.genesisHash, log });
  const contacts = createContacts(host, engine.genesisHash);
  const statusListeners = new Set<(report: StatusReport) => void>();
  const onStatus = (report: StatusReport): void => {
    contacts.met(report.peer);
    for (const listener of statusListeners) listener(report);
  };
  const sync = createSync({ host, engine, log, onStatus });
  const exchange = createExchange({ host, genesisHash: engine.genesisHash, store: data, log });
  const lots = await openLotReceipts({ db: dataDb, engine, host, disk });
  let gossip: ReturnType<typeof startGossip> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let unsubscribe: (() => void)[] = [];
  let stopDiscovery: (() => void) | undefined;
  let stopOrders: (() => void) | undefined;

  // Peers outlive a restart: a node that comes back finds the network without its bootstrap.
  const peersFile = join(datadir, "peers.json");
  const known = new Set<string>(bootstrap);
  const save = (): void => {
    try {
      writeWhole(peersFile, JSON.stringify([...known]));
    } catch (error) {
      // A node without it finds the others through its bootstrap, and stops in order.
      log.warn({ file: peersFile, error: (error as Error).message }, "the addresses of known peers are not written");
    }
  };
  if (existsSync(peersFile)) {
    try {
      for (const address of JSON.parse(readRegular(peersFile).toString("utf8")) as unknown[])
        if (typeof address === "string") known.add(address);
    } catch (error) {
      const lost = "it is damaged and is written anew: addresses of peers are lost, --bootstrap finds others";
      log.warn({ file: peersFile, error: (error as Error).message }, lost);
    }
  }
  let dialling = false;
  const redial = async (): Promise<void> => {
    if (dialling) return;
    dialling = true;
    try {
      await dialKnown();
    } catch (error) {
      log.warn({ error: (error as Error).message }, "dialling failed");
    } finally {
      dialling = false;
    }
  };
  /** Where a peer that called says that it listens, if it is where it called from: who is called alone remembers others too. */
  const listenAddressOf = async ({ remotePeer, remoteAddr }: Connection): Promise<string | undefined> => {
    const { addresses, protocols } = await host.peerStore.get(remotePeer);
    if (!protocols.includes(protocolOf(engine.genesisHash, "status"))) return undefined;
    const from = remoteAddr.getComponents()[0]?.value;
    return addresses.find((each) => each.multiaddr.getComponents()[0]?.value === from)?.multiaddr.toString();
  };
  const dialKnown = async (): Promise<void> => {
    const before = known.size;
    const connected = new Set(host.getPeers().map(String));
    for (const peer of host.getConnections()) {
      const address = peer.remoteAddr.toString();
      if (known.size >= MAX_KNOWN) break;
      const where = peer.direction === "outbound" ? address : await listenAddressOf(peer);
      if (where) known.add(where.includes("/p2p/") ? where : `${where}/p2p/${peer.remotePeer}`);
    }
    // Written when it grows, so that a node that is killed knows its peers too.
    if (known.size > before) save();
    const free = MAX_OUTBOUND - host.getConnections().filter(({ direction }) => direction === "outbound").length;
    const isNew = (address: string): boolean => {
      const id = address.split("/p2p/")[1];
      if (id && connected.has(id)) contacts.reached(address, id);
      return id !== host.peerId.toString() && !(id && connected.has(id));
    };
    const dial = async (address: string): Promise<void> => {
      try {
        const { remotePeer } = await host.dial(multiaddr(address), { signal: AbortSignal.timeout(REDIAL_MS) });
        contacts.reached(address, remotePeer.toString());
      } catch (error) {
        contacts.missed(address, error as Error);
        log.debug({ address, error: (error as Error).message }, "not reached");
      }
    };
    // The bootstrap nodes come first.
    const some = [...known].filter(isNew).slice(0, Math.max(0, free));
    await Promise.all(some.map(dial));
  };

  return {
    start: async () => {
      await host.start();
      stopDiscovery = startDiscovery(host, log);
      gossip = startGossip({ host, engine, orders, log, onMissingParent: sync.poke });
      await sync.start();
      await exchange.start();
      await lots.start();
      stopOrders = await startOrderExchange({ host, genesisHash: engine.genesisHash, book: orders, log });
      // A message that came by gossip is known there as published: it does not go out twice.
      unsubscribe = [
        engine.on("transaction", (tx) => gossip?.publish("tx", tx.raw)),
        engine.on("evidence", (evidence) => gossip?.publish("evidence", encodeEvidence(evidence))),
        engine.on("share", (share) => gossip?.publish("share", encodeShare(share))),
        orders.onOrder((order) => gossip?.publish("order", encodeOrder(order))),
      ];
      await redial();
      timer = setInterval(() => void redial(), REDIAL_MS);
    },
    stop: async () => {
      clearInterval(timer);
      stopDiscovery?.();
      stopOrders?.();
      for (const stop of unsubscribe) stop();
      sync.stop();
      await exchange.stop();
      save();
      await host.stop();
      contacts.stop();
    },
    contacts,
    onStatus: (listener) => {
      statusListeners.add(listener);
      return () => statusListeners.delete(listener);
    },
    multiaddrs: () => host.getMultiaddrs().map(String),
    peers: () =>
      host.getConnections().map((each) => ({ id: each.remotePeer.toString(), address: each.remoteAddr.toString() })),
    publishBlock: (block) => gossip?.publish("block", encodeBlock(block)),
    lots,
    fetchData: exchange.fetch,
    provideData: exchange.provide,
    publishVote: (vote) => gossip?.publish("vote", encodeVote(vote)),
  };
};
