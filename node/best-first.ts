import { createHeap } from "../lib/heap.ts";

/** A list whose items are found when somebody asks for them; undefined behind the last. */
export interface LazyList<T> {
  at(index: number): Promise<T | undefined>;
}

/** Makes a list of what a generator yields, `most` items of it. */
export const lazyList = <T>(source: AsyncIterator<T>, most = Number.POSITIVE_INFINITY): LazyList<T> => {
  const found: T[] = [];
  let isOver = false;
  return {
    at: async (index) => {
      while (!isOver && found.length <= index && found.length < most) {
        const { done, value } = await source.next();
        if (done) isOver = true;
        else found.push(value);
      }
      return found[index];
    },
  };
};

/** What comes by a price; of a higher `level` after all of lower ones, however cheap. */
export interface Priced {
  readonly price: bigint;
  readonly level?: number;
}

/**
 * Yields the pairs of two lists, those of the lowest level first, of one level by the sum of their prices. Both lists come in that
 * order, the second of one level. An item is asked for when its first pair is next but one; no further pairs come of rows that are
 * out. O(log n) a pair.
 */
export const bestPairs = async function* <A extends Priced, B extends Priced>(
  rows: LazyList<A>,
  columns: LazyList<B>,
  isOut: (row: A) => boolean = () => false,
): AsyncGenerator<readonly [A, B]> {
  interface Place {
    readonly row: number;
    readonly column: number;
    readonly pair: readonly [A, B];
    readonly level: number;
    readonly price: bigint;
  }
  const next = createHeap<Place>((a, b) => (a.level === b.level ? a.price < b.price : a.level < b.level));
  const add = async (row: number, column: number): Promise<void> => {
    const [a, b] = [await rows.at(row), await columns.at(column)];
    if (a && b && !isOut(a)) next.push({ row, column, pair: [a, b], level: a.level ?? 0, price: a.price + b.price });
  };
  await add(0, 0);
  for (let place = next.pop(); place; place = next.pop()) {
    if (!isOut(place.pair[0])) yield place.pair;
    await add(place.row, place.column + 1);
    if (place.column === 0) await add(place.row + 1, 0);
  }
};
