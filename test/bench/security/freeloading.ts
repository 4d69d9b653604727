/** Ways to earn weight or pay without useful work, each played on the market's own rules; freeloader.ts prints what they bring. */

import { rewardsOf } from "../../../consensus/rewards.ts";
import { sharesAt } from "../../../consensus/schedule.ts";
import type { Address, Hash } from "../../../lib/bytes.ts";
import { EMPTY, ZERO_HASH } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { GWEI, RLC } from "../../../lib/units.ts";
import type { AbiValue } from "../../../vm/abi.ts";
import { MARKET } from "../../../vm/addresses.ts";
import { resultHashOf, resultSealOf } from "../../../vm/market/contribution.ts";
import { MARKET_GAS } from "../../../vm/market/gas.ts";
import { LOT_STATUS, type Lot, lotOf, SEAT } from "../../../vm/market/lot.ts";
import { slotsOfWorker } from "../../../vm/market/slot.ts";
import { validators } from "../../../vm/validator-store.ts";
import { GAS } from "../../../vm/wasm/gas.ts";
import { runTask } from "../../../vm/wasm/host.ts";
import { encodeReceipt, type JobReceipt } from "../../../vm/wasm/receipt.ts";
import { STATUS } from "../../../vm/wasm/status.ts";
import { VM_VERSION } from "../../../vm/wasm/versions.ts";
import { build, type ModuleSource, op } from "../../helpers/wasm-builder.ts";
import { addressBy, createWorld, market } from "../../vm/market/world.ts";

/** Parameters of the testnet where the market's money comes from them. */
const PARAMS = {
  ...{ pricePerGgasNrlc: "1000000", weiPerGas: "250000" },
  ...{ slotStakeNrlc: "100000000000", silencePenaltyNrlc: "1000000000" },
};
const GAS_LIMIT = 1_000_000_000;
/** Blocks that a lot is followed for. */
const MOST_BLOCKS = 400;
/** A transaction with the calldata of such a message, about. */
const TRANSACTION_GAS = 25_000;
/** The output root of the empty run (spec section 11). */
const EMPTY_RUN: Hash = "0xd1702d661901cb6748104b7357f96212a8824ced1ffc0f0b7a7494639748960e";

const drop = op.drop as unknown as number[];
export type JobKind = "works" | "empty" | "sleeps" | "traps";
/** What jobs do: something, nothing, sleep for all of their gas, trap at once. */
const MODULES: Readonly<Record<JobKind, ModuleSource>> = {
  works: {
    functions: [
      {
        locals: [0x7e],
        // 100 million times around: 0.9 thousand million gas.
        code: [
          op.loop(
            [...op.get(0), ...op.i64(1n), 0x7c, ...op.set(0)],
            [...op.get(0), ...op.i64(100_000_000n), 0x54, 0x0d, 0],
          ),
          [...op.i32(0), ...op.get(0), ...op.store64(0)],
        ],
      },
    ],
  },
  empty: { functions: [{ code: [] }] },
  sleeps: {
    imports: ["poll_oneoff"],
    functions: [
      {
        code: [
          ...[op.i32(200), op.i32(1), op.store32(16), op.i32(200), op.i64(900_000_000n), op.store64(24)],
          ...[op.i32(200), op.i32(300), op.i32(1), op.i32(400), op.call(0), drop],
        ],
      },
    ],
  },
  traps: { functions: [{ code: [op.i32(-4), op.load32(), drop] }] },
};

/** Runs each kind of job once, in the real machine: their receipts. */
export const receiptsOfJobs = async (): Promise<Readonly<Record<JobKind, Uint8Array>>> => {
  const task = { taskid: ZERO_HASH, args: [], inputs: [], gasLimit: GAS_LIMIT, startTime: 1, hasCallback: false };
  const entries: [string, Uint8Array][] = [];
  for (const [kind, source] of Object.entries(MODULES)) {
    const module = build(source);
    entries.push([kind, (await runTask({ vmVersion: VM_VERSION, module, timeoutMs: 60_000 }, task)).receipt]);
  }
  return Object.fromEntries(entries) as Record<JobKind, Uint8Array>;
};

