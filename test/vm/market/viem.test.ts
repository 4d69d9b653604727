import fc from "fast-check";
import t from "tap";
import {
  decodeEventLog,
  encodeFunctionData,
  hashTypedData,
  parseAbi,
  parseSignature,
  serializeCompactSignature,
  signatureToCompactSignature,
} from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { EMPTY, fromHex, type Hex, toHex } from "../../../lib/bytes.ts";
import type { AbiValue } from "../../../vm/abi.ts";
import { HUB } from "../../../vm/addresses.ts";
import { HUB_ABI } from "../../../vm/market/abi.ts";
import { APP_ORDER, orderHash, REQUEST_ORDER, typedDataHash } from "../../../vm/market/order.ts";
import { createScene } from "./scene.ts";
import { addressBy, hub, keyOf } from "./world.ts";

const scene = createScene();
const { chainId } = scene.genesis;
const domain = { name: "iExecODB", version: "5.0.0", chainId, verifyingContract: HUB };
const fieldsOf = (source: string) =>
  source.split(",").map((each) => {
    const [type, name] = each.trim().split(" ") as [string, string];
    return { type, name };
  });
const types = {
  AppOrder: fieldsOf(
    "address app,uint256 appprice,uint256 volume,bytes32 tag,address datasetrestrict,address workerpoolrestrict,address requesterrestrict,bytes32 salt",
  ),
  RequestOrder: fieldsOf(
    "address app,uint256 appmaxprice,address dataset,uint256 datasetmaxprice,address workerpool,uint256 workerpoolmaxprice,address requester,uint256 volume,bytes32 tag,uint256 category,uint256 trust,address beneficiary,address callback,string params,bytes32 salt",
  ),
  AppOrderOperation: fieldsOf("AppOrder order,uint256 operation"),
};
const hex = (size: number) => fc.uint8Array({ minLength: size, maxLength: size }).map(toHex);
const word = fc.bigInt({ min: 0n, max: (1n << 256n) - 1n });
const arbitrary = (name: "AppOrder" | "RequestOrder") =>
  fc.record(
    Object.fromEntries(
      types[name].map((field) => {
        if (field.type === "address") return [field.name, hex(20)];
        if (field.type === "bytes32") return [field.name, hex(32)];
        return [field.name, field.type === "string" ? fc.string({ unit: "grapheme" }) : word];
      }),
    ) as Record<string, fc.Arbitrary<AbiValue>>,
  );

t.test("viem computes the same hashes of any orders and operations", (t) => {
  fc.assert(
    fc.property(arbitrary("AppOrder"), arbitrary("RequestOrder"), (app, request) => {
      const hash = (primaryType: keyof typeof types, message: Record<string, unknown>) =>
        hashTypedData({ domain, types, primaryType, message } as never);
      const signed = { ...app, sign: EMPTY } as never;
      t.equal(orderHash(chainId, APP_ORDER, signed), hash("AppOrder", app));
      t.equal(
        typedDataHash(chainId, APP_ORDER.operationHash(signed, 1n)),
        hash("AppOrderOperation", { order: app, operation: 1n }),
      );
      t.equal(orderHash(chainId, REQUEST_ORDER, { ...request, sign: EMPTY } as never), hash("RequestOrder", request));
    }),
    { numRuns: 30 },
  );
  t.end();
});

t.test("orders that viem signs, encodes and reads go through the hub", async (t) => {
  const abi = parseAbi(HUB_ABI as unknown as readonly string[]);
  const account = privateKeyToAccount(keyOf("requester"));
  const order = { ...scene.requestOrder({ volume: 2n }) };
  const { sign: _, ...message } = order;
  const signature = await account.signTypedData({ domain, types, primaryType: "RequestOrder", message } as never);
  const compact = serializeCompactSignature(signatureToCompactSignature(parseSignature(signature)));
  t.equal(toHex(order.sign), signature, "the same signature as ours");
  for (const sign of [signature, compact]) {
    const values = scene.orders({ workerpool: { volume: 1n }, request: { ...message, sign: fromHex(sign) } });
    const named = ["appOrder", "datasetOrder", "workerpoolOrder", "requestOrder"].map((_, i) => {
      const fields = values[i] as readonly AbiValue[];
      return fields.map((value) => (value instanceof Uint8Array ? toHex(value) : value));
    });
    const kinds = (
      abi as unknown as { type: string; name?: string; inputs: { components: { name: string }[] }[] }[]
    ).find(({ type, name }) => type === "function" && name === "matchOrders")!;
    const args = named.map((fields, i) =>
      Object.fromEntries(kinds.inputs[i]!.components.map(({ name }, j) => [name, fields[j]])),
    );
    const data = encodeFunctionData({ abi, functionName: "matchOrders", args } as never) as Hex;
    t.equal(data, toHex(hub("matchOrders").encode(...values)));
    scene.call(addressBy("anyone"), HUB, hub("matchOrders"), values);
    t.equal(
      scene.view("verifySignature", scene.requester, orderHash(chainId, REQUEST_ORDER, order), fromHex(sign)),
      true,
    );
  }
  t.equal(scene.view("viewConsumed", orderHash(chainId, REQUEST_ORDER, order)), 2n, "a task by each signature");
  const { logs } = scene.call(addressBy("anyone"), HUB, hub("broadcastRequestOrder"), [REQUEST_ORDER.values(order)]);
  const { topics, data } = logs[0]!;
  const read = decodeEventLog({ abi, topics, data: toHex(data) } as never) as { eventName: string; args: unknown };
  t.equal(read.eventName, "BroadcastRequestOrder");
  t.match(read.args, { requestorder: { volume: 2n, params: "{}", sign: signature } });
  t.end();
});
