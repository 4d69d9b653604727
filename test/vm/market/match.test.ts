import t, { type Test } from "tap";
import {
  type Address,
  addressWord,
  concat,
  EMPTY,
  fromHex,
  type Hash,
  utf8,
  word,
  ZERO_ADDRESS,
  ZERO_HASH,
} from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { type AbiValue, encodeAbi } from "../../../vm/abi.ts";
import { APP_REGISTRY, HUB, MARKET, TOKEN, VALIDATORS } from "../../../vm/addresses.ts";
import { functionsOf, GROUP_ABI, TOKEN_ABI, WORKERPOOL_ABI } from "../../../vm/market/abi.ts";
import { taskId } from "../../../vm/market/deal.ts";

import {
  APP_ORDER,
  DATASET_ORDER,
  orderHash,
  REQUEST_ORDER,
  typedDataHash,
  WORKERPOOL_ORDER,
} from "../../../vm/market/order.ts";
import { join } from "./drawn.ts";
import { createScene, type Scene, signAs } from "./scene.ts";
import { addressBy, eventNames, hub, market, registry } from "./world.ts";

const token = functionsOf(TOKEN_ABI);
const group = functionsOf(GROUP_ABI);
const refused = (t: Test, scene: Scene, code: string, options: Parameters<Scene["match"]>[0], why = code): void => {
  t.throws(() => scene.match(options), new Error(code.length === 2 ? `iExecV5-matchOrders-0x${code}` : code), why);
};

t.test("signed orders make a deal: what is agreed, locked, used up and logged", (t) => {
  const scene = createScene();
  const { call, requester, developer, scheduler, pool, dataset, app, view, has, block } = scene;
  const orders = scene.orders({
    dataset: {},
    request: { volume: 3n, tag: word(1n << 8n) },
    workerpool: { volume: 7n, tag: word(0xff00n) },
  });
  const { values, logs } = call(addressBy("anyone"), HUB, hub("matchOrders"), orders);
  const dealid = values[0] as Hash;
  const hashes = [APP_ORDER, DATASET_ORDER, WORKERPOOL_ORDER, REQUEST_ORDER].map((kind, i) =>
    orderHash(scene.genesis.chainId, kind as typeof APP_ORDER, (kind as typeof APP_ORDER).read(orders[i]!)),
  );
  t.equal(dealid, keccak256(encodeAbi("bytes32,uint256", [hashes[3]!, 0n])));
  t.strictSame(eventNames(logs), ["Transfer", "Lock", "Transfer", "Lock", "SchedulerNotice", "OrdersMatched"]);
  t.strictSame(view("viewDeal", dealid), [
    [app, developer, 50n],
    [dataset, developer, 5n],
    [pool, scheduler, 1_000n],
    3n,
    0n,
    word(1n << 8n),
    requester,
    requester,
    ZERO_ADDRESS,
    "{}",
    BigInt(block().timestamp),
    0n,
    3n,
    300n,
    1n,
    requester,
  ]);
  for (const hash of hashes) t.equal(view("viewConsumed", hash), 3n);
  t.strictSame(has("requester"), [1_000_000n - 3n * 1_055n, 3n * 1_055n]);
  t.strictSame(has("scheduler"), [1_000_000n - 900n, 900n]);
  t.equal(view("computeDealVolume", ...orders), 0n);
  t.throws(() => call(requester, HUB, hub("matchOrders"), orders), /0x60/, "the request is used up");
  t.end();
});

t.test("a request can be matched in parts, each a deal that begins where the one before ended", (t) => {
  const scene = createScene();
  const { call, view, requester } = scene;
  const request = scene.requestOrder({ volume: 5n });
  const part = (volume: bigint): Hash => {
    const orders = scene.orders({ workerpool: { volume } });
    orders[3] = REQUEST_ORDER.values(request);
    t.equal(view("computeDealVolume", ...orders), volume < 5n ? volume : 3n);
    return call(requester, HUB, hub("matchOrders"), orders).values[0] as Hash;
  };
  const [first, second] = [part(2n), part(9n)];
  t.not(first, second);
  const fields = (id: Hash) => (view("viewDeal", id) as AbiValue[]).slice(11, 13);
  t.strictSame(fields(first), [0n, 2n]);
  t.strictSame(fields(second), [2n, 3n]);
  t.throws(() => scene.initialize(second, 1n), /reverted/, "a task of the first deal");
  scene.initialize(second, 2n);
  t.throws(() => scene.initialize(second, 5n), /reverted/);
  t.end();
});

