import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { ZERO_HASH } from "../../lib/bytes.ts";
import type { DealView, JobView } from "../../node/market-client.ts";
import { openJournal } from "../../node/worker/journal.ts";
import { isOnMains, type Machine, thisMachine } from "../../node/worker/machine.ts";
import {
  defaultPolicy,
  isWithinHours,
  LOT_MIB,
  pauseOf,
  payPerGgas,
  placesOf,
  readPolicy,
  refusalOf,
  stakeRefusalOf,
} from "../../node/worker/policy.ts";
import { launchdService, systemdService } from "../../node/worker/service.ts";
import { VM_VERSION } from "../../vm/wasm/versions.ts";

const defaults = defaultPolicy(4);
const A = `0x${"0a".repeat(20)}` as const;
const B = `0x${"0b".repeat(20)}` as const;
const deal: Pick<DealView, "app" | "priceNrlc"> = { app: A, priceNrlc: 4_000n };
const job: JobView = {
  requester: B,
  gasLimit: 2_000_000_000,
  lotSize: 1,
  lots: 1,
  completed: 0,
  failed: 0,
  timeref: 10,
  committee: 2,
  vmVersion: VM_VERSION,
  volume: 1,
};
const folder = (t: { teardown(work: () => void): void }): string => {
  const made = mkdtempSync(join(tmpdir(), "rolec-policy-"));
  t.teardown(() => rmSync(made, { recursive: true, force: true }));
  return made;
};

t.test("a policy is the defaults, then the file, then the flags", async (t) => {
  const policy = readPolicy(defaults, { cores: 3, hours: ["22:00-06:00"] }, { cores: 2, hours: undefined });
  t.match(policy, { cores: 2, hours: ["22:00-06:00"], onlyOnMains: false });
  t.equal(placesOf(policy), 2);
  t.equal(placesOf(readPolicy(defaults, { cores: 8, memoryMib: 3 * LOT_MIB + 1 })), 3, "memory bounds the lots too");
});

t.test("a policy that cannot be meant is refused by name", async (t) => {
  const bad: [unknown, RegExp][] = [
    [{ core: 1 }, /no core;/],
    [{ cores: 0 }, /cores/],
    [{ cores: 1.5 }, /cores/],
    [{ cores: "2" }, /cores/],
    [{ memoryMib: 512 }, /memoryMib/],
    [{ hours: "22:00-06:00" }, /hours/],
    [{ hours: ["22-06"] }, /hours "22-06"/],
    [{ hours: ["25:00-26:00"] }, /hours/],
    [{ hours: ["someday 08:00-10:00"] }, /hours/],
    [{ maxOthersLoad: 1.1 }, /maxOthersLoad/],
    [{ apps: ["0x12"] }, /apps/],
    [{ constructor: 1 }, /no constructor/],
    [[], /JSON object/],
    ["all", /JSON object/],
    [null, /JSON object/],
  ];
  for (const [given, message] of bad) t.throws(() => readPolicy(defaults, given), message, JSON.stringify(given));
});

t.test("hours are local, may cross midnight, and may be of some days", async (t) => {
  const at = (text: string) => new Date(text);
  // 2026-11-27 is a Friday.
  t.ok(isWithinHours([], at("2026-11-27T03:00")));
  t.ok(isWithinHours(["22:00-06:00"], at("2026-11-27T22:00")));
  t.ok(isWithinHours(["22:00-06:00"], at("2026-11-27T05:59")));
  t.notOk(isWithinHours(["22:00-06:00"], at("2026-11-27T06:00")));
  t.notOk(isWithinHours(["sat,sun 00:00-24:00"], at("2026-11-27T23:59")));
  t.ok(isWithinHours(["sat,sun 00:00-24:00"], at("2026-11-28T00:00")));
  t.ok(isWithinHours(["fri 22:00-06:00"], at("2026-11-28T05:00")), "it goes on into Saturday");
  t.notOk(isWithinHours(["fri 22:00-06:00"], at("2026-11-27T05:00")), "and did not begin on Thursday");
  t.ok(isWithinHours(["08:00-09:00", "12:00-13:00"], at("2026-11-27T12:30")));
});

