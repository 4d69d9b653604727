import { SUPPLY_WEI } from "../../chain/genesis.ts";
import type { State } from "../../chain/state.ts";
import { type Address, type Hash, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { address, big, bool, hash, record, uint } from "../../lib/codec.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { type AbiValue, encodeAbi } from "../abi.ts";
import type { CallContext } from "../natives.ts";
import { revert } from "../revert.ts";
import { addressId, HUB, MARKET } from "../tables.ts";
import { HUB_EVENTS, MARKET_EVENTS } from "./abi.ts";
import { categoryAt } from "./category.ts";
import { firstCommittee } from "./committee.ts";
import { type Deal, dealOf, jobOf, setDeal, setJob, taskPrice } from "./deal.ts";
import { accepts, type Env, emitAt, NRLC } from "./env.ts";
import { deposit, lock, unlock } from "./escrow.ts";
import { poolOf } from "./pool.ts";
import { apps, datasets, ownerOfEntry, workerpools } from "./registry.ts";
import { addToRing, removeFromRing } from "./ring.ts";
import { READY_SLOTS } from "./round.ts";
import { MARKET_TABLE, single, tableOf } from "./tables.ts";

/** Gas of a lot, for each second of its category: ordinary code takes at most a fifth of the time. */
export const CAP_GAS_PER_SECOND = 200_000_000;
const MAX_LOT_TASKS = 256;
const MAX_TASKS = 1n << 32n;
const MAX_PARAMS_BYTES = 64 * 1024;
const JOB_VERSION = 1n;

/** An owner's price for its app or dataset in one-call jobs, for anyone, until taken back. */
export interface Offer {
  readonly owner: Address;
  /** nRLC for each task. */
  readonly price: bigint;
  readonly tag: Hash;
  readonly open: boolean;
}
const offers = tableOf(MARKET, MARKET_TABLE.offer, record({ owner: address, price: big, tag: hash, open: bool }));
const counts = tableOf(MARKET, MARKET_TABLE.jobCount, single(uint));

/** Gives the number of one-call jobs ever submitted. */
export const jobCount = (state: State): number => counts.get(state, ZERO_HASH) ?? 0;

/** Reads the standing offer of an entry; undefined where its owner of today made none. */
export const offerOf = (state: State, entry: Address): Offer | undefined => {
  const offer = offers.get(state, addressId(entry));
  return offer && offer.owner === ownerOfEntry(state, entry) ? offer : undefined;
};

/** Makes or takes back a standing offer. Reverts unless the entry's owner asks. */
export const setOffer = (env: Env, sender: Address, entry: Address, terms: Omit<Offer, "owner">): void => {
  if (ownerOfEntry(env.state, entry) !== sender) revert("not the entry's owner");
  if (terms.price * NRLC > SUPPLY_WEI) revert("the price is more than all RLC");
  offers.set(env.state, addressId(entry), { owner: sender, ...terms });
  emitAt(env, MARKET, MARKET_EVENTS.Offered!, entry, sender, terms.price, terms.tag, terms.open);
};

/** A one-call job as its ABI tuple decodes. */
type JobArgs = [
  version: bigint,
  pool: Address,
  app: Address,
  dataset: Address,
  params: string,
  category: bigint,
  gasLimit: bigint,
  trust: bigint,
  volume: bigint,
  tag: Hash,
  beneficiary: Address,
  callback: Address,
  ext: Uint8Array,
];

const openOffer = (state: State, entry: Address, what: string): Offer => {
  const offer = offerOf(state, entry);
  return offer?.open ? offer : revert(`the ${what} has no open offer`);
};

const ceilDiv = (a: bigint, b: bigint): bigint => (a + b - 1n) / b;

/** Computes the deal that a job would make now. Reverts where the job cannot be done. */
export const dealFor = (env: Env, sender: Address, job: AbiValue): Deal => {
  const { state, block } = env;
  const [version, poolAt, app, dataset, params, category, gasLimit, asked, volume, tag, beneficiary, callback, ext] =
    job as unknown as JobArgs;
  if (version !== JOB_VERSION) revert(`unknown version ${version} of a job`);
  if (ext.length > 0) revert("extensions of a job are not supported");
  const pool = poolOf(state, poolAt) ?? revert("no drawn pool");
  if (!accepts(pool.requesterRestrict, sender)) revert("iExecV5-matchOrders-0x1b");
  if (!apps.ownerOf(state, app)) revert("iExecV5-matchOrders-0x20");
  const appOffer = openOffer(state, app, "app");
  const hasDataset = dataset !== ZERO_ADDRESS;
  if (hasDataset && !datasets.ownerOf(state, dataset)) revert("iExecV5-matchOrders-0x30");
  const datasetOffer = hasDataset ? openOffer(state, dataset, "dataset") : undefined;
  // A drawn pool has no tag: all its slots are of one class.
  if ((BigInt(tag) | BigInt(appOffer.tag) | BigInt(datasetOffer?.tag ?? 0)) !== 0n) revert("iExecV5-matchOrders-0x06");
  const { workClockTimeRef } = categoryAt(state, category) ?? revert("iExecV5-matchOrders-0x01");
  const cap = workClockTimeRef * CAP_GAS_PER_SECOND;
  if (gasLimit < 1n || gasLimit > BigInt(cap)) revert(`gasLimit must be from 1 to ${cap}`);
  const trust = asked < 1n ? 1n : asked;
  if (trust > block.params.maxTrust) revert(`trust is at most ${block.params.maxTrust}`);
  if (volume < 1n) revert("iExecV5-matchOrders-0x60");
  if (volume > MAX_TASKS) revert(`volume is at most ${MAX_TASKS}`);
  if (Buffer.byteLength(params) > MAX_PARAMS_BYTES) revert(`params are at most ${MAX_PARAMS_BYTES} bytes`);

  const entry = workerpools.get(state, poolAt)!;
  const committee = BigInt(firstCommittee(trust));
  const price = ceilDiv(block.params.pricePerGgasNrlc * gasLimit * committee, 10n ** 9n);
  const workerStake = (price * entry.workerStakeRatio) / 100n;
  const botSize = Number(volume);
  const lotSize = callback === ZERO_ADDRESS ? Math.min(MAX_LOT_TASKS, Math.floor(cap / Number(gasLimit))) : 1;
  const tasks = BigInt(Math.min(lotSize, botSize));
  if (tasks * price * entry.workerStakeRatio * 2n > block.params.slotStakeNrlc * 100n)
    revert("a lot could cost more than half a slot");
  return {
    app,
    appOwner: appOffer.owner,
    appPrice: appOffer.price,
    dataset,
    datasetOwner: datasetOffer?.owner ?? ZERO_ADDRESS,
    datasetPrice: datasetOffer?.price ?? 0n,
    pool: poolAt,
    poolOwner: workerpools.ownerOf(state, poolAt)!,
    price,
    trust,
    category: Number(category),
    tag,
    requester: sender,
    beneficiary,
    callback,
    params,
    startTime: block.timestamp,
    botFirst: 0,
    botSize,
    workerStake,
    schedulerRewardRatio: entry.schedulerRewardRatio,
    sponsor: sender,
    gasLimit: Number(gasLimit),
    cap,
    lotSize,
    timeref: workClockTimeRef,
    vmVersion: block.params.vmVersion,
  };
};

/** Makes a job's deal, paid out of the call's value; what exceeds the cost goes back. Gives the deal's id. */
export const submit = (ctx: CallContext, args: AbiValue): Hash => {
  const { state, block } = ctx;
  const deal = dealFor(ctx, ctx.sender, args);
  const cost = taskPrice(deal) * BigInt(deal.botSize);
  if (ctx.value < cost * NRLC) revert(`the value does not cover the cost of ${cost * NRLC} wei`);
  deposit(ctx, MARKET, ctx.sender, cost);
  lock(ctx, ctx.sender, cost);
  const change = ctx.value - cost * NRLC;
  state.debit(MARKET, change);
  state.credit(ctx.sender, change);

  const number = jobCount(state);
  counts.set(state, ZERO_HASH, number + 1);
  const dealid = keccak256(
    encodeAbi("string,bytes32,address,uint256", ["rolec/job", block.genesisHash, ctx.sender, BigInt(number)]),
  );
  setDeal(state, dealid, deal);
  setJob(state, dealid, {
    pool: deal.pool,
    trust: deal.trust,
    timeref: deal.timeref,
    lotSize: deal.lotSize,
    tasks: deal.botSize,
    readySlot: block.slot + READY_SLOTS,
    next: 0,
    lots: Math.ceil(deal.botSize / deal.lotSize),
    completed: 0,
    failed: 0,
    givenUp: 0,
    cancelled: false,
    ringIndex: addToRing(state, dealid),
  });
  emitAt(ctx, HUB, HUB_EVENTS.SchedulerNotice!, deal.pool, dealid);
  const numbers = [BigInt(deal.botSize), deal.price, BigInt(deal.lotSize)];
  emitAt(ctx, MARKET, MARKET_EVENTS.JobSubmitted!, dealid, ctx.sender, deal.app, deal.pool, ...numbers);
  return dealid;
};

/** Gives up a deal's lots that were not drawn yet, and unlocks what they would have cost. */
export const cancel = (env: Env, sender: Address, dealid: Hash): void => {
  const { state } = env;
  const deal = dealOf(state, dealid) ?? revert("no such deal");
  const job = jobOf(state, dealid) ?? revert("not a drawn deal");
  if (deal.sponsor !== sender) revert("not the sponsor");
  if (job.next === job.lots) revert("nothing is left to cancel");
  const tasks = job.tasks - job.next * job.lotSize - job.givenUp;
  removeFromRing(state, job.ringIndex);
  setJob(state, dealid, { ...job, lots: job.next, cancelled: true });
  unlock(env, deal.sponsor, taskPrice(deal) * BigInt(tasks));
  emitAt(env, MARKET, MARKET_EVENTS.JobCancelled!, dealid, BigInt(tasks));
};
