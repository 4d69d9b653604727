import fc from "fast-check";
import t from "tap";
import { abiFunction } from "../../vm/abi.ts";
import { VALIDATORS } from "../../vm/addresses.ts";
import { VALIDATORS_ABI } from "../../vm/validators.ts";
import { raw, startRpc } from "../helpers/rpc.ts";

const node = await startRpc();
t.teardown(() => node.stop());
await node.mine(3);

const METHODS = [
  ..."chainId blockNumber accounts syncing getBalance getTransactionCount getCode getStorageAt getProof call".split(
    " ",
  ),
  ..."estimateGas createAccessList sendRawTransaction getLogs getBlockByHash getBlockByNumber gasPrice".split(" "),
  ..."getBlockTransactionCountByHash getTransactionByBlockNumberAndIndex getTransactionByHash feeHistory".split(" "),
  ..."getTransactionReceipt getBlockReceipts maxPriorityFeePerGas newFilter newBlockFilter getFilterChanges".split(" "),
  ..."getFilterLogs uninstallFilter subscribe unsubscribe".split(" "),
]
  .map((name) => `eth_${name}`)
  .concat("rolec_validators rolec_power rolec_finality rolec_account rolec_genesis net_version web3_sha3".split(" "));

const hex = (size: number) =>
  fc.uint8Array({ minLength: size, maxLength: size }).map((b) => `0x${Buffer.from(b).toString("hex")}`);
const likely = fc.oneof(
  fc.constantFrom<unknown>("latest", "earliest", "0x0", "0x1", "0x2", "0x", "0x00", VALIDATORS, true, null, [], {}),
  fc.constant(node.engine.head().hash),
  hex(20),
  hex(32),
  fc.uint8Array({ maxLength: 200 }).map((b) => `0x${Buffer.from(b).toString("hex")}`),
);
const argument = fc.oneof(
  { weight: 4, arbitrary: likely },
  {
    weight: 2,
    arbitrary: fc.dictionary(
      fc.constantFrom(
        "to",
        "from",
        "data",
        "input",
        "value",
        "gas",
        "fromBlock",
        "toBlock",
        "address",
        "topics",
        "blockHash",
      ),
      fc.oneof(likely, fc.array(likely, { maxLength: 3 })),
    ),
  },
  { weight: 1, arbitrary: fc.array(likely, { maxLength: 4 }) },
  { weight: 1, arbitrary: fc.jsonValue() },
);

t.test("no parameters make a method fail as if by the node's own fault", async (t) => {
  const requests = fc.array(fc.tuple(fc.constantFrom(...METHODS), fc.array(argument, { maxLength: 4 })), {
    minLength: 1,
    maxLength: 100,
  });
  await fc.assert(
    fc.asyncProperty(requests, async (items) => {
      const body = JSON.stringify(items.map(([method, params], id) => ({ jsonrpc: "2.0", id, method, params })));
      const answers = JSON.parse((await raw(node.port, { body })).body) as { id: number; error?: { code: number } }[];
      if (answers.length !== items.length) throw new Error("an item without an answer");
      for (const { id, error } of answers)
        if (error?.code === -32603) throw new Error(`${JSON.stringify(items[id])} fails`);
    }),
    { numRuns: 100 },
  );
  t.pass();
});

t.test("any bytes as a transaction are refused by a rule", async (t) => {
  const near = fc.tuple(fc.constantFrom(0x01, 0x02, 0xc0, 0xf8, 0xf9), fc.uint8Array({ maxLength: 300 }));
  await fc.assert(
    fc.asyncProperty(near, async ([first, rest]) => {
      const data = `0x${Buffer.from([first, ...rest]).toString("hex")}`;
      const error = (await node.client.call("eth_sendRawTransaction", [data]).catch((thrown) => thrown)) as {
        code: number;
      };
      if (error.code !== -32000) throw new Error(`${data} gives ${JSON.stringify(error)}`);
    }),
    { numRuns: 300 },
  );
  t.pass();
});

t.test("any bytes as calldata of a system contract end in a result or a revert", async (t) => {
  const selectors = VALIDATORS_ABI.filter((each) => each.startsWith("function")).map(
    (each) => abiFunction(each).selector,
  );
  const calldata = fc.tuple(fc.constantFrom(...selectors), fc.uint8Array({ maxLength: 300 }));
  await fc.assert(
    fc.asyncProperty(calldata, async ([selector, rest]) => {
      const data = `${selector}${Buffer.from(rest).toString("hex")}`;
      const answer = await node.client.call("eth_call", [{ to: VALIDATORS, data }]).catch((thrown) => thrown);
      if (answer instanceof Error && (answer as Error & { code: number }).code !== 3) throw answer;
    }),
    { numRuns: 300 },
  );
  t.pass();
});
