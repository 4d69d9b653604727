import type { Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

/** What is said to who did not speak HTTP, or not in time, by Node's code for it. */
const ANSWERS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  HPE_CHUNK_EXTENSIONS_OVERFLOW: "413 Payload Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};
/** Connections that are ended in one go: each takes some 30 us, and a thousand may be late at the same moment. */
const ENDED_IN_TURN = 32;

/** Has a server end connections that broke HTTP as Node does, but a few in each round of the event loop. */
export const endInTurns = (server: Server): void => {
  const waiting = new Map<Duplex, string>();
  const end = (): void => {
    let left = ENDED_IN_TURN;
    for (const [socket, answer] of waiting) {
      if (left-- === 0) break;
      waiting.delete(socket);
      // An answer that has begun is not broken by another, which Node tells nobody but itself.
      const { _httpMessage: begun } = socket as { _httpMessage?: ServerResponse };
      if (socket.writable && !begun?.headersSent) socket.write(`HTTP/1.1 ${answer}\r\nConnection: close\r\n\r\n`);
      socket.destroy();
    }
    if (waiting.size > 0) setImmediate(end);
  };
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    if (waiting.size === 0) setImmediate(end);
    waiting.set(socket, ANSWERS[error.code ?? ""] ?? "400 Bad Request");
  });
};
