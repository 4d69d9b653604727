import "../helpers/plain-spawn.ts";
import t, { type Test } from "tap";
import { STATUS } from "../../vm/wasm/status.ts";
import type { Task } from "../../vm/wasm/task.ts";
import { inputOf, type Row, readPng, resultsOf, rowsOf, runApp, textOf } from "../helpers/apps.ts";

const run = (tasks: Partial<Task>[]) => runApp("plasma", tasks);
const args = (line: string): string[] => line.split(" ").filter(Boolean);
const summary = (result: Parameters<typeof textOf>[0]): Row => rowsOf(textOf(result, "out/summary.csv"))[0]!;
const near = (t: Test, got: string | undefined, expected: number, part: number, name: string): void => {
  t.ok(Math.abs(Number(got) / expected - 1) < part, `${name} ${got}, expected ${expected} within ${part}`);
};

t.test("two cold beams grow as their dispersion relation says, fastest by omega_p / (2 sqrt 2)", async (t) => {
  // 1 = 1/2 / (w - k)^2 + 1/2 / (w + k)^2; the growth rate is found here by halving on the imaginary axis.
  const growth = (k: number): number => {
    let [low, high] = [0, 1];
    for (let round = 0; round < 60; round++) {
      const g = (low + high) / 2;
      // Each term with w = i g: Re 1 / (i g - k)^2 = (k^2 - g^2) / (k^2 + g^2)^2.
      if ((k * k - g * g) / (k * k + g * g) ** 2 > 1) low = g;
      else high = g;
    }
    return (low + high) / 2;
  };
  const fastest = Math.sqrt(3 / 8);
  t.ok(Math.abs(growth(fastest) - 1 / (2 * Math.SQRT2)) < 1e-9);
  const base = args("--particles 6000 --wavenumber 0.45:0.85 --time 40");
  const bag = [0, 1, 2].map((index) => ({ args: base, bot: { size: 3, first: 0, index } }));
  const [plain, ...swept] = await run([{ args: args("--particles 10000 --time 40") }, ...bag]);
  t.equal(plain!.status, STATUS.ok, textOf(plain, "stderr"));
  near(t, summary(plain).wavenumber, fastest, 1e-5, "wavenumber");
  near(t, summary(plain).growth, 0.353553, 0.015, "growth rate");
  t.same(
    swept.map((result) => summary(result).wavenumber),
    ["0.450000", "0.650000", "0.850000"],
  );
  for (const result of swept) {
    const found = summary(result);
    const theory = growth(Number(found.wavenumber));
    near(t, found.growth, theory, 0.025, `growth rate at ${found.wavenumber}`);
    near(t, found.growth_theory, theory, 1e-4, "theory");
    t.equal(found.frequency, "", "a wave that grows has no frequency");
  }
});

t.test("a cold plasma swings at the plasma frequency, and energy and momentum hold", async (t) => {
  const [result] = await run([
    { args: args("--mode langmuir --thermal 0 --particles 4000 --time 40 --amplitude 0.01") },
  ]);
  const found = summary(result);
  near(t, found.frequency, 1, 0.002, "frequency");
  t.ok(Math.abs(Number(found.growth)) < 1e-3);
  const energies = rowsOf(textOf(result, "out/energies.csv"));
  t.equal(energies.length, 401);
  for (const row of energies) {
    t.ok(Math.abs(Number(row.total_energy) / Number(energies[0]!.total_energy) - 1) < 0.005);
    t.ok(Math.abs(Number(row.momentum)) < 1e-8);
  }
});

t.test("a warm plasma swings as Bohm and Gross and as Landau say, and is damped as Landau says", async (t) => {
  // Roots of Landau's dispersion relation as tabulated for k lambda_D = 0.5 (e.g. Canosa 1973).
  const [slow, damped] = await run([
    { args: args("--mode langmuir --wavenumber 0.1 --particles 8000 --time 40") },
    { args: args("--mode langmuir --wavenumber 0.5 --particles 131072 --time 14") },
  ]);
  const bohmGross = Math.sqrt(1 + 3 * 0.01);
  near(t, summary(slow).frequency, bohmGross, 0.003, "frequency at 0.1");
  near(t, summary(slow).frequency_bohm_gross, bohmGross, 1e-6, "Bohm and Gross");
  near(t, summary(damped).frequency_landau, 1.4156, 2e-4, "Landau's frequency");
  near(t, summary(damped).growth_theory, -0.1533, 1e-3, "Landau's damping");
  near(t, summary(damped).frequency, 1.4156, 0.01, "frequency at 0.5");
  near(t, summary(damped).growth, -0.1533, 0.05, "damping at 0.5");
});

t.test("a table of velocities gives beams that grow as the same beams without one", async (t) => {
  const beam = (at: number): string[] => [`${at - 0.001},0`, `${at},1`, `${at + 0.001},0`];
  const csv = `\ufeffvelocity,density\r\n${[...beam(-1), ...beam(1)].join("\r\n")}\r\n`;
  const base = args("--mode distribution --particles 10000 --time 40");
  const [result, stable] = await run([
    { args: base, inputs: [inputOf("beams.csv", csv)] },
    {
      args: args("--mode distribution --particles 10000 --time 20 --wavenumber 0.1 --amplitude 0.01"),
      inputs: [inputOf("one.csv", "velocity,density\n-1,1\n1,1\n")],
    },
  ]);
  t.equal(result!.status, STATUS.ok, textOf(result, "stderr"));
  near(t, summary(result).growth, 0.353553, 0.03, "growth rate");
  t.equal(summary(result).growth_theory, "", "there is no theory for a table");
  // Bohm and Gross for velocities spread evenly over [-1, 1], whose mean square is a third.
  near(t, summary(stable).frequency, Math.sqrt(1 + 0.01), 0.005, "frequency");
});

