import "../helpers/plain-spawn.ts";
import { readFileSync } from "node:fs";
import t from "tap";
import { runTasks, type TaskResult } from "../../vm/wasm/host.ts";
import { STATUS } from "../../vm/wasm/status.ts";
import type { Task } from "../../vm/wasm/task.ts";
import { VM_VERSION } from "../../vm/wasm/versions.ts";

const FOLDER = new URL("../../apps/option-pricing/", import.meta.url);
const MODULE = readFileSync(new URL("option-pricing.wasm", FOLDER));
const BOOK = readFileSync(new URL("positions.csv", FOLDER), "utf8");
const PATHS = 200_000;

type Row = Record<string, string>;

const run = async (tasks: Partial<Task>[]): Promise<TaskResult[]> => {
  const all: TaskResult[] = [];
  const lot = tasks.map((task) => ({
    taskid: `0x${"22".repeat(32)}` as const,
    args: ["--paths", String(PATHS), "--seed", "42"],
    inputs: [{ name: "positions.csv", bytes: Buffer.from(BOOK) }],
    gasLimit: 50_000_000_000,
    startTime: 1_700_000_000,
    hasCallback: false,
    ...task,
  }));
  for await (const result of runTasks({ vmVersion: VM_VERSION, module: MODULE, tasks: lot, timeoutMs: 120_000 }))
    all.push(result);
  return all;
};
const ofBook = (csv: string): Task["inputs"] => [{ name: "positions.csv", bytes: Buffer.from(csv) }];
const text = (result: TaskResult, name: string): string => Buffer.from(result.files.get(name) ?? []).toString();
const rows = (csv: string): Row[] => {
  const [head, ...lines] = csv.trim().split("\n");
  const names = head!.split(",");
  return lines.map((line) => Object.fromEntries(line.split(",").map((field, i) => [names[i]!, field])));
};
const prices = (result: TaskResult): Row[] => rows(text(result, "out/prices.csv"));
const risk = (result: TaskResult): Row[] => rows(text(result, "out/risk.csv"));

/** The standard normal distribution function, by Simpson's rule over the density. */
const cdf = (x: number): number => {
  const steps = 2_000;
  const width = x / steps;
  let sum = 0;
  for (let i = 0; i <= steps; i++) {
    const weight = i === 0 || i === steps ? 1 : i % 2 ? 4 : 2;
    sum += weight * Math.exp(-((i * width) ** 2) / 2);
  }
  return 0.5 + (sum * width) / 3 / Math.sqrt(2 * Math.PI);
};
const density = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

/** Black and Scholes (1973) with a dividend yield (Merton 1973). */
const blackScholes = (position: Row): { price: number; delta: number; vega: number } => {
  const [s, k, r, q, v, years] = ["spot", "strike", "rate", "dividend", "volatility", "maturity"].map((name) =>
    Number(position[name]),
  ) as [number, number, number, number, number, number];
  const sign = position.type === "call" ? 1 : -1;
  const d1 = (Math.log(s / k) + (r - q + (v * v) / 2) * years) / (v * Math.sqrt(years));
  const d2 = d1 - v * Math.sqrt(years);
  const carried = s * Math.exp(-q * years);
  return {
    price: sign * (carried * cdf(sign * d1) - k * Math.exp(-r * years) * cdf(sign * d2)),
    delta: sign * Math.exp(-q * years) * cdf(sign * d1),
    vega: carried * density(d1) * Math.sqrt(years),
  };
};

const HEAD = "id,type,style,spot,strike,rate,volatility,maturity,quantity,dividend,fixings";
const bookOf = (...lines: string[]): string => [HEAD, ...lines, ""].join("\n");

t.test("every European price lies within four standard errors of Black and Scholes", async (t) => {
  const [result] = await run([{}]);
  t.equal(result!.status, STATUS.ok, text(result!, "stderr"));
  const found = prices(result!);
  const positions = rows(BOOK);
  t.same(
    found.map(({ id }) => id),
    positions.map(({ id }) => id),
  );
  let europeans = 0;
  let wide = 0;
  for (const [i, position] of positions.entries()) {
    const row = found[i]!;
    t.ok(Number(row.std_error) > 0 && Number(row.std_error) < 0.02 * Number(row.price), `${row.id} converges`);
    t.ok(Number(row.ci95_low) < Number(row.price) && Number(row.price) < Number(row.ci95_high));
    if (position.style !== "european") continue;
    const exact = blackScholes(position);
    const errors = Math.abs(Number(row.price) - exact.price) / Number(row.std_error);
    t.ok(errors < 4, `${row.id}: ${row.price} against ${exact.price}`);
    t.ok(Math.abs(Number(row.closed_form) - exact.price) < 1e-5, `${row.id}: closed form`);
    t.ok(Math.abs(Number(row.delta) - exact.delta) < 0.01, `${row.id}: delta ${row.delta} against ${exact.delta}`);
    t.ok(Math.abs(Number(row.vega) / exact.vega - 1) < 0.03, `${row.id}: vega ${row.vega} against ${exact.vega}`);
    europeans++;
    if (errors > 1.96) wide++;
  }
  t.ok(europeans >= 30);
  t.ok(wide <= europeans / 8, `${wide} of ${europeans} outside their 95 % interval`);
});

