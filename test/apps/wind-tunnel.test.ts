import "../helpers/plain-spawn.ts";
import t, { type Test } from "tap";
import { STATUS } from "../../vm/wasm/status.ts";
import type { Task } from "../../vm/wasm/task.ts";
import { inputOf, type Row, readPng, resultsOf, rowsOf, runApp, textOf } from "../helpers/apps.ts";

const run = (tasks: Partial<Task>[]) => runApp("wind-tunnel", tasks);
const args = (line: string): string[] => line.split(" ").filter(Boolean);
const summary = (result: Parameters<typeof textOf>[0]): Row => rowsOf(textOf(result, "out/summary.csv"))[0]!;
const near = (t: Test, got: string | undefined, low: number, high: number, name: string): void => {
  t.ok(Number(got) >= low && Number(got) <= high, `${name} ${got}, expected ${low} to ${high}`);
};
/** A channel and time so small that only what is not physics can be checked. */
const TINY = "--resolution 5 --length 6 --time 4 --reynolds 20";

t.test("a cylinder in a channel sheds vortices as in the benchmark 2D-2 of Schaefer and Turek", async (t) => {
  // Turek's group gives for Re 100: Strouhal number 0.295 to 0.305, largest drag 3.22 to 3.24, largest lift 0.99 to 1.01.
  // 16 cells on the diameter, a short channel and time leave 2 % on the first and 4 % on the others.
  const [result] = await run([{ args: args("--resolution 16 --length 10 --speed 0.1 --time 28 --from 17") }]);
  t.equal(result!.status, STATUS.ok, textOf(result, "stderr"));
  const found = summary(result);
  near(t, found.strouhal, 0.295 * 0.98, 0.305 * 1.02, "Strouhal number");
  near(t, found.drag_max, 3.22 * 0.96, 3.24 * 1.04, "largest drag");
  near(t, found.lift_max, 0.99 * 0.96, 1.01 * 1.04, "largest lift");
  t.ok(Number(found.periods) >= 3);
});

t.test("the steady flow at Reynolds number 20 has the drag of the benchmark 2D-1", async (t) => {
  const [result] = await run([
    { args: args("--reynolds 20 --resolution 10 --length 8 --speed 0.08 --time 16 --from 12") },
  ]);
  const found = summary(result);
  near(t, found.drag_mean, 5.5795 * 0.985, 5.5795 * 1.015, "drag");
  t.equal(found.strouhal, "", "it does not oscillate");
  t.ok(Math.abs(Number(found.lift_mean)) < 0.03);
});

t.test("a profile lifts by its angle, and turned the other way by the same amount downwards", async (t) => {
  const base = args(
    "--shape naca0012 --reynolds 40 --resolution 20 --length 5 --height 3 --x 2 --y 1.5 --walls slip --time 8 --from 6.5",
  );
  const size = 3;
  const bag = [0, 1, 2].map((index) => ({ args: [...base, "--angle", "-10:10"], bot: { size, first: 0, index } }));
  const [down, level, up] = (await run(bag)).map(summary);
  t.same([down!.angle, level!.angle, up!.angle], ["-10.000", "0.000", "10.000"]);
  near(t, up!.lift_mean, 0.4, 0.8, "lift");
  t.ok(Math.abs(Number(up!.lift_mean) + Number(down!.lift_mean)) < 0.05 * Number(up!.lift_mean));
  t.ok(Math.abs(Number(level!.lift_mean)) < 0.05 * Number(up!.lift_mean));
  t.ok(Number(up!.drag_mean) > Number(level!.drag_mean));
});

