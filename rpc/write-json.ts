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

/**
 * Writes a value as JSON.stringify does. Long lists, the value itself or its fields, are written piece by piece in turns
 * with others. Throws RpcError -32003 where it has more than `maxChars`.
 */
export const writeJson = async (value: unknown, { turn, hold, maxChars }: WriteOptions): Promise<string> => {
  let size = 0;
  const count = (text: string): string => {
    size += text.length;
    if (size > maxChars) throw new RpcError(TOO_LARGE, "response too large: ask for less");
    hold(text.length);
    return text;
  };
  const isLong = (each: unknown): each is readonly unknown[] => Array.isArray(each) && each.length > PIECE;
  const writeList = async (list: readonly unknown[]): Promise<string> => {
    const pieces: string[] = [];
    for (let at = 0; at < list.length; at += PIECE) {
      if (at > 0) await turn();
      pieces.push(count(JSON.stringify(list.slice(at, at + PIECE)).slice(1, -1)));
    }
    return `[${pieces.join(",")}]`;
  };

  if (isLong(value)) return writeList(value);
  if (typeof value !== "object" || value === null || !Object.values(value).some(isLong))
    return count(JSON.stringify(value));
  const fields: string[] = [];
  for (const [name, each] of Object.entries(value))
    if (each !== undefined)
      fields.push(`${JSON.stringify(name)}:${isLong(each) ? await writeList(each) : count(JSON.stringify(each))}`);
  return `{${fields.join(",")}}`;
};
