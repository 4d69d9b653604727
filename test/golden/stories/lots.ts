import { encodeAbiParameters } from "viem";
import {
  type Address,
  fromHex,
  type Hash,
  type Hex,
  toHex,
  word,
  ZERO_ADDRESS,
  ZERO_HASH,
} from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { signCompact } from "../../../lib/secp256k1.ts";
import { joinHash } from "../../../vm/market/membership.ts";
import { digestOf, merkleProof } from "../../../vm/wasm/receipt.ts";
import { STATUS } from "../../../vm/wasm/status.ts";
import { lotReceipt, receiptFor } from "../../vm/market/world.ts";
import { eventIn } from "../contracts.ts";
import { type Actor, type Ask, actor, CAST, type Scene, type Stage, type Story } from "../stage.ts";
import { listed, ordersFor, signOrders } from "./scheduled.ts";

const RLC = 10n ** 18n;
const SLOT_STAKE = 10n * RLC;
const WORKERS = ["w0", "w1", "w2", "w3", "poor"];
/** Who computes without a coin of its own: its slot pays. */
const POOR = "poor";

interface Seat {
  readonly slot: bigint;
  readonly worker: Address;
  readonly status: number;
  readonly resultHash: Hash;
}
interface Lot {
  readonly id: Hash;
  readonly count: bigint;
  readonly status: number;
  readonly round: number;
  readonly consensus: Hash;
  readonly seats: readonly Seat[];
}
const COMPUTING = 1;
const REVEALING = 3;
const FAILED = 5;
/** A seat that has not answered, one that has, one that was seen. */
const [DRAWN, COMMITTED] = [0, 1];

const workerAt = (address: Address): Actor =>
  [...CAST, POOR].map((name) => actor(name)).find((each) => each.address === address.toLowerCase())!;
const packed = (...parts: readonly Hex[]): Hash => keccak256(...parts.map(fromHex));

/** What stories of lots have in common. */
const toolsOf = (stage: Stage) => {
  const { ask } = stage;
  const job = (pool: Address, changes: Readonly<Record<string, unknown>> = {}) => ({
    version: 1,
    pool,
    app: stage.known.app!,
    dataset: ZERO_ADDRESS,
    params: "{}",
    category: 0n,
    gasLimit: 1_000_000_000n,
    trust: 4n,
    volume: 1n,
    tag: ZERO_HASH,
    beneficiary: actor("requester").address,
    callback: ZERO_ADDRESS,
    ext: "0x",
    ...changes,
  });
  const lotOf = (id: Hash): Promise<Lot> => stage.read<Lot>("market", "viewLotById", [id]);
  /** The workers of a lot's seats of a status, each once; who cannot pay for a message that is not awaited comes last. */
  const withSeats = (lot: Lot, isAsked: (seat: Seat) => boolean): Actor[] => {
    const all = lot.seats.filter(isAsked).map(({ worker }) => workerAt(worker));
    const poor = actor(POOR);
    return [...new Set([...all.filter((worker) => worker !== poor), ...all])];
  };
  const drawnOf = (lot: Lot): Actor[] => withSeats(lot, ({ status }) => status === DRAWN);
  /** Those who agreed, and have not shown what they agreed on. */
  const agreedOf = (lot: Lot): Actor[] =>
    withSeats(lot, ({ status, resultHash }) => status === COMMITTED && resultHash === lot.consensus);
  return {
    job,
    lotOf,
    drawnOf,
    agreedOf,
    contribute: (worker: Actor, id: Hash, receipt: Uint8Array, fails = false): Ask => {
      const digest = digestOf(receipt);
      const args = [id, packed(id, digest), packed(worker.address, id, digest), ZERO_HASH];
      return ask(worker, "market", "contribute", args, { fails });
    },
    reveal: (worker: Actor, id: Hash, receipt: Uint8Array, fails = false): Ask =>
      ask(worker, "market", "reveal", [id, toHex(receipt)], { fails }),
    decline: (worker: Actor, id: Hash): Ask => ask(worker, "market", "decline", [id]),
    finalize: (id: Hash, fails = false): Ask => ask(actor("stranger"), "market", "finalize", [id], { fails }),
    claim: (id: Hash, fails = false): Ask => ask(actor("stranger"), "market", "claim", [id], { fails }),
    /** Submits a job, and waits until its lots are drawn. */
    open: async function* (changes: Readonly<Record<string, unknown>> = {}): Scene<{ dealid: Hash; ids: Hash[] }> {
      const pool = await stage.read<Address>("market", "genesisPool");
      const value = 10n * RLC;
      const [done] = yield [ask(actor("requester"), "market", "submit", [job(pool, changes)], { value })];
      const { dealid } = eventIn<{ dealid: Hash }>(done!.logs, "market", "JobSubmitted");
      stage.known.deals.push(dealid);
      const { lots } = await stage.read<{ lots: bigint }>("market", "viewJob", [dealid]);
      const ids: Hash[] = [];
      for (let i = 0n; i < lots; i++)
        for (;;) {
          const lot = await stage.read<Lot>("market", "viewLot", [dealid, i]);
          if (lot.status !== 0) {
            ids.push(lot.id);
            break;
          }
          yield 1;
        }
      stage.known.lots.push(...ids);
      return { dealid, ids };
    },
  };
};

