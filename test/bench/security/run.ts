/** The tables of main.ts. */

import { RLC } from "../../../lib/units.ts";
import { WINDOW_BLOCKS } from "../../../vm/market/window.ts";
import { censorChance, censored, dripping, hiding, silence } from "./absence.ts";
import { bestDealer } from "./best-dealer.ts";
import { BURN, creditPrice, dealing, failureOf, formula, IDLERS, idling, spite } from "./dealing.ts";
import { returnsOf } from "./issuance.ts";
import { createPool, genesis, playBusy, playLots, type Sums } from "./pool.ts";
import { ATTACKS, measureWaits } from "./waiting.ts";
import { LIARS, wrongChance, wrongResults } from "./wrong-results.ts";

const percent = (value: number, digits = 0): string => `${(100 * value).toFixed(digits)} %`;
const figure = (value: number): string =>
  !Number.isFinite(value)
    ? "-"
    : value >= 1e5
      ? value.toExponential(0)
      : value >= 100
        ? value.toFixed(0)
        : value >= 10
          ? value.toFixed(1)
          : value.toFixed(2);
const row = (...cells: readonly (string | number | bigint)[]): void => console.log(`| ${cells.join(" | ")} |`);
const head = (title: string, ...cells: readonly string[]): void => {
  console.log(`\n${title}\n`);
  row(...cells);
  row(...cells.map(() => "---"));
};

/** How many lots each table plays, and what their draws depend on. */
export interface Options {
  readonly tasks: number;
  readonly seed: number;
  /** How many runs the table of waits takes. */
  readonly seeds: number;
}

const COLLUDERS = [0.1, 0.2, 0.3, 1 / 3, 0.4];
const TRUSTS = [2n, 10n, 100n, 10_000n];
const DEALERS = [0.05, 0.1, 0.2, 1 / 3, 0.5, 0.75, 1];

const wrong = ({ tasks, seed }: Options): void => {
  for (const [name, liar] of Object.entries(LIARS)) {
    head(
      `Wrong results of ${tasks} tasks, colluders lie: ${name}`,
      ...["slots", "trust", "wrong", "computed, times trust", "runs a task", "failed", "colluders' slots lost a task"],
    );
    for (const trust of TRUSTS)
      for (const share of COLLUDERS) {
        const sums = wrongResults(liar, share, trust, tasks, seed);
        const computed = name === "always" ? figure(wrongChance(share, trust) * Number(trust)) : "";
        const runs = (sums.seats / tasks).toFixed(1);
        row(
          percent(share),
          trust,
          sums.wrong,
          computed,
          runs,
          percent(sums.failed / tasks, 1),
          figure(sums.lostSlots / tasks),
        );
      }
  }
};

const prices = ({ tasks, seed }: Options): void => {
  for (const trust of [2n, 100n, 10_000n]) {
    const lots = Math.ceil(tasks / (trust === 2n ? 1 : 5));
    const failure = failureOf(trust);
    head(
      `What a unit of credit costs, trust ${trust}, ${lots} lots; a lot that nobody serves costs ${failure} of its price`,
      ...["slots", "formula", "open", "withheld", "withheld, late", "served by choice", "its optimum"],
      ...["busy: withheld", "busy: served by choice", "busy: seats drawn"],
    );
    for (const share of DEALERS) {
      const price = (kind: string): string => figure(creditPrice(dealing(kind, share, trust, lots, seed)));
      const optimum = bestDealer(share, trust, BURN, failure).price;
      const alone = [price("open"), price("closed"), price("late"), price("choosy"), figure(optimum)];
      const [busyClosed, busyChoosy] = ["closed", "choosy"].map((kind) =>
        dealing(kind, share, trust, Math.ceil(lots / 2), seed, playBusy),
      ) as [Sums, Sums];
      const drawn = percent(busyChoosy.ownFirstSeats / busyChoosy.firstSeats);
      const busy = [figure(creditPrice(busyClosed)), figure(creditPrice(busyChoosy)), drawn];
      row(percent(share), figure(formula(share)), ...alone, ...busy);
    }
  }
};

