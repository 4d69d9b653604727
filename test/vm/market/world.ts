import { memoryDb } from "../../../chain/db.ts";
import { devGenesis, readGenesis } from "../../../chain/genesis.ts";
import { epochOf, eraOf, type Genesis, type Params, paramsAt, timestampOf } from "../../../chain/params.ts";
import type { Log } from "../../../chain/receipt.ts";
import { openState, type State } from "../../../chain/state.ts";
import { type Address, EMPTY, type Hash, utf8, word, ZERO_ADDRESS, ZERO_HASH } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { addressOf } from "../../../lib/secp256k1.ts";
import { NRLC, RLC } from "../../../lib/units.ts";
import { genesisValidator, validatorKeys } from "../../../node/folder.ts";
import { AbiError, type AbiFunction, type AbiValue, decodeError } from "../../../vm/abi.ts";
import { APP_REGISTRY, HUB, MARKET } from "../../../vm/addresses.ts";
import {
  APP_REGISTRY_ABI,
  eventsOf,
  functionsOf,
  HUB_ABI,
  HUB_EVENTS,
  MARKET_ABI,
  MARKET_EVENTS,
  REGISTRY_ABI,
} from "../../../vm/market/abi.ts";
import { burnedTotal } from "../../../vm/market/burned.ts";
import { resultHashOf, resultSealOf } from "../../../vm/market/contribution.ts";
import { hubAccount, totalSupply } from "../../../vm/market/escrow.ts";
import { marketGenesis } from "../../../vm/market/genesis.ts";
import { KITTY } from "../../../vm/market/kitty.ts";
import { type Lot, lotOf } from "../../../vm/market/lot.ts";
import { waitingStakes } from "../../../vm/market/membership-queue.ts";
import { marketEntryAt, marketNatives } from "../../../vm/market/natives.ts";
import { genesisPool, poolOf } from "../../../vm/market/pool.ts";
import { allSlots, slotAtIndex, slotOf } from "../../../vm/market/slot.ts";
import { marketSystemStep } from "../../../vm/market/system-step.ts";
import { type BlockContext, Revert } from "../../../vm/natives.ts";
import { validatorsGenesis } from "../../../vm/validators.ts";
import { encodeReceipt, type JobReceipt, lotReceiptOf } from "../../../vm/wasm/receipt.ts";
import { STATUS } from "../../../vm/wasm/status.ts";
import { FOUR_SLOTS } from "../../helpers/chain.ts";

export const hub = functionsOf(HUB_ABI);
export const market = functionsOf(MARKET_ABI);
export const registry = functionsOf([...REGISTRY_ABI, ...APP_REGISTRY_ABI]);
export const keyOf = (name: string) => keccak256(utf8(`test ${name}`));
export const addressBy = (name: string): Address => addressOf(keyOf(name));
const BENEFICIARY: Address = "0x00000000000000000000000000000000000000fe";

/** A receipt of a task that used so much gas. */
export const receiptFor = (gasUsed: number, changes: Partial<JobReceipt> = {}): Uint8Array =>
  encodeReceipt({
    status: 0,
    code: 0,
    gasUsed,
    gasExecuted: changes.status === STATUS.invalid ? 0 : gasUsed,
    outputRoot: keccak256(utf8("output")),
    stateRoot: ZERO_HASH,
    callbackData: EMPTY,
    ...changes,
  });

/** What a job asks for unless a test says something else. */
export interface JobOptions {
  readonly pool?: Address;
  readonly volume?: number;
  readonly gasLimit?: bigint;
  readonly trust?: bigint;
  readonly category?: bigint;
  readonly callback?: Address;
  readonly dataset?: Address;
  readonly tag?: Hash;
  readonly ext?: Uint8Array;
  readonly version?: bigint;
  readonly value?: bigint;
  readonly params?: string;
}

export type World = ReturnType<typeof createWorld>;