t.test("an Asian option with one fixing is a European one, and more fixings make it cheaper", async (t) => {
  const line = (id: string, style: string, fixings: string): string =>
    `${id},call,${style},100,100,0.03,0.25,1,1,0.01,${fixings}`;
  const csv = bookOf(
    line("eu", "european", ""),
    line("a1", "asian", "1"),
    line("a4", "asian", "4"),
    line("a52", "asian", "52"),
  );
  const [result] = await run([{ inputs: ofBook(csv) }]);
  const [eu, a1, a4, a52] = prices(result!).map((row) => ({ price: Number(row.price), error: Number(row.std_error) }));
  const { price } = blackScholes(rows(csv)[0]!);
  t.ok(Math.abs(eu!.price - price) < 4 * eu!.error);
  // With one fixing the control variate is the option itself.
  t.ok(Math.abs(a1!.price - price) < 1e-5);
  t.ok(a52!.price < a4!.price && a4!.price < eu!.price);
  // From a simulation in another program, of 4,000,000 paths without control variate: standard errors 0.0057 and 0.0048.
  t.ok(Math.abs(a4!.price - 7.2961) < 4 * Math.hypot(a4!.error, 0.0057));
  t.ok(Math.abs(a52!.price - 6.2081) < 4 * Math.hypot(a52!.error, 0.0048));
});

t.test("calls and puts on one strike differ by the forward", async (t) => {
  const [result] = await run([
    { inputs: ofBook(bookOf("c,call,asian,100,95,0.04,0.3,1,1,0.02,12", "p,put,asian,100,95,0.04,0.3,1,1,0.02,12")) },
  ]);
  const [call, put] = prices(result!);
  let forward = 0;
  for (let k = 1; k <= 12; k++) forward += (100 * Math.exp((0.02 * k) / 12)) / 12;
  const error = Math.hypot(Number(call!.std_error), Number(put!.std_error));
  t.ok(Math.abs(Number(call!.price) - Number(put!.price) - Math.exp(-0.04) * (forward - 95)) < 4 * error + 1e-5);
});

t.test("the tasks of a bag share the book without a gap, and agree on the risk of the whole", async (t) => {
  const size = 7;
  const bag = Array.from({ length: size }, (_, i) => ({ bot: { size, first: 100, index: 100 + i } }));
  const [whole, ...tasks] = await run([{}, ...bag]);
  const parts = tasks.flatMap((task) => text(task, "out/prices.csv").trim().split("\n").slice(1));
  t.same(parts.sort(), text(whole!, "out/prices.csv").trim().split("\n").slice(1).sort());
  const [, book] = risk(whole!);
  let value = 0;
  let mean = 0;
  for (const task of tasks) {
    const [slice, all] = risk(task);
    t.same(all, book);
    value += Number(slice!.value);
    mean += Number(slice!.mean_pnl);
    t.ok(Number(slice!.expected_shortfall) >= Number(slice!.var));
  }
  t.ok(Math.abs(value - Number(book!.value)) < 0.1);
  t.ok(Math.abs(mean - Number(book!.mean_pnl)) < 0.1);
  t.match(text(tasks[2]!, "stdout"), /task 3 of 7: 6 of 40 positions/);
});

t.test("--tasks counts the tasks of several deals, and a task without a position still answers", async (t) => {
  const args = ["--paths", "1000", "--tasks", "50"];
  const results = await run([
    { args, bot: { size: 25, first: 25, index: 30 } },
    { args, bot: { size: 25, first: 25, index: 45 } },
    { args, bot: { size: 25, first: 25, index: 50 } },
  ]);
  t.same(
    results.map(({ status }) => status),
    [STATUS.ok, STATUS.ok, STATUS.exit],
  );
  t.equal(prices(results[0]!).length, 1);
  t.equal(prices(results[1]!).length, 0);
  t.match(text(results[1]!, "out/chart.svg"), /no position of its own/);
  t.match(text(results[2]!, "stderr"), /not within the bag/);
});

