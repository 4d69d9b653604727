import t from "tap";
import { forgetOldest, putNewest } from "../../lib/lru.ts";

t.test("the oldest goes for the newest, and what is put again is new", (t) => {
  const map = new Map([
    ["a", 1],
    ["b", 2],
  ]);
  t.equal(putNewest(map, "a", 3, 2), 3);
  t.same(
    [...map],
    [
      ["b", 2],
      ["a", 3],
    ],
  );
  putNewest(map, "c", 4, 2);
  t.same([...map.keys()], ["a", "c"]);
  const set = new Set([1, 2, 3]);
  forgetOldest(set, 3);
  t.equal(set.size, 3);
  forgetOldest(set, 2);
  t.same([...set], [2, 3]);
  t.end();
});
