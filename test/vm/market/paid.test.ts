import t from "tap";
import { signTransaction } from "../../../chain/transaction.ts";
import { type Address, type Hash, ZERO_HASH } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { GWEI, RLC } from "../../../lib/units.ts";
import { MARKET } from "../../../vm/addresses.ts";
import { applyTransaction, type Executed } from "../../../vm/execute.ts";
import { resultHashOf, resultSealOf } from "../../../vm/market/contribution.ts";
import { LOT_STATUS } from "../../../vm/market/lot.ts";
import { slotPayer } from "../../../vm/market/messages.ts";
import { addressBy, createWorld, keyOf, market, receiptFor } from "./world.ts";

const BENEFICIARY: Address = "0x00000000000000000000000000000000000000fe";

t.test("a worker without any RLC does a lot in transactions that its slots pay, and is paid", (t) => {
  const world = createWorld({ workers: [["w0", 2]] });
  const { state, genesis } = world;
  const total = world.total([BENEFICIARY]);
  const nonces = new Map<string, number>();
  let burned = 0n;
  const send = (name: string, data: Uint8Array, value = 0n): Executed => {
    const nonce = nonces.get(name) ?? 0;
    const fields = { type: 2 as const, chainId: genesis.chainId, nonce, to: MARKET, value, data, accessList: [] };
    const fees = { maxPriorityFeePerGas: GWEI, maxFeePerGas: 3n * GWEI, gasLimit: 3_000_000 };
    const tx = signTransaction({ ...fields, ...fees }, keyOf(name));
    const block = world.block();
    const done = applyTransaction(state, block, tx, block.gasLimit, (sender) => slotPayer(state, block, tx, sender));
    nonces.set(name, nonce + 1);
    burned += BigInt(done.gasUsed) * block.baseFee;
    t.equal(done.status, 1);
    return done;
  };
  const worker = addressBy("w0");
  const dealid =
    `0x${Buffer.from(send("requester", market("submit").encode(world.jobArgs({})), RLC).returnData).toString("hex")}` as Hash;
  world.advance(2);
  const id = world.lotIdOf(dealid);
  const receipt = receiptFor(900_000_000);
  const digest = keccak256(receipt);
  send("w0", market("contribute").encode(id, resultHashOf(id, digest), resultSealOf(worker, id, digest), ZERO_HASH));
  send("w0", market("reveal").encode(id, receipt));
  send("w0", market("finalize").encode(id));
  t.equal(world.lot(id).status, LOT_STATUS.completed);
  t.equal(state.balance(worker), 0n);
  t.ok(world.account(worker).stake > 0n);
  t.equal(world.total([BENEFICIARY]) + burned, total);
  t.throws(() => send("w0", market("finalize").encode(id)), { code: "tx-funds" }, "no block can hold one more");
  t.end();
});