t.test("value at risk is that of the distribution it samples", async (t) => {
  // A call far in the money moves as its underlying: its losses are the lognormal's, which has a closed form.
  const csv = bookOf("deep,call,european,1000,1,0,0.2,1,1,0,");
  const base = ["--paths", "1000", "--scenarios", "200000", "--horizon", "21"];
  const [at99, at95, short] = (
    await run([
      { inputs: ofBook(csv), args: base },
      { inputs: ofBook(csv), args: [...base, "--confidence", "0.95"] },
      { inputs: ofBook(bookOf("deep,call,european,1000,1,0,0.2,1,-1,0,")), args: base },
    ])
  ).map((result) => risk(result)[1]!);
  const deviation = 0.2 * Math.sqrt(21 / 252);
  const loss = (quantile: number): number => 1000 * (1 - Math.exp(-quantile * deviation - deviation ** 2 / 2));
  t.ok(Math.abs(Number(at99!.var) / loss(2.326348) - 1) < 0.02, `${at99!.var} against ${loss(2.326348)}`);
  t.ok(Math.abs(Number(at95!.var) / loss(1.644854) - 1) < 0.02, `${at95!.var} against ${loss(1.644854)}`);
  t.ok(Math.abs(Number(at99!.mean_pnl)) < 1);
  t.ok(Number(at99!.expected_shortfall) > Number(at99!.var));
  t.ok(Number(short!.var) > Number(at99!.var), "the short side of a lognormal loses more");
  t.equal(Number(short!.best), -Number(at99!.worst));
});

t.test("the same input gives the same bytes, the seed other ones, on both of V8's compilers", async (t) => {
  const args = ["--paths", "20000", "--seed", "9"];
  const [a, b, other] = await run([{ args }, { args }, { args: ["--paths", "20000", "--seed", "10"] }]);
  t.equal(a!.digest, b!.digest);
  t.not(a!.outputRoot, other!.outputRoot);
  const task = { taskid: a!.taskid, args, inputs: ofBook(BOOK), gasLimit: 5e10, startTime: 1.7e9, hasCallback: false };
  for await (const slow of runTasks({
    vmVersion: VM_VERSION,
    module: MODULE,
    tasks: [task],
    timeoutMs: 120_000,
    tier: "baseline",
  }))
    t.equal(slow.digest, a!.digest);
});

t.test("a position's price depends on its line and the seed, not on the book around it", async (t) => {
  const [head, ...lines] = BOOK.trim().split("\n");
  const turned = [head, ...lines.reverse(), ""].join("\r\n");
  const [a, b] = await run([{}, { inputs: ofBook(`\ufeff${turned}`) }]);
  t.same(prices(b!).reverse(), prices(a!));
});

t.test("the chart is well-formed and names every position", async (t) => {
  const [result] = await run([{ args: ["--paths", "1000"] }]);
  const svg = text(result!, "out/chart.svg");
  t.match(svg, /^<svg [^>]*viewBox="0 0 1000 \d+"/);
  t.match(svg, /<\/svg>\n$/);
  t.notMatch(svg, /nan|inf/i);
  t.equal(svg.match(/<text/g)!.length, svg.match(/<\/text>/g)!.length);
  for (const { id } of rows(BOOK)) t.ok(svg.includes(`>${id}</text>`));
});

t.test("quotes, spaces, capital letters and columns that it does not know are read", async (t) => {
  const csv =
    ' "ID" , Type,Spot,Strike,Rate,Volatility,Maturity,Quantity,Desk\n"A1",CALL, 100 ,"1e2",0,0.2,1,1,"x, ""y"""\n\n';
  const [result] = await run([
    { inputs: [{ name: "no-extension", bytes: Buffer.from(csv) }], args: ["--paths", "1000"] },
  ]);
  t.equal(result!.status, STATUS.ok, text(result!, "stderr"));
  t.equal(prices(result!)[0]!.id, "A1");
});