t.test("energies, summary and pictures are well-formed", async (t) => {
  const [beams, wave] = await run([
    { args: args("--particles 4000 --time 30") },
    { args: args("--mode langmuir --particles 4000 --time 10 --waves 2") },
  ]);
  for (const [i, result] of [beams, wave].entries()) {
    t.same(resultsOf(result!).sort(), ["out/chart.svg", "out/energies.csv", "out/phase-space.png", "out/summary.csv"]);
    const svg = textOf(result, "out/chart.svg");
    t.match(svg, /^<svg [^>]*viewBox="0 0 1000 \d+"/);
    t.match(svg, /<\/svg>\n$/);
    t.notMatch(svg.replaceAll(/base64,[^"]*/g, ""), /nan|inf/i);
    t.equal(svg.match(/<text/g)!.length, svg.match(/<\/text>/g)!.length);
    t.match(svg, i === 0 ? /Two-stream instability, wavenumber 0.6124/ : /Langmuir wave, wavenumber 0.2 /);
    const png = readPng(result!.files.get("out/phase-space.png")!);
    t.same([png.width, png.height], [864, 400]);
    t.same([...png.palette.subarray(0, 3)], [255, 255, 255], "where no electron is, it is white");
    const dark = png.pixels.filter((colour) => colour !== 0).length;
    t.ok(dark > 1000 && dark < png.pixels.length / 2, `${dark} pixels have electrons`);
  }
});

t.test("the same task gives the same bytes on both of V8's compilers", async (t) => {
  const task = { args: args("--particles 2000 --time 20") };
  const [a, b] = await run([task, task]);
  t.equal(a!.digest, b!.digest);
  const [slow] = await runApp("plasma", [task], "baseline");
  t.equal(slow!.digest, a!.digest);
});

t.test("a malformed table or argument ends with exit code 2, the reason, and no results", async (t) => {
  const head = "velocity,density\n";
  const tables: [string, RegExp][] = [
    ["", /fewer than two velocities/],
    ["speed,density\n1,2\n", /:1: the first line must be velocity,density/],
    [`${head}1\n`, /:2: a line has a velocity and a density/],
    [`${head}x,1\n`, /:2: velocity must be from -1000 to 1000/],
    [`${head}1e9,1\n`, /:2: velocity must be/],
    [`${head}1,-1\n`, /:2: density must be from 0/],
    [`${head}1,1,1\n`, /:2: density must be/],
    [`${head}1,1\n1,2\n`, /:3: velocities must rise/],
    [`${head}1,1\n`, /fewer than two velocities/],
    [`${head}1,0\n2,0\n`, /density is zero everywhere/],
    [`${head}1,0\0\n2,0\n`, /is not a text/],
    [`${head}${Array.from({ length: 10_001 }, (_, i) => `${i / 100},1`).join("\n")}`, /more than 10000 velocities/],
    [" ".repeat((1 << 20) + 1), /larger than 1 MiB/],
  ];
  const wrong: [string, RegExp][] = [
    ["--mode cold", /--mode must be langmuir, two-stream or distribution, got cold/],
    ["--mode distribution", /no distribution/],
    ["--mode distribution --thermal 1", /--thermal is not for/],
    ["--file a.csv", /--file is for --mode distribution/],
    ["--wavenumber 0", /--wavenumber must be from 0.001 to 100/],
    ["--wavenumber 1,2", /one number for each task/],
    ["--amplitude 1", /--amplitude must be from 0 to 0.9/],
    ["--thermal inf", /--thermal must be a finite number/],
    ["--particles 1001", /--particles must be even/],
    ["--particles 1e9", /--particles must be from 100 to 2000000/],
    ["--cells 7", /--cells must be from 8 to 4096/],
    ["--waves 20", /at least 8 for each of the --waves/],
    ["--step 1", /--step must be from 0.001 to 0.5/],
    ["--time 10000 --step 0.001", /more than 200000 steps/],
    ["--time 1 --step 0.5", /fewer than 10 steps/],
    ["--time", /--time must be a finite number, got nothing/],
    ["--colour red", /unknown argument --colour/],
  ];
  const results = await run([
    ...tables.map(([csv]) => ({ args: args("--mode distribution"), inputs: [inputOf("table.csv", csv)] })),
    ...wrong.map(([line]) => ({ args: args(line) })),
  ]);
  const reasons = [...tables, ...wrong].map(([, reason]) => reason);
  for (const [i, result] of results.entries()) {
    t.match(result, { status: STATUS.exit, code: 2 }, String(reasons[i]));
    t.match(textOf(result, "stderr"), reasons[i]!);
    t.same(resultsOf(result), []);
  }
});

t.test("a task without arguments stays below 2 thousand million gas, the largest one within its memory", async (t) => {
  const [plain, large] = await run([{}, { args: args("--particles 2000000 --time 1"), gasLimit: 2e10 }]);
  t.equal(plain!.status, STATUS.ok);
  t.ok(plain!.gasUsed < 2e9, `${plain!.gasUsed} gas`);
  t.equal(large!.status, STATUS.ok, textOf(large, "stderr"));
});
