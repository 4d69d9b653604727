import fc from "fast-check";
import t from "tap";
import { concat, fromHex, type Hash, type Hex, toHex, word } from "../../../lib/bytes.ts";
import { decodeError } from "../../../vm/abi.ts";
import { HUB } from "../../../vm/addresses.ts";
import { KINDS, type Kind, operationHash, orderHash, type Quadruple, signAs } from "../../differential/orders.ts";
import { createBase } from "../../differential/run.ts";
import { OWNER } from "../../differential/setting.ts";
import type { Outcome } from "../../differential/world.ts";
import { listed, OWNER_OF_ALL, openOrders, REQUESTER, STRANGER, signOrders } from "./right-calls.ts";

// Each call goes to iExec's contracts too: where they say something else than rolec, the session throws.
const base = await createBase("native");

/** Who may sign an order, and what PoCo says where nobody who may has. */
const SIGNER = { app: OWNER_OF_ALL, dataset: OWNER_OF_ALL, workerpool: OWNER_OF_ALL, request: REQUESTER };
const code = (digits: string): string => `iExecV5-matchOrders-0x${digits}`;
const UNSIGNED = { app: code("21"), dataset: code("31"), workerpool: code("41"), request: code("50") };
const USED_UP = code("60");
const MANAGE = {
  app: "manageAppOrder",
  dataset: "manageDatasetOrder",
  workerpool: "manageWorkerpoolOrder",
  request: "manageRequestOrder",
} as const;

/** What a call said: "ok", or why not. */
const said = ({ ok, data }: Outcome): string => (ok ? "ok" : (decodeError(fromHex(data)) ?? data));

/** A session of its own, undone at the end. */
const trial = <T>(run: (session: typeof base) => Promise<T>): Promise<T> =>
  base.reference.isolated(() => base.rolec.isolated(() => run(base.fork())));
const match = async (session: typeof base, orders: Quadruple): Promise<string> =>
  said(await session.hub(STRANGER, "matchOrders", listed(orders)));
const consumed = async (session: typeof base, kind: Kind, orders: Quadruple): Promise<bigint> => {
  const hash = orderHash(kind, orders[kind]);
  await session.look(HUB, "hub", "viewConsumed", [hash]);
  return (await session.ask<bigint>(HUB, "hub", "viewConsumed", [hash]))!;
};
const withSign = (orders: Quadruple, kind: Kind, sign: Hex): Quadruple => ({
  ...orders,
  [kind]: { ...orders[kind], sign },
});

/** Signatures of a hash that do not hold, by what is wrong with them; those of the second list have no signature's form. */
const forgeries = (hash: Hash, key: Hash): [malleable: Record<string, Hex>, formless: Record<string, Hex>] => {
  const form = (which: Parameters<typeof signAs>[3]): Hex => signAs(hash, key, OWNER.key, which);
  const long = fromHex(form("plain"));
  const compact = fromHex(form("compact"));
  const zero = fromHex(word(0));
  const most = fromHex(word((1n << 256n) - 1n));
  const malleable = {
    "a high s": form("high-s"),
    "a high s with the v of the low one": toHex(concat(fromHex(form("high-s")).subarray(0, 64), long.subarray(64))),
    "v of 0 or 1": form("v01"),
    "the other v": toHex(long.with(64, 55 - long[64]!)),
    "v of 29": toHex(long.with(64, 29)),
    "v of EIP-155": toHex(long.with(64, 37)),
    "the compact form with the other parity": toHex(compact.with(32, compact[32]! ^ 0x80)),
    "a bit of it changed": toHex(long.with(7, long[7]! ^ 1)),
    "r of nothing": toHex(concat(zero, long.subarray(32))),
    "s of nothing": toHex(concat(long.subarray(0, 32), zero, long.subarray(64))),
    "r beyond the curve": toHex(concat(most, long.subarray(32))),
    "nothing but zeros": form("zeros"),
    "somebody else's": form("wrong-key"),
  };
  const formless = {
    "two bytes short": toHex(long.subarray(0, 63)),
    "a byte long": toHex(concat(long, Uint8Array.of(0))),
    "the compact form cut off": toHex(compact.subarray(0, 32)),
    "none at all": "0x" as Hex,
  };
  return [malleable, formless];
};

t.test("an order whose signature is forged in any way makes no deal", async (t) => {
  for (const kind of KINDS)
    await trial(async (session) => {
      const orders = signOrders(openOrders(session));
      const order = orders[kind];
      const { key } = SIGNER[kind];
      const [malleable, formless] = forgeries(orderHash(kind, order), key);
      const signed = (hash: Hash): Hex => signAs(hash, key, OWNER.key, "plain");
      const foreign = {
        "what its signer said of an operation on it": signed(operationHash(kind, order, 0)),
        "what its signer said of another order": signed(orderHash(kind, { ...order, salt: word(999) })),
        "what its signer said on another chain": signed(orderHash(kind, order, 1)),
      };
      for (const [what, sign] of Object.entries({ ...malleable, ...foreign }))
        t.equal(await match(session, withSign(orders, kind, sign)), UNSIGNED[kind], `${kind}: ${what}`);
      for (const [what, sign] of Object.entries(formless))
        t.equal(await match(session, withSign(orders, kind, sign)), "invalid-signature-format", `${kind}: ${what}`);
      t.equal(await consumed(session, kind, orders), 0n);
      t.equal(await match(session, orders), "ok", "the true one makes it");
    });
});