t.test("a sponsor pays in the requester's place", (t) => {
  const scene = createScene();
  const sponsor = addressBy("w0");
  const { values, logs } = scene.call(sponsor, HUB, hub("sponsorMatchOrders"), scene.orders());
  t.equal(eventNames(logs).at(-1), "DealSponsored");
  t.equal((scene.view("viewDeal", values[0]!) as AbiValue[])[15], sponsor);
  t.strictSame(scene.has("w0"), [1_000_000n - 1_050n, 1_050n]);
  t.strictSame(scene.has("requester"), [1_000_000n, 0n]);
  t.end();
});

t.test("each check of a match has PoCo's code, and comes in PoCo's order", (t) => {
  const scene = createScene();
  const { app, pool, dataset, requester } = scene;
  const other = addressBy("other");
  const tee = word(1);
  refused(t, scene, "00", { request: { category: 1n } });
  refused(t, scene, "01", { request: { category: 7n }, workerpool: { category: 7n } });
  refused(t, scene, "02", { request: { trust: 101n } });
  refused(t, scene, "03", { request: { appmaxprice: 49n } });
  refused(t, scene, "04", { dataset: {}, request: { datasetmaxprice: 4n } });
  refused(t, scene, "05", { request: { workerpoolmaxprice: 999n } });
  refused(t, scene, "06", { request: { tag: tee }, app: { tag: tee } });
  refused(t, scene, "06", { dataset: { tag: word(1n << 8n) } });
  refused(t, scene, "07", { request: { tag: tee }, workerpool: { tag: tee } });
  refused(t, scene, "10", { request: { app: other } });
  refused(t, scene, "11", { dataset: {}, request: { dataset: ZERO_ADDRESS } });
  refused(t, scene, "12", { request: { workerpool: other } });
  refused(t, scene, "13", { app: { datasetrestrict: dataset } }, "a dataset restriction asks for one");
  refused(t, scene, "14", { app: { workerpoolrestrict: other } });
  refused(t, scene, "15", { app: { requesterrestrict: other } });
  refused(t, scene, "16", { dataset: { apprestrict: other } });
  refused(t, scene, "17", { dataset: { workerpoolrestrict: other } });
  refused(t, scene, "18", { dataset: { requesterrestrict: other } });
  refused(t, scene, "19", { workerpool: { apprestrict: other } });
  refused(t, scene, "1a", { workerpool: { datasetrestrict: dataset } });
  refused(t, scene, "1b", { workerpool: { requesterrestrict: other } });
  refused(t, scene, "reverted", { app: { app: other }, request: { app: other } }, "no contract to ask for its owner");
  refused(t, scene, "reverted", { app: { app: VALIDATORS }, request: { app: VALIDATORS } }, "nothing answers owner()");
  refused(t, scene, "20", { app: { app: pool }, request: { app: pool } });
  refused(t, scene, "20", { app: { app: HUB }, request: { app: HUB } });
  refused(t, scene, "21", { app: { by: "other" } });
  refused(t, scene, "30", { dataset: { dataset: app } });
  refused(t, scene, "31", { dataset: { by: "other" } });
  refused(t, scene, "40", { workerpool: { workerpool: app } });
  refused(t, scene, "41", { workerpool: { by: "other" } });
  refused(t, scene, "50", { request: { by: "other" } });
  refused(t, scene, "invalid-signature-format", { request: { sign: utf8("short") } });
  refused(t, scene, "60", { app: { volume: 0n } });
  refused(t, scene, "60", { request: { volume: 0n } });
  refused(t, scene, "IexecEscrow: Transfer amount exceeds balance", { request: { volume: 953n } });
  t.strictSame(scene.has("requester"), [1_000_000n, 0n]);
  // all that fits, with every restriction naming who it is for
  const named = { apprestrict: app, datasetrestrict: dataset, workerpoolrestrict: pool, requesterrestrict: requester };
  const { apprestrict, datasetrestrict, workerpoolrestrict, requesterrestrict } = named;
  scene.match({
    app: { datasetrestrict, workerpoolrestrict, requesterrestrict },
    dataset: { apprestrict, workerpoolrestrict, requesterrestrict },
    workerpool: { apprestrict, datasetrestrict, requesterrestrict },
    request: { workerpool: pool },
  });
  t.end();
});

