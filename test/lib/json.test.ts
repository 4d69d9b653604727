import t, { type Test } from "tap";
import { utf8 } from "../../lib/bytes.ts";
import { checkJson, JSON_LIMITS, JSON_OF_ANY_LENGTH, JsonError, parseJson } from "../../lib/json.ts";

const LIMITS = { maxDepth: 3, maxFields: 2, maxItems: 6 };
const refused = (t: Test, text: string, message: string, limits = LIMITS): void => {
  t.throws(() => parseJson(text, limits), new JsonError(message), text.slice(0, 40));
};

t.test("JSON is parsed up to its limits, and no further", (t) => {
  for (const good of ["[[[1]]]", '{"a":{"b":1}}', "[1,2,3,4,5,6]", '"text"', "[]", "null", '{"a":1,"b":2}'])
    t.same(parseJson(good, LIMITS), JSON.parse(good));
  refused(t, "[[[[]]]]", "more than 3 levels deep");
  refused(t, '{"a":[{"b":[1]}]}', "more than 3 levels deep");
  refused(t, '{"a":1,"b":2,"c":3}', "more than 2 fields");
  refused(t, '[{"a":1},{"a":1},{"a":1}]', "more than 2 fields");
  refused(t, "[1,2,3,4,5,6,7]", "more than 6 items");
  refused(t, "[[],[],[],[]]", "more than 6 items");
  t.end();
});

t.test("what stands in text does not count, wherever the text ends", (t) => {
  for (const text of ['"[[[[[[[["', '["\\"[[[[", "\\\\", ",,,,,,,"]', '{"::::":"{{{{\\\\\\""}'])
    t.same(parseJson(text, LIMITS), JSON.parse(text));
  refused(t, '["\\\\",[[["x"]]]]', "more than 3 levels deep");
  for (const open of ['"', '"\\', '["\\"', '{"a', "[[[[".slice(0, 3), "]]]]", "[1,,]", "nul", ""])
    refused(t, open, "not JSON");
  t.end();
});

t.test("bytes and text of them are parsed alike, text that is no UTF-16 as it is", (t) => {
  const text = '{"é":"\u{1f600}"}';
  t.same(parseJson(utf8(text)), parseJson(text));
  t.equal(parseJson('"\ud800"'), "\ud800");
  refused(t, "\ufeff1", "not JSON");
  t.throws(() => parseJson(utf8("\ufeff1")), new JsonError("not JSON"));
  t.end();
});

t.test("deep text is refused where it becomes too deep: what follows is not looked at", (t) => {
  const text = new Uint8Array(8 * 1024 * 1024).fill(0x5b);
  let read = 0;
  const watched = new Proxy(text, {
    get: (target, name) => {
      read += 1;
      return Reflect.get(target, name);
    },
  });
  t.throws(() => checkJson(watched), new JsonError("more than 64 levels deep"));
  t.ok(read < 1_000, `${read} bytes read`);
  t.throws(() => checkJson(text, JSON_OF_ANY_LENGTH), JsonError);
  t.doesNotThrow(() => checkJson(utf8("[".repeat(JSON_LIMITS.maxDepth))));
  t.end();
});
