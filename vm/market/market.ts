import type { Address, Hash } from "../../lib/bytes.ts";
import { NRLC } from "../../lib/units.ts";
import type { AbiValue } from "../abi.ts";
import { NATIVE_GAS } from "../gas.ts";
import { type CallContext, type NativeContract, nativeContract } from "../natives.ts";
import { revert } from "../revert.ts";
import { type Handler, MARKET_ABI, methodsFor } from "./abi.ts";
import { burnedOfEra, burnedTotal } from "./burned.ts";
import { claim, settle } from "./claim.ts";
import { contribute, decline, reveal } from "./contribution.ts";
import { taskPrice } from "./deal.ts";
import { MARKET_GAS } from "./gas.ts";
import { createGroup } from "./group.ts";
import { acting } from "./handlers.ts";
import { askToJoin, askToLeave } from "./membership.ts";
import { askToPause, askToResume } from "./pause.ts";
import { genesisPool, openPool } from "./pool.ts";
import { finalize } from "./reward.ts";
import { workerOf } from "./slot.ts";
import { isStandingOrder } from "./standing-order.ts";
import { cancel, dealFor, jobCount, offerOf, setOffer, submit } from "./submit.ts";
import {
  lotsOf,
  seatsOf,
  slotsOf,
  viewJob,
  viewLot,
  viewLotById,
  viewPool,
  viewSlot,
  viewSlotAt,
  vmVersionOf,
} from "./views.ts";

/** What ERC-1271 answers to a signature that holds, and to one that does not. */
const ERC1271 = "0x1626ba7e";
const NOT_VALID = "0xffffffff";
const NO_TAG: Hash = `0x${"00".repeat(32)}`;

const listing = (run: (ctx: CallContext, args: AbiValue[]) => readonly AbiValue[], gas: number): Handler => ({
  gas,
  run,
});

