import t from "tap";
import type { State } from "../../../chain/state.ts";
import { type Address, ZERO_HASH } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import type { AbiValue } from "../../../vm/abi.ts";
import { MARKET } from "../../../vm/addresses.ts";
import { resultHashOf, resultSealOf } from "../../../vm/market/contribution.ts";
import { LOT_STATUS } from "../../../vm/market/lot.ts";
import { marketNatives } from "../../../vm/market/natives.ts";
import { drawn } from "./drawn.ts";
import { addressBy, createWorld, market, receiptFor } from "./world.ts";

/** Counts the records and accounts that calls look at or write, each once. */
const watched = (state: State) => {
  const seen = new Set<string>();
  const { record, setRecord, account, balance } = state;
  Object.assign(state, {
    record: (...args: Parameters<typeof record>) => {
      seen.add(args.join(" "));
      return record(...args);
    },
    setRecord: (...args: Parameters<typeof setRecord>) => {
      seen.add(args.slice(0, 3).join(" "));
      setRecord(...args);
    },
    account: (address: Address) => {
      seen.add(address);
      return account(address);
    },
    balance: (address: Address) => {
      seen.add(address);
      return balance(address);
    },
  });
  return (): number => {
    const count = seen.size;
    seen.clear();
    return count;
  };
};

/** Gas of what writes, for each record that it looks at or writes. */
const GAS_PER_RECORD = 3_000;

t.test(
  "a call that writes looks at a record for each 3,000 gas at most: eth_call and eth_estimateGas bound it so",
  (t) => {
    const workers = Array.from({ length: 80 }, (_, i) => [`w${i}`, 1] as const);
    const params = { maxTrust: (1n << 62n).toString(), slotStakeNrlc: "10000000000" };
    const world = createWorld({ workers: [...workers, ["many", 256]], params });
    const { requester } = world;
    const count = watched(world.state);
    let calls = 0;
    const call = (from: Address, name: string, args: AbiValue[]): void => {
      const fn = market(name);
      count();
      world.call(from, MARKET, fn, args);
      const records = count();
      const gas = marketNatives[MARKET]!.gas(fn.encode(...args));
      t.ok(gas >= GAS_PER_RECORD * records, `${name}: ${gas} gas for ${records} records`);
      calls += 1;
    };
    const many = addressBy("many");
    const ids = Array.from({ length: 256 }, (_, i) => BigInt(workers.length + i));
    call(many, "pause", [ids[0]!, ids.slice(1, 32)]);
    call(many, "resume", [ids[0]!, ids.slice(1, 32)]);
    call(many, "leave", [[ids[0]!]]);
    call(many, "leave", [ids.slice(1)]);
    call(requester, "createGroup", [Array.from({ length: 256 }, (_, i) => addressBy(`member ${i}`))]);
    world.advance(8);

    const wide = { trust: 1n << 60n };
    const failed = drawn(world, wide).id;
    for (const { worker } of world.lot(failed).seats) call(worker, "decline", [failed]);
    t.equal(world.lot(failed).status, LOT_STATUS.failed);
    call(requester, "claim", [failed]);

    const { id } = drawn(world, wide);
    const { seats } = world.lot(id);
    t.equal(seats.length, 60);
    const receipt = receiptFor(1_000);
    const digest = keccak256(receipt);
    for (const { worker } of seats)
      call(worker, "contribute", [id, resultHashOf(id, digest), resultSealOf(worker, id, digest), ZERO_HASH]);
    for (const { worker } of seats) call(worker, "reveal", [id, receipt]);
    call(requester, "finalize", [id]);
    t.equal(calls, 187);
    t.end();
  },
);