t.test("a dataset's TEE framework asks nothing of a deal; its other bits do", (t) => {
  const scene = createScene();
  scene.match({ dataset: { tag: word(0b1110) } });
  scene.match({ dataset: { tag: word(0b1111) }, app: { tag: word(1) }, workerpool: { tag: word(1) } });
  refused(t, scene, "06", { dataset: { tag: word(0b1_0000) } });
  t.end();
});

t.test("numbers that leave 256 bits panic", (t) => {
  const scene = createScene();
  const most = (1n << 256n) - 1n;
  refused(t, scene, "arithmetic overflow", { app: { appprice: most }, request: { appmaxprice: most } });
  refused(t, scene, "arithmetic overflow", {
    workerpool: { workerpoolprice: most },
    request: { workerpoolmaxprice: most },
  });
  t.end();
});

t.test("orders are signed and closed on chain by their owner, or by who has the owner's signature", (t) => {
  const scene = createScene();
  const { call, view, genesis, developer, requester, scheduler } = scene;
  const unsigned = { sign: new Uint8Array(65) };
  const cases = [
    ["App", APP_ORDER, scene.appOrder(unsigned), developer, "developer"],
    ["Dataset", DATASET_ORDER, scene.datasetOrder(unsigned), developer, "developer"],
    ["Workerpool", WORKERPOOL_ORDER, scene.workerpoolOrder(unsigned), scheduler, "scheduler"],
    ["Request", REQUEST_ORDER, scene.requestOrder(unsigned), requester, "requester"],
  ] as const;
  for (const [name, anyKind, order, owner, key] of cases) {
    const kind = anyKind as typeof APP_ORDER;
    const values = kind.values(order as never);
    const manage = (from: Address, operation: bigint, signature: Uint8Array) =>
      call(from, HUB, hub(`manage${name}Order`), [[values, operation, signature]]).logs;
    const hash = orderHash(genesis.chainId, kind, order as never);
    const stranger = addressBy("stranger");
    t.throws(() => manage(stranger, 0n, EMPTY), /invalid-signature-format/);
    t.throws(() => manage(stranger, 0n, unsigned.sign), /invalid-sender-or-signature/);
    t.throws(() => manage(owner, 2n, EMPTY), /reverted/, "no such operation");
    t.equal(view("viewPresigned", hash), ZERO_ADDRESS);
    t.equal(view("verifyPresignatureOrSignature", owner, hash, unsigned.sign), false);
    t.strictSame(eventNames(manage(owner, 0n, EMPTY)), [`Signed${name}Order`]);
    t.equal(view("viewPresigned", hash), owner);
    t.equal(view("verifyPresignature", owner, hash), true);
    t.equal(view("verifyPresignature", stranger, hash), false);
    t.equal(view("verifyPresignatureOrSignature", owner, hash, EMPTY), true, "its own signature is not looked at");
    const operation = typedDataHash(genesis.chainId, kind.operationHash(order as never, 1n));
    t.throws(() => manage(stranger, 0n, signAs(key, operation)), /invalid-sender/, "signed for closing");
    t.strictSame(eventNames(manage(stranger, 1n, signAs(key, operation))), [`Closed${name}Order`]);
    t.equal(view("viewConsumed", hash), order.volume);
    const { logs } = call(stranger, HUB, hub(`broadcast${name}Order`), [values]);
    t.strictSame(eventNames(logs), [`Broadcast${name}Order`]);
    t.strictSame(logs[0]!.data, encodeAbi(kind.tuple, [values]));
  }
  t.end();
});

