import { mkdtempSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Connection, MessageStream, StreamMessageEvent } from "@libp2p/interface";
import { memoryDb } from "../../chain/db.ts";
import type { Genesis } from "../../chain/params.ts";
import { createEngine, type Engine } from "../../consensus/engine.ts";
import { concat, type Hash } from "../../lib/bytes.ts";
import type { Log } from "../../lib/log.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { createHost, type Host } from "../../p2p/host.ts";
import { createNetwork, type Network } from "../../p2p/network.ts";
import { openOrderBook } from "../../p2p/orders/book.ts";
import { silent } from "./chain.ts";

export type Teardown = { teardown(work: () => Promise<void>): void };
export const LOOPBACK = "/ip4/127.0.0.1/tcp/0";

/** Starts a bare host on loopback; it ends with the test. */
export const startHost = async (t: Teardown, genesisHash: Hash, listen = [LOOPBACK]): Promise<Host> => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-host-"));
  const host = await createHost({ datadir, listen, genesisHash });
  await host.start();
  t.teardown(async () => {
    await host.stop();
    rmSync(datadir, { recursive: true, force: true });
  });
  return host;
};

/** What libp2p has beneath a connection and does not declare. */
export interface Secured extends MessageStream {
  readonly stream: MessageStream & { readonly socket: Socket };
  readonly handshake: { encrypt(data: Uint8Array): StreamMessageEvent["data"] };
  encrypt(data: StreamMessageEvent["data"]): StreamMessageEvent["data"];
}
export const securedOf = (connection: Connection): Secured =>
  (connection as unknown as { muxer: { maConn: Secured } }).muxer.maConn;

/** Makes messages of Noise that hold nothing, to be sent on the stream beneath before anything else is encrypted. */
export const emptyMessages = ({ handshake }: Secured, count: number): Uint8Array[] =>
  Array.from({ length: count }, () => {
    const body = handshake.encrypt(new Uint8Array(0)).subarray();
    return concat(Uint8Array.of(0, body.length), body);
  });

export interface NetworkNode {
  readonly engine: Engine;
  readonly network: Network;
}

/** Starts a node of a chain on loopback; it ends with the test. */
export const startNetworkNode = async (
  t: Teardown,
  options: { genesis: Genesis; now: () => number; bootstrap?: readonly string[]; log?: Log },
): Promise<NetworkNode> => {
  const { genesis, now, bootstrap = [], log = silent } = options;
  const datadir = mkdtempSync(join(tmpdir(), "rolec-node-"));
  const engine = await createEngine({ db: memoryDb(), genesis, now, log: silent });
  const dataDb = memoryDb();
  const data = await openDataStore(dataDb);
  const orders = await openOrderBook({ db: dataDb, engine, now, log: silent });
  const network = await createNetwork({ engine, datadir, listen: [LOOPBACK], bootstrap, data, dataDb, orders, log });
  await network.start();
  t.teardown(async () => {
    await network.stop();
    await engine.stop();
    rmSync(datadir, { recursive: true, force: true });
  });
  return { engine, network };
};

/** Waits until something is so, half a minute at most. */
export const until = async (condition: () => boolean, what: string): Promise<void> => {
  for (let i = 0; i < 1_200; i++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`not within 30 s: ${what}`);
};