type World = ReturnType<typeof createWorld>;
const ME = addressBy("me");
const SECOND = addressBy("me too");
const HONEST = addressBy("honest");

/** A lot that is played. */
interface Turn {
  readonly world: World;
  readonly id: Hash;
  readonly lot: Lot;
  /** What whoever runs the job finds. */
  readonly receipt: Uint8Array;
  /** Bytes of the job's module, which anyone can see. */
  readonly moduleBytes: number;
}
/** What seats do in an open round. */
type Move = (turn: Turn, worker: Address) => void;

const drawn = ({ lot }: Turn, worker: Address): boolean =>
  lot.seats.some((seat) => seat.worker === worker && seat.status === SEAT.drawn);
const attempt = (work: () => void): void => {
  try {
    work();
  } catch {
    // What the chain refuses is worth nothing.
  }
};
const commit: Move = ({ world, id, receipt }, worker) => void world.contribute(worker, id, receipt);
const decline: Move = ({ world, id }, worker) => void world.call(worker, MARKET, market("decline"), [id]);
const silent: Move = () => {};

/** What somebody else has committed to in this round. */
const seenIn = ({ lot }: Turn): Hash | undefined =>
  lot.seats.find(({ worker, status }) => worker === HONEST && status === SEAT.committed)?.resultHash;
/** Receipts that could be told without the program: of a trap, of a limit below the start, of an invalid module. */
const guesses = (moduleBytes: number): Uint8Array[] => {
  const receipt = (fields: Partial<JobReceipt>): Uint8Array =>
    encodeReceipt({
      ...{ status: STATUS.ok, code: 0, gasUsed: GAS_LIMIT, gasExecuted: 0, outputRoot: EMPTY_RUN },
      ...{ stateRoot: ZERO_HASH, callbackData: EMPTY },
      ...fields,
    });
  const invalid = { status: STATUS.invalid, gasUsed: GAS.job + GAS.moduleByte * moduleBytes, outputRoot: ZERO_HASH };
  return [ZERO_HASH, keccak256(EMPTY)].flatMap((stateRoot) => [
    ...[STATUS.trap, STATUS.outOfGas].map((status) => receipt({ status, stateRoot })),
    receipt({ ...invalid, stateRoot }),
  ]);
};
const guessed = (turn: Turn): Uint8Array | undefined =>
  guesses(turn.moduleBytes).find((guess) => resultHashOf(turn.id, keccak256(guess)) === seenIn(turn));
/** Commits to a receipt that it has guessed, tested against another's commitment; else declines: it has computed nothing. */
const guess: Move = (turn, worker) => {
  const found = guessed(turn);
  if (found) turn.world.contribute(worker, turn.id, found);
  else decline(turn, worker);
};
/** Commits to what another seat committed to. */
const copy: Move = (turn, worker) => {
  const hash = seenIn(turn);
  if (hash === undefined) return decline(turn, worker);
  const args: AbiValue[] = [turn.id, hash, resultSealOf(worker, turn.id, ZERO_HASH), ZERO_HASH];
  turn.world.call(worker, MARKET, market("contribute"), args);
};
/** Commits to something of its own. */
const invent: Move = ({ world, id }, worker) => void world.contribute(worker, id, guesses(56)[0]!);
/** Serves a lot whose seats are all the freeloader's; the others are to fail. */
const choose: Move = (turn, worker) => {
  if (turn.lot.seats.every((seat) => seat.worker !== HONEST)) commit(turn, worker);
  else decline(turn, worker);
};