/** Waits until a lot is in one of these statuses. */
async function* until(stage: Stage, id: Hash, ...statuses: number[]): Scene<Lot> {
  const { lotOf } = toolsOf(stage);
  for (let waited = 0; waited < 120; waited++) {
    // Until it is drawn there is none.
    const lot = await lotOf(id).catch(() => undefined);
    if (lot && statuses.includes(lot.status)) return lot;
    yield 1;
  }
  throw new Error(`lot ${id} does not come to ${statuses}`);
}

/** Workers join the genesis pool, pause, take up again and leave. */
export async function* workers(stage: Stage): Story {
  const { ask } = stage;
  const staker = actor("staker");
  const pool = await stage.read<Address>("market", "genesisPool");
  const validators = stage.validator.map(({ address }) => address);
  const { engine } = stage.nodes[0]!;
  const signatureOf = (name: string, count: bigint, nonce: number): Hex => {
    const join = { pool, worker: actor(name).address, staker: staker.address, validator: validators[1]!, count };
    return signCompact(joinHash(engine.genesisHash, join, nonce), actor(name).key);
  };
  const joinFor = (count: bigint, nonce: number, fails = false): Ask =>
    ask(
      staker,
      "market",
      "joinFor",
      [pool, actor(POOR).address, validators[1], count, signatureOf(POOR, count, nonce)],
      { value: count * SLOT_STAKE, fails },
    );
  yield [
    ...["w0", "w1", "w2", "w3", "joiner"].map((name, i) =>
      ask(actor(name), "market", "join", [pool, validators[i % 4], 3n], { value: 3n * SLOT_STAKE }),
    ),
    ask(actor("joiner"), "market", "join", [pool, validators[0], 3n], { value: SLOT_STAKE, fails: true }),
    ask(actor("joiner"), "market", "join", [staker.address, validators[0], 1n], { value: SLOT_STAKE, fails: true }),
    joinFor(2n, 0),
    joinFor(2n, 0, true),
    joinFor(1n, 1),
  ];
  yield 12;
  const joiner = actor("joiner");
  const [slots] = await stage.read<readonly [readonly bigint[], bigint]>("market", "slotsOf", [joiner.address, 0n]);
  const [first, second, third] = slots as [bigint, bigint, bigint];
  yield [
    ask(joiner, "market", "pause", [first, [second]]),
    ask(actor("w0"), "market", "pause", [first, []], { fails: true }),
    ask(joiner, "market", "leave", [[third]]),
    ask(joiner, "market", "leave", [[third]], { fails: true }),
    ask(joiner, "market", "leave", [[2n ** 255n]], { fails: true }),
  ];
  yield 12;
  yield [
    ask(joiner, "market", "resume", [first, []]),
    ask(joiner, "market", "resume", [third, []], { fails: true }),
    ask(actor("w0"), "market", "resume", [second, []], { fails: true }),
  ];
  yield 12;
  yield [ask(joiner, "market", "leave", [[first, second]])];
}