/** 0x…1006: drawn pools and one-call jobs. */
export const marketNative: NativeContract = nativeContract(
  "Market",
  methodsFor(MARKET_ABI, {
    join: acting(MARKET_GAS.join, (ctx, args) => {
      const [pool, validator, count] = args as [Address, Address, bigint];
      askToJoin(ctx, { pool, validator, count, worker: ctx.sender, staker: ctx.sender }, ctx.value);
    }),
    joinFor: acting(MARKET_GAS.join + NATIVE_GAS.recover, (ctx, args) => {
      const [pool, worker, validator, count, signature] = args as [Address, Address, Address, bigint, Uint8Array];
      askToJoin(ctx, { pool, validator, count, worker, staker: ctx.sender }, ctx.value, signature);
    }),
    leave: acting(
      MARKET_GAS.leave,
      (ctx, [slots]) => askToLeave(ctx, ctx.sender, slots as bigint[]),
      MARKET_GAS.leavePerWord,
    ),
    pause: acting(
      MARKET_GAS.pause,
      (ctx, [slot, more]) => askToPause(ctx, ctx.sender, [slot as bigint, ...(more as bigint[])]),
      MARKET_GAS.pausePerWord,
    ),
    resume: acting(
      MARKET_GAS.pause,
      (ctx, [slot, more]) => askToResume(ctx, ctx.sender, [slot as bigint, ...(more as bigint[])]),
      MARKET_GAS.pausePerWord,
    ),
    openPool: acting(NATIVE_GAS.writeMany, (ctx, args) => {
      const [pool, workers, requesters] = args as [Address, Address, Address];
      openPool(ctx, ctx.sender, pool, workers, requesters);
    }),
    offer: acting(NATIVE_GAS.writeMany, (ctx, args) => {
      const [entry, price, tag, open] = args as [Address, bigint, Hash, boolean];
      setOffer(ctx, ctx.sender, entry, { price, tag, open });
    }),
    submit: { gas: MARKET_GAS.submit, run: (ctx, [job]) => [submit(ctx, job!)] },
    cancel: acting(MARKET_GAS.submit, (ctx, [dealid]) => cancel(ctx, ctx.sender, dealid as Hash)),
    contribute: acting(MARKET_GAS.answer, (ctx, args) => {
      const [lot, resultHash, resultSeal, itemsRoot] = args as [Hash, Hash, Hash, Hash];
      contribute(ctx, ctx.sender, lot, { resultHash, resultSeal, itemsRoot });
    }),
    reveal: acting(MARKET_GAS.reveal, (ctx, [lot, receipt]) =>
      reveal(ctx, ctx.sender, lot as Hash, receipt as Uint8Array),
    ),
    decline: acting(MARKET_GAS.answer, (ctx, [lot]) => decline(ctx, ctx.sender, lot as Hash)),
    finalize: acting(MARKET_GAS.finalize, (ctx, [lot]) => finalize(ctx, lot as Hash)),
    claim: acting(MARKET_GAS.claim, (ctx, [lot]) => claim(ctx, lot as Hash)),
    settle: acting(MARKET_GAS.settle, (ctx, args) => {
      const [lot, i, receipt, proof] = args as [Hash, bigint, Uint8Array, Hash[]];
      settle(ctx, lot, i, receipt, proof);
    }),
    quote: listing((ctx, [job]) => {
      const deal = dealFor(ctx, ctx.sender, job!);
      const total = taskPrice(deal) * deal.botSize * NRLC;
      if (total >= 1n << 256n) revert("price out of range");
      return [deal.price, deal.appPrice, deal.datasetPrice, total];
    }, MARKET_GAS.view),
    createGroup: {
      gas: NATIVE_GAS.writeMany,
      perWord: NATIVE_GAS.write,
      run: (ctx, [members]) => [createGroup(ctx, ctx.sender, members as Address[])],
    },
    isValidSignature: listing(
      (ctx, [hash, signature]) => [isStandingOrder(ctx, hash as Hash, signature as Uint8Array) ? ERC1271 : NOT_VALID],
      NATIVE_GAS.view,
    ),
    genesisPool: listing((ctx) => [genesisPool(ctx.state)], NATIVE_GAS.view),
    viewPool: listing((ctx, [pool]) => [viewPool(ctx.state, ctx.block, pool as Address)], NATIVE_GAS.view),
    slotAt: listing((ctx, [pool, i]) => [viewSlotAt(ctx.state, pool as Address, i as bigint)], NATIVE_GAS.view),
    viewSlot: listing((ctx, [slot]) => [viewSlot(ctx, slot as bigint)], NATIVE_GAS.view),
    slotsOf: listing((ctx, [worker, from]) => slotsOf(ctx.state, worker as Address, from as bigint), MARKET_GAS.list),
    seatsOf: listing((ctx, [worker, from]) => seatsOf(ctx.state, worker as Address, from as bigint), MARKET_GAS.list),
    joinNonce: listing((ctx, [worker]) => [BigInt(workerOf(ctx.state, worker as Address).joins)], NATIVE_GAS.view),
    viewOffer: listing((ctx, [entry]) => {
      const { price, tag, open } = offerOf(ctx.state, entry as Address) ?? { price: 0n, tag: NO_TAG, open: false };
      return [price, tag, open];
    }, NATIVE_GAS.view),
    viewJob: listing((ctx, [dealid]) => [viewJob(ctx.state, dealid as Hash)], MARKET_GAS.view),
    viewLot: listing((ctx, [dealid, lot]) => [viewLot(ctx.state, dealid as Hash, lot as bigint)], MARKET_GAS.view),
    viewLotById: listing((ctx, [lot]) => [viewLotById(ctx.state, lot as Hash)], MARKET_GAS.view),
    lotsOf: listing((ctx, [dealid, from]) => lotsOf(ctx.state, dealid as Hash, from as bigint), MARKET_GAS.list),
    vmVersionOf: listing((ctx, [dealid]) => [vmVersionOf(ctx.state, dealid as Hash)], NATIVE_GAS.view),
    jobCount: listing((ctx) => [BigInt(jobCount(ctx.state))], NATIVE_GAS.view),
    burnedOfEra: listing((ctx, [era]) => {
      const number = era as bigint;
      return [number > BigInt(Number.MAX_SAFE_INTEGER) ? 0n : burnedOfEra(ctx.state, Number(number))];
    }, NATIVE_GAS.view),
    burnedTotalWei: listing((ctx) => [burnedTotal(ctx.state)], NATIVE_GAS.view),
  }),
);
