import { RpcError, TOO_LARGE } from "./errors.ts";

export interface WriteOptions {
  /** Waits for a turn of the thread. */
  readonly turn: () => Promise<void>;
  /** Takes memory for so many bytes. Throws where there is none. */
  readonly hold: (bytes: number) => void;
  readonly maxChars: number;
}

/** Items of a list that is short enough to be written in one go. */
const FEW = 128;
/** Characters that are written in one turn: about half a millisecond. */
const PIECE_CHARS = 64 * 1024;

const ITEMS = Symbol("items");
interface Lazy {
  readonly [ITEMS]: Iterable<unknown>;
}

/** Makes a list whose items are made when they are written: nobody waits for the thread with all of them in memory. */
export const lazy = (items: Iterable<unknown>): Lazy => ({ [ITEMS]: items });

/** The items of a value that is a list to be written in pieces. */
const itemsOf = (value: unknown): Iterable<unknown> | undefined => {
  if (Array.isArray(value)) return value.length > FEW ? value : undefined;
  return typeof value === "object" && value !== null && ITEMS in value ? (value as Lazy)[ITEMS] : undefined;
};

/**
 * Writes a value as JSON.stringify does, in UTF-8. Lists that are long or lazy, the value itself or its fields, are written piece
 * by piece in turns with others: only then it gives a promise. Throws RpcError -32003 where it has more than `maxChars`.
 */
export const writeJson = (value: unknown, { turn, hold, maxChars }: WriteOptions): Buffer[] | Promise<Buffer[]> => {
  let size = 0;
  const pieces: Buffer[] = [];
  const count = (text: string): string => {
    size += text.length;
    if (size > maxChars) throw new RpcError(TOO_LARGE, "response too large: ask for less");
    return text;
  };
  const put = (text: string): void => {
    const piece = Buffer.from(text);
    hold(piece.length);
    pieces.push(piece);
  };
  const writeList = async (items: Iterable<unknown>): Promise<void> => {
    let text = "[";
    let separator = "";
    await turn();
    for (const item of items) {
      text += `${separator}${count(JSON.stringify(item) ?? "null")}`;
      separator = ",";
      if (text.length < PIECE_CHARS) continue;
      put(text);
      text = "";
      await turn();
    }
    put(`${text}]`);
  };
  const writeFields = async (object: object): Promise<Buffer[]> => {
    let text = "{";
    let separator = "";
    for (const [name, each] of Object.entries(object)) {
      if (each === undefined) continue;
      text += `${separator}${JSON.stringify(name)}:`;
      separator = ",";
      const items = itemsOf(each);
      if (!items) {
        text += count(JSON.stringify(each));
        continue;
      }
      put(text);
      await writeList(items);
      text = "";
    }
    put(`${text}}`);
    return pieces;
  };

  const items = itemsOf(value);
  if (items) return writeList(items).then(() => pieces);
  if (typeof value === "object" && value !== null)
    for (const name in value) if (itemsOf((value as Record<string, unknown>)[name])) return writeFields(value);
  put(count(JSON.stringify(value)));
  return pieces;
};
