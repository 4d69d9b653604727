import type { Database } from "../chain/db.ts";
import type { Engine } from "../consensus/engine.ts";
import { concat, equalBytes, fromHex, type Hash, isHex, utf8 } from "../lib/bytes.ts";
import { bytes, decodeWith, encodeWith, list } from "../lib/codec.ts";
import { RuleError, thrower } from "../lib/rule-error.ts";
import { receiptOf } from "../vm/market/lot.ts";
import { lotReceiptOf } from "../vm/wasm/receipt.ts";
import type { Host } from "./host.ts";
import { ask, createLimiter, serve } from "./streams.ts";
import { protocolOf } from "./topics.ts";

/** A lot has 256 tasks at most (spec section 10), a receipt a callback of 1,024 bytes. */
const MAX_TASKS = 256;
const MAX_RECEIPT_BYTES = 2_048;
const MAX_BYTES = MAX_TASKS * (MAX_RECEIPT_BYTES + 4);
const MAX_ASKED = 16;
const receiptsCoder = list(bytes(MAX_RECEIPT_BYTES), MAX_TASKS);

const fail: (code: "lot-receipts", detail?: unknown) => never = thrower({
  "lot-receipts": { verdict: "reject", section: "10" },
});

/**
 * Receipts of the tasks of lots: the chain holds their root alone. Anyone may give them, since the root tells whether they
 * are the ones that a quorum agreed on.
 */
export interface LotReceipts {
  /** Keeps a lot's receipts. Throws RuleError where the chain's receipt is not theirs. */
  put(lot: Hash, receipts: readonly Uint8Array[]): Promise<void>;
  /** Gives a lot's receipts, asked from peers where they are not here; undefined where nobody has them. */
  get(lot: Hash): Promise<readonly Uint8Array[] | undefined>;
  start(): Promise<void>;
}

/** Opens the receipts of lots in a database. Without a host, nobody else is asked or told. */
export const openLotReceipts = (db: Database, engine: Engine, host?: Host): LotReceipts => {
  const protocol = protocolOf(engine.genesisHash, "lot");
  const keyOf = (lot: Hash) => concat(utf8("lot "), fromHex(lot));
  const here = (lot: Hash) => db.get(keyOf(lot));
  const isAgreed = (lot: Hash, receipts: readonly Uint8Array[]): boolean => {
    const agreed = receiptOf(engine.stateOf(engine.head()), lot);
    return agreed !== undefined && receipts.length > 0 && equalBytes(agreed, lotReceiptOf(receipts));
  };
  const put = async (lot: Hash, receipts: readonly Uint8Array[]): Promise<void> => {
    if (
      receipts.length > MAX_TASKS ||
      receipts.some((receipt) => receipt.length > MAX_RECEIPT_BYTES) ||
      !isAgreed(lot, receipts)
    )
      fail("lot-receipts", `not the receipts that lot ${lot} was agreed on with`);
    await db.batch([{ key: keyOf(lot), value: encodeWith(receiptsCoder, [...receipts]) }]);
  };
  const fetchFrom = async (lot: Hash): Promise<readonly Uint8Array[] | undefined> => {
    for (const peer of host?.getPeers().slice(0, MAX_ASKED) ?? []) {
      try {
        const answer = await ask(host!, peer, protocol, { lot }, MAX_BYTES);
        if (!(answer instanceof Uint8Array)) continue;
        const receipts = decodeWith(receiptsCoder, answer, { maxBytes: MAX_BYTES });
        await put(lot, receipts);
        return receipts;
      } catch {
        // Who has nothing, or something else, is as good as silent: the next is asked.
      }
    }
    return undefined;
  };
  return {
    put,
    get: async (lot) => {
      const stored = here(lot);
      return stored ? decodeWith(receiptsCoder, stored, { maxBytes: MAX_BYTES }) : fetchFrom(lot);
    },
    start: async () => {
      if (!host) return;
      await serve(host, protocol, createLimiter(), (request) => {
        const { lot } = request as { lot?: unknown };
        if (!isHex(lot, 32)) throw new RuleError("lot-receipts", { verdict: "reject", section: "10" });
        return here(lot) ?? null;
      });
    },
  };
};
