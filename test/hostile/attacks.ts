import type { Attacks } from "./attack.ts";
import { CLIENT_ATTACKS } from "./client.ts";
import { PEER_ATTACKS } from "./peer.ts";

/** Every attack by name. "none" is a peer that is connected and does nothing: the control. */
export const ATTACKS: Attacks = {
  none: {
    about: "a peer that does nothing",
    perSecond: 1,
    out: false,
    async *steps() {
      for (;;) yield;
    },
  },
  ...PEER_ATTACKS,
  ...CLIENT_ATTACKS,
};
