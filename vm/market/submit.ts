import { SUPPLY_WEI } from "../../chain/genesis.ts";
import { ONLY, single, table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import { type Address, type Hash, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { address, big, bool, hash, record, uint } from "../../lib/codec.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { NRLC } from "../../lib/units.ts";
import { type AbiValue, encodeAbi } from "../abi.ts";
import { MARKET } from "../addresses.ts";
import { MARKET_TABLE } from "../layout.ts";
import type { CallContext } from "../natives.ts";
import { ensure, revert } from "../revert.ts";
import { MARKET_EVENTS } from "./abi.ts";
import { boughtGas } from "./clock.ts";
import { firstCommittee } from "./committee.ts";
import { type Deal, dealOf, jobOf, setJob, taskPrice, tasksBefore } from "./deal.ts";
import { drawnTerms, lotSizeOf, openDrawnDeal } from "./drawn-deal.ts";
import { type Env, emitAt } from "./env.ts";
import { deposit, unlock } from "./escrow.ts";
import { endWaiting } from "./pool.ts";
import { apps, datasets, ownerOfEntry } from "./registry.ts";
import { standingPrice } from "./standing-order.ts";

const JOB_VERSION = 1n;

/** An owner's price for its app or dataset in one-call jobs, for anyone, until taken back. */
export interface Offer {
  readonly owner: Address;
  /** nRLC for each task. */
  readonly price: bigint;
  readonly tag: Hash;
  readonly open: boolean;
}
const offers = table(MARKET, MARKET_TABLE.offer, 1, record({ owner: address, price: big, tag: hash, open: bool }));
const counts = table(MARKET, MARKET_TABLE.jobCount, 1, single(uint));

/** Gives the number of one-call jobs ever submitted. */
export const jobCount = (state: State): number => counts.get(state, ONLY) ?? 0;

/** Reads the standing offer of an entry; undefined where its owner of today made none. */
export const offerOf = (state: State, entry: Address): Offer | undefined => {
  const offer = offers.get(state, entry);
  return offer && offer.owner === ownerOfEntry(state, entry) ? offer : undefined;
};

/** Makes or takes back a standing offer. Reverts unless the entry's owner asks. */
export const setOffer = (env: Env, sender: Address, entry: Address, terms: Omit<Offer, "owner">): void => {
  if (ownerOfEntry(env.state, entry) !== sender) revert("not the entry's owner");
  if (terms.price * NRLC > SUPPLY_WEI) revert("the price is more than all RLC");
  offers.set(env.state, entry, { owner: sender, ...terms });
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

/** Computes the deal that a job would make now. Reverts where the job cannot be done. */
export const dealFor = (env: Env, sender: Address, job: AbiValue): Deal => {
  const { state, block } = env;
  const [version, pool, app, dataset, params, category, gasLimit, trust, volume, tag, beneficiary, callback, ext] =
    job as unknown as JobArgs;
  ensure(version === JOB_VERSION, `unknown version ${version} of a job`);
  ensure(ext.length === 0, "extensions of a job are not supported");
  ensure(apps.ownerOf(state, app) !== undefined, "iExecV5-matchOrders-0x20");
  const appOffer = openOffer(state, app, "app");
  const hasDataset = dataset !== ZERO_ADDRESS;
  ensure(!hasDataset || datasets.ownerOf(state, dataset) !== undefined, "iExecV5-matchOrders-0x30");
  const datasetOffer = hasDataset ? openOffer(state, dataset, "dataset") : undefined;
  const tags = BigInt(tag) | BigInt(appOffer.tag) | BigInt(datasetOffer?.tag ?? 0);
  const ask = { pool, requester: sender, category, tag: tags, trust, params, first: 0n, volume };
  const terms = drawnTerms(env, ask, (cap, atTrust) => {
    const lotSize = lotSizeOf(cap, gasLimit, callback);
    // What all lots buy, on each task alike.
    const price = (clock: number, lots: number): bigint =>
      standingPrice(env, BigInt(boughtGas(clock)) * BigInt(lots), firstCommittee(atTrust), volume);
    return { gasLimit, lotSize, price };
  });
  return {
    ...terms,
    app,
    appOwner: appOffer.owner,
    appPrice: appOffer.price,
    dataset,
    datasetOwner: datasetOffer?.owner ?? ZERO_ADDRESS,
    datasetPrice: datasetOffer?.price ?? 0n,
    tag,
    requester: sender,
    beneficiary,
    callback,
    params,
    startTime: block.timestamp,
    sponsor: sender,
  };
};

/** Makes a job's deal, paid out of the call's value; what exceeds the cost goes back. Gives the deal's id. */
export const submit = (ctx: CallContext, args: AbiValue): Hash => {
  const { state, block } = ctx;
  const deal = dealFor(ctx, ctx.sender, args);
  const cost = taskPrice(deal) * deal.botSize;
  if (ctx.value < cost * NRLC) revert(`the value does not cover the cost of ${cost * NRLC} wei`);
  deposit(ctx, MARKET, ctx.sender, cost);
  const change = ctx.value - cost * NRLC;
  state.debit(MARKET, change);
  state.credit(ctx.sender, change);

  const number = jobCount(state);
  counts.set(state, ONLY, number + 1);
  const dealid = keccak256(
    encodeAbi("string,bytes32,address,uint256", ["rolec/job", block.genesisHash, ctx.sender, BigInt(number)]),
  );
  openDrawnDeal(ctx, dealid, deal);
  return dealid;
};

/** Gives up a deal's lots that were not drawn yet, and unlocks what they would have cost. */
export const cancel = (env: Env, sender: Address, dealid: Hash): void => {
  const { state } = env;
  const deal = dealOf(state, dealid) ?? revert("no such deal");
  const job = jobOf(state, dealid) ?? revert("not a drawn deal");
  if (deal.sponsor !== sender) revert("not the sponsor");
  if (job.next === job.lots) revert("nothing is left to cancel");
  const tasks = job.tasks - tasksBefore(job, job.next) - job.givenUp;
  endWaiting(state, dealid, job);
  setJob(state, dealid, { ...job, lots: job.next, cancelled: true });
  unlock(env, deal.sponsor, taskPrice(deal) * BigInt(tasks));
  emitAt(env, MARKET, MARKET_EVENTS.JobCancelled!, dealid, BigInt(tasks));
};
