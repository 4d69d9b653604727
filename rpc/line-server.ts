import { createServer, type Socket } from "node:net";
import type { Log } from "../lib/log.ts";
import { type ConnectionLimits, limitConnections } from "./connections.ts";
import { listen } from "./listen.ts";

/** Bounds of a server of lines of text. */
export interface LineLimits extends ConnectionLimits {
  readonly maxLineBytes: number;
  /** Lines of one connection in a second; a few seconds' worth may come at once. Who sends more waits: TCP holds it back. */
  readonly linesPerSecond: number;
  /** A connection that says nothing so long ends. */
  readonly idleMs: number;
  /** A client that does not read is dropped when so many bytes wait for it. */
  readonly maxUnsentBytes: number;
}

/** One client. */
export interface LineClient {
  /** Sends a line. */
  send(line: string): void;
  /** Says a last line and ends the connection. */
  end(line?: string): void;
}

/** What is done with a client's lines, one after the other. */
export interface LineHandler {
  onLine(line: string): Promise<void> | void;
  onClose(): void;
}

const BURST_SECONDS = 4;
const LINE_FEED = 10;

/** A TCP server of lines. */
export interface LineServer {
  /** Listens; gives the port. Rejects where it is taken. */
  start(): Promise<number>;
  stop(): Promise<void>;
}

/** Makes a TCP server that hands each client's lines to a handler of its own, within limits. */
export const createLineServer = (options: {
  readonly host: string;
  readonly port: number;
  readonly limits: LineLimits;
  readonly log: Log;
  /** The last line for a client that breaks a limit. */
  readonly refusal: (reason: string) => string;
  readonly attend: (client: LineClient) => LineHandler;
}): LineServer => {
  const { limits, log } = options;
  const sockets = new Set<Socket>();

  const serve = (socket: Socket): void => {
    sockets.add(socket);
    let ended = false;
    const client: LineClient = {
      send: (line) => {
        if (ended || socket.destroyed) return;
        if (socket.writableLength > limits.maxUnsentBytes) socket.destroy();
        else socket.write(`${line}\n`);
      },
      end: (line) => {
        if (ended) return;
        ended = true;
        socket.end(line === undefined ? "" : `${line}\n`, () => socket.destroy());
      },
    };
    const handler = options.attend(client);
    let rest = Buffer.alloc(0);
    let tokens = limits.linesPerSecond * BURST_SECONDS;
    let filledMs = performance.now();
    let timer: NodeJS.Timeout | undefined;
    let queue: Promise<void> = Promise.resolve();
    const refill = (): void => {
      const nowMs = performance.now();
      const gained = ((nowMs - filledMs) / 1000) * limits.linesPerSecond;
      tokens = Math.min(tokens + gained, limits.linesPerSecond * BURST_SECONDS);
      filledMs = nowMs;
    };
    const handle = (line: string): void => {
      queue = queue
        .then(() => (ended ? undefined : handler.onLine(line)))
        .catch((error: Error) => {
          log.error({ err: error }, "a line was not handled");
          client.end(options.refusal("internal error"));
        });
    };
    /** Takes the lines that have come, as far as the rate allows; the rest waits, and the client with it. */
    const pump = (): void => {
      timer = undefined;
      refill();
      while (!ended) {
        const end = rest.indexOf(LINE_FEED);
        if ((end < 0 ? rest.length : end) > limits.maxLineBytes) {
          client.end(options.refusal("the line is too long"));
          return;
        }
        if (end < 0) break;
        if (tokens < 1) {
          socket.pause();
          timer = setTimeout(pump, ((1 - tokens) / limits.linesPerSecond) * 1000 + 1);
          return;
        }
        tokens -= 1;
        const text = rest.subarray(0, end).toString("utf8").trim();
        rest = rest.subarray(end + 1);
        if (text !== "") handle(text);
      }
      socket.resume();
    };
    socket.setNoDelay(true);
    socket.setTimeout(limits.idleMs, () => client.end(options.refusal("idle too long")));
    socket.on("data", (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      if (!timer) pump();
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      ended = true;
      clearTimeout(timer);
      sockets.delete(socket);
      handler.onClose();
    });
  };

  const server = createServer(serve);
  limitConnections(server, limits);
  return {
    start: async () => {
      const port = await listen(server, options.port, options.host);
      server.on("error", (error) => log.error({ err: error }, "line server"));
      return port;
    },
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
};
