/** Runs the cases of `recovery.ts` for many seeds and attackers, one process a seed, and makes the table of docs/security.md. */
import { spawnSync } from "node:child_process";
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { fileURLToPath } from "node:url";
import { type Case, type Flooded, flood, type Recovery, recover } from "./recovery.ts";

export const CASES: Readonly<Record<string, Case>> = {
  "votes of odd epochs two late": { late: "odd epochs by two", choice: "all", stays: false },
  "all votes one late": { late: "all by one", choice: "all", stays: false },
  "votes hoarded, dumped at once": { late: "until the end", choice: "oldest", stays: false },
  "includes its own votes alone": { late: "none", choice: "own", stays: true },
  "includes the newest alone": { late: "none", choice: "newest", stays: true },
  "includes none": { late: "none", choice: "none", stays: true },
  "odd two late, own alone": { late: "odd epochs by two", choice: "own", stays: true },
  "odd two late, own alone, then honest": { late: "odd epochs by two", choice: "own", stays: false },
  "hoarded, none": { late: "until the end", choice: "none", stays: true },
  "empty epochs, newest alone": { late: "none", choice: "newest", stays: true, gap: true },
  "empty epochs, newest alone, then honest": { late: "none", choice: "newest", stays: false, gap: true },
};
const FLOOD = "evidence flood";
/** Percent of power. 33.3 is a third exactly, which leaves the others two thirds. */
export const SHARES = [10, 20, 30, 33.3, 35, 40, 45];
/** So many that each share is of whole validators. */
const validatorsFor = (share: number): number => (share === 33.3 ? 21 : 20);
/** Epochs measured: while proposers choose, finality is a matter of luck, and the mean wants more of them. */
const AFTER = { stays: 24, honest: 8 };

interface Job {
  readonly seed: number;
  readonly slotsPerEpoch: number;
  readonly epochsPerEra: number;
  readonly out: string;
  readonly cases: readonly string[];
  readonly shares: readonly number[];
}
type Line = { readonly name: string; readonly share: number } & Pick<Job, "seed" | "slotsPerEpoch"> &
  Partial<Recovery & Flooded>;

const readLines = (path: string): Line[] =>
  readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);

/** Runs what a file has no line of yet: a run that was stopped goes on. */
const runSeed = async ({ out, cases, shares, ...job }: Job): Promise<void> => {
  const keyOf = ({ name, share, seed, slotsPerEpoch }: Line) => `${name} ${share} ${seed} ${slotsPerEpoch}`;
  const known = new Set(readLines(out).map(keyOf));
  setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
  for (const name of cases)
    for (const share of shares) {
      const attack = CASES[name];
      const at = { name, share, seed: job.seed, slotsPerEpoch: job.slotsPerEpoch };
      if (known.has(keyOf(at))) continue;
      const validators = validatorsFor(share);
      const setting = { ...job, validators, share: share / 100, after: attack?.stays ? AFTER.stays : AFTER.honest };
      const got = attack ? await recover(attack, setting) : await flood(setting);
      appendFileSync(out, `${JSON.stringify({ ...at, ...got })}\n`);
    }
};

const mean = (of: readonly number[]): number => of.reduce((sum, each) => sum + each, 0) / of.length;
const percent = (part: number): string => (part === 0 ? "0" : `${(100 * part).toFixed(part < 0.001 ? 3 : 2)} %`);
/** Epochs until finality on average while only honest proposers include votes, with a quarter for what the network does. */
const bound = (share: number): number => (1.25 * (2 - share / 100)) / (1 - share / 100) ** 2;

const cell = (lines: readonly Line[], stays: boolean): string => {
  const never = lines.filter((each) => each.back === undefined).length;
  const backs = lines.flatMap((each) => each.back ?? []);
  const time = stays
    ? `${mean(lines.map((each) => each.mean!)).toFixed(2)} (${bound(lines[0]!.share).toFixed(2)})`
    : `${Math.max(...backs).toFixed(2)}`;
  const lost = Math.max(...lines.map((each) => each.lostAfter!));
  return [never > 0 ? `**${never} of ${lines.length} never**` : time, lost > 0 ? `**loses ${percent(lost)}**` : ""]
    .filter((part) => part !== "")
    .join(", ");
};
const floodCell = (lines: readonly Line[]): string => {
  const left = lines.filter((each) => each.blocks === undefined).length;
  return left > 0 ? `**${left} of ${lines.length} never**` : `${Math.max(...lines.map((each) => each.blocks!))}`;
};

/** Prints the table of a file of lines. */
export const summarise = (path: string): void => {
  const lines = readLines(path);
  for (const slotsPerEpoch of new Set(lines.map((each) => each.slotsPerEpoch))) {
    const ofProfile = lines.filter((each) => each.slotsPerEpoch === slotsPerEpoch);
    const seeds = new Set(ofProfile.map((each) => each.seed)).size;
    const unsafe = ofProfile.filter((each) => each.isSafe === false).length;
    console.log(
      `\n${slotsPerEpoch} slots an epoch, ${seeds} seeds, ${ofProfile.length} runs, ${unsafe} of them not safe\n`,
    );
    console.log(`| | ${SHARES.map((share) => `${share} %`).join(" | ")} |`);
    console.log(`|---|${SHARES.map(() => "---").join("|")}|`);
    for (const name of [...Object.keys(CASES), FLOOD]) {
      const row = ofProfile.filter((each) => each.name === name);
      if (row.length === 0) continue;
      const cells = SHARES.map((share) => {
        const at = row.filter((each) => each.share === share);
        if (at.length === 0) return "";
        return name === FLOOD ? floodCell(at) : cell(at, CASES[name]!.stays);
      });
      console.log(`| ${name} | ${cells.join(" | ")} |`);
    }
    const during = ofProfile.filter((each) => each.finalDuring !== undefined && each.share > 34);
    for (const name of ["votes of odd epochs two late", "all votes one late"]) {
      const of = during.filter((each) => each.name === name);
      if (of.length === 0) continue;
      const final = mean(of.map((each) => each.finalDuring!)).toFixed(1);
      const lost = percent(mean(of.map((each) => each.attackerLost!)));
      console.log(
        `\n${name}, above a third: ${final} epochs became final during the attack, the attacker lost ${lost}`,
      );
    }
  }
};

/** Runs all cases for seeds from 1 on, where their lines are not in the file yet, and prints the table. */
export const recoveryTable = (options: {
  readonly seeds: number;
  readonly out: string;
  readonly profiles: readonly (readonly [slotsPerEpoch: number, epochsPerEra: number])[];
  readonly cases?: readonly string[];
  readonly shares?: readonly number[];
}): void => {
  const { seeds, out, profiles, cases = [...Object.keys(CASES), FLOOD], shares = SHARES } = options;
  if (!existsSync(out)) writeFileSync(out, "");
  for (let seed = 1; seed <= seeds; seed++)
    for (const [slotsPerEpoch, epochsPerEra] of profiles) {
      const job: Job = { seed, slotsPerEpoch, epochsPerEra, out, cases, shares };
      const hooks = fileURLToPath(new URL("hooks.ts", import.meta.url));
      const args = ["--import", hooks, fileURLToPath(import.meta.url), JSON.stringify(job)];
      const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
      if (status !== 0) throw new Error(`seed ${seed} ended with ${status}`);
    }
  summarise(out);
};

if (process.argv[1] === fileURLToPath(import.meta.url)) await runSeed(JSON.parse(process.argv[2]!) as Job);
