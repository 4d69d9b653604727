/** The attacker's process: connects, says so, attacks when told to, and reports. It ends with the one that started it. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Attack, Target } from "./attack.ts";
import { attacksOf } from "./attacks.ts";
import { openWorld } from "./world.ts";

/** What the attacker is told at first. */
export interface Orders {
  readonly attack: string;
  readonly seconds: number;
  readonly genesisFile: string;
  readonly targets: readonly Target[];
}

/** What became of an attack. */
export interface AttackReport {
  readonly steps: number;
  /** Seconds after which the first connection was lost; undefined where it was not. */
  readonly outAfter: number | undefined;
  readonly out: boolean;
  readonly banned: boolean;
  readonly counts: Readonly<Record<string, number>>;
  /** What ended its steps early. */
  readonly error: string | undefined;
}

/** What the attacker tells: it is connected, or it is done. */
export type AttackerMessage = { readonly ready: true } | { readonly report: AttackReport };

let steps = 0;
/** Runs the steps of an attack at its pace until its time, or its number, is over; a step may hang. */
const drive = async (attack: Attack, all: AsyncGenerator<void, void>, ms: number): Promise<void> => {
  const start = Date.now();
  for (let n = 1; Date.now() - start < ms && n <= (attack.max ?? Number.POSITIVE_INFINITY); n++) {
    if ((await all.next()).done) break;
    steps += 1;
    const ahead = (n * 1_000) / attack.perSecond - (Date.now() - start);
    if (ahead > 4) await sleep(Math.min(ahead, ms));
  }
};

const orders = await new Promise<Orders>((resolve) => process.once("message", resolve));
process.once("disconnect", () => process.exit(0));
const tell = (message: AttackerMessage): void => void process.send?.(message);
const attacks = attacksOf(orders.attack);
const ended = new AbortController();
const { world, counts, verdict, close } = await openWorld(orders.genesisFile, orders.targets, ended.signal);
let lostAt: number | undefined;
world.host.addEventListener("peer:disconnect", ({ detail }) => {
  if (world.peers.has(detail.toString())) lostAt ??= Date.now();
});
const go = new Promise((resolve) => process.once("message", resolve));
// Time for identification and subscriptions, as any peer takes it.
await sleep(2_000);
tell({ ready: true });
await go;
const start = Date.now();
const ms = orders.seconds * 1_000;
let error: string | undefined;
// What a library throws of itself, since a target ended a stream, is no end of the attack.
process.on("uncaughtException", (thrown: Error) => {
  error ??= `uncaught: ${thrown.message}`;
});
process.on("unhandledRejection", (thrown) => {
  error ??= `unhandled: ${(thrown as Error).message}`;
});
setTimeout(() => ended.abort(), ms);
const end = sleep(ms);
for (const attack of attacks)
  drive(attack, attack.steps(world), ms).catch((thrown: Error) => {
    error ??= thrown.message;
  });
await end;
const { out, banned } = await verdict();
tell({
  report: {
    steps,
    outAfter: lostAt === undefined ? undefined : Math.max(0, (lostAt - start) / 1_000),
    out,
    banned,
    counts,
    error,
  },
});
await close();
process.disconnect?.();
