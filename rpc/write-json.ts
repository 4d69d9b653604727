import { RpcError, TOO_LARGE } from "./errors.ts";

export interface WriteOptions {
  /** Waits for a turn of the thread. */
  readonly turn: () => Promise<void>;
  /** Takes memory for so many characters. Throws where there is none. */
  readonly hold: (chars: number) => void;
  readonly maxChars: number;
}

/** Items of a list that are written in one turn: about a millisecond of transactions. */
const PIECE = 128;

/** Tells whether a value is a list that is written in pieces. */
const isLong = (value: unknown): value is readonly unknown[] => Array.isArray(value) && value.length > PIECE;

/**
 * Writes a value as JSON.stringify does. Long lists, the value itself or its fields, are written piece by piece in turns
 * with others: only then it gives a promise. Throws RpcError -32003 where it has more than `maxChars`.
 */
export const writeJson = (value: unknown, { turn, hold, maxChars }: WriteOptions): string | Promise<string> => {
  let size = 0;
  const write = (each: unknown): string => {
    const text = JSON.stringify(each);
    size += text.length;
    if (size > maxChars) throw new RpcError(TOO_LARGE, "response too large: ask for less");
    hold(text.length);
    return text;
  };
  const writeList = async (list: readonly unknown[]): Promise<string> => {
    const pieces: string[] = [];
    for (let at = 0; at < list.length; at += PIECE) {
      await turn();
      pieces.push(write(list.slice(at, at + PIECE)).slice(1, -1));
    }
    return `[${pieces.join(",")}]`;
  };
  const writeFields = async (object: object): Promise<string> => {
    const fields: string[] = [];
    for (const [name, each] of Object.entries(object))
      if (each !== undefined)
        fields.push(`${JSON.stringify(name)}:${isLong(each) ? await writeList(each) : write(each)}`);
    return `{${fields.join(",")}}`;
  };

  if (typeof value !== "object" || value === null) return write(value);
  if (isLong(value)) return writeList(value);
  for (const name in value) if (isLong((value as Record<string, unknown>)[name])) return writeFields(value);
  return write(value);
};
