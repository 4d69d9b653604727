/** A binary heap: gives what comes first, whatever the order of adding. Push and pop are O(log n). */
export interface Heap<T> {
  push(item: T): void;
  /** Takes what comes first. */
  pop(): T | undefined;
  /** Forgets what `keep` does not want. O(n). */
  filter(keep: (item: T) => boolean): void;
  readonly size: number;
}

/** Makes a heap of items, in O(n); `before` tells whether the first of two comes before the second. */
export const createHeap = <T>(before: (a: T, b: T) => boolean, first: readonly T[] = []): Heap<T> => {
  let items = [...first];
  const sink = (item: T, from: number): void => {
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && before(items[child + 1]!, items[child]!)) child += 1;
      if (!before(items[child]!, item)) break;
      items[at] = items[child]!;
      at = child;
    }
    items[at] = item;
  };
  const order = (): void => {
    for (let at = (items.length >> 1) - 1; at >= 0; at--) sink(items[at]!, at);
  };
  order();
  return {
    push: (item) => {
      let at = items.push(item) - 1;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (!before(item, items[parent]!)) break;
        items[at] = items[parent]!;
        at = parent;
      }
      items[at] = item;
    },
    pop: () => {
      const first = items[0];
      const last = items.pop();
      if (items.length > 0 && last !== undefined) sink(last, 0);
      return first;
    },
    filter: (keep) => {
      items = items.filter(keep);
      order();
    },
    get size() {
      return items.length;
    },
  };
};