t.test("a disc drawn as a mask has the drag of the cylinder, in each format", async (t) => {
  const side = 64;
  const solid = (x: number, y: number): boolean => Math.hypot(x - 31.5, y - 31.5) <= 32;
  const rows = Array.from({ length: side }, (_, y) => Array.from({ length: side }, (_, x) => solid(x, y)));
  const bits = Buffer.alloc((side * side) / 8);
  for (const [i, on] of rows.flat().entries()) if (on) bits[i >> 3]! |= 0x80 >> (i % 8);
  const masks = [
    inputOf("disc.txt", rows.map((row) => `..${row.map((on) => (on ? "#" : ".")).join("")}`).join("\n")),
    inputOf("disc.pbm", `P1\n# a disc\n${side} ${side}\n${rows.map((row) => row.map(Number).join("")).join("\n")}\n`),
    inputOf("raw.pbm", Buffer.concat([Buffer.from(`P4 ${side} ${side}\n`), bits])),
    inputOf(
      "disc.pgm",
      `P2 ${side} ${side} 255 ${rows.map((row) => row.map((on) => (on ? 9 : 240)).join(" ")).join("\n")}`,
    ),
    inputOf(
      "raw.pgm",
      Buffer.concat([Buffer.from(`P5 ${side} ${side} 99\n`), Buffer.from(rows.flat().map((on) => (on ? 0 : 99)))]),
    ),
  ];
  const base = args("--reynolds 20 --resolution 10 --length 6 --time 6");
  const [exact, ...drawn] = await run([{ args: base }, ...masks.map((mask) => ({ args: base, inputs: [mask] }))]);
  const drag = Number(summary(exact).drag_mean);
  for (const [i, result] of drawn.entries()) {
    t.equal(result.status, STATUS.ok, textOf(result, "stderr"));
    const found = summary(result);
    t.equal(found.shape, "mask");
    near(t, found.drag_mean, drag * 0.97, drag * 1.03, masks[i]!.name);
    t.equal(found.drag_mean, summary(drawn[0]).drag_mean, "all formats say the same");
  }
});