t.test("a presigned order needs no signature, and a closed one makes no deal", (t) => {
  const scene = createScene();
  const { call, requester } = scene;
  const request = scene.requestOrder({ sign: new Uint8Array(65) });
  const orders = scene.orders();
  orders[3] = REQUEST_ORDER.values(request);
  const match = () => call(requester, HUB, hub("matchOrders"), orders);
  t.throws(match, /0x50/);
  call(requester, HUB, hub("manageRequestOrder"), [[orders[3], 0n, EMPTY]]);
  match();
  const closed = scene.orders();
  call(requester, HUB, hub("manageRequestOrder"), [[closed[3]!, 1n, EMPTY]]);
  t.throws(() => call(requester, HUB, hub("matchOrders"), closed), /0x60/);
  t.end();
});

t.test("what was signed before an entry was sold is the seller's word no more", (t) => {
  const scene = createScene();
  const { call, app, developer, requester } = scene;
  const orders = scene.orders();
  call(developer, APP_REGISTRY, registry("transferFrom"), [developer, requester, BigInt(app)]);
  t.throws(() => call(requester, HUB, hub("matchOrders"), orders), /0x21/);
  t.end();
});

t.test("restrictions name groups of accounts, which answer keyHasPurpose", (t) => {
  const scene = createScene();
  const { call, requester, pool, app, state } = scene;
  const owner = addressBy("keeper");
  const { values, logs } = call(owner, MARKET, market("createGroup"), [[requester, pool]]);
  const members = values[0] as Address;
  t.strictSame(eventNames(logs).slice(0, 1), ["GroupCreated"]);
  const ask = (name: string, ...args: AbiValue[]) => call(requester, members, group(name), args).values[0];
  const key = (account: Address): Hash => addressWord(account);
  t.equal(ask("keyHasPurpose", key(requester), 4n), true);
  t.equal(ask("keyHasPurpose", key(requester), 3n), false);
  t.equal(ask("keyHasPurpose", key(app), 4n), false);
  t.equal(ask("keyHasPurpose", `0x01${key(requester).slice(4)}`, 4n), false);
  t.equal(ask("owner"), owner);
  t.equal(ask("memberCount"), 2n);
  t.ok(state.code(members).length > 0);
  scene.match({ workerpool: { requesterrestrict: members }, request: { workerpool: members } });
  refused(t, scene, "19", { workerpool: { apprestrict: members } });
  t.throws(() => call(requester, members, group("addMembers"), [[app]]), /caller is not the owner/);
  call(owner, members, group("addMembers"), [[app, app, requester]]);
  t.equal(ask("memberCount"), 3n);
  scene.match({ workerpool: { apprestrict: members } });
  call(owner, members, group("removeMembers"), [[requester, owner]]);
  t.equal(ask("memberCount"), 2n);
  refused(t, scene, "1b", { workerpool: { requesterrestrict: members } });
  call(owner, members, group("transferOwnership"), [requester]);
  t.throws(() => call(owner, members, group("removeMembers"), [[app]]), /caller is not the owner/);
  t.throws(() => call(requester, members, group("transferOwnership"), [ZERO_ADDRESS]), /zero address/);
  t.not(call(owner, MARKET, market("createGroup"), [[]]).values[0], members, "each has an address of its own");
  t.end();
});

t.test("a deposit of RLC makes the depositor's deal in the same call", (t) => {
  const scene = createScene();
  const { call, requester, view } = scene;
  const run = (data: Uint8Array, from = requester, amount = 5n) =>
    call(from, TOKEN, token("approveAndCall"), [HUB, amount, data]).logs;
  const data = hub("matchOrders").encode(...scene.orders());
  t.throws(() => run(data, scene.developer), /CallerIsNotTheRequester/);
  t.throws(() => run(data.subarray(0, 3)), /reverted/);
  t.throws(() => run(data.subarray(0, 100)), /ABI/);
  t.throws(() => run(concat(fromHex("0x01020304"), data.subarray(4))), /UnsupportedOperation/);
  t.throws(() => run(hub("matchOrders").encode(...scene.orders({ app: { by: "other" } }))), /0x21/);
  const nobody = addressBy("nobody");
  const failing = scene.orders({ app: { app: nobody }, request: { app: nobody } });
  t.throws(() => run(hub("matchOrders").encode(...failing)), /OperationFailed/);
  t.strictSame(eventNames(run(data)).slice(0, 4), ["Approval", "Transfer", "Transfer", "Transfer"]);
  t.strictSame(scene.has("requester"), [1_000_000n + 5n - 1_050n, 1_050n]);
  const direct = [requester, 1n, HUB, EMPTY];
  t.throws(() => call(requester, HUB, hub("receiveApproval"), direct), /wrong-token/);
  t.throws(() => call(requester, HUB, hub("approveAndCall"), [HUB, 1n, EMPTY]), /wrong-token/);
  t.throws(() => call(requester, HUB, hub("approveAndCall"), [nobody, 1n, EMPTY]), /reverted/);
  t.equal(view("allowance", requester, HUB), 0n);
  t.end();
});

