import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { Log } from "../lib/log.ts";
import type { Client, createClients, Holding } from "./clients.ts";
import { isLoopback } from "./connections.ts";
import { type Answer, bytesOf, type Caller, type Connection, limitExceeded, untilAllowed } from "./dispatch.ts";
import { REQUEST_COST_MS, type RpcLimits } from "./limits.ts";

export interface WebSocketOptions {
  readonly server: Server;
  readonly limits: RpcLimits;
  readonly clients: ReturnType<typeof createClients>;
  readonly dispatch: (body: Uint8Array, caller: Caller) => Promise<Answer | undefined>;
  /** The status line for a request that may not become a WebSocket. */
  readonly refusal: (request: IncomingMessage) => string | undefined;
  readonly mayStore: (request: IncomingMessage) => boolean;
  readonly log: Log;
}

/** A client and the events that it has not taken yet. */
interface Reader {
  readonly client: WebSocket;
  readonly events: Holding;
  unread: number;
}

/** Serves JSON-RPC by WebSocket on a server of HTTP. */
export const serveWebSockets = (options: WebSocketOptions): { stop(): void } => {
  const { limits, dispatch, log } = options;
  const sockets = new WebSocketServer({ noServer: true, maxPayload: limits.maxBodyBytes, perMessageDeflate: false });
  const readers = new Set<Reader>();
  const end = (reader: Reader): void => {
    readers.delete(reader);
    reader.events.free();
    reader.client.terminate();
  };
  /** Makes room by ending the one that has left most unread, who need not be the one that is written to. */
  const endSlowest = (): void => end([...readers].reduce((a, b) => (b.unread > a.unread ? b : a)));

  const attend = (client: WebSocket, socket: Duplex, { account, hold }: Client, mayStore: boolean): void => {
    const closers: (() => void)[] = [];
    const reader: Reader = { client, events: hold(), unread: 0 };
    readers.add(reader);
    const isOpen = (): boolean => client.readyState === client.OPEN;
    const connection: Connection = {
      send: (message) => {
        const size = Buffer.byteLength(message);
        account.spend(REQUEST_COST_MS.socket);
        if (isOpen() && !reader.events.take(size)) {
          endSlowest();
          if (isOpen() && !reader.events.take(size)) end(reader);
        }
        if (!isOpen()) return false;
        reader.unread += size;
        client.send(message, () => {
          reader.unread -= size;
          if (readers.has(reader)) reader.events.give(size);
        });
        if (reader.unread > limits.maxUnsentBytes) end(reader);
        return isOpen();
      },
      onClose: (run) => closers.push(run),
    };
    /** Sends an answer and waits until it is taken; who takes too long for it loses the connection. */
    const answerWith = (answer: Answer): Promise<void> =>
      new Promise((resolve) => {
        const allowedMs = limits.writeTimeoutMs + (1_000 * bytesOf(answer)) / limits.minWriteBytesPerSecond;
        const timer = setTimeout(() => client.terminate(), allowedMs);
        const done = (): void => {
          clearTimeout(timer);
          client.off("close", done);
          resolve();
        };
        client.once("close", done);
        // One message, in as many frames as there are pieces, which are given to the system in one go.
        socket.cork();
        for (const [i, piece] of answer.entries()) {
          const fin = i === answer.length - 1;
          client.send(piece, { binary: false, fin }, fin ? done : undefined);
        }
        socket.uncork();
      });
    const serve = async (body: Buffer): Promise<void> => {
      if (!isOpen()) return;
      account.spend(REQUEST_COST_MS.socket);
      const waitMs = await untilAllowed(account, limits.maxWaitMs);
      const holding = hold();
      try {
        const caller: Caller = { connection, account, hold: holding.take, mayStore };
        const answer = waitMs > 0 ? [Buffer.from(limitExceeded(waitMs))] : await dispatch(body, caller);
        if (answer !== undefined && isOpen()) await answerWith(answer);
      } finally {
        holding.free();
      }
    };

    let isAlive = true;
    const ping = setInterval(() => {
      // who is not read now cannot answer
      if (client.isPaused) return;
      if (!isAlive) return client.terminate();
      isAlive = false;
      client.ping();
    }, limits.pingMs);
    client.on("pong", () => {
      isAlive = true;
    });
    // one request after the other: a client that floods waits for itself
    let queue: Promise<void> = Promise.resolve();
    let queued = 0;
    let queuedBytes = 0;
    client.on("message", (data: Buffer, isBinary) => {
      if (isBinary || queued >= limits.maxBatch) return client.close(1008, "too many requests, or not text");
      const holding = hold();
      if (!holding.take(limits.requestBytes + data.length))
        return client.close(1013, "too much is under way, try again");
      queued += 1;
      queuedBytes += data.length;
      if (queuedBytes >= limits.maxQueuedBytes) client.pause();
      queue = queue
        .then(() => serve(data))
        .catch((error) => log.error({ err: error }, "WebSocket request failed"))
        .finally(() => {
          queued -= 1;
          queuedBytes -= data.length;
          holding.free();
          if (client.isPaused && queuedBytes < limits.maxQueuedBytes) client.resume();
        });
    });
    client.on("error", () => client.terminate());
    client.on("close", () => {
      clearInterval(ping);
      end(reader);
      for (const close of closers) close();
    });
  };

  let localSockets = 0;
  options.server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    const client = options.clients.of(request.socket);
    client.account.spend(REQUEST_COST_MS.http);
    const isLocal = isLoopback(request.socket.remoteAddress);
    const max = isLocal ? limits.maxWebSocketsOfLoopback : limits.maxWebSockets;
    const isFull = sockets.clients.size >= limits.maxWebSockets || (isLocal && localSockets >= max);
    const waits = client.account.waitMs() > limits.maxWaitMs;
    const status =
      options.refusal(request) ?? (waits ? "429 Too Many Requests" : isFull ? "503 Service Unavailable" : undefined);
    if (status !== undefined) {
      const why = isFull ? `at most ${max} WebSockets${isLocal ? " from this machine" : ""}\n` : "";
      return void socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: ${why.length}\r\n\r\n${why}`);
    }
    if (isLocal) {
      localSockets += 1;
      socket.once("close", () => {
        localSockets -= 1;
      });
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) =>
      attend(webSocket, socket, client, options.mayStore(request)),
    );
  });
  return {
    stop: () => {
      for (const client of sockets.clients) client.terminate();
    },
  };
};
