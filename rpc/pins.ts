import { type DataPort, isHolder } from "./data-port.ts";
import { type Methods, method } from "./dispatch.ts";
import { invalidParams } from "./errors.ts";
import { count, optional, type Parser, text } from "./values.ts";

const holder: Parser<string> = (value, name) => {
  const given = text(value, name);
  return isHolder(given) ? given : invalidParams(`invalid ${name}: expected 1 to 128 letters, digits, and . : _ -`);
};

/** Pins of one answer. */
const MAX_PINS = 10_000;

/** What a node keeps: `until` in Unix seconds, 0 for good. A holder's pin ends with unpin or at its time. */
export const pinMethods = (data: DataPort): Methods => ({
  rolec_pins: method([optional(count, 0), optional(count, MAX_PINS)], ([skip, limit]) => ({
    pins: data.pins(skip, Math.min(limit, MAX_PINS)),
    ...data.stats(),
  })),
  rolec_pin: method([text, optional(holder, "rpc"), optional(count, 0)], async ([cid, by, until]) => {
    await data.pin(cid, { holder: by, until });
    return true;
  }),
  rolec_unpin: method([text, optional(holder, "rpc")], async ([cid, by]) => {
    await data.unpin(cid, by);
    return true;
  }),
  rolec_keepPins: method([holder, count], ([by, until]) => data.keep(by, until)),
  rolec_releasePins: method([holder], ([by]) => data.release(by)),
});
