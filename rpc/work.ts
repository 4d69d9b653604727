import { randomBytes } from "node:crypto";
import { epochOf, eraOf, paramsAt, slotOf } from "../chain/params.ts";
import type { Engine } from "../consensus/engine.ts";
import { ETHEREUM_EPOCH_BLOCKS, type EthashEpoch, seedHash } from "../consensus/ethash/sizes.ts";
import { mayEarnWork } from "../consensus/resources/work.ts";
import { ethashEpochAt, sealHash, targetOf, type Work } from "../consensus/shares.ts";
import { type Address, type Hash, type Hex, toHex, word } from "../lib/bytes.ts";
import { forgetOldest, putNewest } from "../lib/lru.ts";
import { RuleError } from "../lib/rule-error.ts";
import { validators } from "../vm/validator-store.ts";
import { type Methods, method } from "./dispatch.ts";
import { invalidParams, REFUSED, RpcError } from "./errors.ts";
import { hash, hexNumber, type Parser } from "./values.ts";

/** Bounds of what miners may make a node remember. */
const WORK_LIMITS = {
  /** Work given out and still known: more than the window of 32 blocks. */
  maxJobs: 64,
  maxHashrates: 1_024,
  /** A rate that is not told again is forgotten. */
  hashrateMs: 90_000,
  /** Nobody asked for work so long: nobody mines here. */
  miningMs: 60_000,
} as const;

/** What a miner is to search for. */
export interface Job {
  readonly work: Work;
  readonly seal: Hash;
  readonly seed: Hash;
  readonly difficulty: bigint;
  readonly epoch: EthashEpoch;
}

export interface WorkDeskOptions {
  readonly engine: Pick<Engine, "addShare" | "chain" | "ethash" | "genesisHash" | "head" | "now" | "stateOf">;
  /** The validator that work is for where a miner names none. */
  readonly beneficiary?: Address | undefined;
}

/** Gives work on the head to miners and takes what they find. */
export interface WorkDesk {
  readonly beneficiary: Address | undefined;
  /** Makes a job on the head. Throws RpcError where there is nobody to earn it. */
  job(extraNonce: Hash, beneficiary?: Address): Job;
  /** Takes a nonce found for a job; a mix that the miner did not send is computed. Rejects with RuleError. */
  submit(job: Job, nonce: Hex, mixHash?: Hash): Promise<void>;
  /** Notes a miner's own figure, in hashes a second. */
  report(id: string, rate: bigint): void;
  readonly methods: Methods;
}

/** Writes a job as eth_getWork does. */
export const packJob = ({
  seal,
  seed,
  difficulty,
  epoch,
}: Job): [seal: Hash, seed: Hash, target: Hash, number: Hex] => [
  seal,
  seed,
  word(targetOf(difficulty)),
  hexNumber(epoch.number * ETHEREUM_EPOCH_BLOCKS),
];

/** A nonce: 8 bytes. */
export const nonce: Parser<Hex> = (value, name) =>
  typeof value === "string" && /^0x[0-9a-fA-F]{16}$/.test(value)
    ? (value.toLowerCase() as Hex)
    : invalidParams(`invalid ${name}: expected a nonce of 8 bytes`);

/** A rate in hashes a second; miners pad it with zeros. */
export const rate: Parser<bigint> = (value, name) =>
  typeof value === "string" && /^0x[0-9a-fA-F]{1,64}$/.test(value)
    ? BigInt(value)
    : invalidParams(`invalid ${name}: expected a hex number`);

/** Makes the desk of a node. */
export const createWorkDesk = ({ engine, beneficiary }: WorkDeskOptions): WorkDesk => {
  const { genesis } = engine.chain;
  const own: Hash = toHex(randomBytes(32));
  const jobs = new Map<Hash, Job>();
  const rates = new Map<string, { readonly rate: bigint; readonly atMs: number }>();
  let askedMs = Number.NEGATIVE_INFINITY;

  const earnerOf = (named: Address | undefined): Address => {
    if (!named) throw new RpcError(REFUSED, "no beneficiary: start the node with --beneficiary <validator>");
    const head = engine.head();
    const epoch = epochOf(genesis, slotOf(genesis, head.header.timestamp));
    const params = paramsAt(genesis, eraOf(genesis, epoch));
    if (!mayEarnWork(validators.find(engine.stateOf(head), named), epoch, params))
      throw new RpcError(REFUSED, `${named} is no validator that can earn work`);
    return named;
  };
  const job: WorkDesk["job"] = (extraNonce, named = beneficiary) => {
    const { hash: anchorHash, header } = engine.head();
    const work = { anchorHash, beneficiary: earnerOf(named), extraNonce };
    const epoch = ethashEpochAt(genesis, slotOf(genesis, header.timestamp));
    askedMs = engine.now();
    // What this miner finds is verified here: its cache is made while it searches.
    engine.ethash.prepare(epoch);
    return {
      work,
      seal: sealHash(engine.genesisHash, work),
      seed: seedHash(epoch.number),
      difficulty: header.difficulty,
      epoch,
    };
  };
  const submit: WorkDesk["submit"] = async ({ work, seal, epoch }, found, mixHash) => {
    const mix = mixHash ?? (await engine.ethash.hash(epoch, seal, found)).mixHash;
    await engine.addShare({ ...work, nonce: found, mixHash: mix });
  };
  const report: WorkDesk["report"] = (id, value) => {
    rates.delete(id);
    putNewest(rates, id, { rate: value, atMs: engine.now() }, WORK_LIMITS.maxHashrates);
  };

  const methods: Methods = {
    eth_getWork: method([], () => {
      const made = job(own);
      jobs.set(made.seal, made);
      forgetOldest(jobs, WORK_LIMITS.maxJobs);
      return packJob(made);
    }),
    // False for what is no (longer) work of this node's, wrong or known, as Ethereum's nodes answer.
    eth_submitWork: method([nonce, hash, hash], async ([found, seal, mixHash]) => {
      const known = jobs.get(seal);
      if (!known) return false;
      try {
        await submit(known, found, mixHash);
        return true;
      } catch (error) {
        if (!(error instanceof RuleError) || error.code === "share-busy") throw error;
        return false;
      }
    }),
    eth_submitHashrate: method([rate, hash], ([value, id]) => {
      report(id, value);
      return true;
    }),
    eth_hashrate: method([], () => {
      const since = engine.now() - WORK_LIMITS.hashrateMs;
      for (const [id, { atMs }] of rates) if (atMs < since) rates.delete(id);
      return hexNumber([...rates.values()].reduce((sum, each) => sum + each.rate, 0n));
    }),
    eth_mining: method([], () => engine.now() - askedMs < WORK_LIMITS.miningMs),
    eth_coinbase: method([], () => {
      if (!beneficiary) throw new RpcError(REFUSED, "no beneficiary: start the node with --beneficiary <validator>");
      return beneficiary;
    }),
    // What a miner needs beside eth_getWork where genesis chose sizes of its own.
    rolec_ethash: method([], () => {
      const { header } = engine.head();
      const epoch = ethashEpochAt(genesis, slotOf(genesis, header.timestamp));
      return { ...epoch, seedHash: seedHash(epoch.number), difficulty: header.difficulty.toString() };
    }),
  };
  return { beneficiary, job, submit, report, methods };
};
