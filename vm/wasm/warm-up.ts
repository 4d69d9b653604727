import { ZERO_HASH } from "../../lib/bytes.ts";
import { compileModule, runInstance } from "./instance.ts";
import { NEWEST_RULES } from "./versions.ts";

/** A module of a loop, floats, a call through the table, and `hi` on standard output. */
const MODULE =
  "AGFzbQEAAAABEQNgBH9/f38Bf2AAAGABfwF/AiMBFndhc2lfc25hcHNob3RfcHJldmlldzEIZmRfd3JpdGUAAAMDAgECBAQBcAABBQMBAAEGBgF/AUEACwcT" +
  "AgZfc3RhcnQAAQZtZW1vcnkCAAkHAQBBAAsBAgpRAj4BAX8DQCAAQQFqIgBBCUgNAAtBAEHAADYCAEEAQQM2AgRBAUEAQQFBEBAAGkEHQQARAoCAAARAAkAM" +
  "AAsLCxAAIAC3RAAAAAAAAOA/oqoLCwoBAEHAAAsDaGkK";

/** Runs a job once, so that the code which runs jobs is compiled before the first that counts. */
export const warmUp = (): void => {
  runInstance(compileModule(Buffer.from(MODULE, "base64"), NEWEST_RULES), {
    taskid: ZERO_HASH,
    args: [],
    inputs: [],
    gasLimit: 100_000_000,
    startTime: 0,
    hasCallback: false,
  });
};
