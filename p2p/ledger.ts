/** Something that holds memory for a peer until it has moved on. */
export interface Hold {
  /** Says how much it holds now. */
  set(bytes: number): void;
  release(): void;
}

/** Bytes that are held for peers, all together. */
export interface Ledger {
  /** Opens a hold. `giveUp` is called when it is the longest stuck while too much is held: it has to let go. */
  open(giveUp: () => void): Hold;
  readonly bytes: number;
}

/**
 * Makes a ledger of at most `most` bytes. Where more is held, those stand back that hold something for longest: whoever reads,
 * or sends what it began, is soon done, and a peer that does neither cannot keep the room from others.
 */
export const createLedger = (most: number): Ledger => {
  interface Entry {
    bytes: number;
    readonly giveUp: () => void;
  }
  /** In the order in which they began to hold what they hold. */
  const held = new Set<Entry>();
  let total = 0;
  const set = (entry: Entry, bytes: number): void => {
    total += bytes - entry.bytes;
    entry.bytes = bytes;
    if (bytes === 0) held.delete(entry);
    else held.add(entry);
  };
  return {
    open: (giveUp) => {
      const entry: Entry = { bytes: 0, giveUp };
      return {
        set: (bytes) => {
          set(entry, bytes);
          for (const oldest of held) {
            if (total <= most) return;
            set(oldest, 0);
            oldest.giveUp();
          }
        },
        release: () => set(entry, 0),
      };
    },
    get bytes() {
      return total;
    },
  };
};
