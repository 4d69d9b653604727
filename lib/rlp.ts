import { decode, encode } from "rlp";
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

/** Encodes nested byte strings as RLP (Ethereum yellow paper, appendix B). */
export const encodeRlp = (item: Item): Uint8Array => encode(item as Uint8Array[]);

/**
 * Decodes one RLP item strictly: no trailing bytes, canonical lengths, within the limits, which are checked
 * by a scan without recursion first, since the library recurses. Throws RuleError "rlp". O(bytes).
 */
export const decodeRlp = (bytes: Uint8Array, limits: Partial<RlpLimits> = {}): Item => {
  const { maxBytes, maxDepth, maxItems } = { ...DEFAULT, ...limits };
  if (bytes.length > maxBytes) fail(`${bytes.length} bytes, at most ${maxBytes}`);
  if (bytes.length === 0) fail("no bytes");
  scan(bytes, maxDepth, maxItems);
  try {
    return decode(bytes) as Item;
  } catch (error) {
    return fail((error as Error).message);
  }
};

const scan = (bytes: Uint8Array, maxDepth: number, maxItems: number): void => {
  const ends: number[] = [];
  let at = 0;
  let items = 0;
  while (at < bytes.length) {
    while (ends.length > 0 && at === ends[ends.length - 1]) ends.pop();
    if (++items > maxItems) fail(`more than ${maxItems} items`);
    const first = bytes[at] as number;
    const list = first >= 0xc0;
    const base = list ? 0xc0 : 0x80;
    if (first < 0x80) {
      at += 1;
      continue;
    }
    let size = first - base;
    at += 1;
    if (size > 55) {
      const width = size - 55;
      if (width > 4 || at + width > bytes.length) fail("length runs past the end");
      size = 0;
      for (let i = 0; i < width; i++) size = size * 256 + (bytes[at + i] as number);
      at += width;
    }
    const end = at + size;
    if (end > (ends[ends.length - 1] ?? bytes.length)) fail("item runs past its end");
    if (list) {
      if (ends.length >= maxDepth) fail(`deeper than ${maxDepth}`);
      ends.push(end);
    } else at = end;
  }
};

/** Asserts that an item is a byte string. */
export const asBytes = (item: Item | undefined, what = "item"): Uint8Array =>
  item instanceof Uint8Array ? item : fail(`${what} is not a byte string`);
/** Asserts that an item is a list. */
export const asList = (item: Item | undefined, what = "item"): readonly Item[] =>
  Array.isArray(item) ? item : fail(`${what} is not a list`);
