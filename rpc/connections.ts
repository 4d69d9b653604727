import type { Server, Socket } from "node:net";
import { isIP } from "node:net";

/** Groups connections by who they come from: an IPv4 address, or the 64 bits of IPv6 that one customer has. */
export const peerOf = (address: string | undefined): string => {
  const plain = (address ?? "").replace(/^::ffff:(?=\d+\.)/, "");
  if (isIP(plain) !== 6) return plain;
  const [head = "", tail] = plain.split("%")[0]!.split("::");
  const groups = head.split(":").filter(Boolean);
  const after = tail?.split(":").filter(Boolean).length ?? 0;
  while (tail !== undefined && groups.length + after < 8) groups.push("0");
  return `${groups.slice(0, 4).join(":")}::`;
};

/** Tells whether an address is this machine's own. */
export const isLoopback = (address: string | undefined): boolean =>
  address === "::1" || /^(?:::ffff:)?127\./.test(address ?? "");

export interface ConnectionLimits {
  readonly maxConnections: number;
  readonly maxConnectionsOfAddress: number;
  readonly maxConnectionsOfLoopback: number;
}

/** Lets a server have so many connections, and so many of one address; the others end at once. */
export const limitConnections = (server: Server, limits: ConnectionLimits): void => {
  server.maxConnections = limits.maxConnections;
  const counts = new Map<string, number>();
  server.on("connection", (socket: Socket) => {
    const peer = peerOf(socket.remoteAddress);
    const count = counts.get(peer) ?? 0;
    const max = isLoopback(socket.remoteAddress) ? limits.maxConnectionsOfLoopback : limits.maxConnectionsOfAddress;
    if (count >= max) return socket.destroy();
    counts.set(peer, count + 1);
    socket.once("close", () => {
      const left = counts.get(peer)! - 1;
      if (left > 0) counts.set(peer, left);
      else counts.delete(peer);
    });
  });
};