const idle = ({ tasks, seed }: Options): void => {
  const lots = Math.ceil(tasks / 20);
  head(
    `What a unit of credit costs by what a dealer's jobs do, in the open, trust 2, ${lots} lots`,
    ...["its jobs", ...DEALERS.map((share) => percent(share)), "credit of what is burned"],
  );
  for (const [name, receipt] of Object.entries(IDLERS)) {
    const all = DEALERS.map((share) => idling(receipt, share, 2n, lots, seed));
    const whole = all.at(-1)!;
    const credited = whole.colludersCredit / (BURN * lots);
    row(name, ...all.map((sums) => figure(creditPrice(sums))), percent(credited, 3));
  }
};

const grief = ({ tasks, seed }: Options): void => {
  const lots = Math.ceil(tasks / 5);
  const a = (sum: number): string => (sum / lots).toFixed(4);
  for (const trust of [2n, 10_000n]) {
    for (const kind of ["closed", "late"]) {
      head(
        `Inputs withheld (${kind}), trust ${trust}, ${lots} lots, in units of a lot's price`,
        ...[
          "slots",
          "failed",
          "declines a lot",
          "dealer loses",
          "others lose",
          "others' loss for each of the dealer's",
        ],
      );
      for (const share of DEALERS.slice(0, -1)) {
        const sums = dealing(kind, share, trust, lots, seed);
        const dealer = -(sums.requester + sums.colluders);
        const declines = (sums.declines / lots).toFixed(1);
        row(
          percent(share),
          percent(sums.failed / lots, 1),
          declines,
          a(dealer),
          a(-sums.others),
          figure(-sums.others / dealer),
        );
      }
    }
    head(
      `Jobs of others declined, trust ${trust}, ${lots} lots, in units of a lot's price`,
      ...["slots", "failed", "decliners lose stake", "pay forgone", "requesters lose", "credit that nobody gets"],
    );
    for (const share of COLLUDERS) {
      const sums: Sums = playLots(createPool(share, `spite ${seed}`), trust, lots, spite);
      const credit = BURN - (sums.colludersCredit + sums.othersCredit) / lots;
      const forgone = (share * (1 - BURN)).toFixed(4);
      // A result is worth its price: what is lost is what is burned for none.
      const requesters = a(sums.unserved * failureOf(trust));
      row(
        percent(share),
        percent(sums.failed / lots, 1),
        a(-sums.colluders),
        forgone,
        requesters,
        percent(credit / BURN, 1),
      );
    }
  }
};

const RATES = [1, 4, 16, 64];
const issuance = (): void => {
  head(
    "Issuance for each RLC of credit bought, beyond what the bond gets",
    ...["phase", "others burn an era", ...RATES.map((rate) => `buying ${rate}`), "best"],
    "slots from which that is the price of credit: open",
    "served by choice",
  );
  for (const [phase, { era }] of genesis.params.schedule.entries())
    for (const others of [0, 2, 4, 8, 16, 64, 256]) {
      const returns = returnsOf(era, others, RATES);
      const best = Math.max(...returns);
      const failures = failureOf(2n);
      const isReached = (price: (share: number) => number): string => {
        const shares = Array.from({ length: 100 }, (_, i) => (i + 1) / 100);
        const least = shares.find((share) => price(share) <= best);
        return least === undefined ? "never" : percent(least);
      };
      const choice = (share: number): number => bestDealer(share, 2n, BURN, failures).price;
      row(phase + 1, others, ...returns.map(figure), figure(best), isReached(formula), isReached(choice));
    }
};

