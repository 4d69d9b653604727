/** Who takes of what all share. */
export interface Tenant {
  /** A connection from this machine: any number of them may be one program's. */
  readonly isLocal?: boolean;
}

/** Something that all clients share, of which one client, and all programs of this machine together, have only a part. */
export interface Room {
  /** Takes so much for a client, 1 unless said. Gives the limit in words where it has too much, or all have. */
  take(client: Tenant, amount?: number): string | undefined;
  /** Gives back what a client took. */
  give(client: Tenant, amount?: number): void;
}

/** Makes a room; `share` is what one client may have of `max`, a quarter unless said. `what` names it in errors. */
export const createRoom = (what: string, max: number, share = Math.ceil(max / 4)): Room => {
  const taken = new Map<Tenant, number>();
  /** A quarter is left for those who come over the network. */
  const localShare = max - Math.floor(max / 4);
  let all = 0;
  let local = 0;
  return {
    take: (client, amount = 1) => {
      const own = (taken.get(client) ?? 0) + amount;
      if (own > share) return `too many ${what}: at most ${share} of one client`;
      if (client.isLocal && local + amount > localShare)
        return `too many ${what}: at most ${localShare} of all programs on this machine`;
      if (all + amount > max) return `too many ${what}: at most ${max} on this node`;
      all += amount;
      if (client.isLocal) local += amount;
      taken.set(client, own);
      return undefined;
    },
    give: (client, amount = 1) => {
      all -= amount;
      if (client.isLocal) local -= amount;
      const own = taken.get(client)! - amount;
      if (own > 0) taken.set(client, own);
      else taken.delete(client);
    },
  };
};
