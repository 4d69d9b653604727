import t from "tap";
import { startEarly } from "../helpers/early-start.ts";

t.setTimeout(840_000);

t.test("validators that are started before slot 0 become one chain", (t) => startEarly(t, 20));
