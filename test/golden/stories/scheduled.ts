import { encodeFunctionData } from "viem";
import { type Address, fromHex, type Hash, type Hex, utf8, word, ZERO_ADDRESS, ZERO_HASH } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { HUB } from "../../../vm/addresses.ts";
import {
  fittingOrders,
  KINDS,
  type Kind,
  type Order,
  operationHash,
  orderHash,
  type Quadruple,
  type SignatureForm,
  signAs,
} from "../../differential/orders.ts";
import { eventIn, functionOf } from "../contracts.ts";
import { type Actor, type Ask, actor, type Done, type Stage, type Story } from "../stage.ts";

const packed = (...parts: readonly Hex[]): Hash => keccak256(...parts.map(fromHex));
const ethSigned = (hash: Hash): Hash => keccak256(utf8("\x19Ethereum Signed Message:\n32"), fromHex(hash));
const signed = (hash: Hash, { key }: Actor, form: SignatureForm = "plain"): Hex =>
  signAs(hash, key, actor("stranger").key, form);
const SIGNER = { app: "developer", dataset: "developer", workerpool: "scheduler", request: "requester" } as const;
const MANAGE = { app: "App", dataset: "Dataset", workerpool: "Workerpool", request: "Request" } as const;

/** Signs four orders as their owners do; a dataset's that names none is nobody's. */
export const signOrders = (orders: Quadruple, form: SignatureForm = "plain"): Quadruple => {
  const sign = <K extends Kind>(kind: K): Quadruple[K] => {
    const order = orders[kind];
    const isNone = kind === "dataset" && orders.dataset.dataset === ZERO_ADDRESS;
    if (isNone || order.sign !== "0x") return order;
    return { ...order, sign: signed(orderHash(kind, order), actor(SIGNER[kind]), form) };
  };
  return { app: sign("app"), dataset: sign("dataset"), workerpool: sign("workerpool"), request: sign("request") };
};
export const listed = ({ app, dataset, workerpool, request }: Quadruple): readonly Order[] => [
  app,
  dataset,
  workerpool,
  request,
];

let salts = 0;
/** Starts salts anew, for a chain that is made again. */
export const resetSalts = (): void => {
  salts = 0;
};
/** Orders of the owner-scheduled pool for so many tasks. */
export const ordersFor = (stage: Stage, volume: bigint, change: (orders: Quadruple) => void = () => {}): Quadruple => {
  const { app, dataset, pool } = stage.known;
  const base = { app: app!, dataset: dataset!, workerpool: pool!, requester: actor("requester").address };
  const orders = fittingOrders(base, word(++salts));
  Object.assign(orders.app, { appprice: 5n });
  Object.assign(orders.dataset, { datasetprice: 7n });
  Object.assign(orders.workerpool, { workerpoolprice: 1_000n, trust: 4n });
  Object.assign(orders.request, { appmaxprice: 6n, datasetmaxprice: 7n, workerpoolmaxprice: 2_000n });
  for (const kind of KINDS) orders[kind].volume = volume;
  change(orders);
  return orders;
};

const digestOf = (result: string): Hash => keccak256(utf8(result));
/** What a worker sends of a result: its hash and seal, and who lets it. */
const contribution = (worker: Actor, task: Hash, result: string, by = actor("scheduler"), enclave?: Actor) => {
  const hash = packed(task, digestOf(result));
  const seal = packed(worker.address, task, digestOf(result));
  const at: Address = enclave?.address ?? ZERO_ADDRESS;
  return {
    hash,
    seal,
    enclave: at,
    proof: enclave ? signed(ethSigned(packed(hash, seal)), enclave) : ("0x" as Hex),
    authorization: signed(ethSigned(packed(worker.address, task, at)), by),
  };
};