t.test("forces, summary and pictures are well-formed", async (t) => {
  const [vortices, speed] = await run([
    { args: args(TINY) },
    { args: args(`${TINY} --field speed --shape square --angle 30`) },
  ]);
  t.same(resultsOf(vortices!).sort(), ["out/chart.svg", "out/field.png", "out/forces.csv", "out/summary.csv"]);
  const forces = rowsOf(textOf(vortices, "out/forces.csv"));
  t.equal(forces.length, Math.ceil((4 * 5) / 0.15));
  t.ok(forces.every((row) => ["time", "drag", "lift"].every((name) => Number.isFinite(Number(row[name])))));
  for (const [i, result] of [vortices, speed].entries()) {
    const svg = textOf(result, "out/chart.svg");
    t.match(svg, /^<svg [^>]*viewBox="0 0 1000 \d+"/);
    t.match(svg, /<\/svg>\n$/);
    t.notMatch(svg.replaceAll(/base64,[^"]*/g, ""), /nan|inf/i);
    t.equal(svg.match(/<text/g)!.length, svg.match(/<\/text>/g)!.length);
    t.ok(
      svg.includes(Buffer.from(result!.files.get("out/field.png")!).toString("base64")),
      "the chart holds the field",
    );
    t.match(svg, i === 0 ? /Flow round a cylinder, Reynolds number 20</ : /Flow round a square at 30°/);
    const png = readPng(result!.files.get("out/field.png")!);
    const grey = png.pixels.filter((colour) => colour === 255).length / png.pixels.length;
    const area = i === 0 ? Math.PI / 4 : 1;
    t.equal(png.width, 960);
    t.ok(Math.abs(grey / (area / (6 * (png.height / png.width) * 6)) - 1) < 0.02, `${grey} of the picture is obstacle`);
  }
});

t.test(
  "the same task gives the same bytes on both of V8's compilers, and a list gives each task its number",
  async (t) => {
    const [a, b] = await run([{ args: args(TINY) }, { args: args(TINY) }]);
    t.equal(a!.digest, b!.digest);
    const [slow] = await runApp("wind-tunnel", [{ args: args(TINY) }], "baseline");
    t.equal(slow!.digest, a!.digest);
    const listed = args("--resolution 5 --length 6 --time 4 --reynolds 20,31.5,50 --tasks 3");
    const sweep = await run([4, 5].map((index) => ({ args: listed, bot: { size: 2, first: 1, index: index - 3 } })));
    t.same(
      sweep.map((result) => summary(result).reynolds),
      ["31.500", "50.000"],
    );
  },
);

t.test("a malformed mask or argument ends with exit code 2, the reason, and no results", async (t) => {
  const masks: [string, string | Uint8Array, RegExp][] = [
    ["a.txt", "", /a\.txt: is empty/],
    ["a.txt", "...\n.?.\n", /# where it is solid/],
    ["a.txt", "...\n...\n", /nothing in the mask is solid/],
    ["a.txt", "#".repeat(5000), /larger than 4096/],
    ["a.txt", "#########\n", /more than 8 times as wide/],
    ["a.pbm", "P1\n3 3\n111\n1", /ends before the last pixel/],
    ["a.pbm", "P1\n3 3\n11x", /neither 0 nor 1/],
    ["a.pbm", "P1\n99999 3\n", /the width is too large/],
    ["a.pbm", "P1\n0 3\n", /no pixels/],
    ["a.pbm", "P1\n", /the width is missing/],
    ["a.pgm", "P2 2 2 9 1 2 3 10", /a grey is too large/],
    ["a.pgm", "P2 2 2 0 1 2 3 10", /largest grey is 0/],
    ["a.pgm", "P5 9 9 255\nabc", /ends before the last pixel/],
    ["a.pgm", "P6 2 2 255\nabcdefghijkl", /only P1, P2, P4 and P5/],
  ];
  const wrong: [string, RegExp][] = [
    ["--shape ball", /--shape must be cylinder, square, naca and four digits, or mask, got ball/],
    ["--shape naca12", /--shape must be/],
    ["--shape naca0001", /at least 4 % thick/],
    ["--shape naca2012", /camber needs its place/],
    ["--shape mask", /no mask/],
    ["--file none.pbm", /cannot read \/in\/none.pbm/],
    ["--shape square --file a.pbm", /--file is for --shape mask/],
    ["--reynolds", /--reynolds must be a finite number, got nothing/],
    ["--reynolds nan", /--reynolds must be a finite number, got nan/],
    ["--reynolds 0", /--reynolds must be from 0.1 to 100000, got 0/],
    ["--reynolds 1:2:3", /must be a number, A:B or a list/],
    ["--reynolds 10,20", /one number for each task/],
    ["--resolution 1e9", /--resolution must be from 4 to 200/],
    ["--resolution 7.5", /whole number/],
    ["--resolution 200 --length 100", /more than 1000000 cells/],
    ["--time 1000 --resolution 50 --speed 0.005", /more than 2000000 steps/],
    ["--from 30", /--from must be less than --time/],
    ["--x 0.2", /two cells of fluid all around/],
    ["--y 4", /two cells of fluid all around/],
    ["--walls none", /--walls must be channel or slip, got none/],
    ["--field heat", /--field must be vorticity or speed, got heat/],
    ["--reynolds 100000 --resolution 4", /became unstable at time .*higher --resolution/],
    ["--colour red", /unknown argument --colour/],
  ];
  const results = await run([
    ...masks.map(([name, content]) => ({ inputs: [inputOf(name, content)] })),
    ...wrong.map(([line]) => ({ args: args(line) })),
  ]);
  const reasons = [...masks.map(([, , reason]) => reason), ...wrong.map(([, reason]) => reason)];
  for (const [i, result] of results.entries()) {
    t.match(result, { status: STATUS.exit, code: 2 }, String(reasons[i]));
    t.match(textOf(result, "stderr"), reasons[i]!);
    t.same(resultsOf(result), []);
  }
});

t.test("a task without arguments stays below 2 thousand million gas, the largest one within its memory", async (t) => {
  const [plain] = await run([{}]);
  t.equal(plain!.status, STATUS.ok);
  t.ok(plain!.gasUsed < 2e9, `${plain!.gasUsed} gas`);
  const [large] = await run([
    { args: args("--resolution 100 --length 24 --height 4.1 --time 1 --speed 0.15 --from 0"), gasLimit: 4e9 },
  ]);
  t.equal(large!.status, STATUS.outOfGas);
});