const WAIT_SECONDS = 300;
const waiting = ({ seed, seeds }: Options): void => {
  head(
    `Seconds that lots of the 10 s category wait beyond the two slots that all do, beside 5 % of the slots and 1 RLC, ${seeds} seeds`,
    ...["attack", "longest", "median while any waits", "attacker spent RLC, mean"],
  );
  for (const [name, attack] of Object.entries(ATTACKS)) {
    const runs = Array.from({ length: seeds }, (_, i) =>
      measureWaits(attack, `waiting ${seed} ${i}`, RLC, WAIT_SECONDS),
    );
    const waits = runs.flatMap((each) => each.waits).sort((a, b) => a - b);
    const delayed = waits.filter((each) => each > 0);
    const spent = runs.reduce((sum, each) => sum + Number(each.spent) / 1e18, 0) / runs.length;
    row(name, waits.at(-1)!, delayed[delayed.length >> 1] ?? 0, figure(spent));
  }
};

const SILENT = [0.05, 0.1, 0.2, 1 / 3, 0.5];
const absence = ({ tasks, seed }: Options): void => {
  const lots = Math.ceil(tasks / 5);
  const a = (sum: number): string => (sum / lots).toFixed(4);
  for (const [name, play] of Object.entries({ silent: silence, hiding }))
    for (const trust of [2n, 100n, 10_000n]) {
      head(
        `Slots that are ${name} on purpose, trust ${trust}, ${lots} lots, in units of a lot's price`,
        ...["slots", "failed", "they lose stake", "and forgo pay", "requesters lose", "honest workers lose"],
        "credit that nobody gets",
      );
      for (const share of SILENT) {
        const sums = play(share, trust, lots, seed);
        const credit = BURN - (sums.colludersCredit + sums.othersCredit) / lots;
        const requesters = a(sums.unserved * failureOf(trust));
        // What is paid for all lots that did not fail.
        const paid = (1 - sums.failed / lots) * (1 - BURN);
        row(
          percent(share),
          percent(sums.failed / lots, 1),
          a(-sums.colluders),
          (share * (1 - BURN)).toFixed(4),
          requesters,
          a(lots * paid - sums.others),
          percent(credit / BURN, 1),
        );
      }
    }
  for (const trust of [2n, 100n, 10_000n]) {
    head(
      `Inputs that drip, trust ${trust}, ${lots} lots`,
      ...["slots", "a unit of credit: always", "by choice", "failed", "honest silent seats a lot", "dealer loses"],
      ...["honest workers lose", "for each of the dealer's"],
    );
    for (const share of DEALERS.slice(0, -1)) {
      const always = dripping("always", share, trust, lots, seed);
      const chosen = dripping("choosy", share, trust, lots, seed);
      const dealer = -(always.requester + always.colluders);
      row(
        ...[percent(share), figure(always.price), figure(chosen.price), percent(always.failed / lots, 1)],
        ...[(always.othersSilent / lots).toFixed(1), a(dealer), a(-always.others), figure(-always.others / dealer)],
      );
    }
  }
};

const censor = ({ tasks, seed }: Options): void => {
  const rounds = Math.ceil(tasks / 5);
  head(
    `Honest seats that proposers of one hand make silent, a round; of ${rounds} played, category of 10 s, slots of 2 s`,
    ...["power", "said after", "chance with 10 slots", `with ${WINDOW_BLOCKS} blocks`, "played"],
  );
  for (const power of [0.1, 0.2, 1 / 3])
    for (const published of [1, 5, 9]) {
      const [slots, blocks] = [10, WINDOW_BLOCKS].map((n) => censorChance(power, published, n).toExponential(1));
      row(percent(power), `${2 * published} s`, slots!, blocks!, censored(power, published, rounds, seed));
    }
};

const SCENARIOS: Record<string, (options: Options) => void> = {
  wrong,
  prices,
  idle,
  grief,
  absence,
  censor,
  issuance,
  waiting,
};

/** Prints the tables of scenarios, of all without names. */
export const run = (names: readonly string[], options: Options): void => {
  for (const name of names.length > 0 ? names : Object.keys(SCENARIOS)) {
    const scenario = SCENARIOS[name];
    if (!scenario) throw new Error(`no scenario ${name}: ${Object.keys(SCENARIOS).join(", ")}`);
    scenario(options);
  }
};
