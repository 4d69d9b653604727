import { type Address, type Hash, ZERO_HASH } from "../../lib/bytes.ts";
import type { AbiValue } from "../abi.ts";
import { NATIVE_GAS } from "../gas.ts";
import { type CallContext, type NativeContract, nativeContract } from "../natives.ts";
import { revert } from "../revert.ts";
import { APP_REGISTRY, DATASET_REGISTRY, HUB, TOKEN, WORKERPOOL_REGISTRY } from "../tables.ts";
import { type Handler, HUB_ABI, HUB_EVENTS, methodsFor } from "./abi.ts";
import { addCategory, categoryAt, categoryCount } from "./category.ts";
import { claim, initializeAndClaim } from "./claim.ts";
import { contribute, revealDigest } from "./contribution.ts";
import { emitAt, NRLC } from "./env.ts";
import { deposit, hubAccount, withdraw } from "./escrow.ts";
import { MARKET_GAS } from "./gas.ts";
import { CONTRIBUTION_RATIO, FINAL_RATIO, REVEAL_RATIO } from "./lot.ts";
import { hubOwner } from "./owner.ts";
import { apps, datasets, type Registry, workerpools } from "./registry.ts";
import { finalize } from "./reward.ts";
import { scoreOf } from "./score.ts";
import { depositAllowed } from "./token.ts";
import { resultFor, viewContribution, viewDeal, viewTask } from "./views.ts";

const MAX_ARRAY = 256;
/** Lots that one call claims at most: each frees the seats of a committee. */
const MAX_CLAIMS = 16;
const MAX_CATEGORY_SECONDS = 31_536_000n;
/** Percent of a task's price that an owner-scheduled pool locks (PoCo). */
const WORKERPOOL_STAKE_RATIO = 30n;

const viewing = (run: (ctx: CallContext, args: AbiValue[]) => AbiValue): Handler => ({
  gas: NATIVE_GAS.view,
  run: (ctx, args) => [run(ctx, args)],
});
const constant = (value: AbiValue): Handler => viewing(() => value);

/** Takes the value of a call as a deposit; wei below an nRLC go back. */
const depositValue = (ctx: CallContext, target: Address): boolean => {
  const amount = ctx.value / NRLC;
  deposit(ctx, HUB, target, amount);
  const change = ctx.value - amount * NRLC;
  ctx.state.debit(HUB, change);
  ctx.state.credit(ctx.sender, change);
  return true;
};

/** Deposits for many: with a value from it, what is left going back; without from what the sender has allowed. */
const depositForArray = (ctx: CallContext, amounts: readonly bigint[], targets: readonly Address[]): boolean => {
  if (amounts.length !== targets.length || amounts.length > MAX_ARRAY) revert("invalid-array-length");
  const total = amounts.reduce((sum, amount) => sum + amount, 0n);
  const isNative = ctx.value > 0n;
  if (isNative && ctx.value < total * NRLC) revert("IexecEscrow: value too low");
  for (const [i, amount] of amounts.entries()) {
    if (isNative) deposit(ctx, HUB, targets[i]!, amount);
    else depositAllowed(ctx, ctx.sender, targets[i]!, amount);
  }
  if (isNative) {
    const change = ctx.value - total * NRLC;
    ctx.state.debit(HUB, change);
    ctx.state.credit(ctx.sender, change);
  }
  return true;
};

const withdrawTo = (ctx: CallContext, amount: bigint, target: Address): boolean => {
  if (ctx.state.code(target).length > 0) revert("native-transfer-failed");
  withdraw(ctx, ctx.sender, target, amount);
  return true;
};

const entryView = <T>(registry: Registry<T>, fields: (entry: T) => AbiValue[]): Handler =>
  viewing((ctx, args) => {
    const entry = args[0] as Address;
    return [registry.ownerOf(ctx.state, entry) ?? revert("no such entry"), ...fields(registry.get(ctx.state, entry)!)];
  });