/** Deals of signed orders with an owner-scheduled pool, their tasks through each of PoCo's ways to end. */
export async function* scheduled(stage: Stage): Story {
  const { ask, known } = stage;
  while (!known.pool) yield 1;
  const [requester, scheduler, stranger, staker] = ["requester", "scheduler", "stranger", "staker"].map(actor) as [
    Actor,
    Actor,
    Actor,
    Actor,
  ];
  const workers = ["p0", "p1", "p2"].map(actor) as [Actor, Actor, Actor];
  const stake = { value: 10n ** 9n * 10n ** 9n };
  yield [requester, scheduler, staker, ...workers].map((each) => ask(each, "hub", "deposit()", [], stake));

  const match = (orders: Quadruple, by = stranger, fails = false): Ask =>
    ask(by, "hub", "matchOrders", listed(signOrders(orders)), { fails });
  const dealIn = (done: Done | undefined): Hash => {
    const { dealid } = eventIn<{ dealid: Hash }>(done!.logs, "hub", "OrdersMatched");
    known.deals.push(dealid);
    return dealid;
  };
  const taskIn = (done: Done | undefined): Hash => {
    const { taskid } = eventIn<{ taskid: Hash }>(done!.logs, "hub", "TaskInitialize");
    known.tasks.push(taskid);
    return taskid;
  };
  const initialize = (deal: Hash, i: bigint): Ask => ask(stranger, "hub", "initialize", [deal, i]);
  const contribute = (worker: Actor, task: Hash, result: string, fails = false): Ask => {
    const { hash, seal, enclave, proof, authorization } = contribution(worker, task, result);
    return ask(worker, "hub", "contribute", [task, hash, seal, enclave, proof, authorization], { fails });
  };
  const reveal = (worker: Actor, task: Hash, result: string, fails = false): Ask =>
    ask(worker, "hub", "reveal", [task, digestOf(result)], { fails });
  const finalize = (task: Hash, results: Hex, callback: Hex = "0x", fails = false): Ask =>
    ask(scheduler, "hub", "finalize", [task, results, callback], { fails });

  // A deal whose tasks nobody computes, for claims.
  const left = ordersFor(stage, 5n);
  const late = dealIn((yield [match(left)])[0]);
  const lateTasks = (yield [initialize(late, 0n), initialize(late, 1n), initialize(late, 2n)]).map(taskIn);
  yield [ask(stranger, "hub", "claim", [lateTasks[0]], { fails: true })];
  const lateTime = stage.time();

  // Three workers, of whom one is wrong; the others reveal.
  const callback = stranger.address;
  const orders = ordersFor(stage, 3n, (each) => {
    each.request.trust = 3n;
    each.request.callback = callback;
  });
  const broken = (kind: Kind, fields: Partial<Order>): Ask => {
    const changed = ordersFor(stage, 1n);
    Object.assign(changed[kind], fields);
    return match(changed, stranger, true);
  };
  const [made] = yield [
    match(orders),
    match(orders, stranger, true),
    broken("request", { category: 1n } as never),
    broken("request", { trust: 9n } as never),
    broken("app", { appprice: 10n } as never),
    broken("dataset", { datasetprice: 10n } as never),
    broken("workerpool", { workerpoolprice: 10_000n } as never),
    broken("request", { tag: word(1) }),
    broken("app", { requesterrestrict: staker.address } as never),
    broken("workerpool", { apprestrict: staker.address } as never),
    broken("request", { sign: `0x${"00".repeat(65)}` }),
    broken("app", { app: stranger.address } as never),
    broken("dataset", { dataset: stranger.address } as never),
    broken("workerpool", { volume: 0n }),
  ];
  const deal = dealIn(made);
  const array = [
    [deal, deal],
    [1n, 2n],
  ];
  const opened = yield [
    initialize(deal, 0n),
    ask(stranger, "hub", "initializeArray", array),
    ask(stranger, "hub", "initializeArray", array, { fails: true }),
    ask(stranger, "hub", "initialize", [deal, 7n], { fails: true }),
  ];
  const [task, reopened, alone] = opened
    .slice(0, 2)
    .flatMap(({ logs }) => logs.filter(({ topics }) => topics.length === 3).map(({ topics }) => topics[1]!)) as [
    Hash,
    Hash,
    Hash,
  ];
  known.tasks.push(task, reopened, alone);
  const [a, b, c] = workers;
  yield [
    contribute(a, task, "right"),
    contribute(a, task, "right", true),
    contribute(b, task, "wrong"),
    contribute(c, task, "right"),
    ask(a, "hub", "contribute", [reopened, task, task, ZERO_ADDRESS, "0x", "0x"], { fails: true }),
    contribute(a, reopened, "hidden"),
    contribute(b, reopened, "hidden"),
  ];
  const answer: Hex = `0x${Buffer.from("right").toString("hex")}`;
  yield [
    contribute(stranger, task, "right"),
    contribute(staker, task, "right", true),
    reveal(stranger, task, "right"),
    reveal(a, task, "wrong", true),
    reveal(b, task, "wrong", true),
    finalize(task, "0x1234", answer, true),
    reveal(a, task, "right"),
    reveal(c, task, "right"),
    finalize(task, "0x1234", "0x77", true),
    ask(stranger, "hub", "finalize", [task, "0x1234", answer], { fails: true }),
    finalize(task, "0x1234", answer),
    finalize(task, "0x1234", answer, true),
    ask(scheduler, "hub", "reopen", [reopened], { fails: true }),
  ];
  // Nobody reveals in twice the category's time: others may.
  yield 22;
  yield [
    ask(stranger, "hub", "reopen", [reopened], { fails: true }),
    ask(scheduler, "hub", "reopen", [reopened]),
    contribute(c, reopened, "seen"),
  ];

  // One worker, an enclave, a sponsor; then a broker of enclaves.
  const enclave = actor("enclave");
  const tee = ordersFor(stage, 2n, (each) => {
    for (const kind of KINDS) each[kind].tag = word(3);
    each.workerpool.trust = 1n;
    each.request.trust = 1n;
    each.request.workerpool = known.pool!;
    each.app.requesterrestrict = known.group!;
    each.app.datasetrestrict = known.dataset!;
  });
  const [sponsored] = yield [
    ask(staker, "hub", "sponsorMatchOrders", listed(signOrders(tee, "compact"))),
    ask(staker, "hub", "sponsorMatchOrders", listed(signOrders(tee, "compact")), { fails: true }),
    ask(staker, "hub", "sponsorMatchOrders", listed(signOrders(ordersFor(stage, 1n), "high-s")), { fails: true }),
  ];
  const teeDeal = dealIn(sponsored);
  const [one, two] = (yield [initialize(teeDeal, 0n), initialize(teeDeal, 1n)]).map(taskIn) as [Hash, Hash];
  const atOnce = (of: Hash, by: Actor, fails = false): Ask => {
    const { enclave: at, proof, authorization } = contribution(a, of, "alone", by, enclave);
    const args = [of, digestOf("alone"), "0x5678", "0x", at, proof, authorization];
    return ask(a, "hub", "contributeAndFinalize", args, { fails });
  };
  const enclaved = contribution(b, two, "enclaved", actor("broker"), enclave);
  const { hash, seal, proof, authorization } = enclaved;
  yield [
    atOnce(one, stranger, true),
    atOnce(one, scheduler),
    atOnce(one, scheduler, true),
    ask(actor("owner"), "hub", "setTeeBroker", [actor("broker").address]),
    atOnce(two, scheduler, true),
    ask(b, "hub", "contribute", [two, hash, seal, enclave.address, proof, authorization]),
    reveal(b, two, "enclaved"),
    finalize(two, "0x9abc"),
    ask(actor("owner"), "hub", "setTeeBroker", [ZERO_ADDRESS]),
  ];

  // Nobody is there any more: everything goes back.
  while (stage.time() < lateTime + 110) yield 4;
  yield [
    ask(stranger, "hub", "claim", [lateTasks[0]]),
    ask(stranger, "hub", "claim", [lateTasks[0]], { fails: true }),
    ask(stranger, "hub", "claimArray", [lateTasks.slice(1, 3)]),
    ask(stranger, "hub", "claimArray", [lateTasks.slice(1, 3)], { fails: true }),
    ask(stranger, "hub", "initializeAndClaimArray", [
      [late, late],
      [3n, 4n],
    ]),
    ask(stranger, "hub", "initializeAndClaimArray", [[late], [3n]], { fails: true }),
  ];
  while (stage.time() < (await stage.read<{ finalDeadline: bigint }>("hub", "viewTask", [reopened])).finalDeadline)
    yield 4;
  yield [ask(stranger, "hub", "claimArray", [[reopened, alone]])];
}

