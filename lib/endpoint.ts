import { isIP } from "node:net";

/** Addresses that stand for all of this machine's, and where a program on it reaches what listens there. */
const REACHED_AT: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

/** Writes a host and a port as URLs do: an IPv6 address stands in brackets. */
export const endpoint = (host: string, port: number): string => `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;

/** Writes the URL at which programs on this machine reach what listens at a host. */
export const httpUrl = (host: string, port: number): string => `http://${endpoint(REACHED_AT[host] ?? host, port)}`;

/** Tells whether this machine alone reaches what listens at a host. */
export const isLoopbackHost = (host: string): boolean =>
  host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));

/** Writes an IP address and a TCP port as a multiaddr. */
export const tcpMultiaddr = (address: string, port: number): string => `/ip${isIP(address)}/${address}/tcp/${port}`;

/** Reads the IP address and the TCP port of a multiaddr that tcpMultiaddr wrote. */
export const placeOfMultiaddr = (address: string): { readonly host: string; readonly port: number } => {
  const [, , host = "", , port] = address.split("/");
  return { host, port: Number(port) };
};