const contract = nativeContract(
  "Hub",
  methodsFor(HUB_ABI, {
    "deposit()": { gas: NATIVE_GAS.writeMany, run: (ctx) => [depositValue(ctx, ctx.sender)] },
    "deposit(uint256)": {
      gas: NATIVE_GAS.writeMany,
      run: (ctx, [amount]) => {
        depositAllowed(ctx, ctx.sender, ctx.sender, amount as bigint);
        return [true];
      },
    },
    depositFor: { gas: NATIVE_GAS.writeMany, run: (ctx, [target]) => [depositValue(ctx, target as Address)] },
    depositForArray: {
      gas: MARKET_GAS.array,
      run: (ctx, [amounts, targets]) => [depositForArray(ctx, amounts as bigint[], targets as Address[])],
    },
    withdraw: { gas: NATIVE_GAS.writeMany, run: (ctx, [amount]) => [withdrawTo(ctx, amount as bigint, ctx.sender)] },
    withdrawTo: {
      gas: NATIVE_GAS.writeMany,
      run: (ctx, [amount, target]) => [withdrawTo(ctx, amount as bigint, target as Address)],
    },
    createCategory: {
      gas: NATIVE_GAS.writeMany,
      run: (ctx, args) => {
        const [name, description, seconds] = args as [string, string, bigint];
        if (ctx.sender !== hubOwner(ctx.state)) revert("Ownable: caller is not the owner");
        if (seconds < 1n || seconds > MAX_CATEGORY_SECONDS) revert("workClockTimeRef is out of range");
        const id = BigInt(addCategory(ctx.state, { name, description, workClockTimeRef: Number(seconds) }));
        emitAt(ctx, HUB, HUB_EVENTS.CreateCategory!, id, name, description, seconds);
        return [id];
      },
    },
    contribute: {
      gas: MARKET_GAS.answer,
      run: (ctx, args) => {
        const [task, resultHash, resultSeal, enclave, enclaveSign, authorization] = args as [
          Hash,
          Hash,
          Hash,
          Address,
          Uint8Array,
          Uint8Array,
        ];
        if (BigInt(enclave) !== 0n || enclaveSign.length > 0 || authorization.length > 0)
          revert("a drawn worker's contribution carries no signature");
        contribute(ctx, ctx.sender, task, { resultHash, resultSeal, itemsRoot: ZERO_HASH });
        return [];
      },
    },
    reveal: {
      gas: MARKET_GAS.reveal,
      run: (ctx, [task, digest]) => {
        revealDigest(ctx, ctx.sender, task as Hash, digest as Hash);
        return [];
      },
    },
    finalize: {
      gas: MARKET_GAS.finalize,
      run: (ctx, args) => {
        const [task, results, callback] = args as [Hash, Uint8Array, Uint8Array];
        if (results.length + callback.length > 0) revert("the chain writes a drawn task's results");
        finalize(ctx, task);
        return [];
      },
    },
    claim: {
      gas: MARKET_GAS.claim,
      run: (ctx, [task]) => {
        claim(ctx, task as Hash);
        return [];
      },
    },
    claimArray: {
      gas: MARKET_GAS.array,
      run: (ctx, [tasks]) => {
        const ids = tasks as Hash[];
        if (ids.length > MAX_CLAIMS) revert("invalid-array-length");
        for (const id of ids) claim(ctx, id);
        return [true];
      },
    },
    initializeAndClaimArray: {
      gas: MARKET_GAS.array,
      run: (ctx, args) => {
        const [deals, indexes] = args as [Hash[], bigint[]];
        if (deals.length !== indexes.length || deals.length > MAX_CLAIMS) revert("invalid-array-length");
        for (const [i, deal] of deals.entries()) initializeAndClaim(ctx, deal, indexes[i]!);
        return [true];
      },
    },
    viewAccount: viewing((ctx, [account]) => {
      const { stake, locked } = hubAccount(ctx.state, account as Address);
      return [stake, locked];
    }),
    balanceOf: viewing((ctx, [account]) => hubAccount(ctx.state, account as Address).stake),
    frozenOf: viewing((ctx, [account]) => hubAccount(ctx.state, account as Address).locked),
    totalSupply: viewing((ctx) => ctx.state.balance(HUB) / NRLC),
    name: constant("Staked RLC"),
    symbol: constant("SRLC"),
    decimals: constant(9n),
    owner: viewing((ctx) => hubOwner(ctx.state)),
    token: constant(TOKEN),
    appregistry: constant(APP_REGISTRY),
    datasetregistry: constant(DATASET_REGISTRY),
    workerpoolregistry: constant(WORKERPOOL_REGISTRY),
    domain: viewing((ctx) => ["iExecODB", "5.0.0", BigInt(ctx.block.chainId), HUB]),
    contribution_deadline_ratio: constant(BigInt(CONTRIBUTION_RATIO)),
    reveal_deadline_ratio: constant(BigInt(REVEAL_RATIO)),
    final_deadline_ratio: constant(BigInt(FINAL_RATIO)),
    workerpool_stake_ratio: constant(WORKERPOOL_STAKE_RATIO),
    countCategory: viewing((ctx) => BigInt(categoryCount(ctx.state))),
    viewCategory: viewing((ctx, [id]) => {
      const category = categoryAt(ctx.state, id as bigint) ?? revert("no such category");
      return [category.name, category.description, BigInt(category.workClockTimeRef)];
    }),
    viewApp: entryView(apps, (app) => [app.name, app.appType, app.multiaddr, app.checksum, app.mrenclave]),
    viewDataset: entryView(datasets, ({ name, multiaddr, checksum }) => [name, multiaddr, checksum]),
    viewWorkerpool: entryView(workerpools, (pool) => [
      pool.description,
      pool.workerStakeRatio,
      pool.schedulerRewardRatio,
    ]),
    viewDeal: viewing((ctx, [id]) => viewDeal(ctx.state, id as Hash)),
    viewTask: viewing((ctx, [id]) => viewTask(ctx.state, id as Hash)),
    viewContribution: viewing((ctx, [id, worker]) => viewContribution(ctx.state, id as Hash, worker as Address)),
    viewScore: viewing((ctx, [worker]) => scoreOf(ctx.state, worker as Address)),
    resultFor: viewing((ctx, [id]) => resultFor(ctx.state, id as Hash)),
  }),
);

/** 0x…1001: the hub. A bare transfer is a deposit, as in PoCo's native mode. */
export const hubNative: NativeContract = {
  ...contract,
  gas: (data) => (data.length === 0 ? NATIVE_GAS.writeMany : contract.gas(data)),
  call: (ctx) => {
    if (ctx.data.length > 0) return contract.call(ctx);
    depositValue(ctx, ctx.sender);
    return new Uint8Array(0);
  },
};
