import { RuleError } from "./rule-error.ts";

/** A decoded RLP item: a byte string or a list of items. */
export type Item = Uint8Array | readonly Item[];

/** Bounds for bytes from outside. */
export interface RlpLimits {
  readonly maxBytes: number;
  readonly maxDepth: number;
  readonly maxItems: number;
}

const DEFAULT: RlpLimits = { maxBytes: 16 * 1024 * 1024, maxDepth: 8, maxItems: 1_000_000 };
const RULE = { verdict: "reject", section: "2.1" } as const;
const fail = (detail: string): never => {
  throw new RuleError("rlp", RULE, detail);
};

const bytesOf = (size: number): number => (size < 0x100 ? 1 : size < 0x10000 ? 2 : size < 0x1000000 ? 3 : 4);
const headSize = (size: number): number => (size < 56 ? 1 : 1 + bytesOf(size));
const isItself = (item: Uint8Array): boolean => item.length === 1 && (item[0] as number) < 0x80;

/** Encodes nested byte strings as RLP (Ethereum yellow paper, appendix B). One pass for sizes, one that writes: O(bytes). */
export const encodeRlp = (item: Item): Uint8Array => {
  // Payload sizes of lists, in the order in which writing comes by them.
  const sizes: number[] = [];
  const measure = (each: Item): number => {
    if (each instanceof Uint8Array) return isItself(each) ? 1 : headSize(each.length) + each.length;
    const place = sizes.push(0) - 1;
    let size = 0;
    for (const child of each) size += measure(child);
    sizes[place] = size;
    return headSize(size) + size;
  };
  const out = new Uint8Array(measure(item));
  let at = 0;
  let list = 0;
  const head = (size: number, base: number): void => {
    if (size < 56) {
      out[at++] = base + size;
      return;
    }
    const width = bytesOf(size);
    out[at++] = base + 55 + width;
    for (let i = width - 1; i >= 0; i--) out[at++] = (size >>> (8 * i)) & 0xff;
  };
  const write = (each: Item): void => {
    if (!(each instanceof Uint8Array)) {
      head(sizes[list++] as number, 0xc0);
      for (const child of each) write(child);
    } else if (isItself(each)) out[at++] = each[0] as number;
    else {
      head(each.length, 0x80);
      out.set(each, at);
      at += each.length;
    }
  };
  write(item);
  return out;
};

/**
 * Decodes one RLP item strictly: no trailing bytes, canonical lengths, within the limits. Byte strings are views of the input.
 * Throws RuleError "rlp". O(bytes): the library copies what is left at each item of a list, which is quadratic.
 */
export const decodeRlp = (bytes: Uint8Array, limits: Partial<RlpLimits> = {}): Item => {
  const { maxBytes, maxDepth, maxItems } = { ...DEFAULT, ...limits };
  if (bytes.length > maxBytes) fail(`${bytes.length} bytes, at most ${maxBytes}`);
  if (bytes.length === 0) fail("no bytes");
  let at = 0;
  let items = 0;

  const lengthAt = (width: number, end: number): number => {
    if (width > 4 || at + width > end) fail("a length runs past the end");
    if (bytes[at] === 0) fail("a length with a leading zero");
    let size = 0;
    for (let i = 0; i < width; i++) size = size * 256 + (bytes[at + i] as number);
    at += width;
    return size < 56 ? fail("a long form for a short item") : size;
  };
  const item = (end: number, depth: number): Item => {
    if (++items > maxItems) fail(`more than ${maxItems} items`);
    const first = bytes[at++] as number;
    if (first < 0x80) return bytes.subarray(at - 1, at);
    const base = first < 0xc0 ? 0x80 : 0xc0;
    const size = first - base <= 55 ? first - base : lengthAt(first - base - 55, end);
    const last = at + size;
    if (last > end) fail("an item runs past its end");
    if (base === 0x80) {
      if (size === 1 && (bytes[at] as number) < 0x80) fail("a byte that stands for itself has a length");
      at = last;
      return bytes.subarray(last - size, last);
    }
    if (depth >= maxDepth) fail(`deeper than ${maxDepth}`);
    const list: Item[] = [];
    while (at < last) list.push(item(last, depth + 1));
    return list;
  };

  const decoded = item(bytes.length, 0);
  if (at !== bytes.length) fail("bytes behind the item");
  return decoded;
};

/**
 * Gives the encodings of the first `count` items of a list, as views of the input, without looking into them or at what follows:
 * what comes from outside is worth no more until they are found good. Throws RuleError "rlp". O(count).
 */
export const rlpHeads = (bytes: Uint8Array, count: number): Uint8Array[] => {
  /** Where an item's payload begins and ends. */
  const spanAt = (
    at: number,
    end: number,
  ): { readonly isList: boolean; readonly from: number; readonly to: number } => {
    if (at >= end) return fail("an item runs past its end");
    const first = bytes[at] as number;
    if (first < 0x80) return { isList: false, from: at, to: at + 1 };
    const isList = first >= 0xc0;
    const short = first - (isList ? 0xc0 : 0x80);
    const width = Math.max(0, short - 55);
    if (width > 4 || at + 1 + width > end) fail("a length runs past the end");
    let size = width > 0 ? 0 : short;
    for (let i = 0; i < width; i++) size = size * 256 + (bytes[at + 1 + i] as number);
    const from = at + 1 + width;
    return from + size > end ? fail("an item runs past its end") : { isList, from, to: from + size };
  };
  const list = spanAt(0, bytes.length);
  if (!list.isList || list.to !== bytes.length) fail("not one list");
  const items: Uint8Array[] = [];
  for (let at = list.from; items.length < count; ) {
    const { to } = spanAt(at, list.to);
    items.push(bytes.subarray(at, to));
    at = to;
  }
  return items;
};

/** Asserts that an item is a byte string. */
export const asBytes = (item: Item | undefined, what = "item"): Uint8Array =>
  item instanceof Uint8Array ? item : fail(`${what} is not a byte string`);
/** Asserts that an item is a list. */
export const asList = (item: Item | undefined, what = "item"): readonly Item[] =>
  Array.isArray(item) ? item : fail(`${what} is not a list`);
