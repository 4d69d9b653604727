import { multiaddr } from "@multiformats/multiaddr";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Hex } from "../../lib/bytes.ts";
import { isHex } from "../../lib/bytes.ts";
import { DEFAULT_RESERVE_MIB } from "../../lib/disk.ts";

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

/** Parses a TCP port; 0 lets the system choose. */
export const port = whole(0, 65535);

/** Parses an http URL. */
export const url = (text: string): string => {
  if (!/^https?:\/\/[^\s]+$/.test(text))
    throw new InvalidArgumentError("an http URL is expected, like http://127.0.0.1:8545");
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

/** Checks an address of libp2p. Throws with what one looks like. */
export const checkMultiaddr = (text: string): void => {
  try {
    multiaddr(text);
  } catch {
    throw new Error(`"${text}" is no address of a node, like /ip4/127.0.0.1/tcp/30303/p2p/12D3KooW…`);
  }
};

/** Where commands find a node when none is named. */
export const DEFAULT_NODE = process.env.ROLEC_NODE ?? "http://127.0.0.1:8545";
