import type { Allowance } from "../lib/spending.ts";

/** Bounds for what comes from outside; geth's numbers where it has them. */
export const RPC_LIMITS = {
  /** 1,000 transactions of a kilobyte, 7 of the largest, or the receipts of a lot of 256 tasks, in hex. */
  maxBodyBytes: 2 * 1024 * 1024,
  maxBatch: 1_000,
  maxBatchMs: 30_000,
  /** Time of the thread that one call may take. */
  maxCallMs: 5_000,
  maxResponseChars: 25_000_000,
  maxConnections: 1_024,
  /** Of one address: a proxy on this machine, or the programs of its owner, may have more. */
  maxConnectionsOfAddress: 64,
  maxConnectionsOfLoopback: 768,
  maxWebSockets: 512,
  maxWebSocketsOfLoopback: 384,
  /** Requests of one connection that wait for their answers; hardly any client sends one before it has the last answer. */
  maxPipelined: 16,
  /** Requests that are read or run, and answers that are not taken yet, of all connections; beyond it the answer is 503. */
  maxBytesInFlight: 128 * 1024 * 1024,
  /** Of one client: two of the largest answers. */
  maxBytesOfClient: 64 * 1024 * 1024,
  /** What a request takes beside its bytes, so that many small ones are bounded too. */
  requestBytes: 4_096,
  /** What is larger leaves a quarter of all for what is not: slow readers of large answers stop no small request. */
  smallBytes: 64 * 1024,
  /** Requests of one WebSocket that wait for the one that runs; it is not read meanwhile. */
  maxQueuedBytes: 4 * 1024 * 1024,
  /** Addresses and topics of all filters and subscriptions. */
  maxFilterValues: 200_000,
  /** An answer has to be taken within so long, and a second more for each 64 KiB. */
  writeTimeoutMs: 30_000,
  minWriteBytesPerSecond: 64 * 1024,
  /** A WebSocket that does not read is dropped when so many bytes of events wait for it. */
  maxUnsentBytes: 4 * 1024 * 1024,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  idleTimeoutMs: 120_000,
  pingMs: 30_000,
  /** A client beyond its allowance waits: who asks one thing after another only becomes slower. Beyond so long it is refused. */
  maxWaitMs: 10_000,
} as const;

export type RpcLimits = { readonly [K in keyof typeof RPC_LIMITS]: number };

/** Milliseconds of the thread that requests may take. */
export interface RpcAllowances {
  /** One address of the network, or one /64 of IPv6. */
  readonly address: Allowance;
  /** One connection from this machine, whose programs share an address. */
  readonly local: Allowance;
  readonly all: Allowance;
  /** Who has spent no more than this lately is served whatever others spend. */
  readonly freely: number;
}

/**
 * A request of an explorer takes 0.05 ms to 10 ms, a batch of 1,000 some 50 ms, and eth_getLogs over 10,000 blocks 200 ms.
 * An address may have a fifth of the thread, after ten seconds at once: 2,000 plain requests a second. A program on this
 * machine that asks one thing after another has three quarters, so that blocks and votes never wait for more; all together
 * have 85 %, the rest is the node's.
 */
export const RPC_ALLOWANCES: RpcAllowances = {
  address: { perSecond: 200, burst: 10_000 },
  local: { perSecond: 750, burst: 30_000 },
  all: { perSecond: 850, burst: 10_000 },
  freely: 100,
};

/** What a request costs beside what its methods take: Node's own work for it, measured. */
export const REQUEST_COST_MS = { http: 0.1, socket: 0.02, dropped: 0.005 } as const;
