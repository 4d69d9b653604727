import t from "tap";
import { type Address, utf8, ZERO_ADDRESS, ZERO_HASH } from "../../../lib/bytes.ts";
import { NRLC } from "../../../lib/units.ts";
import { type AbiValue, abiFunction } from "../../../vm/abi.ts";
import { APP_REGISTRY, HUB, TOKEN } from "../../../vm/addresses.ts";
import { functionsOf, TOKEN_ABI } from "../../../vm/market/abi.ts";
import { KITTY } from "../../../vm/market/kitty.ts";
import { domainSeparator } from "../../../vm/market/order.ts";
import { createScene } from "./scene.ts";
import { addressBy, eventNames, hub, registry } from "./world.ts";

const owner = addressBy("owner");
const token = functionsOf(TOKEN_ABI);

t.test("stake is an ERC-20, whose supply is what the hub holds", (t) => {
  const scene = createScene();
  const { call, requester, staker, view, state } = scene;
  const supply = view("totalSupply") as bigint;
  t.equal(supply, state.balance(HUB) / NRLC);
  t.strictSame([view("name"), view("symbol"), view("decimals")], ["Staked RLC", "SRLC", 9n]);
  t.strictSame(eventNames(call(requester, HUB, hub("transfer"), [staker, 5n]).logs), ["Transfer"]);
  t.equal(view("balanceOf", staker), 5n);
  t.strictSame(eventNames(call(staker, HUB, hub("approve"), [requester, 4n]).logs), ["Approval"]);
  call(staker, HUB, hub("increaseAllowance"), [requester, 2n]);
  call(staker, HUB, hub("decreaseAllowance"), [requester, 1n]);
  t.equal(view("allowance", staker, requester), 5n);
  t.strictSame(eventNames(call(requester, HUB, hub("transferFrom"), [staker, addressBy("w0"), 3n]).logs), [
    "Transfer",
    "Approval",
  ]);
  t.equal(view("allowance", staker, requester), 2n);
  t.equal(view("totalSupply"), supply);
  const dealid = scene.match();
  t.equal(view("balanceOf", HUB), 1_050n + 300n, "what is bound stands in the hub's own stake");
  t.equal(view("frozenOf", requester), 1_050n);
  t.strictSame(view("viewAccount", requester), [1_000_000n - 5n - 1_050n, 1_050n]);
  t.equal(view("totalSupply"), supply);
  t.not(dealid, ZERO_HASH);
  t.end();
});

t.test("RLC that the hub is let take is deposited in token mode", (t) => {
  const scene = createScene();
  const { call, requester, view, state } = scene;
  const before = state.balance(requester);
  call(requester, TOKEN, token("approve"), [HUB, 20n]);
  const { logs } = call(requester, HUB, hub("deposit(uint256)"), [5n]);
  t.strictSame(
    logs.map(({ address }) => address),
    [TOKEN, HUB],
    "RLC moves, then stake is made",
  );
  call(requester, HUB, hub("depositFor(uint256,address)"), [6n, scene.staker]);
  call(requester, HUB, hub("depositForArray"), [
    [1n, 2n],
    [scene.staker, requester],
  ]);
  t.equal(view("balanceOf", scene.staker), 7n);
  t.equal(call(requester, TOKEN, token("allowance"), [requester, HUB]).values[0], 6n);
  t.equal(state.balance(requester), before - 14n * NRLC);
  const paid = call(requester, HUB, hub("withdraw"), [14n]).logs;
  t.strictSame(
    paid.map(({ address }) => address),
    [HUB, TOKEN],
    "and the other way round",
  );
  t.equal(state.balance(requester), before);
  t.end();
});

t.test("wei that came into the hub unasked can be recovered as stake of its owner, and no more", (t) => {
  const scene = createScene();
  const { call, state, view } = scene;
  const recover = () => call(owner, HUB, hub("recover"), []).values[0];
  t.equal(recover(), 0n);
  state.credit(HUB, 7n * NRLC + 5n);
  t.throws(() => call(scene.staker, HUB, hub("recover"), []), /caller is not the owner/);
  t.equal(recover(), 7n);
  t.equal(recover(), 0n);
  t.equal(view("balanceOf", owner), 7n);
  t.end();
});

t.test("the hub and each registry have an owner of their own", (t) => {
  const { call, view, staker } = createScene();
  const ownerOf = (to: Address) => call(staker, to, abiFunction("owner() returns (address)"), []).values[0];
  t.strictSame([ownerOf(HUB), ownerOf(APP_REGISTRY)], [owner, owner]);
  t.strictSame(eventNames(call(owner, HUB, hub("transferOwnership"), [staker]).logs), ["OwnershipTransferred"]);
  t.strictSame([ownerOf(HUB), ownerOf(APP_REGISTRY)], [staker, owner]);
  call(staker, HUB, hub("createCategory"), ["weeks", "three of them", 1_814_400n]);
  t.strictSame(view("viewCategory", 7n), ["weeks", "three of them", 1_814_400n]);
  call(staker, HUB, hub("setCallbackGas"), [5n]);
  t.equal(view("callbackgas"), 5n);
  call(staker, HUB, hub("setTeeBroker"), [owner]);
  t.equal(view("teebroker"), owner);
  call(staker, HUB, hub("renounceOwnership"), []);
  t.equal(ownerOf(HUB), ZERO_ADDRESS);
  call(owner, APP_REGISTRY, registry("renounceOwnership"), []);
  t.throws(() => call(owner, APP_REGISTRY, registry("setBaseURI"), ["x"]), /caller is not the owner/);
  t.end();
});

