import type { Header } from "../../chain/header.ts";
import type { Genesis } from "../../chain/params.ts";
import type { Address, Hash, Hex } from "../../lib/bytes.ts";
import type { ValidatorKeys } from "../../node/folder.ts";
import type { Host } from "../../p2p/host.ts";
import type { Kind } from "../../p2p/topics.ts";
import type { RpcClient } from "../../rpc/client.ts";

/** A node that is attacked. */
export interface Target {
  readonly rpcUrl: string;
  readonly p2p: string;
}

/** What an attacker has: a host beside each target, the network's genesis, and registered validators without power. */
export interface World {
  readonly genesis: Genesis;
  readonly genesisHash: Hash;
  readonly targets: readonly Target[];
  /** The targets' peer ids. */
  readonly peers: ReadonlySet<string>;
  /** The first target, and a client of it. */
  readonly target: Target;
  readonly client: RpcClient;
  /** Registered, with so little bond that they never propose and their votes decide nothing. */
  readonly validators: readonly (ValidatorKeys & { readonly index: number })[];
  /** Rich accounts that are the attacker's own. */
  readonly accounts: readonly { readonly address: Address; readonly privateKey: Hex }[];
  /** The attacker's peer, connected to each target; after it was put out, undefined. */
  readonly host: Host;
  /** Another identity, connected to each target. */
  join(): Promise<Host>;
  /** An identity that is not connected; stopped with the attack. */
  makeHost(): Promise<Host>;
  /** Sends a gossip message to each target, whatever their scores say. */
  gossip(kind: Kind, data: Uint8Array): void;
  /** Sends any RPC of gossipsub to each target. */
  sendRpc(rpc: object): void;
  /** The head as the first target tells it, at most a second old. */
  head(): Promise<{ readonly hash: Hash; readonly header: Header }>;
  /** The slot and epoch of now. */
  slot(): number;
  epoch(): number;
  /** Ends with the attack. */
  readonly signal: AbortSignal;
  /** Has something done when the attack ends. */
  onEnd(work: () => unknown): void;
  /** Counts what is worth telling beside the number of steps. */
  count(what: string, n?: number): void;
}

/** One attack: what it says of itself, and a generator whose steps are paced and bounded by who runs it. */
export interface Attack {
  readonly about: string;
  /** Steps a second, and in all, at most. */
  readonly perSecond: number;
  readonly max?: number;
  /** Whether who does this must have lost its connection when the attack ends. */
  readonly out: boolean;
  /** What the network needs before: blocks of 2 MiB. */
  readonly needs?: "large blocks";
  /** Has the first target killed and started again when the attack begins, as in its control. */
  readonly restart?: boolean;
  steps(world: World): AsyncGenerator<void, void>;
}

export type Attacks = Readonly<Record<string, Attack>>;

/** A different number each time: what is sent twice alike is known. */
let last = Math.floor(Math.random() * 2 ** 40);
export const fresh = (): number => ++last;
export const freshHash = (): Hash => `0x${fresh().toString(16).padStart(64, "0")}`;