t.test("an order is neither signed nor closed on chain by a forged signature", async (t) => {
  for (const kind of KINDS)
    await trial(async (session) => {
      const order = openOrders(session)[kind];
      const manage = async (sign: Hex, operation = 1): Promise<string> =>
        said(await session.hub(STRANGER, MANAGE[kind], [{ order, operation, sign }]));
      const hash = operationHash(kind, order, 1);
      const { key } = SIGNER[kind];
      const [malleable, formless] = forgeries(hash, key);
      const foreign = {
        "the order's own": signAs(orderHash(kind, order), key, OWNER.key, "plain"),
        "that of the other operation": signAs(operationHash(kind, order, 0), key, OWNER.key, "plain"),
      };
      for (const [what, sign] of Object.entries({ ...malleable, ...foreign }))
        t.equal(await manage(sign), "invalid-sender-or-signature", `${kind}: ${what}`);
      for (const [what, sign] of Object.entries(formless))
        t.equal(await manage(sign), "invalid-signature-format", `${kind}: ${what}`);
      t.equal(await manage(signAs(hash, key, OWNER.key, "compact")), "ok", "the true one closes it");
    });
});

t.test("both forms of a signature are of one order, which is used up once", (t) =>
  trial(async (session) => {
    const first = openOrders(session);
    first.request.volume = 2n;
    const orders = signOrders(first);
    t.equal(await match(session, orders), "ok");
    let again = orders;
    for (const kind of KINDS) {
      const hash = orderHash(kind, orders[kind]);
      again = withSign(again, kind, signAs(hash, SIGNER[kind].key, OWNER.key, "compact"));
    }
    t.equal(await match(session, again), USED_UP, "as a replay in the other form");
    const { request } = signOrders(openOrders(session));
    t.equal(await match(session, { ...again, request }), "ok", "a new request takes what is left of the others");
    for (const kind of ["app", "dataset", "workerpool"] as const) t.equal(await consumed(session, kind, again), 3n);
    t.equal(await consumed(session, "request", { ...again, request }), 1n);
    t.equal(await match(session, { ...again, request }), USED_UP);
  }),
);

t.test("what was used up or closed makes no deal again, whoever replays it", async (t) => {
  for (const kind of KINDS)
    await trial(async (session) => {
      /** The same order among others that are fresh. */
      const among = (order: Quadruple[Kind]): Quadruple => signOrders({ ...openOrders(session), [kind]: order });
      const { [kind]: order } = openOrders(session);
      t.equal(await match(session, among(order)), "ok");
      t.equal(await match(session, among(order)), USED_UP, `${kind}: replayed`);
      const fresh = openOrders(session)[kind];
      const close = { order: fresh, operation: 1, sign: "0x" };
      t.equal(said(await session.hub(SIGNER[kind], MANAGE[kind], [close])), "ok");
      t.equal(await match(session, among(fresh)), USED_UP, `${kind}: closed`);
      t.equal(said(await session.hub(SIGNER[kind], MANAGE[kind], [{ ...close, operation: 0 }])), "ok");
      t.equal(await match(session, among(fresh)), USED_UP, `${kind}: signed again, it stays closed`);
      t.equal(await consumed(session, kind, among(fresh)), 3n);
    });
});

t.test("an order is never used beyond its volume, however others ask for it", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom(...KINDS), fc.bigInt({ min: 1n, max: 5n })), { minLength: 2, maxLength: 8 }),
      (changes) =>
        trial(async (session) => {
          let orders = openOrders(session);
          for (const [kind, volume] of changes) {
            // One of the four is another each time; the rest is what is left of them.
            const before = await Promise.all(KINDS.map((each) => consumed(session, each, orders)));
            const left = KINDS.map((each, i) => orders[each].volume - before[i]!);
            const most = left.reduce((least, each) => (each < least ? each : least));
            const answer = await match(session, signOrders(orders));
            if (answer !== (most > 0n ? "ok" : USED_UP)) throw new Error(`${answer}, with ${most} left`);
            for (const [i, each] of KINDS.entries()) {
              const now = await consumed(session, each, orders);
              if (now !== before[i]! + most || now > orders[each].volume) throw new Error(`${each}: ${now} used`);
            }
            orders = { ...orders, [kind]: { ...openOrders(session)[kind], volume } };
          }
        }),
    ),
    { numRuns: 12, seed: 1 },
  ),
);
