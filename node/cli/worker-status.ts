import { existsSync } from "node:fs";
import { join } from "node:path";
import { NRLC, rlc } from "../../lib/units.ts";
import { rpcClient } from "../../rpc/client.ts";
import { PAUSE } from "../../vm/market/slot.ts";
import { readJson } from "../folder.ts";
import { isFolderInUse } from "../folder-lock.ts";
import { slotsOfWorker } from "../market-client.ts";
import { REMEDIES } from "../remedies.ts";
import { pendingWords, readPending } from "../worker/pending.ts";
import { placesOf, type WorkerPolicy } from "../worker/policy.ts";
import type { WorkerStatus } from "../worker/worker.ts";
import { fail, short, table } from "./output.ts";

/** A worker that runs and has said nothing for so long hangs. */
const SILENT_MS = 30_000;

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** Reads what a worker does, from its folder and its node. Ends the program where it has never run. */
export const readStatus = async (datadir: string) => {
  const path = join(datadir, "status.json");
  if (!existsSync(path)) fail(`${path} does not exist: the worker has not run in this folder`);
  const status = readJson<WorkerStatus>(path, REMEDIES.note)!;
  const client = rpcClient(status.node);
  const slots = await slotsOfWorker(client, status.address).catch(() => undefined);
  const pending = slots === undefined ? [] : await readPending(client, status.address).catch(() => []);
  const stakeWei = (slots ?? []).reduce((sum, slot) => sum + slot.stakeWei, 0n);
  return {
    ...status,
    running: isAlive(status.pid) && (await isFolderInUse(datadir)) !== false,
    silent: Date.now() - Date.parse(status.writtenAt) > SILENT_MS,
    nodeAnswers: slots !== undefined,
    slots: slots?.length ?? 0,
    pending,
    pausing: slots?.filter((slot) => slot.pause !== PAUSE.none && !slot.isLeaving).length ?? 0,
    leaving: slots?.filter((slot) => slot.isLeaving).length ?? 0,
    stakeWei,
  };
};
type Status = Awaited<ReturnType<typeof readStatus>>;

/** Says what an owner allows, in words. */
const describePolicy = (policy: WorkerPolicy): string =>
  [
    `${placesOf(policy)} lots at a time`,
    policy.hours.length > 0 ? policy.hours.join(" or ") : "at all hours",
    ...(policy.maxOthersLoad < 1 ? [`while others use at most ${policy.maxOthersLoad * 100} %`] : []),
    ...(policy.onlyOnMains ? ["on mains alone"] : []),
    ...(policy.apps.length > 0 ? [`${policy.apps.length} apps alone`] : []),
    ...(policy.requesters.length > 0 ? [`${policy.requesters.length} requesters alone`] : []),
    ...(policy.minPayNrlcPerGgas > 0 ? [`from ${rlc(BigInt(policy.minPayNrlcPerGgas) * NRLC, 9)} RLC a Ggas`] : []),
    ...(policy.maxLots > 0 ? [`${policy.maxLots} lots in all`] : []),
  ].join(", ");

/** Says whose scheduler a worker asks. */
const describePool = ({ url, noEnclave, note }: NonNullable<WorkerStatus["pool"]>): string =>
  [url, ...(noEnclave ? ["no enclave: its key signs in its place"] : []), ...(note ? [note] : [])].join(", ");

/** Says in one line whether a worker works. */
const healthOf = (status: Status): string => {
  if (!status.running) return "stopped: start it with rolec worker start";
  if (status.silent) return "silent: it runs, but has written nothing for half a minute";
  if (!status.nodeAnswers) return `waits for its node, ${status.node}`;
  if (status.slots === 0 && status.pending.length > 0) return `waits for its slots: ${pendingWords(status.pending)}`;
  if (status.slots === 0 && status.pool === null) return "has no slots: take some with rolec worker join";
  if (status.slots > 0 && status.leaving === status.slots) return "leaves: its slots are given back";
  if (status.slots > 0 && status.pausing === status.slots)
    return "pauses: its slots come back by themselves once it may compute";
  if (status.paused !== null) return `pauses: ${status.paused}`;
  return status.computing.length > 0 ? "computes" : "waits to be drawn";
};

/** Lays out the page of a worker's status. */
export const statusPage = (status: Status): string =>
  table(
    ["worker", healthOf(status)],
    [
      ["address", status.address],
      ["process", status.running ? `${status.pid}, since ${status.startedAt}` : "none"],
      ["node", `${status.node}, block ${status.seenBlock}`],
      [
        "slots",
        status.nodeAnswers
          ? [
              `${status.slots}, staking ${rlc(status.stakeWei)} RLC`,
              ...(status.pausing > 0 ? [`${status.pausing} paused`] : []),
              ...(status.leaving > 0 ? [`${status.leaving} leaving`] : []),
              ...(status.pending.length > 0 ? [pendingWords(status.pending)] : []),
            ].join(", ")
          : "not known: the node does not answer",
      ],
      ...(status.pool ? [["pool", describePool(status.pool)] as [string, string]] : []),
      ["policy", describePolicy(status.policy)],
      ["computing", status.computing.map(short).join(", ") || "nothing"],
      [
        "seated in",
        `${status.seated.length} lots${status.seated.length > 0 ? `: ${status.seated.map(short).join(", ")}` : ""}`,
      ],
      ["done", `${status.computed} lots computed, ${status.declined} declined`],
      ["isolation", status.isolation?.join(", ") ?? "unknown"],
      ...(status.losses ?? []).map((loss): [string, string] => ["lost", loss]),
      ["last decline", status.lastDecline ?? "none"],
      ["last error", status.lastError ?? "none"],
    ],
  );
