import type { Address, Hash } from "../../lib/bytes.ts";
import type { AbiValue } from "../abi.ts";
import { HUB } from "../addresses.ts";
import { NATIVE_GAS } from "../gas.ts";
import type { CallContext } from "../natives.ts";
import { type Handler, HUB_EVENTS } from "./abi.ts";
import { emitAt } from "./env.ts";
import { MARKET_GAS } from "./gas.ts";
import { acting, viewing } from "./handlers.ts";
import { assertDatasetDealCompatibility, dealVolume, matchOrders, readOrders } from "./match.ts";
import { DATASET_ORDER, DOMAIN_NAME, DOMAIN_VERSION, domainSeparator } from "./order.ts";
import { appOrders, datasetOrders, requestOrders, workerpoolOrders } from "./order-management.ts";
import { consumedOf, presignedBy } from "./order-state.ts";
import { verifyPresignature, verifyPresignatureOrSignature, verifySignature } from "./signature.ts";

const managing = (manage: (ctx: CallContext, operation: AbiValue) => void): Handler =>
  acting(NATIVE_GAS.write + NATIVE_GAS.recover, (ctx, [operation]) => manage(ctx, operation!));
const broadcasting = (broadcast: (ctx: CallContext, order: AbiValue) => void): Handler =>
  acting(NATIVE_GAS.write, (ctx, [order]) => broadcast(ctx, order!));
const verifying = (
  verify: (ctx: CallContext, account: Address, hash: Hash, signature: Uint8Array) => boolean,
): Handler =>
  viewing((ctx, args) => {
    const [account, hash, signature] = args as [Address, Hash, Uint8Array];
    return verify(ctx, account, hash, signature);
  }, NATIVE_GAS.view + NATIVE_GAS.recover);

/** The hub's functions over orders, and those that make deals of them. */
export const orderHandlers: Readonly<Record<string, Handler>> = {
  manageAppOrder: managing(appOrders.manage),
  manageDatasetOrder: managing(datasetOrders.manage),
  manageWorkerpoolOrder: managing(workerpoolOrders.manage),
  manageRequestOrder: managing(requestOrders.manage),
  broadcastAppOrder: broadcasting(appOrders.broadcast),
  broadcastDatasetOrder: broadcasting(datasetOrders.broadcast),
  broadcastWorkerpoolOrder: broadcasting(workerpoolOrders.broadcast),
  broadcastRequestOrder: broadcasting(requestOrders.broadcast),
  verifySignature: verifying(verifySignature),
  verifyPresignature: viewing((ctx, [account, hash]) => verifyPresignature(ctx, account as Address, hash as Hash)),
  verifyPresignatureOrSignature: verifying(verifyPresignatureOrSignature),
  viewConsumed: viewing((ctx, [hash]) => consumedOf(ctx.state, hash as Hash)),
  viewPresigned: viewing((ctx, [hash]) => presignedBy(ctx.state, hash as Hash)),
  domain: viewing((ctx) => [DOMAIN_NAME, DOMAIN_VERSION, BigInt(ctx.block.chainId), HUB]),
  eip712domain_separator: viewing((ctx) => domainSeparator(ctx.block.chainId)),
  // The separator is computed, never kept.
  updateDomainSeparator: acting(NATIVE_GAS.view, () => {}),
  matchOrders: {
    gas: MARKET_GAS.match,
    run: (ctx, args) => {
      const orders = readOrders(args);
      return [matchOrders(ctx, orders, orders.request.requester)];
    },
  },
  sponsorMatchOrders: {
    gas: MARKET_GAS.match,
    run: (ctx, args) => {
      const dealid = matchOrders(ctx, readOrders(args), ctx.sender);
      emitAt(ctx, HUB, HUB_EVENTS.DealSponsored!, dealid, ctx.sender);
      return [dealid];
    },
  },
  computeDealVolume: viewing((ctx, args) => dealVolume(ctx, readOrders(args)), MARKET_GAS.view),
  assertDatasetDealCompatibility: acting(MARKET_GAS.view, (ctx, [order, dealid]) =>
    assertDatasetDealCompatibility(ctx, DATASET_ORDER.read(order!), dealid as Hash),
  ),
};