/** Orders on the chain: broadcast, signed without a signature, closed; a deal in the call that deposits its price. */
export async function* orderBook(stage: Stage): Story {
  const { ask, known } = stage;
  while (!known.pool) yield 1;
  const [requester, stranger] = [actor("requester"), actor("stranger")];
  const operate = (kind: Kind, order: Order, operation: number, by: Actor, sign?: Actor, fails = false): Ask => {
    const signature = sign ? signed(operationHash(kind, order, operation), sign) : "0x";
    return ask(by, "hub", `manage${MANAGE[kind]}Order`, [{ order, operation, sign: signature }], { fails });
  };
  const orders = ordersFor(stage, 2n);
  for (const kind of KINDS) {
    const order = orders[kind];
    const owner = actor(SIGNER[kind]);
    const closed = { ...order, salt: word(1_000 + ++salts) };
    yield [
      ask(stranger, "hub", `broadcast${MANAGE[kind]}Order`, [order]),
      operate(kind, order, 0, stranger, stranger, true),
      operate(kind, order, 0, stranger, owner),
      operate(kind, closed, 1, owner),
      operate(kind, closed, 1, stranger, undefined, true),
    ];
  }
  const presigned = signOrders(orders, "empty");
  const [done] = yield [ask(stranger, "hub", "matchOrders", listed(presigned))];
  known.deals.push(eventIn<{ dealid: Hash }>(done!.logs, "hub", "OrdersMatched").dealid);

  const matching = (of: Quadruple): Hex =>
    encodeFunctionData({
      abi: [functionOf("hub", "matchOrders")],
      functionName: "matchOrders",
      args: listed(signOrders(of)),
    } as never);
  const inOne = ordersFor(stage, 1n, (each) => {
    each.dataset = { ...each.dataset, dataset: ZERO_ADDRESS, datasetprice: 0n, volume: 0n, salt: ZERO_HASH };
    each.request.dataset = ZERO_ADDRESS;
  });
  const approve = (by: Actor, data: Hex, fails: boolean): Ask =>
    ask(by, "token", "approveAndCall", [HUB, 10_000n, data], { fails });
  yield [
    approve(requester, "0x6f746865", true),
    approve(stranger, matching(inOne), true),
    approve(requester, matching(inOne), false),
    approve(requester, matching(inOne), true),
  ];
}