t.test("a job is refused by its app, its requester, and what it pays after what is burned", async (t) => {
  t.equal(refusalOf(defaults, deal, job, 16_384n), undefined);
  t.equal(payPerGgas(deal, job, 16_384n), 750n, "4,000 nRLC for 2 Ggas of 2 seats, a quarter of it burned");
  const refusal = (given: unknown) => refusalOf(readPolicy(defaults, given), deal, job, 16_384n);
  t.equal(refusal({ apps: [A.toUpperCase().replace("0X", "0x")] }), undefined);
  t.match(refusal({ apps: [B] }), `app ${A}`);
  t.equal(refusal({ requesters: [A, B] }), undefined);
  t.match(refusal({ requesters: [A] }), `requester ${B}`);
  t.equal(refusal({ minPayNrlcPerGgas: 750 }), undefined);
  t.match(refusal({ minPayNrlcPerGgas: 751 }), "pays 750 nRLC");
});

t.test("schedulers hold a little of what a worker has, all tasks together", async (t) => {
  t.equal(stakeRefusalOf(defaults, 60_000_000n, 40_000_000n), undefined);
  t.match(stakeRefusalOf(defaults, 60_000_000n, 40_000_001n), "the policy lets schedulers hold 100000000");
  const none = readPolicy(defaults, { maxStakeNrlc: 0 });
  t.equal(stakeRefusalOf(none, 0n, 0n), undefined);
  t.match(stakeRefusalOf(none, 1n, 0n), "it holds 1 nRLC of the worker's");
});

t.test("nothing is started outside the hours, on battery, or while others use the machine", async (t) => {
  const machine: Machine = { cores: 4, othersLoad: () => 0.6, onMains: () => false };
  const pause = (given: unknown) => pauseOf(readPolicy(defaults, given), machine, new Date("2026-11-27T12:00"), 1);
  t.equal(pause({}), undefined);
  t.match(pause({ hours: ["22:00-06:00"] }), "not within 22:00-06:00");
  t.equal(pause({ onlyOnMains: true }), "on battery");
  t.equal(pause({ maxOthersLoad: 0.5 }), "others use 60 % of the processors");
  t.equal(pause({ maxOthersLoad: 0.7 }), undefined);
  const here = thisMachine();
  t.ok(here.cores >= 1 && here.othersLoad(0) >= 0 && here.othersLoad(0) <= 1);
  t.type(here.onMains(), "boolean");
});

t.test("mains that is plugged in counts, else the machine's own battery", async (t) => {
  const supplies = (given: Record<string, Record<string, string>>): boolean => {
    const root = folder(t);
    for (const [name, files] of Object.entries(given)) {
      mkdirSync(join(root, name));
      for (const [file, text] of Object.entries(files)) writeFileSync(join(root, name, file), `${text}\n`);
    }
    return isOnMains(root);
  };
  t.equal(isOnMains("/nowhere"), true);
  t.equal(supplies({}), true);
  t.equal(supplies({ AC: { type: "Mains", online: "1" }, BAT0: { type: "Battery", status: "Discharging" } }), true);
  t.equal(supplies({ AC: { type: "Mains", online: "0" }, BAT0: { type: "Battery", status: "Full" } }), false);
  t.equal(supplies({ BAT0: { type: "Battery", status: "Discharging" } }), false);
  t.equal(supplies({ BAT0: { type: "Battery", status: "Charging" } }), true);
  t.equal(supplies({ mouse: { type: "Battery", status: "Discharging", scope: "Device" } }), true);
});

t.test("the journal remembers over a restart what is computed, and what is still to be given away", async (t) => {
  const path = folder(t);
  const lot = (n: number) => `0x${n.toString(16).padStart(64, "0")}` as const;
  const computed = (tasks: number) => ({
    taskids: Array(tasks).fill(ZERO_HASH),
    receipts: Array(tasks).fill(Uint8Array.of(1)),
    cids: Array(tasks).fill(undefined),
  });
  const first = openJournal(path);
  first.put(lot(1), computed(1));
  first.put(lot(2), computed(2));
  first.put(lot(3), computed(3));
  first.published(lot(3));
  const second = openJournal(path);
  t.same(second.get(lot(2)), computed(2));
  t.same(second.unpublished(), [lot(2)]);
});

t.test("services run the worker with its words as they are", async (t) => {
  const given = { command: ["/usr/bin/node", "/a b/main.ts", "--node", "http://x/?a=%20&b=$HOME"], folder: "/a b/50%" };
  const unit = systemdService(given);
  t.match(unit.text, 'ExecStart="/usr/bin/node" "/a b/main.ts" "--node" "http://x/?a=%%20&b=$$HOME"\n');
  t.match(unit.text, "WorkingDirectory=/a b/50%%\n");
  t.match(unit.path, /systemd\/user\/rolec-worker\.service$/);
  const agent = launchdService(given);
  t.match(agent.text, "<string>http://x/?a=%20&#38;b=$HOME</string>");
});
