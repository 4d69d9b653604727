import { type Address, type Hash, type Hex, ZERO_ADDRESS } from "../../lib/bytes.ts";
import type { AbiValue } from "../abi.ts";
import { APP_REGISTRY, DATASET_REGISTRY, HUB, WORKERPOOL_REGISTRY } from "../addresses.ts";
import { NATIVE_GAS } from "../gas.ts";
import { ensure, outOfBounds, refuse, revert } from "../revert.ts";
import { type Handler, HUB_ABI, HUB_EVENTS, selectorsOf } from "./abi.ts";
import { addCategory, categoryAt, categoryCount } from "./category.ts";
import { emitAt } from "./env.ts";
import { hubAccount } from "./escrow.ts";
import { MARKET_GAS } from "./gas.ts";
import { GROUPMEMBER_PURPOSE } from "./group.ts";
import { acting, constant, viewing } from "./handlers.ts";
import { KITTY, KITTY_MIN, KITTY_RATIO } from "./kitty.ts";
import { CONTRIBUTION_RATIO, FINAL_RATIO, REVEAL_RATIO } from "./lot.ts";
import { WORKERPOOL_STAKE_RATIO } from "./match.ts";
import { contractOwner, onlyOwner, transferContract } from "./owner.ts";
import { apps, datasets, type Registry, workerpools } from "./registry.ts";
import { callbackGas, setCallbackGas, setTeeBroker, teeBroker } from "./setting.ts";
import { viewContribution, viewDeal, viewTask } from "./views.ts";

const { write, writeMany } = NATIVE_GAS;
/** Deadlines are seconds in safe integers. */
const MAX_TIMEREF = 2n ** 48n;
/** ERC-165, and what a diamond of ERC-2535 answers. */
const INTERFACES = ["0x01ffc9a7", "0x1f931c1c", "0x48e2b093", "0x7f5828d0"];

const entryView = <T>(registry: Registry<T>, fields: (entry: T) => AbiValue[]): Handler =>
  viewing((ctx, args) => {
    const entry = args[0] as Address;
    return [registry.ownerOf(ctx.state, entry) ?? refuse(), ...fields(registry.get(ctx.state, entry)!)];
  });

const selectors: readonly Hex[] = selectorsOf(HUB_ABI);
/** Fields of a view's tuple, as the old middleware reads them. */
const pick = (values: AbiValue, places: readonly number[]): AbiValue[] =>
  places.map((place) => (values as AbiValue[])[place]!);
const legacy = (run: Handler["run"]): Handler => ({ gas: MARKET_GAS.view, run });