/** Drawn lots through every phase that a lot has. */
export async function* lots(stage: Stage): Story {
  const { ask, known } = stage;
  const { job, lotOf, drawnOf, agreedOf, contribute, reveal, decline, finalize, claim, open } = toolsOf(stage);
  const requester = actor("requester");
  while (!known.app) yield 1;
  const pool = await stage.read<Address>("market", "genesisPool");
  while ((await stage.read<{ drawable: bigint }>("market", "viewPool", [pool])).drawable < 15n) yield 1;

  yield [
    ask(requester, "market", "submit", [job(pool)], { fails: true }),
    ask(requester, "market", "submit", [job(pool, { trust: 101n })], { value: RLC, fails: true }),
    ask(requester, "market", "submit", [job(pool, { gasLimit: 1n })], { value: RLC, fails: true }),
    ask(requester, "market", "submit", [job(actor("w0").address)], { value: RLC, fails: true }),
  ];

  // A bag: three tasks in two lots, one of which the machine refuses.
  const bag = yield* open({ volume: 3n, dataset: known.dataset! });
  const ended = [STATUS.invalid, 0].map((status) => receiptFor(700_000_000, { status }));
  const all = [lotReceipt(ended), receiptFor(900_000_000)];
  for (const [i, id] of bag.ids.entries()) {
    const seated = drawnOf(await lotOf(id));
    yield [
      contribute(actor("stranger"), id, all[i]!, true),
      ...seated.map((worker) => contribute(worker, id, all[i]!)),
    ];
    yield [
      finalize(id, true),
      ...(seated[0] === actor(POOR) ? [] : [reveal(seated[0]!, id, receiptFor(1), true)]),
      ...seated.map((worker) => reveal(worker, id, all[i]!)),
      finalize(id),
      finalize(id, true),
    ];
  }
  const proof = merkleProof(ended.map(digestOf), 1);
  const settling = [bag.ids[0], 1n, toHex(ended[1]!), proof] as const;
  yield [
    ask(actor("stranger"), "market", "settle", settling),
    ask(actor("stranger"), "market", "settle", settling, { fails: true }),
    ask(actor("stranger"), "market", "settle", [bag.ids[0], 0n, toHex(ended[1]!), proof], { fails: true }),
  ];

  // One lies that has a score to lose: more are drawn, who refute it.
  const right = receiptFor(800_000_000);
  for (let lied = false; !lied; ) {
    const { ids } = yield* open();
    const [id] = ids as [Hash];
    const [first, second] = drawnOf(await lotOf(id));
    const score = await stage.read<bigint>("hub", "viewScore", [first!.address]);
    const liar = second && score >= 2n ? first : undefined;
    yield [
      ...(liar ? [contribute(liar, id, receiptFor(1_000))] : []),
      ...[first!, second].filter((each) => each && each !== liar).map((each) => contribute(each!, id, right)),
    ];
    lied = liar !== undefined;
    for (;;) {
      const { status } = yield* until(stage, id, COMPUTING, REVEALING);
      if (status === REVEALING) break;
      yield drawnOf(await lotOf(id)).map((worker) => contribute(worker, id, right));
    }
    const agreed = agreedOf(await lotOf(id));
    yield [
      ...(liar ? [reveal(liar, id, receiptFor(1_000), true)] : []),
      ...agreed.map((each) => reveal(each, id, right)),
    ];
    yield [finalize(id)];
  }

  // All decline: the lot fails, and its money can be claimed at once.
  const refused = yield* open();
  yield drawnOf(await lotOf(refused.ids[0]!)).map((worker) => decline(worker, refused.ids[0]!));
  yield* until(stage, refused.ids[0]!, FAILED);
  yield [claim(refused.ids[0]!), claim(refused.ids[0]!, true)];

  // One declines, others compute.
  const partly = yield* open({ trust: 16n, params: '{"iexec_args":"partly"}' });
  const [id] = partly.ids as [Hash];
  const [absent, ...rest] = drawnOf(await lotOf(id)) as [Actor, ...Actor[]];
  yield [decline(absent, id), ...rest.map((worker) => contribute(worker, id, right))];
  for (let rounds = 0; rounds < 8; rounds++) {
    const { status } = yield* until(stage, id, COMPUTING, REVEALING, FAILED);
    if (status !== COMPUTING) break;
    yield drawnOf(await lotOf(id)).map((worker) => contribute(worker, id, right));
  }
  const seated = await lotOf(id);
  if (seated.status === REVEALING) yield [...agreedOf(seated).map((worker) => reveal(worker, id, right)), finalize(id)];
  else yield [claim(id)];

  // Nobody answers; and where all agree, nobody shows it: both fail by the clock.
  const silent = yield* open();
  const hidden = yield* open();
  const answered = drawnOf(await lotOf(hidden.ids[0]!));
  yield [claim(silent.ids[0]!, true), ...answered.map((worker) => contribute(worker, hidden.ids[0]!, right))];
  for (const each of [silent.ids[0]!, hidden.ids[0]!]) {
    yield* until(stage, each, FAILED);
    yield [ask(actor("stranger"), "hub", "claim", [each])];
  }
  // Their slots pause; who works on says so.
  for (const name of WORKERS) {
    const [slots] = await stage.read<readonly [readonly bigint[], bigint]>("market", "slotsOf", [
      actor(name).address,
      0n,
    ]);
    const paused: bigint[] = [];
    for (const slot of slots) {
      const { pause } = await stage.read<{ pause: number }>("market", "viewSlot", [slot]);
      if (pause === 1) paused.push(slot);
    }
    const [first, ...more] = paused;
    const fields = { gasLimit: 300_000 };
    if (first !== undefined) yield [ask(actor(name), "market", "resume", [first, more], { fails: undefined, fields })];
  }

  // More than the pool can take: what waits is cancelled.
  const value = 400n * RLC;
  const [done] = yield [ask(requester, "market", "submit", [job(pool, { volume: 60n, trust: 32n })], { value })];
  const { dealid } = eventIn<{ dealid: Hash }>(done!.logs, "market", "JobSubmitted");
  known.deals.push(dealid);
  yield 2;
  yield [
    ask(actor("stranger"), "market", "cancel", [dealid], { fails: true }),
    ask(requester, "market", "cancel", [dealid]),
    ask(requester, "market", "cancel", [dealid], { fails: true }),
  ];
}