/** A market without consensus: a state, blocks of a slot each whose mixes are hashes of the slot, and calls without gas. */
export const createWorld = (options: {
  readonly workers: readonly (readonly [name: string, slots: number])[];
  readonly params?: Partial<Record<keyof Params, unknown>>;
  readonly seed?: string;
}) => {
  const keys = [0, 1].map((i) => validatorKeys(keyOf(`validator ${i}`)));
  const requester = addressBy("requester");
  const developer = addressBy("developer");
  const staker = addressBy("staker");
  const genesis: Genesis = readGenesis({
    ...devGenesis({
      genesisTime: 1_700_000_000,
      validators: keys.map((each) => genesisValidator(each, 10_000n * RLC)),
      accounts: [requester, developer, staker].map((address) => ({ address, balance: (10_000n * RLC).toString() })),
      slots: options.workers.map(([name, count], i) => ({
        worker: addressBy(name),
        validator: keys[i % keys.length]!.address,
        count,
      })),
      params: { ...FOUR_SLOTS, ...options.params },
    }),
    hubOwner: addressBy("owner"),
  });
  const state: State = openState(memoryDb());
  for (const { address, balance } of genesis.accounts) state.credit(address, balance);
  validatorsGenesis(state, genesis);
  marketGenesis(state, genesis);
  const pool = genesisPool(state);

  let slot = 0;
  const block = (): BlockContext => {
    const epoch = epochOf(genesis, slot);
    const era = eraOf(genesis, epoch);
    return {
      number: slot,
      timestamp: timestampOf(genesis, slot),
      slot,
      epoch,
      era,
      mixHash: keccak256(utf8(`${options.seed ?? "mix"} ${slot}`)),
      beneficiary: BENEFICIARY,
      baseFee: 10n ** 9n,
      gasLimit: 300_000_000,
      chainId: genesis.chainId,
      genesisHash: ZERO_HASH,
      params: paramsAt(genesis, era),
      finalizedEpoch: 0,
    };
  };
  /** Calls a contract as a transaction does, without gas. Throws an Error with the reason where it reverts. */
  const call = (
    from: Address,
    to: Address,
    fn: AbiFunction,
    args: readonly AbiValue[],
    value = 0n,
  ): { values: AbiValue[]; logs: Log[] } => {
    const before = state.snapshot();
    const logs: Log[] = [];
    const native = marketNatives[to] ?? marketEntryAt(state, to);
    if (!native) throw new Error(`no contract at ${to}`);
    state.debit(from, value);
    state.credit(to, value);
    try {
      const data = native.call({
        state,
        block: block(),
        self: to,
        sender: from,
        origin: from,
        value,
        data: fn.encode(...args),
        isStatic: false,
        log: (address, topics, bytes) => logs.push({ address, topics: [...topics], data: bytes }),
      });
      return { values: fn.decodeResult(data), logs };
    } catch (error) {
      state.revert(before);
      if (error instanceof Revert)
        throw new Error(decodeError(error.data) ?? (error.data.length === 0 ? "reverted" : error.message));
      if (error instanceof AbiError) throw new Error(`ABI: ${error.message}`);
      throw error;
    }
  };
  /** Goes on some slots, running the market's step in each. */
  const advance = (slots: number): void => {
    for (let i = 0; i < slots; i++) {
      slot += 1;
      for (const bug of marketSystemStep(state, block())) throw bug;
    }
  };
  const app = call(developer, APP_REGISTRY, registry("createApp"), [
    developer,
    "app",
    "DOCKER",
    utf8("/ipfs/app"),
    ZERO_HASH,
    EMPTY,
  ]).values[0] as Address;
  call(developer, MARKET, market("offer"), [app, 100n, ZERO_HASH, true]);

  const jobArgs = (job: JobOptions): AbiValue[] => [
    job.version ?? 1n,
    job.pool ?? pool,
    app,
    job.dataset ?? ZERO_ADDRESS,
    job.params ?? "{}",
    job.category ?? 0n,
    job.gasLimit ?? 1_000_000_000n,
    job.trust ?? 4n,
    BigInt(job.volume ?? 1),
    job.tag ?? ZERO_HASH,
    requester,
    job.callback ?? ZERO_ADDRESS,
    job.ext ?? EMPTY,
  ];
  const lotIdOf = (dealid: Hash, index = 0): Hash =>
    ((call(requester, MARKET, market("viewLot"), [dealid, BigInt(index)]).values[0] as AbiValue[])[0] as Hash) ??
    ZERO_HASH;

  return {
    genesis,
    state,
    pool,
    app,
    requester,
    developer,
    staker,
    validators: keys.map(({ address }) => address),
    block,
    call,
    advance,
    jobArgs,
    /** Submits a job and gives its deal. */
    submit: (job: JobOptions = {}): Hash =>
      call(requester, MARKET, market("submit"), [jobArgs(job)], job.value ?? 100n * RLC).values[0] as Hash,
    lotIdOf,
    lot: (id: Hash): Lot => {
      const lot = lotOf(state, id);
      if (!lot) throw new Error("the lot was not drawn");
      return lot;
    },
    /** Commits a worker's seats to a receipt; `as` seals for somebody else. */
    contribute: (worker: Address, id: Hash, receipt: Uint8Array, as = worker) =>
      call(worker, MARKET, market("contribute"), [
        id,
        resultHashOf(id, keccak256(receipt)),
        resultSealOf(as, id, keccak256(receipt)),
        ZERO_HASH,
      ]),
    reveal: (worker: Address, id: Hash, receipt: Uint8Array) => call(worker, MARKET, market("reveal"), [id, receipt]),
    finalize: (id: Hash, from: Address = requester) => call(from, MARKET, market("finalize"), [id]),
    account: (owner: Address) => hubAccount(state, owner),
    /** All wei that there are and ever were burned by the market; the same for ever. */
    total: (others: readonly Address[]): bigint => {
      const accounts = new Set([
        ...genesis.accounts.map(({ address }) => address),
        ...options.workers.map(([name]) => addressBy(name)),
        ...others,
        HUB,
        MARKET,
      ]);
      return [...accounts].reduce((sum, each) => sum + state.balance(each), 0n) + burnedTotal(state);
    },
    /** What the hub and the market owe, against the balances that they have. */
    books: (owners: readonly Address[]) => {
      const known = new Set([
        requester,
        developer,
        staker,
        MARKET,
        KITTY,
        ...options.workers.map(([name]) => addressBy(name)),
      ]);
      for (const owner of owners) known.add(owner);
      let free = 0n;
      let bound = 0n;
      for (const owner of known) {
        const { stake, locked } = hubAccount(state, owner);
        free += stake;
        bound += locked;
      }
      const seized = hubAccount(state, HUB).stake;
      let stakes = waitingStakes(state);
      let drawable = 0;
      const { length, drawable: counted } = poolOf(state, pool)!;
      for (let i = 0; i < length; i++) {
        const seated = slotOf(state, slotAtIndex(state, pool, i)!)!;
        if (seated.index !== i || !seated.isPlaced)
          throw new Error(`slot ${seated.id} is at ${i}, not ${seated.index}`);
        if (seated.drawable) drawable += 1;
      }
      for (const { stake } of allSlots(state)) stakes += stake;
      return {
        // What is locked stands in the hub's own stake, with what others gave it.
        hub: [(free + seized) * NRLC, state.balance(HUB)],
        supply: [free + seized, totalSupply(state)],
        locked: [bound, seized],
        market: [stakes, state.balance(MARKET)],
        drawable: [drawable, counted],
      };
    },
  };
};

/** Runs a lot to its end with a receipt that all its seats agree on. */
export const computeHonestly = (world: World, id: Hash, receipt: Uint8Array): Log[] => {
  const workers = [...new Set(world.lot(id).seats.map(({ worker }) => worker))];
  for (const worker of workers) world.contribute(worker, id, receipt);
  for (const worker of workers) world.reveal(worker, id, receipt);
  return world.finalize(id).logs;
};

export const lotReceipt = (receipts: readonly Uint8Array[]): Uint8Array => lotReceiptOf(receipts);
export const eventNames = (logs: readonly Log[]): string[] => {
  const events = [
    ...Object.values(HUB_EVENTS),
    ...Object.values(MARKET_EVENTS),
    ...Object.values(eventsOf(REGISTRY_ABI)),
  ];
  return logs.map(({ topics }) => events.find(({ topic }) => topic === topics[0])?.name ?? "?");
};
export const slotWord = (slot: number): Hash => word(slot);
