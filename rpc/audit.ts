import { slotOf as slotAt } from "../chain/params.ts";
import type { State } from "../chain/state.ts";
import type { Address, Hash } from "../lib/bytes.ts";
import { MARKET } from "../vm/addresses.ts";
import { MARKET_EVENTS } from "../vm/market/abi.ts";
import { dealOf } from "../vm/market/deal.ts";
import { lotOf, SEAT } from "../vm/market/lot.ts";
import { slotOf } from "../vm/market/slot.ts";
import { validators } from "../vm/validators.ts";
import type { ChainView } from "./chain-view.ts";
import type { Call } from "./dispatch.ts";
import { invalidParams } from "./errors.ts";
import { createTies, type Tie, type Ties } from "./ties.ts";

/** Blocks before an era in which funds are followed, and all blocks of one audit. */
export const FUND_BLOCKS = 1_000;
const MAX_BLOCKS = 20_000;
/** Steps between accounts that are kept, some 200 bytes each. */
const MAX_STEPS = 200_000;
const STEP_BYTES = 200;

const { LotFinalized } = MARKET_EVENTS;

/** Credit in wei, by how who paid for it is tied to whom it was given. */
type Sums = Record<Tie | "unknown", bigint>;
const zero = (): Sums => ({ tied: 0n, near: 0n, none: 0n, unknown: 0n });
const jsonOf = ({ tied, near, none, unknown }: Sums) => ({
  creditWei: String(tied + near + none + unknown),
  tiedWei: String(tied),
  nearWei: String(near),
  untiedWei: String(none),
  unknownWei: String(unknown),
});

/** Credit that a lot gave to one seat. */
interface Earned {
  readonly validator: Address;
  readonly wei: bigint;
  readonly payers: ReadonlySet<Address>;
  /** Worker, validator, its owner, who staked the slot; undefined where the state does not say any more. */
  readonly earners: ReadonlySet<Address> | undefined;
}

/** Reads whom a lot that was finalized in a block gave credit. `before` is the state in which its seats still had their slots. */
const earnedBy = (state: State, before: State, id: Hash, creditWei: bigint, ties: Ties): Earned[] => {
  const lot = lotOf(state, id)!;
  const { sponsor, requester } = dealOf(state, lot.dealid)!;
  ties.relate(sponsor, requester);
  const proved = lot.seats.filter(({ status }) => status === SEAT.proved);
  return proved.map(({ slot, worker, validator }) => {
    const owner = validators.find(before, validator)?.owner;
    const staker = slotOf(before, slot)?.staker;
    if (owner) ties.relate(validator, owner);
    const isKnown = owner !== undefined && staker !== undefined;
    return {
      validator,
      wei: creditWei / BigInt(proved.length),
      payers: new Set([sponsor, requester]),
      earners: isKnown ? new Set([worker, validator, owner, staker]) : undefined,
    };
  });
};

/**
 * Tells how much of an era's contribution credit came from jobs of accounts that are tied to those who got it (docs/market.md):
 * the last one that is over, where none is wanted. Reads its blocks and `fundBlocks` before it. Throws RpcError -32602 for an era that is not over, or too many blocks.
 */
export const auditEra = async (
  view: ChainView,
  wanted: number | undefined,
  fundBlocks: number,
  { turn, hold }: Pick<Call, "turn" | "hold">,
) => {
  const { engine } = view;
  const { genesis } = engine.chain;
  const eraSlots = genesis.params.slotsPerEpoch * genesis.params.epochsPerEra;
  const head = view.head();
  const now = Math.floor(slotAt(genesis, head.header.timestamp) / eraSlots);
  const era = wanted ?? now - 1;
  if (era < 0 || era >= now) invalidParams(`era ${Math.max(0, era)} is not over`);
  const headerOf = (number: number) => view.headerOrFail({ number }).header;
  /** The first block in or after a slot. */
  const firstFrom = (slot: number): number => {
    let [low, high] = [0, head.header.number];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (slotAt(genesis, headerOf(middle).timestamp) < slot) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const [first, end] = [firstFrom(era * eraSlots), firstFrom((era + 1) * eraSlots)];
  const fundsFrom = Math.max(0, first - fundBlocks);
  if (end - fundsFrom > MAX_BLOCKS) invalidParams(`more than ${MAX_BLOCKS} blocks`);

  const ties = createTies();
  const earned: Earned[] = [];
  let [lots, missing, held] = [0, 0, 0];
  for (let number = fundsFrom; number < end; number++) {
    await turn();
    const hash = engine.store.canonical(number);
    const receipts = hash && view.receipts(hash);
    const block = hash && engine.store.head(hash);
    if (!hash || !receipts || !block) {
      missing += 1;
      continue;
    }
    let place = 0;
    for (const transaction of engine.store.eachTransaction(hash)) {
      const { status, logs } = receipts[place++]!;
      if (status === 1) ties.note(transaction, logs);
      if (place % 100 === 0) await turn();
    }
    if (ties.steps > MAX_STEPS) invalidParams(`more than ${MAX_STEPS} steps between accounts: give fewer blocks`);
    hold(STEP_BYTES * (ties.steps - held));
    held = ties.steps;
    if (number < first) continue;
    for (const { address, topics, data } of receipts.flatMap(({ logs }) => logs)) {
      if (address !== MARKET || topics[0] !== LotFinalized!.topic) continue;
      const fields = LotFinalized!.decode({ topics, data });
      const [id, creditWei] = [fields[0] as Hash, fields.at(-1) as bigint];
      if (creditWei === 0n) continue;
      lots += 1;
      const before = view.state(view.blockOrFail({ hash: block.header.parentHash, requireCanonical: false }));
      const state = view.state(view.blockOrFail({ hash, requireCanonical: false }));
      earned.push(...earnedBy(state, before, id, creditWei, ties));
      await turn();
    }
  }

  const all = zero();
  const byValidator = new Map<Address, Sums>();
  for (const [i, { validator, wei, payers, earners }] of earned.entries()) {
    if (i % 100 === 0) await turn();
    const tie = earners ? ties.between(payers, earners) : "unknown";
    const sums = byValidator.get(validator) ?? zero();
    byValidator.set(validator, sums);
    sums[tie] += wei;
    all[tie] += wei;
  }
  return {
    era,
    blocks: { first, last: end - 1, fundsFrom, missing },
    lots,
    ...jsonOf(all),
    validators: [...byValidator].map(([validator, sums]) => ({ validator, ...jsonOf(sums) })),
  };
};