t.test("a dataset fits a deal made without one, or the reason says why not", (t) => {
  const scene = createScene();
  const { call, requester, developer, app, pool } = scene;
  const dealid = scene.match();
  const other = addressBy("other");
  const assert = (order = scene.datasetOrder(), id = dealid) =>
    call(requester, HUB, hub("assertDatasetDealCompatibility"), [DATASET_ORDER.values(order), id]);
  assert(
    scene.datasetOrder({ apprestrict: app, workerpoolrestrict: pool, requesterrestrict: requester, tag: word(14) }),
  );
  const closed = scene.datasetOrder();
  call(developer, HUB, hub("manageDatasetOrder"), [[DATASET_ORDER.values(closed), 1n, EMPTY]]);
  const reason = (run: () => unknown): string => {
    try {
      run();
    } catch (error) {
      return (error as Error).message;
    }
    return "";
  };
  t.equal(
    reason(() => assert(closed)),
    "IncompatibleDatasetOrder(Dataset order is revoked or fully consumed)",
  );
  t.match(
    reason(() => assert(scene.datasetOrder({ by: "other" }))),
    /Invalid dataset order signature/,
  );
  t.match(
    reason(() => assert(scene.datasetOrder(), ZERO_HASH)),
    /Deal not found/,
  );
  t.match(
    reason(() => assert(scene.datasetOrder(), scene.match({ dataset: {} }))),
    /Deal already has a dataset/,
  );
  t.match(
    reason(() => assert(scene.datasetOrder({ apprestrict: other }))),
    /App restriction/,
  );
  t.match(
    reason(() => assert(scene.datasetOrder({ workerpoolrestrict: other }))),
    /Workerpool restriction/,
  );
  t.match(
    reason(() => assert(scene.datasetOrder({ requesterrestrict: other }))),
    /Requester restriction/,
  );
  t.match(
    reason(() => assert(scene.datasetOrder({ tag: word(1) }))),
    /Tag compatibility/,
  );
  t.end();
});

