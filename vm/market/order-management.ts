import type { Address, Hash } from "../../lib/bytes.ts";
import type { AbiEvent, AbiValue } from "../abi.ts";
import { HUB } from "../addresses.ts";
import type { CallContext } from "../natives.ts";
import { ensure, refuse } from "../revert.ts";
import { HUB_EVENTS } from "./abi.ts";
import { emitAt } from "./env.ts";
import {
  APP_ORDER,
  DATASET_ORDER,
  type OrderKind,
  orderHash,
  REQUEST_ORDER,
  typedDataHash,
  WORKERPOOL_ORDER,
} from "./order.ts";
import { setConsumed, setPresigned } from "./order-state.ts";
import { ownerAnswered } from "./owner.ts";
import { verifySignature } from "./signature.ts";

const SIGN = 0n;
const CLOSE = 1n;

interface Managed<T> {
  readonly kind: OrderKind<T>;
  /** Gives who may sign and close an order. Reverts where nobody can. */
  ownerOf(ctx: CallContext, order: T): Address;
  readonly signed: AbiEvent;
  readonly closed: AbiEvent;
  readonly broadcast: AbiEvent;
}

const managed = <T extends { readonly volume: bigint }>({ kind, ownerOf, signed, closed, broadcast }: Managed<T>) => ({
  /** Signs or closes an order on chain. Reverts unless its owner asks, or has signed that it is asked. */
  manage: (ctx: CallContext, operationTuple: AbiValue): void => {
    const [tuple, operation, signature] = operationTuple as [AbiValue, bigint, Uint8Array];
    if (operation > CLOSE) refuse();
    const order = kind.read(tuple);
    const { chainId } = ctx.block;
    const owner = ownerOf(ctx, order);
    ensure(
      owner === ctx.sender ||
        verifySignature(ctx, owner, typedDataHash(chainId, kind.operationHash(order, operation)), signature),
      "invalid-sender-or-signature",
    );
    const hash: Hash = orderHash(chainId, kind, order);
    if (operation === SIGN) setPresigned(ctx.state, hash, owner);
    else setConsumed(ctx.state, hash, order.volume);
    emitAt(ctx, HUB, operation === SIGN ? signed : closed, hash);
  },
  /** Shows an order to all, unchecked. */
  broadcast: (ctx: CallContext, tuple: AbiValue): void => emitAt(ctx, HUB, broadcast, tuple),
});

const event = (name: string): AbiEvent => HUB_EVENTS[name]!;
export const appOrders = managed({
  kind: APP_ORDER,
  ownerOf: (ctx, { app }) => ownerAnswered(ctx.state, app),
  signed: event("SignedAppOrder"),
  closed: event("ClosedAppOrder"),
  broadcast: event("BroadcastAppOrder"),
});
export const datasetOrders = managed({
  kind: DATASET_ORDER,
  ownerOf: (ctx, { dataset }) => ownerAnswered(ctx.state, dataset),
  signed: event("SignedDatasetOrder"),
  closed: event("ClosedDatasetOrder"),
  broadcast: event("BroadcastDatasetOrder"),
});
export const workerpoolOrders = managed({
  kind: WORKERPOOL_ORDER,
  ownerOf: (ctx, { workerpool }) => ownerAnswered(ctx.state, workerpool),
  signed: event("SignedWorkerpoolOrder"),
  closed: event("ClosedWorkerpoolOrder"),
  broadcast: event("BroadcastWorkerpoolOrder"),
});
export const requestOrders = managed({
  kind: REQUEST_ORDER,
  ownerOf: (_, { requester }) => requester,
  signed: event("SignedRequestOrder"),
  closed: event("ClosedRequestOrder"),
  broadcast: event("BroadcastRequestOrder"),
});