/** The hub's views of entries, categories and constants, and what its owner may set. */
export const settingHandlers: Readonly<Record<string, Handler>> = {
  viewApp: entryView(apps, (app) => [app.name, app.appType, app.multiaddr, app.checksum, app.mrenclave]),
  viewDataset: entryView(datasets, ({ name, multiaddr, checksum }) => [name, multiaddr, checksum]),
  viewWorkerpool: entryView(workerpools, (pool) => [
    pool.description,
    pool.workerStakeRatio,
    pool.schedulerRewardRatio,
  ]),
  createCategory: {
    gas: writeMany,
    run: (ctx, args) => {
      const [name, description, seconds] = args as [string, string, bigint];
      onlyOwner(ctx.state, HUB, ctx.sender);
      ensure(seconds <= MAX_TIMEREF, "workClockTimeRef is out of range");
      const id = BigInt(addCategory(ctx.state, { name, description, workClockTimeRef: Number(seconds) }));
      emitAt(ctx, HUB, HUB_EVENTS.CreateCategory!, id, name, description, seconds);
      return [id];
    },
  },
  countCategory: viewing((ctx) => BigInt(categoryCount(ctx.state))),
  viewCategory: viewing((ctx, [id]) => {
    const { name, description, workClockTimeRef } = categoryAt(ctx.state, id as bigint) ?? refuse();
    return [name, description, BigInt(workClockTimeRef)];
  }),
  appregistry: constant(APP_REGISTRY),
  datasetregistry: constant(DATASET_REGISTRY),
  workerpoolregistry: constant(WORKERPOOL_REGISTRY),
  contribution_deadline_ratio: constant(BigInt(CONTRIBUTION_RATIO)),
  reveal_deadline_ratio: constant(BigInt(REVEAL_RATIO)),
  final_deadline_ratio: constant(BigInt(FINAL_RATIO)),
  workerpool_stake_ratio: constant(WORKERPOOL_STAKE_RATIO),
  kitty_ratio: constant(KITTY_RATIO),
  kitty_min: constant(KITTY_MIN),
  kitty_address: constant(KITTY),
  groupmember_purpose: constant(GROUPMEMBER_PURPOSE),
  teebroker: viewing((ctx) => teeBroker(ctx.state)),
  callbackgas: viewing((ctx) => callbackGas(ctx.state)),
  setTeeBroker: acting(write, (ctx, [broker]) => {
    onlyOwner(ctx.state, HUB, ctx.sender);
    setTeeBroker(ctx.state, broker as Address);
  }),
  setCallbackGas: acting(write, (ctx, [gas]) => {
    onlyOwner(ctx.state, HUB, ctx.sender);
    setCallbackGas(ctx.state, gas as bigint);
  }),
  // There is no hub of version 3 to import from.
  importScore: acting(NATIVE_GAS.view, () => refuse()),
  configure: acting(NATIVE_GAS.view, (ctx) => {
    onlyOwner(ctx.state, HUB, ctx.sender);
    revert("already-configured");
  }),
  changeRegistries: acting(NATIVE_GAS.view, (ctx) => {
    onlyOwner(ctx.state, HUB, ctx.sender);
    revert("the registries are part of the protocol");
  }),
  owner: viewing((ctx) => contractOwner(ctx.state, HUB)),
  transferOwnership: acting(write, (ctx, [to]) => transferContract(ctx, ctx.sender, HUB, to as Address)),
  renounceOwnership: acting(write, (ctx) => transferContract(ctx, ctx.sender, HUB, ZERO_ADDRESS)),

  viewAccountABILegacy: legacy((ctx, [account]) => {
    const { stake, locked } = hubAccount(ctx.state, account as Address);
    return [stake, locked];
  }),
  viewCategoryABILegacy: legacy((ctx, [id]) => {
    const { name, description, workClockTimeRef } = categoryAt(ctx.state, id as bigint) ?? outOfBounds();
    return [name, description, BigInt(workClockTimeRef)];
  }),
  viewConfigABILegacy: legacy((ctx, [id]) => pick(viewDeal(ctx.state, id as Hash), [4, 10, 11, 12, 13, 14])),
  viewContributionABILegacy: legacy((ctx, [id, worker]) =>
    pick(viewContribution(ctx.state, id as Hash, worker as Address), [0, 1, 2, 3]),
  ),
  viewDealABILegacy_pt1: legacy((ctx, [id]) => pick(viewDeal(ctx.state, id as Hash), [0, 1, 2]).flat() as AbiValue[]),
  viewDealABILegacy_pt2: legacy((ctx, [id]) => pick(viewDeal(ctx.state, id as Hash), [3, 5, 6, 7, 8, 9])),
  viewTaskABILegacy: legacy((ctx, [id]) =>
    pick(viewTask(ctx.state, id as Hash), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12]),
  ),

  diamondCut: acting(NATIVE_GAS.view, (ctx) => {
    onlyOwner(ctx.state, HUB, ctx.sender);
    revert("the hub is part of the protocol");
  }),
  facets: viewing(() => [[HUB, selectors]]),
  facetAddresses: constant([HUB]),
  facetFunctionSelectors: viewing((_, [facet]) => (facet === HUB ? selectors : [])),
  facetAddress: viewing((_, [selector]) => (selectors.includes(selector as Hex) ? HUB : ZERO_ADDRESS)),
  supportsInterface: viewing((_, [id]) => INTERFACES.includes(id as string)),
};