/** Signed orders with a genesis pool, which the chain signs for; computed by the hub's own calls, with a callback. */
export async function* matchedLots(stage: Stage): Story {
  const { ask, known } = stage;
  const { lotOf, drawnOf, agreedOf, contribute: atMarket } = toolsOf(stage);
  while (known.lots.length < 6) yield 1;
  const pool = await stage.read<Address>("market", "genesisPool");
  yield [ask(actor("requester"), "hub", "deposit()", [], { value: 10n * RLC })];
  const orders = ordersFor(stage, 1n, (each) => {
    each.workerpool.workerpool = pool;
    each.workerpool.workerpoolprice = 80_000_000n;
    Object.assign(each.request, { workerpoolmaxprice: 80_000_000n, trust: 4n, callback: actor("stranger").address });
    const { sign: _, ...fields } = each.workerpool;
    const types = "address uint256 uint256 bytes32 uint256 uint256 address address address bytes32".split(" ");
    each.workerpool.sign = encodeAbiParameters(
      types.map((type) => ({ type })),
      Object.values(fields),
    );
  });
  const [done] = yield [ask(actor("stranger"), "hub", "matchOrders", listed(signOrders(orders)))];
  const { dealid } = eventIn<{ dealid: Hash }>(done!.logs, "hub", "OrdersMatched");
  known.deals.push(dealid);
  const id = keccak256(fromHex(dealid), fromHex(word(0)));
  known.tasks.push(id);
  known.lots.push(id);
  yield* until(stage, id, COMPUTING);
  const callback = receiptFor(500_000_000, { callbackData: Uint8Array.of(1, 2, 3) });
  const digest = digestOf(callback);
  const [first, ...rest] = drawnOf(await lotOf(id)) as [Actor, ...Actor[]];
  const committing = [id, packed(id, digest), packed(first.address, id, digest), ZERO_ADDRESS, "0x", "0x"];
  yield [
    ask(first, "hub", "contribute", committing),
    ask(first, "hub", "contribute", committing, { fails: true }),
    ask(actor("scheduler"), "hub", "initialize", [dealid, 0n], { fails: true }),
    ask(actor("scheduler"), "hub", "reopen", [id], { fails: true }),
    ...rest.map((worker) => atMarket(worker, id, callback)),
  ];
  yield* until(stage, id, REVEALING);
  const committed = agreedOf(await lotOf(id));
  yield [
    ask(committed[0]!, "hub", "reveal", [id, digest], { fails: true }),
    ask(committed[0]!, "market", "reveal", [id, toHex(callback)]),
    ...committed.slice(1).map((worker) => ask(worker, "hub", "reveal", [id, digest])),
    ask(actor("stranger"), "hub", "finalize", [id, "0x12", "0x"], { fails: true }),
    ask(actor("stranger"), "hub", "finalize", [id, "0x", "0x"]),
  ];
}