/** A way to earn without useful work: whose jobs, what they do, what the freeloader's seats and all others do. */
export interface Way {
  readonly jobs: "own" | "others'";
  readonly kind: JobKind;
  readonly mine: Move;
  readonly others: Move;
  readonly trust?: bigint;
  readonly gasLimit?: number;
  /** The freeloader's slots are of two workers. */
  readonly split?: boolean;
}

export const WAYS: Readonly<Record<string, Way>> = {
  "own jobs, in the open": { jobs: "own", kind: "works", mine: commit, others: commit },
  "own jobs, through several accounts": { jobs: "own", kind: "works", mine: commit, others: commit, split: true },
  "own jobs, withheld": { jobs: "own", kind: "works", mine: commit, others: decline },
  "own jobs, served where all seats are its own": { jobs: "own", kind: "works", mine: choose, others: decline },
  "own jobs, others held up until they are silent": { jobs: "own", kind: "works", mine: commit, others: silent },
  "own jobs that do nothing": { jobs: "own", kind: "empty", mine: commit, others: commit },
  "own jobs that sleep": { jobs: "own", kind: "sleeps", mine: commit, others: commit },
  "own jobs that trap": { jobs: "own", kind: "traps", mine: commit, others: commit },
  "others' jobs, receipts guessed": { jobs: "others'", kind: "works", mine: guess, others: commit },
  "others' jobs that trap, receipts guessed": { jobs: "others'", kind: "traps", mine: guess, others: commit },
  "others' jobs, commitments copied": { jobs: "others'", kind: "works", mine: copy, others: commit },
  "others' jobs, results invented": { jobs: "others'", kind: "works", mine: invent, others: commit },
  "others' jobs, silent": { jobs: "others'", kind: "works", mine: silent, others: commit },
  "others' jobs, declined": { jobs: "others'", kind: "works", mine: decline, others: commit },
};

/** RLC that a way brought. */
export interface Balance {
  /** What its requester's side paid for jobs. */
  readonly spent: number;
  /** What its workers were paid, less what they and their slots lost. */
  readonly paid: number;
  /** Its validator's contribution credit, and what that earns in issuance. */
  readonly credit: number;
  readonly issued: number;
  /** Gas of its messages, at the base fee that a chain begins with. */
  readonly gas: number;
  readonly net: number;
}

const rlc = (wei: bigint): number => Number(wei / GWEI) / 1e9;

/**
 * Plays a way for so many lots, with a share of 100 slots. `earns` is what an RLC of credit brings in issuance at most
 * (docs/security.md: 0.88).
 */
