/**
 * Preloaded by the simulator (`node --import`): puts cheap stand-ins in the place of signatures, and lets a block that one node
 * has run count for all. The rules, the fork choice, the engine and the producer are the real ones.
 */
import { registerHooks } from "node:module";

const STAND_INS: readonly (readonly [of: string, file: string])[] = [
  ["/lib/bls.ts", "./stand-in-bls.ts"],
  ["/lib/secp256k1.ts", "./stand-in-secp256k1.ts"],
  ["/consensus/transition.ts", "./stand-in-transition.ts"],
];

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    const standIn = STAND_INS.find(([of]) => found.url.endsWith(of));
    const isOwn = context.parentURL?.includes("/bench/sim/stand-in-") ?? false;
    return standIn && !isOwn ? { ...found, url: new URL(standIn[1], import.meta.url).href } : found;
  },
});