t.test("a token's URI is the registry's base and its number", (t) => {
  const { call, app, staker } = createScene();
  const ask = (name: string, ...args: AbiValue[]) => call(staker, APP_REGISTRY, registry(name), args).values[0];
  t.equal(ask("tokenURI", BigInt(app)), "");
  call(owner, APP_REGISTRY, registry("setBaseURI"), ["https://apps/"]);
  t.equal(ask("baseURI"), "https://apps/");
  t.equal(ask("tokenURI", BigInt(app)), `https://apps/${BigInt(app)}`);
  t.throws(() => ask("tokenURI", 5n), /ERC721NonexistentToken/);
  t.throws(() => ask("balanceOf", ZERO_ADDRESS), /ERC721InvalidOwner/);
  t.throws(() => ask("tokenOfOwnerByIndex", ZERO_ADDRESS, 0n), /ERC721InvalidOwner/);
  t.throws(() => ask("tokenByIndex", 1n), /ERC721OutOfBoundsIndex/);
  t.end();
});

t.test("an entry that is given to its own owner keeps its place, and loses its approval", (t) => {
  const { call, developer, app, staker } = createScene();
  const second = call(developer, APP_REGISTRY, registry("createApp"), [
    ...[developer, "second", "DOCKER", utf8("x"), ZERO_HASH, utf8("")],
  ]).values[0] as Address;
  const owned = () =>
    [0n, 1n].map((i) => call(developer, APP_REGISTRY, registry("tokenOfOwnerByIndex"), [developer, i]).values[0]);
  call(developer, APP_REGISTRY, registry("approve"), [staker, BigInt(app)]);
  call(staker, APP_REGISTRY, registry("transferFrom"), [developer, developer, BigInt(app)]);
  t.strictSame(owned(), [BigInt(app), BigInt(second)]);
  t.equal(call(staker, APP_REGISTRY, registry("getApproved"), [BigInt(app)]).values[0], ZERO_ADDRESS);
  t.end();
});

t.test("constants, entries and the views of old middleware show what PoCo's do", (t) => {
  const scene = createScene();
  const { call, view, app, dataset, pool, developer, scheduler, requester, genesis } = scene;
  t.strictSame(
    ["contribution_deadline_ratio", "reveal_deadline_ratio", "final_deadline_ratio", "workerpool_stake_ratio"].map(
      (name) => view(name),
    ),
    [7n, 2n, 10n, 30n],
  );
  t.strictSame([view("kitty_ratio"), view("kitty_min"), view("groupmember_purpose")], [10n, 10n ** 9n, 4n]);
  t.equal(view("kitty_address"), KITTY);
  t.equal(view("callbackgas"), 200_000n);
  t.equal(view("eip712domain_separator"), domainSeparator(genesis.chainId));
  t.strictSame(view("domain"), ["iExecODB", "5.0.0", BigInt(genesis.chainId), HUB]);
  t.strictSame((view("viewApp", app) as AbiValue[]).slice(0, 3), [developer, "app", "DOCKER"]);
  t.strictSame((view("viewDataset", dataset) as AbiValue[]).slice(0, 2), [developer, "data"]);
  t.strictSame(view("viewWorkerpool", pool), [scheduler, "scheduled", 30n, 1n]);
  t.throws(() => view("viewApp", dataset), /reverted/);
  t.throws(() => view("viewApp", requester), /reverted/);
  const dealid = scene.match({ request: { trust: 1n } });
  const task = scene.initialize(dealid);
  scene.contribute("w0", task, "right");
  const old = (name: string, ...args: AbiValue[]) => call(requester, HUB, hub(name), args).values;
  t.strictSame(old("viewAccountABILegacy", requester), [1_000_000n - 1_050n, 1_050n]);
  t.strictSame(old("viewCategoryABILegacy", 0n), ["10s", "ten seconds", 10n]);
  t.throws(() => old("viewCategoryABILegacy", 7n), /index out of bounds/);
  t.strictSame(old("viewDealABILegacy_pt1", dealid), [
    ...[app, developer, 50n, ZERO_ADDRESS, ZERO_ADDRESS, 0n],
    ...[pool, scheduler, 1_000n],
  ]);
  t.strictSame(old("viewDealABILegacy_pt2", dealid), [1n, ZERO_HASH, requester, requester, ZERO_ADDRESS, "{}"]);
  t.strictSame(old("viewConfigABILegacy", dealid).slice(2), [0n, 1n, 300n, 1n]);
  const [hash, seal] = scene.commitmentOf("w0", task, "right");
  t.strictSame(old("viewContributionABILegacy", task, addressBy("w0")), [1n, hash, seal, ZERO_ADDRESS]);
  const legacy = old("viewTaskABILegacy", task);
  t.strictSame([legacy[0], legacy[1], legacy[10]], [2n, dealid, [addressBy("w0")]]);
  t.end();
});