export const freeload = (
  way: Way,
  receipts: Readonly<Record<JobKind, Uint8Array>>,
  { lots, share, seed, earns }: { lots: number; share: number; seed: string; earns: number },
): Balance => {
  const own = Math.max(2, Math.round(100 * share));
  const [first, second] = way.split ? [Math.ceil(own / 2), Math.floor(own / 2)] : [own, 0];
  // Workers are of the two validators in turn: the second and the fourth are of the honest one.
  const world = createWorld({
    workers: [["me", first], ["honest", 100 - own], ...(second > 0 ? [["me too", second] as const] : [])],
    params: PARAMS,
    seed,
  });
  const { state } = world;
  const workers = [ME, ...(second > 0 ? [SECOND] : [])];
  const wealth = (accounts: readonly Address[]): bigint =>
    accounts.reduce((sum, account) => {
      const { stake, locked } = world.account(account);
      const slots = slotsOfWorker(state, account, 1_000).reduce((all, slot) => all + slot.stake, 0n);
      return sum + state.balance(account) + (stake + locked) * GWEI + slots;
    }, 0n);
  // Whoever deals with itself also owns the app.
  const buyers = way.jobs === "own" ? [world.requester, world.developer] : [];
  const sellers = [...workers, world.staker];
  const before = [wealth(buyers), wealth(sellers)] as const;
  const creditOf = (): bigint => validators.find(state, world.validators[0]!)!.pendingContribution;
  const receipt = receipts[way.kind];
  const moduleBytes = build(MODULES[way.kind]).length;
  let gas = 0;
  /** Does what a worker of the freeloader's wants to; the chain may refuse it. */
  const act = (cost: number, work: () => void): void =>
    attempt(() => {
      work();
      gas += TRANSACTION_GAS + cost;
    });

  for (let n = 0; n < lots; n++) {
    const trust = way.trust ?? 2n;
    const dealid = world.submit({ trust, gasLimit: BigInt(way.gasLimit ?? GAS_LIMIT), value: RLC });
    const turnOf = (): Turn | undefined => {
      const id = world.lotIdOf(dealid);
      const lot = lotOf(state, id);
      return lot && { world, id, lot, receipt, moduleBytes };
    };
    for (let i = 0; i < MOST_BLOCKS; i++) {
      world.advance(1);
      let turn = turnOf();
      if (!turn) continue;
      if (turn.lot.status === LOT_STATUS.computing) {
        if (drawn(turn, HONEST)) attempt(() => way.others(turn!, HONEST));
        for (const worker of workers) {
          turn = turnOf()!;
          if (turn.lot.status === LOT_STATUS.computing && drawn(turn, worker))
            act(MARKET_GAS.answer, () => way.mine(turn!, worker));
        }
      }
      turn = turnOf()!;
      if (turn.lot.status === LOT_STATUS.revealing) {
        const { id } = turn;
        const known = way.mine === commit || way.mine === choose ? receipt : guessed(turn);
        for (const worker of [HONEST, ...workers]) {
          const shown = worker === HONEST ? receipt : (known ?? receipt);
          if (worker === HONEST) attempt(() => void world.reveal(worker, id, shown));
          else act(MARKET_GAS.reveal, () => void world.reveal(worker, id, shown));
        }
        attempt(() => void world.finalize(id));
      }
      turn = turnOf()!;
      if (turn.lot.status === LOT_STATUS.failed)
        attempt(() => void world.call(world.staker, MARKET, market("claim"), [turn!.id]));
      if (turnOf()!.lot.status >= LOT_STATUS.completed && turnOf()!.lot.status !== LOT_STATUS.failed) break;
    }
  }
  const spent = rlc(before[0] - wealth(buyers));
  const paid = rlc(wealth(sellers) - before[1]);
  const credit = rlc(creditOf());
  const issued = credit * earns;
  return { spent, paid, credit, issued, gas: gas / 1e9, net: paid + issued - spent };
};

/**
 * What a proposer with a share of all power gains in an epoch by including none but its own votes and shares, in RLC: others
 * include the rest a block later, and have its eighth.
 */
export const selfish = (share: number): number => {
  const { genesis } = createWorld({ workers: [["me", 2]], params: PARAMS });
  const [me, other] = [
    "0x00000000000000000000000000000000000000aa",
    "0x00000000000000000000000000000000000000bb",
  ] as const;
  const mine = BigInt(Math.round(share * 1_000));
  const members = [mine, 1_000n - mine].map((part, index) => {
    return { index, power: part, votePower: part, bond: part * RLC, contribution: part * RLC };
  });
  const earned = (theirs: Address): number =>
    rewardsOf({
      params: genesis.params,
      shares: sharesAt(genesis.params.schedule, 0),
      reserve: genesis.reserveWei,
      burnedBefore: GWEI,
      members,
      votes: [
        { index: 0, includer: me },
        { index: 1, includer: theirs },
      ],
      workShares: [
        { index: 0, difficulty: mine, includer: me },
        { index: 1, difficulty: 1_000n - mine, includer: theirs },
      ],
    }).reduce(
      (sum, payment) => sum + (("to" in payment ? payment.to === me : payment.index === 0) ? rlc(payment.wei) : 0),
      0,
    );
  return earned(other) - earned(me);
};
