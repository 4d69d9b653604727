import "../../helpers/plain-spawn.ts";
import t from "tap";
import { compareWithOracle } from "./determinism/oracle.ts";

const PROGRAMS = 300;

t.test(
  "programs whose NaNs are made canonical where they are read end as those that do it at each operation",
  async (t) => {
    const { compared, differences } = await compareWithOracle(PROGRAMS, 20_261_130);
    t.same(differences, []);
    t.ok(compared > PROGRAMS / 2, `${compared} ended well`);
  },
);
