/** Puts stand-in-tables.ts in the place of tables of state, for everything that is imported after this. */
import { registerHooks } from "node:module";

const STAND_IN = new URL("./stand-in-tables.ts", import.meta.url).href;

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    const isTables = found.url.endsWith("/chain/records.ts") && context.parentURL !== STAND_IN;
    return isTables ? { ...found, url: STAND_IN } : found;
  },
});
