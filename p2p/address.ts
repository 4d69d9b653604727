import type { Multiaddr } from "@multiformats/multiaddr";

/** The four groups of sixteen bits that a subscriber's IPv6 network has in common. */
const NETWORK_GROUPS = 4;

/** Writes an IPv6 address out as its eight groups; undefined where it is none. */
const groupsOf = (text: string): number[] | undefined => {
  const [head = "", tail] = text.split("::");
  const parse = (part: string): number[] =>
    part === ""
      ? []
      : part.split(":").flatMap((group) => (group.includes(".") ? quads(group) : [Number.parseInt(group, 16)]));
  const left = parse(head);
  const right = tail === undefined ? [] : parse(tail);
  const gap = 8 - left.length - right.length;
  const groups = tail === undefined ? left : [...left, ...Array<number>(Math.max(0, gap)).fill(0), ...right];
  return groups.length === 8 && groups.every((group) => group >= 0 && group <= 0xffff) ? groups : undefined;
};
const quads = (text: string): number[] => {
  const [a = 0, b = 0, c = 0, d = 0] = text.split(".").map(Number);
  return [a * 256 + b, c * 256 + d];
};

/**
 * Names who is behind an address, as far as it tells: an IPv4 address, or the /64 of an IPv6 address, since one subscriber has
 * all of it. Undefined for loopback, behind which many nodes of one machine are, and for what is no IP address.
 */
export const subscriberOf = (address: Multiaddr): string | undefined => {
  for (const { name, value = "" } of address.getComponents()) {
    if (name === "ip4") return value.startsWith("127.") ? undefined : value;
    if (name !== "ip6") continue;
    const groups = groupsOf(value);
    if (!groups) return undefined;
    if (groups.slice(0, 5).every((group) => group === 0)) {
      const [sixth, high, low] = [groups[5]!, groups[6]!, groups[7]!];
      const text = [high >> 8, high & 255, low >> 8, low & 255].join(".");
      // An IPv4 address in IPv6's clothes, which is how a socket for both shows it.
      if (sixth === 0xffff) return text.startsWith("127.") ? undefined : text;
      if (sixth === 0 && high === 0 && low === 1) return undefined;
    }
    return `${groups
      .slice(0, NETWORK_GROUPS)
      .map((group) => group.toString(16))
      .join(":")}::/64`;
  }
  return undefined;
};
