import { statSync } from "node:fs";
import { isIP } from "node:net";
import { multiaddr } from "@multiformats/multiaddr";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Hex } from "../../lib/bytes.ts";
import { isHex } from "../../lib/bytes.ts";
import { DEFAULT_RESERVE_MIB, sizeOfDisk } from "../../lib/disk.ts";
import { nearest } from "../../lib/whole-file.ts";
import { isHostOption } from "../../rpc/http.ts";
import { isOriginOption } from "../../rpc/origins.ts";
import { fail } from "./output.ts";

/** Parses a whole number within bounds, for commander. */
export const whole =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max)
      throw new InvalidArgumentError(`a whole number from ${min} to ${max} is expected`);
    return value;
  };

/** Adds the option of what a disk keeps for what cannot wait. */
export const diskOption = (command: Command): Command =>
  command.option(
    "--disk-reserve <MiB>",
    "below so much free disk take no data of others; the chain goes on",
    whole(0, 2 ** 30),
    DEFAULT_RESERVE_MIB,
  );

/** Ends the program where a disk could not keep what the option asks for if it held nothing else; left out, it asks for what there is. */
export const checkReserve = (folder: string, reserveMib: number): void => {
  if (reserveMib === DEFAULT_RESERVE_MIB) return;
  const mib = Math.floor(sizeOfDisk(nearest(folder)) / 1024 / 1024);
  if (reserveMib >= mib) fail(`--disk-reserve ${reserveMib}: the disk of ${folder} has ${mib} MiB in all`);
};

/** Parses a TCP port; 0 lets the system choose. */
export const port = whole(0, 65535);

/** Parses an http URL. */
export const url = (text: string): string => {
  if (!/^https?:\/\/[^\s]+$/.test(text))
    throw new InvalidArgumentError("an http URL is expected, like http://127.0.0.1:8545");
  return text;
};

/** Parses a folder, which there may not be yet. */
export const folder = (text: string): string => {
  const found = nearest(text);
  if (!statSync(found).isDirectory()) throw new InvalidArgumentError(`${found} is no folder`);
  return text;
};

/** Parses an address of 20 bytes. */
export const address = (text: string): Hex => {
  const lower = text.toLowerCase();
  if (!isHex(lower, 20)) throw new InvalidArgumentError("an address is expected: 0x and 40 hex digits");
  return lower;
};

/** Parses a hash of 32 bytes. */
export const hash = (text: string): Hex => {
  const lower = text.toLowerCase();
  if (!isHex(lower, 32)) throw new InvalidArgumentError("a hash is expected: 0x and 64 hex digits");
  return lower;
};

/** Parses a private key of 32 bytes. */
export const privateKey = (text: string): Hex => {
  const lower = text.toLowerCase();
  if (!isHex(lower, 32)) throw new InvalidArgumentError("a private key is expected: 0x and 64 hex digits");
  return lower;
};

/** Makes an option of an amount, `text` when it is left out: commander cannot show a bigint by itself. */
export const amount = (flags: string, description: string, parse: (text: string) => bigint, text = "0"): Option =>
  new Option(flags, description).argParser(parse).default(parse(text), text);

/** Gathers the values of an option that may be given several times. */
export const several = (value: string, before: string[] = []): string[] => [...before, value];

/** What an address of a node may begin with. */
const PLACES: readonly string[] = ["ip4", "ip6", "dns", "dns4", "dns6"];
const isMultiaddr = (text: string): boolean => {
  try {
    const [place, transport] = multiaddr(text).getComponents();
    if (place?.name === "dnsaddr") return true;
    return PLACES.includes(place?.name ?? "") && transport?.name === "tcp";
  } catch {
    return false;
  }
};

/** Gathers addresses of libp2p. */
export const multiaddrs = (text: string, before: string[] = []): string[] => {
  if (!isMultiaddr(text))
    throw new InvalidArgumentError(
      "an address of a node is expected, like /ip4/192.0.2.1/tcp/30303/p2p/12D3KooW… or /ip6/2001:db8::1/tcp/30303/p2p/12D3KooW…",
    );
  return several(text, before);
};

/** Parses a host to listen at: a name, or an IP address; an IPv6 address may stand in brackets. */
export const host = (text: string): string => {
  const bare = /^\[([0-9a-fA-F:.]+)\]$/.exec(text)?.[1] ?? text;
  if (isIP(bare) === 0 ? !/^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,252})$/.test(bare) : bare.includes("%"))
    throw new InvalidArgumentError("a host is expected, like 127.0.0.1, ::1 or localhost");
  return bare;
};

/** Parses an IP address to listen at. */
export const addressToListen = (text: string): string => {
  const address = host(text);
  if (isIP(address) === 0) throw new InvalidArgumentError("an IP address is expected, like 0.0.0.0 or ::");
  return address;
};

/** Gathers IP addresses to listen at. */
export const addressesToListen = (text: string, before: string[] = []): string[] =>
  several(addressToListen(text), before);

const hostNames = (text: string, before: string[] = []): string[] => {
  if (!isHostOption(text)) throw new InvalidArgumentError("a host name is expected, like rpc.example.org");
  return several(text, before);
};
const webOrigins = (text: string, before: string[] = []): string[] => {
  if (!isOriginOption(text))
    throw new InvalidArgumentError("an origin is expected, like https://wallet.example, http://localhost:* or *");
  return several(text, before);
};

/** What the options below yield. */
export interface AccessFlags {
  rpcHostName?: string[];
  rpcOrigin?: string[];
}
/** Names under which an RPC is asked. */
export const rpcHostName = (): Option =>
  new Option("--rpc-host-name <name...>", "names under which the RPC may be asked, beside localhost").argParser(
    hostNames,
  );
/** Pages that may call an RPC. */
export const rpcOrigin = (): Option =>
  new Option("--rpc-origin <origin...>", "web pages that may call the RPC: their origins, or *").argParser(webOrigins);

/** Where commands find a node when none is named. */
export const DEFAULT_NODE = process.env.ROLEC_NODE ?? "http://127.0.0.1:8545";

/** Gas limit of a job's task unless told: what the shortest category allows. */
export const JOB_GAS = 2_000_000_000;

/** Collects NAME=value, for commander; what names there may be is for the rules of the VM to say. */
export const variables = (text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> => {
  const at = text.indexOf("=");
  if (at <= 0) throw new InvalidArgumentError("NAME=value is expected");
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
};
