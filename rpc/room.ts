/** Something that all clients share, of which one has only a part. */
export interface Room {
  /** Takes so much for a client, 1 unless said. Gives the limit in words where it has too much, or all have. */
  take(client: object, amount?: number): string | undefined;
  /** Gives back what a client took. */
  give(client: object, amount?: number): void;
}

/** Makes a room; `share` is what one client may have of `max`, a quarter unless said. `what` names it in errors. */
export const createRoom = (what: string, max: number, share = Math.ceil(max / 4)): Room => {
  const taken = new Map<object, number>();
  let all = 0;
  return {
    take: (client, amount = 1) => {
      const own = (taken.get(client) ?? 0) + amount;
      if (own > share) return `too many ${what}: at most ${share} of one client`;
      if (all + amount > max) return `too many ${what}: at most ${max} on this node`;
      all += amount;
      taken.set(client, own);
      return undefined;
    },
    give: (client, amount = 1) => {
      all -= amount;
      const own = taken.get(client)! - amount;
      if (own > 0) taken.set(client, own);
      else taken.delete(client);
    },
  };
};
