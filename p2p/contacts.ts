import type { IdentifyResult, PeerId } from "@libp2p/interface";
import type { Hash } from "../lib/bytes.ts";
import { forgetOldest } from "../lib/lru.ts";
import type { Host } from "./host.ts";
import { networkPrefix } from "./topics.ts";

/** Who of those that a node is connected to is of its network, and what became of the addresses that it called. */
export interface Contacts {
  /** Notes which peer answers at an address. */
  reached(address: string, peer: string): void;
  /** Notes why nobody answers at an address. */
  missed(address: string, error: Error): void;
  /** Notes that a peer spoke a protocol of this network. */
  met(peer: PeerId): void;
  /** Counts the connected peers that are of this network. */
  count(): number;
  /** Counts the addresses that were called. */
  called(): number;
  /** Says what is wrong with an address, in a few words; undefined where nothing is, or nothing is known yet. */
  fault(address: string): string | undefined;
  stop(): void;
}

const MAX_ADDRESSES = 1_024;
const MAX_STRANGERS = 1_024;
const MAX_REASON_CHARS = 120;
/** What the protocols of every network of rolec begin with. */
const ROLEC = "/rolec/";

/** By the system's code of an error, or by libp2p's name of it. */
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection closed",
  EHOSTUNREACH: "no route to it",
  ENETUNREACH: "no route to it",
  ENOTFOUND: "no such name",
  EAI_AGAIN: "its name is not resolved",
  ETIMEDOUT: "no answer in time",
  TimeoutError: "no answer in time",
  AbortError: "no answer in time",
  DialDeniedError: "it broke a rule and is left alone for ten minutes",
  EncryptionFailedError: "no rolec node answers there, or it refuses this one",
  NoValidAddressesError: "an address of TCP is needed",
};

const reasonOf = (error: Error): string => {
  if (/does not match expected remote identity/.test(error.message)) return "a node of another peer id answers there";
  const { code = "" } = error as { code?: string | number };
  return REASONS[code] ?? REASONS[error.name] ?? error.message.slice(0, MAX_REASON_CHARS);
};

/** Watches a host's peers. To be made before the host starts. */
export const createContacts = (host: Host, genesisHash: Hash): Contacts => {
  const ours = networkPrefix(genesisHash);
  /** Connected peers of this network: connections bound it. */
  const own = new Set<string>();
  /** What other peers are, the latest; kept when they are gone, since their addresses stay wrong. */
  const strangers = new Map<string, string>();
  const addresses = new Map<string, { readonly peer?: string; readonly reason?: string }>();
  const isConnected = (peer: PeerId): boolean => host.getConnections(peer).length > 0;
  const met = (peer: PeerId): void => {
    if (!isConnected(peer)) return;
    own.add(peer.toString());
    strangers.delete(peer.toString());
  };
  const onIdentify = ({ detail: { peerId, protocols } }: CustomEvent<IdentifyResult>): void => {
    const peer = peerId.toString();
    const isOurs = protocols.some((each) => each.startsWith(ours));
    if (isOurs) met(peerId);
    // A node that starts is met before it has all its protocols: what it has spoken since counts more.
    if (isOurs || own.has(peer)) return;
    strangers.delete(peer);
    strangers.set(
      peer,
      protocols.some((each) => each.startsWith(ROLEC)) ? "is of another network" : "is no rolec node",
    );
    forgetOldest(strangers, MAX_STRANGERS);
  };
  const onDisconnect = ({ detail }: CustomEvent<PeerId>): void => void own.delete(detail.toString());
  host.addEventListener("peer:identify", onIdentify);
  host.addEventListener("peer:disconnect", onDisconnect);

  const note = (address: string, outcome: { peer: string } | { reason: string }): void => {
    if (addresses.has(address) || addresses.size < MAX_ADDRESSES) addresses.set(address, outcome);
  };
  return {
    reached: (address, peer) => note(address, { peer }),
    missed: (address, error) => note(address, { reason: reasonOf(error) }),
    met,
    count: () => own.size,
    called: () => addresses.size,
    fault: (address) => {
      const { peer, reason } = addresses.get(address) ?? {};
      if (reason !== undefined) return `is not reached: ${reason}`;
      return peer === undefined ? undefined : strangers.get(peer);
    },
    stop: () => {
      host.removeEventListener("peer:identify", onIdentify);
      host.removeEventListener("peer:disconnect", onDisconnect);
    },
  };
};
