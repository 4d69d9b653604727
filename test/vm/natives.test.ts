import t from "tap";
import { fromHex } from "../../lib/bytes.ts";
import { abiEvent, abiFunction, decodeError } from "../../vm/abi.ts";
import { VALIDATORS } from "../../vm/addresses.ts";
import { call } from "../../vm/execute.ts";
import { nativeAt } from "../../vm/native-table.ts";
import { type CallContext, emit, methodsOf, nativeContract } from "../../vm/natives.ts";
import { accountOf } from "../helpers/chain.ts";
import { createLedger } from "../helpers/ledger.ts";

const alice = accountOf("alice");

t.test("every native contract answers unknown functions with a reason, at a gas that calldata alone tells", (t) => {
  const { state, block } = createLedger([alice.address]);
  const other = createLedger([]);
  for (const address of [VALIDATORS]) {
    const native = nativeAt(state, address)!;
    t.ok(native.name);
    for (const data of ["0x", "0x12", "0xdeadbeef", `0xdeadbeef${"00".repeat(320)}`].map(fromHex)) {
      t.equal(native.gas(data), nativeAt(other.state, address)!.gas(data));
      const result = call(state, block(), { from: alice.address, to: address, value: 0n, data, gasLimit: 1_000_000 });
      t.equal(result.reverted, true);
      t.match(decodeError(result.returnData), native.name);
    }
  }
  t.end();
});

t.test("a contract is a list of functions with their signatures", (t) => {
  const { state, block } = createLedger([]);
  const event = abiEvent("Added(uint256 indexed sum)");
  const native = nativeContract(
    "Sum",
    methodsOf({
      "add(uint256,uint256)": {
        gas: 7,
        returns: "uint256",
        run: (ctx, [a, b]) => {
          const sum = (a as bigint) + (b as bigint);
          emit(ctx, event, sum);
          return [sum];
        },
      },
    }),
  );
  const add = abiFunction("add(uint256 a, uint256 b) returns (uint256)");
  const logs: unknown[] = [];
  const context = (data: Uint8Array): CallContext => ({
    state,
    block: block(),
    self: VALIDATORS,
    sender: alice.address,
    origin: alice.address,
    value: 0n,
    data,
    isStatic: false,
    log: (...log) => logs.push(log),
  });
  t.strictSame(add.decodeResult(native.call(context(add.encode(2n, 3n)))), [5n]);
  t.strictSame(logs, [[VALIDATORS, [event.topic, `0x${"5".padStart(64, "0")}`], new Uint8Array(0)]]);
  t.equal(native.gas(add.encode(2n, 3n)), 1_000 + 7 + 3 * 50);
  t.throws(
    () =>
      nativeContract(
        "Twice",
        [...Array(2)].flatMap(() => methodsOf({ "f()": { gas: 0, returns: "", run: () => [] } })),
      ),
    /two methods/,
  );
  t.end();
});
