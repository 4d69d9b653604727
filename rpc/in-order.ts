import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

type Listener = (request: IncomingMessage, response: ServerResponse) => void;

export interface InOrderOptions {
  /** Requests of one connection that may be without their whole answer. */
  readonly max: number;
  /** A client that does not take an answer so long after it was written loses the connection. */
  readonly takeMs: number;
  /** Pays for a request, before anything is made for it. */
  readonly pay: (socket: Socket, isDropped: boolean) => void;
  /** Answers a request; never rejects. */
  readonly serve: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
}

interface Line {
  count: number;
  last: Promise<void>;
}

/** Waits until an answer is taken, or its connection ends: an answer that waits for another then never says so itself. */
export const taken = (socket: Socket, response: ServerResponse, takeMs: number): Promise<void> =>
  new Promise((resolve) => {
    if (response.closed || socket.destroyed) return resolve();
    const timer = setTimeout(() => socket.destroy(), takeMs);
    const done = (): void => {
      clearTimeout(timer);
      response.off("close", done);
      socket.off("close", done);
      resolve();
    };
    response.once("close", done);
    socket.once("close", done);
  });

/**
 * Serves the requests of a connection one after the other, each once the answer before it is taken. Node itself hands over
 * all that a piece of the stream holds at once, 1,600 of them; who sends more than a few ahead loses the connection.
 */
export const inOrder = ({ max, takeMs, pay, serve }: InOrderOptions): Listener => {
  const lines = new WeakMap<Socket, Line>();
  return (request, response) => {
    const { socket } = request;
    // The rest of a piece is still parsed when its connection has been ended.
    const known = lines.get(socket);
    if (socket.destroyed) {
      if (known) pay(socket, true);
      return;
    }
    const line = known ?? { count: 0, last: Promise.resolve() };
    lines.set(socket, line);
    if (line.count >= max) {
      pay(socket, true);
      return void socket.destroy();
    }
    pay(socket, false);
    line.count += 1;
    line.last = line.last.then(async () => {
      try {
        if (socket.destroyed) return;
        await serve(request, response);
        await taken(socket, response, takeMs);
      } catch {
        // What cannot be answered in order is not answered at all.
        socket.destroy();
      } finally {
        line.count -= 1;
      }
    });
  };
};
