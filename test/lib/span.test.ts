import t from "tap";
import { span } from "../../lib/span.ts";

t.test("a time is said in its largest unit of which it has two", (t) => {
  const SECOND = 1_000;
  const [MINUTE, HOUR, DAY] = [60 * SECOND, 3_600 * SECOND, 86_400 * SECOND];
  t.equal(span(-5), "0 s");
  t.equal(span(119.9 * SECOND), "119 s");
  t.equal(span(2 * MINUTE), "2 min");
  t.equal(span(119 * MINUTE), "119 min");
  t.equal(span(2 * HOUR), "2 h");
  t.equal(span(45 * DAY), "45 days");
  t.end();
});