t.test("a malformed book or argument ends with exit code 2, the reason, and no results", async (t) => {
  const good = "a,call,european,100,100,0.01,0.2,1,1,0,";
  const books: [string, RegExp][] = [
    ["", /is empty/],
    [`${HEAD}\n`, /no positions/],
    ["id,type\na,call\n", /:1: spot: the line of names lacks this column/],
    [`${HEAD},id\n${good},b\n`, /:1: id: stands twice in the line of names/],
    [bookOf("a,call,european,100,100,0.01,0.2,1,1"), /:2: has another number of columns/],
    [bookOf('a,"call,european,100,100,0.01,0.2,1,1,0,'), /:2: a quote is not closed/],
    [bookOf(good, good), /:3: id: stands twice in the book, got a/],
    [bookOf("a,swap,european,100,100,0.01,0.2,1,1,0,"), /:2: type: must be call or put, got swap/],
    [bookOf("a,call,american,100,100,0.01,0.2,1,1,0,"), /:2: style: must be european or asian.*got american/],
    [bookOf("a,call,asian,100,100,0.01,0.2,1,1,0,2.5"), /:2: fixings: must be a whole number/],
    [bookOf("a,call,asian,100,100,0.01,0.2,1,1,0,9999"), /:2: fixings: must be from 1 to 366/],
    [bookOf("a,call,european,nan,100,0.01,0.2,1,1,0,"), /:2: spot: must be a finite number, got nan/],
    [bookOf("a,call,european,100,inf,0.01,0.2,1,1,0,"), /:2: strike: must be a finite number, got inf/],
    [bookOf("a,call,european,100,1e999,0.01,0.2,1,1,0,"), /:2: strike: must be a finite number/],
    [bookOf("a,call,european,100,,0.01,0.2,1,1,0,"), /:2: strike: must be a finite number, got nothing/],
    [bookOf("a,call,european,100,0x64,0.01,0.2,1,1,0,"), /:2: strike: must be a finite number/],
    [bookOf("a,call,european,-1,100,0.01,0.2,1,1,0,"), /:2: spot: must be from 0.0001 to 10000000, got -1/],
    [bookOf("a,call,european,100,100,0.01,0,1,1,0,"), /:2: volatility: must be from 0.0010 to 5/],
    [bookOf("a,call,european,100,100,0.01,0.2,99,1,0,"), /:2: maturity: must be from 0.0001 to 30/],
    [bookOf("a<b,call,european,100,100,0.01,0.2,1,1,0,"), /:2: id: has a forbidden character/],
    [bookOf(`${"x".repeat(33)},call,european,100,100,0.01,0.2,1,1,0,`), /longer than 32/],
    [
      `id,underlying,${HEAD.slice(3)}\na,U,${good.slice(2)}\nb,U,call,european,101,100,0.01,0.2,1,1,0,\n`,
      /:3: spot: differs/,
    ],
    [`${HEAD}\n${good}\0\n`, /is not a text/],
    [
      [HEAD, ...Array.from({ length: 10_001 }, (_, i) => `p${i}${good.slice(1)}`)].join("\n"),
      /more than 10000 positions/,
    ],
    [`${HEAD}\n${" ".repeat(4 << 20)}\n`, /larger than 4 MiB/],
    [bookOf("a".repeat(100_000)), /another number of columns/],
    [bookOf(",".repeat(1_000).concat("x")), /too many columns/],
  ];
  const wrong: [string[], RegExp][] = [
    [["--paths", "0"], /--paths must be from 100 to 1000000000, got 0/],
    [["--paths"], /--paths must be a finite number, got nothing/],
    [["--paths", "1e300"], /--paths must be from/],
    [["--paths", "1000.5"], /whole number/],
    [["--seed", "-1"], /--seed must be a whole number/],
    [["--confidence", "1"], /--confidence must be from/],
    [["--horizon", "nan"], /--horizon must be a finite number/],
    [["--scenarios", "99999999"], /--scenarios must be from/],
    [["--file", "other.csv"], /cannot read \/in\/other.csv/],
    [["--colour", "red"], /unknown argument --colour/],
  ];
  const results = await run([
    ...books.map(([csv]) => ({ inputs: ofBook(csv), args: ["--paths", "100", "--scenarios", "100"] })),
    ...wrong.map(([args]) => ({ args })),
    { inputs: [] },
  ]);
  const reasons = [...books, ...wrong, ["", /no book/] as const].map(([, reason]) => reason);
  for (const [i, result] of results.entries()) {
    t.match(result, { status: STATUS.exit, code: 2 }, String(reasons[i]));
    t.match(text(result, "stderr"), reasons[i]!);
    t.notOk([...result.files.keys()].some((name) => name.startsWith("out/") && name !== "out/"));
  }
});

t.test("the largest book is priced within the memory of the module", async (t) => {
  const lines = Array.from({ length: 10_000 }, (_, i) => `p${i},call,european,100,${50 + (i % 100)},0.01,0.2,1,1,0,`);
  const [result] = await run([{ inputs: ofBook(bookOf(...lines)), args: ["--paths", "100", "--scenarios", "100"] }]);
  t.equal(result!.status, STATUS.ok, text(result!, "stderr"));
  t.equal(prices(result!).length, 10_000);
  t.match(text(result!, "out/chart.svg"), /and 9940 more positions/);
});
