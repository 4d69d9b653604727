import type { Attack, Attacks } from "./attack.ts";
import { CLIENT_ATTACKS } from "./client.ts";
import { PEER_ATTACKS } from "./peer.ts";

const NONE: Attack = {
  about: "a peer that does nothing: the control",
  perSecond: 1,
  out: false,
  async *steps() {
    for (;;) yield;
  },
};

/** Every attack by name, and the controls beside them. */
export const ATTACKS: Attacks = {
  none: NONE,
  "none, restarted": { ...NONE, about: "the same, while the target is started again", restart: true },
  ...PEER_ATTACKS,
  ...CLIENT_ATTACKS,
};

/** The attacks that a name stands for: one, or several at once with a + between them. Throws for one that there is not. */
export const attacksOf = (name: string): Attack[] =>
  name.split("+").map((each) => {
    const attack = ATTACKS[each];
    if (!attack) throw new Error(`no attack "${each}"`);
    return attack;
  });
