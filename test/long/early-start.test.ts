import t from "tap";
import { startEarly } from "../helpers/early-start.ts";

t.setTimeout(1_200_000);

t.test("validators that are started a minute before slot 0, as genesis new has it, become one chain", (t) =>
  startEarly(t, 60),
);
