import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import type { Address, Hex } from "../../lib/bytes.ts";
import { mustBePrivate } from "../../lib/private-file.ts";
import { addressOf, randomPrivateKey } from "../../lib/secp256k1.ts";
import { NRLC, parseRlc } from "../../lib/units.ts";
import { makeFolder, readGivenJson, readJson, writeSecret } from "../folder.ts";
import { REMEDIES } from "../remedies.ts";
import { defaultPolicy, LOT_MIB, readPolicy, type WorkerPolicy } from "../worker/policy.ts";
import { address, several, whole } from "./options.ts";
import { fail } from "./output.ts";

export interface WorkerKey {
  readonly address: Address;
  readonly privateKey: Hex;
}

const keyFile = (datadir: string): string => join(datadir, "worker.json");
const keyIn = (path: string): WorkerKey | undefined => {
  const found = readJson<WorkerKey>(path, REMEDIES.worker);
  if (found) mustBePrivate(path);
  return found;
};

/** Reads the worker's key in a folder. Throws where there is none, so that a slip makes no other worker, or others may read it. */
export const workerKey = (datadir: string): WorkerKey =>
  keyIn(keyFile(datadir)) ??
  fail(`${keyFile(datadir)} does not exist: rolec worker start --datadir <folder> makes a worker`);

/** As `workerKey`; makes a key in a new folder. */
export const readOrMakeWorkerKey = (datadir: string): WorkerKey => {
  const path = keyFile(datadir);
  const found = keyIn(path);
  if (found) return found;
  const privateKey = randomPrivateKey();
  const made = { address: addressOf(privateKey), privateKey };
  makeFolder(datadir);
  writeSecret(path, `${JSON.stringify(made, null, 2)}\n`);
  return made;
};

/** What the options of a policy yield. */
export interface PolicyFlags {
  policy?: string;
  cores?: number;
  memory?: number;
  hours?: string[];
  idle?: number;
  onMains?: boolean;
  maxLots?: number;
  app?: string[];
  requester?: string[];
  minPay?: number;
  maxStake?: number;
  allowPrivateUrls?: boolean;
  leaveAfterDeclines?: number;
  exitWhenIdle?: number;
}

const addresses = (value: string, before: string[] = []): string[] => [...before, address(value)];
const nrlc = (text: string): number => {
  try {
    return Number(parseRlc(text) / NRLC);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
};

/** Adds the options of a worker's policy; each overrides the field of the policy's file. */
export const policyOptions = (command: Command): Command =>
  command
    .option("--policy <file>", "the owner's policy, JSON (default: policy.json in the worker's folder, where it is)")
    .option("--cores <n>", "lots computed at a time, each keeps a core busy", whole(1, 1_024))
    .option("--memory <MiB>", `memory for all lots; each may take ${LOT_MIB}`, whole(LOT_MIB, 2 ** 30))
    .option("--hours <span>", 'local time when it computes, "sat,sun 00:00-24:00" (several may be given)', several)
    .option("--idle <percent>", "start nothing while others use more of the processors", whole(0, 100))
    .option("--on-mains", "compute on mains power alone")
    .option("--max-lots <n>", "after so many lots give the slots back", whole(0, Number.MAX_SAFE_INTEGER))
    .option("--app <address>", "compute this app alone (several may be given)", addresses)
    .option("--requester <address>", "compute for this account alone (several may be given)", addresses)
    .option("--min-pay <RLC>", "least that a seat is paid for 10^9 gas", nrlc)
    .option("--max-stake <RLC>", "most of its RLC in the hub that schedulers of pools may hold at a time", nrlc)
    .option("--allow-private-urls", "let inputs be fetched from this machine and its networks")
    .option("--leave-after-declines <n>", "give the slots back after declining so often in a row", whole(0, 1_000_000))
    .option("--exit-when-idle <seconds>", "end after so long without a seat", whole(0, 31_536_000));

const fileOf = (path: string, isNamed: boolean): unknown => {
  const policy = readGivenJson(path);
  return policy === undefined && isNamed ? fail(`${path} does not exist`) : policy;
};

/** Puts a worker's policy together: defaults, the file, the flags. Ends the program where it cannot be. */
export const policyOf = (flags: PolicyFlags, datadir: string): WorkerPolicy => {
  const path = flags.policy === undefined ? join(datadir, "policy.json") : resolve(flags.policy);
  const given = {
    cores: flags.cores,
    // Who raises the cores means to use them; memory that is named counts as it is.
    memoryMib: flags.memory ?? (flags.cores === undefined ? undefined : flags.cores * LOT_MIB),
    hours: flags.hours,
    maxOthersLoad: flags.idle === undefined ? undefined : flags.idle / 100,
    onlyOnMains: flags.onMains,
    maxLots: flags.maxLots,
    apps: flags.app,
    requesters: flags.requester,
    minPayNrlcPerGgas: flags.minPay,
    maxStakeNrlc: flags.maxStake,
    allowPrivateUrls: flags.allowPrivateUrls,
    leaveAfterDeclines: flags.leaveAfterDeclines,
    exitWhenIdleSeconds: flags.exitWhenIdle,
  };
  try {
    return readPolicy(defaultPolicy(availableParallelism()), fileOf(path, flags.policy !== undefined), given);
  } catch (error) {
    return fail((error as Error).message);
  }
};