t.test("the genesis pool stands by its price: the order is its own signature", (t) => {
  const scene = createScene([], [["w0", 3]]);
  const { call, requester, view, genesis, advance } = scene;
  const price = 80_000_000n; // two rounds of category 0, 2 Ggas each, two seats, at 10^7 nRLC a Ggas
  const standing = scene.standingOrder;
  const holds = (order: ReturnType<typeof standing>, sign = order.sign) => {
    const hash = orderHash(genesis.chainId, WORKERPOOL_ORDER, order);
    const answer = call(requester, MARKET, market("isValidSignature"), [hash, sign]).values[0];
    t.equal(view("verifySignature", MARKET, hash, sign), answer === "0x1626ba7e");
    return answer;
  };
  t.equal(holds(standing()), "0x1626ba7e");
  t.equal(holds(standing({ workerpoolprice: price - 1n })), "0xffffffff");
  t.equal(holds(standing({ workerpoolprice: price + 1n })), "0xffffffff");
  t.equal(holds(standing({ trust: 5n })), "0xffffffff", "three seats cost more");
  t.equal(holds(standing({ trust: 5n, workerpoolprice: 120_000_000n })), "0x1626ba7e");
  t.equal(holds(standing({ trust: 101n, workerpoolprice: 10n ** 12n })), "0xffffffff");
  t.equal(holds(standing({ tag: word(1) })), "0xffffffff");
  t.equal(holds(standing({ requesterrestrict: requester })), "0xffffffff");
  t.equal(holds(standing({ category: 7n })), "0xffffffff");
  t.equal(holds(standing({ workerpool: scene.pool })), "0xffffffff");
  t.equal(holds(standing(), EMPTY), "0xffffffff");
  t.equal(
    holds(
      standing(),
      encodeAbi(WORKERPOOL_ORDER.signedTypes, WORKERPOOL_ORDER.values(standing({ volume: 1n })).slice(0, -1)),
    ),
    "0xffffffff",
  );

  const before = scene.account(MARKET);
  scene.stake(requester, 1_000_000_000n);
  const request = scene.requestOrder({ workerpoolmaxprice: price, volume: 3n, trust: 4n });
  const pair = (orders: AbiValue[], order: ReturnType<typeof standing>): AbiValue[] => [
    ...orders.slice(0, 2),
    WORKERPOOL_ORDER.values(order),
    REQUEST_ORDER.values(request),
  ];
  const { values, logs } = call(requester, HUB, hub("matchOrders"), pair(scene.orders(), standing({ volume: 2n })));
  t.strictSame(eventNames(logs), ["Transfer", "Lock", "SchedulerNotice", "JobSubmitted", "OrdersMatched"]);
  t.strictSame(scene.account(MARKET), before, "the chain locks nothing");
  const first = values[0] as Hash;
  const second = call(requester, HUB, hub("matchOrders"), pair(scene.orders(), standing())).values[0] as Hash;
  const job = call(requester, MARKET, market("viewJob"), [second]).values[0] as AbiValue[];
  t.strictSame(job.slice(2, 6), [2_000_000_000n, 2_000_000_000n, 1n, 1n], "gasLimit is the cap, lots are of one");
  t.equal(scene.lotIdOf(first, 1), taskId(first, 1));
  t.equal(scene.lotIdOf(second), taskId(second, 2), "tasks are numbered as the request counts them");
  for (const name of ["initialize", "initializeArray"])
    t.throws(
      () => call(requester, HUB, hub(name), name === "initialize" ? [first, 0n] : [[first], [0n]]),
      /the chain schedules/,
    );
  t.throws(() => scene.match({ workerpool: standing(), request: { workerpoolmaxprice: price, tag: word(1) } }), /0x06/);
  call(addressBy("owner"), HUB, hub("createCategory"), ["long", "an hour", 3_600n]);
  const long = { category: 7n, trust: 4n };
  t.throws(
    () =>
      scene.match({
        workerpool: standing({ ...long, workerpoolprice: 14_440_000_000n }),
        request: { ...long, workerpoolmaxprice: 10n ** 11n },
      }),
    /half a slot/,
  );
  // no slot is free: what is not drawn goes back after ten units of time
  call(addressBy("w0"), MARKET, market("pause"), [0n, [1n, 2n]]);
  advance(101);
  call(requester, HUB, hub("initializeAndClaimArray"), [
    [first, first, second],
    [0n, 1n, 2n],
  ]);
  t.equal(scene.account(requester).locked, 0n);
  t.end();
});

t.test("an owner's drawn pool is matched by its own signature, and locks nothing of its owner", (t) => {
  const scene = createScene();
  const { call, scheduler, pool, requester } = scene;
  call(scheduler, MARKET, market("openPool"), [pool, ZERO_ADDRESS, requester]);
  join(scene.world, pool, "w0", 2);
  const before = scene.account(scheduler);
  const dealid = scene.match();
  t.strictSame(scene.account(scheduler), before);
  t.equal((scene.view("viewDeal", dealid) as AbiValue[])[13], 300n);
  t.throws(() => scene.match({ request: { trust: 101n }, workerpool: { trust: 200n } }), /trust is at most/);
  const entry = functionsOf(WORKERPOOL_ABI);
  call(scheduler, pool, entry("changePolicy"), [10n ** 12n, 0n]);
  t.throws(() => scene.match(), /half a slot/);
  t.equal(scene.account(requester).locked, 1_050n);
  t.end();
});
