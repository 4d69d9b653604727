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

/** This machine has many addresses, and is one client. */
const LOOPBACK = "loopback";
/** How often it is looked at most which connections have said something. */
const LOOK_MS = 1_000;

interface Member {
  readonly socket: Socket;
  readonly group: Set<Member>;
  bytesRead: number;
  heardMs: number;
}

/**
 * Lets a server have so many connections, and so many of one address; others of that address end at once. Where all are
 * taken, or all of this machine, the connection ends that has been silent longest of whoever has most: who holds many and
 * says nothing keeps nobody out.
 */
export const limitConnections = (server: Server, limits: ConnectionLimits): void => {
  const groups = new Map<string, Set<Member>>();
  let count = 0;
  let lookedMs = 0;
  /** Counted by what was read: a listener of data would take it from whoever serves the connection. */
  const look = (nowMs: number): void => {
    if (nowMs - lookedMs < LOOK_MS) return;
    lookedMs = nowMs;
    for (const group of groups.values())
      for (const member of group) {
        if (member.socket.bytesRead === member.bytesRead) continue;
        member.bytesRead = member.socket.bytesRead;
        member.heardMs = nowMs;
      }
  };
  const leave = (name: string, member: Member): void => {
    if (!member.group.delete(member)) return;
    count -= 1;
    if (member.group.size === 0 && groups.get(name) === member.group) groups.delete(name);
  };
  const endSilent = (name: string, group: Set<Member>): void => {
    const silent = [...group].reduce((a, b) => (b.heardMs < a.heardMs ? b : a));
    leave(name, silent);
    silent.socket.destroy();
  };
  server.on("connection", (socket: Socket) => {
    const isLocal = isLoopback(socket.remoteAddress);
    const name = isLocal ? LOOPBACK : peerOf(socket.remoteAddress);
    const size = groups.get(name)?.size ?? 0;
    if (!isLocal && size >= limits.maxConnectionsOfAddress) return socket.destroy();
    const nowMs = performance.now();
    look(nowMs);
    if (isLocal && size >= limits.maxConnectionsOfLoopback) endSilent(name, groups.get(name)!);
    else if (count >= limits.maxConnections)
      endSilent(...[...groups].reduce((a, b) => (b[1].size > a[1].size ? b : a)));
    const group = groups.get(name) ?? new Set<Member>();
    groups.set(name, group);
    const member: Member = { socket, group, bytesRead: 0, heardMs: nowMs };
    group.add(member);
    count += 1;
    socket.once("close", () => leave(name, member));
  });
};