/** A drawn pool of one's own, for a group's members: it has no slots, and a deal with it is given up. */
export async function* ownPool(stage: Stage): Story {
  const { ask, known } = stage;
  const { job } = toolsOf(stage);
  while (!known.group || !known.pool) yield 1;
  const [scheduler, requester] = [actor("scheduler"), actor("requester")];
  const group = known.group;
  const [made] = yield [ask(scheduler, "workerpools", "createWorkerpool", [scheduler.address, "drawn"])];
  const { tokenId } = eventIn<{ tokenId: bigint }>(made!.logs, "workerpools", "Transfer");
  const pool: Address = `0x${tokenId.toString(16).padStart(40, "0")}`;
  known.entries.push(pool);
  yield [
    ask(requester, "market", "openPool", [pool, group, group], { fails: true }),
    ask(scheduler, "market", "openPool", [pool, group, group]),
    ask(scheduler, "market", "openPool", [pool, group, group], { fails: true }),
    ask(actor("w0"), "market", "join", [pool, stage.validator[0]!.address, 1n], { value: SLOT_STAKE, fails: true }),
    ask(actor("stranger"), "market", "submit", [job(pool)], { value: RLC, fails: true }),
  ];
  const [done] = yield [ask(requester, "market", "submit", [job(pool)], { value: RLC })];
  const { dealid } = eventIn<{ dealid: Hash }>(done!.logs, "market", "JobSubmitted");
  known.deals.push(dealid);
  const give = (fails: boolean): Ask =>
    ask(actor("stranger"), "hub", "initializeAndClaimArray", [[dealid], [0n]], { fails });
  yield [give(true)];
  yield 110;
  yield [give(false), give(true)];
  yield [ask(actor("p0"), "market", "join", [pool, stage.validator[0]!.address, 1n], { value: SLOT_STAKE })];
}
