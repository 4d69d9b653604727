import t from "tap";
import { type Address, EMPTY, fromHex, type Hash, utf8, ZERO_ADDRESS, ZERO_HASH } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { NRLC, RLC } from "../../../lib/units.ts";
import { type AbiValue, abiFunction, encodeCall } from "../../../vm/abi.ts";
import { APP_REGISTRY, DATASET_REGISTRY, HUB, MARKET, TOKEN, WORKERPOOL_REGISTRY } from "../../../vm/addresses.ts";
import {
  APP_ABI,
  APP_REGISTRY_ABI,
  DATASET_REGISTRY_ABI,
  functionsOf,
  HUB_EVENTS,
  REGISTRY_ABI,
  TOKEN_ABI,
  WORKERPOOL_ABI,
  WORKERPOOL_REGISTRY_ABI,
} from "../../../vm/market/abi.ts";
import { marketEntryAt, marketNatives } from "../../../vm/market/natives.ts";
import { outputCid } from "../../../vm/market/result.ts";
import { addressBy, createWorld, eventNames, hub, market, registry } from "./world.ts";

const fresh = () => createWorld({ workers: [["w0", 4]] });
const token = functionsOf(TOKEN_ABI);
const appEntry = functionsOf(APP_ABI);
const poolEntry = functionsOf(WORKERPOOL_ABI);

t.test("an entry's address is CREATE2 of one byte of code, salted with PoCo's initializer and owner", (t) => {
  const { call, developer, state } = fresh();
  const args = [developer, "two", "DOCKER", utf8("/ipfs/x"), `0x${"07".repeat(32)}`, EMPTY];
  const predicted = call(developer, APP_REGISTRY, registry("predictApp"), args).values[0];
  const { values, logs } = call(addressBy("anyone"), APP_REGISTRY, registry("createApp"), args);
  const entry = values[0] as Address;
  t.equal(entry, predicted);
  const initializer = encodeCall("initialize(string,string,bytes,bytes32,bytes)", args.slice(1));
  const salt = keccak256(initializer, fromHex(developer));
  const packed = ["0xff", APP_REGISTRY, salt, keccak256(Uint8Array.of(0xfe))].map(fromHex);
  t.equal(entry, `0x${keccak256(...packed).slice(26)}`);
  t.strictSame(eventNames(logs), ["Transfer"]);
  t.equal(BigInt(logs[0]!.topics[3]!), BigInt(entry));
  t.throws(() => call(developer, APP_REGISTRY, registry("createApp"), args), /Create2: Failed on deploy/);
  t.equal(marketEntryAt(state, entry)?.name, "App");
  t.equal(marketEntryAt(state, developer), undefined);
  t.equal(marketEntryAt(state, HUB), undefined);
  t.equal(call(developer, entry, appEntry("owner"), []).values[0], developer);
  t.equal(call(developer, entry, appEntry("registry"), []).values[0], APP_REGISTRY);
  t.strictSame(call(developer, entry, appEntry("m_appMultiaddr"), []).values[0], utf8("/ipfs/x"));
  const view = call(developer, HUB, hub("viewApp"), [entry]).values[0] as AbiValue[];
  t.equal(view[1], "two");
  t.end();
});

t.test("entries are ERC-721 tokens", (t) => {
  const { call, developer, app, requester } = fresh();
  const id = BigInt(app);
  const ask = (name: string, args: AbiValue[], from: Address = requester) =>
    call(from, APP_REGISTRY, registry(name), args).values[0];
  t.equal(ask("ownerOf", [id]), developer);
  t.equal(ask("balanceOf", [developer]), 1n);
  t.equal(ask("tokenOfOwnerByIndex", [developer, 0n]), id);
  t.equal(ask("tokenByIndex", [0n]), id);
  t.equal(ask("isRegistered", [app]), true);
  t.equal(ask("isRegistered", [developer]), false);
  t.throws(() => ask("tokenOfOwnerByIndex", [developer, 1n]), /ERC721OutOfBoundsIndex/);
  t.throws(() => ask("transferFrom", [developer, requester, id]), /ERC721InsufficientApproval/);
  t.throws(() => ask("transferFrom", [requester, requester, id], developer), /ERC721IncorrectOwner/);
  ask("approve", [requester, id], developer);
  t.equal(ask("getApproved", [id]), requester);
  ask("transferFrom", [developer, requester, id]);
  t.equal(ask("ownerOf", [id]), requester);
  t.equal(ask("getApproved", [id]), ZERO_ADDRESS);
  t.equal(ask("balanceOf", [developer]), 0n);
  t.throws(() => ask("safeTransferFrom(address,address,uint256)", [requester, HUB, id]), /ERC721InvalidReceiver/);
  ask("setApprovalForAll", [developer, true]);
  ask("safeTransferFrom(address,address,uint256)", [requester, developer, id], developer);
  t.equal(ask("ownerOf", [id]), developer);
  t.equal(ask("supportsInterface", ["0x80ac58cd"]), true);
  t.equal(ask("proxyCodeHash", []), keccak256(Uint8Array.of(0xfe)));
  t.end();
});

t.test("an owner keeps its list dense when it gives entries away", (t) => {
  const { call, developer, requester } = fresh();
  const create = functionsOf(DATASET_REGISTRY_ABI)("createDataset");
  const ids = ["a", "b", "c"].map((name) =>
    BigInt(call(developer, DATASET_REGISTRY, create, [developer, name, EMPTY, ZERO_HASH]).values[0] as Address),
  );
  call(developer, DATASET_REGISTRY, registry("transferFrom"), [developer, requester, ids[0]!]);
  const owned = [0n, 1n].map(
    (i) => call(developer, DATASET_REGISTRY, registry("tokenOfOwnerByIndex"), [developer, i]).values[0],
  );
  t.strictSame(owned, [ids[2], ids[1]]);
  t.end();
});

t.test("the genesis pool is the market's own, with ratio 100 and hub stake that nobody can take", (t) => {
  const { call, pool, requester, genesis } = fresh();
  t.equal(call(requester, pool, poolEntry("owner"), []).values[0], MARKET);
  t.equal(call(requester, pool, poolEntry("m_workerStakeRatioPolicy"), []).values[0], 100n);
  t.throws(() => call(requester, pool, poolEntry("changePolicy"), [1n, 1n]), /caller is not the owner/);
  t.strictSame(call(requester, HUB, hub("viewAccount"), [MARKET]).values[0], [genesis.marketHubStakeNrlc, 0n]);
  t.equal(call(requester, MARKET, market("genesisPool"), []).values[0], pool);
  t.equal(call(requester, HUB, hub("countCategory"), []).values[0], 7n);
  t.throws(() => call(requester, HUB, hub("viewCategory"), [7n]), /reverted/);
  t.throws(() => call(requester, HUB, hub("createCategory"), ["a", "b", 5n]), /caller is not the owner/);
  const create = functionsOf(WORKERPOOL_REGISTRY_ABI)("createWorkerpool");
  const own = call(requester, WORKERPOOL_REGISTRY, create, [requester, "mine"]).values[0] as Address;
  t.throws(() => call(requester, own, poolEntry("changePolicy"), [30n, 101n]), /reverted/);
  t.strictSame(eventNames(call(requester, own, poolEntry("changePolicy"), [300n, 5n]).logs).length, 1);
  t.equal(call(requester, own, poolEntry("m_workerStakeRatioPolicy"), []).values[0], 300n);
  t.end();
});

t.test("RLC goes into the hub and out of it in native mode", (t) => {
  const { call, requester, developer, state } = fresh();
  const before = state.balance(requester);
  const { logs } = call(requester, HUB, hub("deposit()"), [], 5n * NRLC + 3n);
  t.strictSame(eventNames(logs), ["Transfer"]);
  t.equal(state.balance(requester), before - 5n * NRLC, "what is below an nRLC goes back");
  call(requester, HUB, hub("depositFor"), [developer], 2n * NRLC);
  t.equal(call(requester, HUB, hub("balanceOf"), [developer]).values[0], 2n);
  call(
    requester,
    HUB,
    hub("depositForArray"),
    [
      [1n, 2n],
      [developer, requester],
    ],
    4n * NRLC,
  );
  t.equal(call(requester, HUB, hub("balanceOf"), [developer]).values[0], 3n);
  t.throws(() => call(requester, HUB, hub("depositForArray"), [[1n], []], NRLC), /invalid-array-length/);
  t.throws(() => call(requester, HUB, hub("depositFor"), [ZERO_ADDRESS], NRLC), /zero address/);
  t.throws(() => call(requester, HUB, hub("withdraw"), [8n]), /reverted/);
  call(requester, HUB, hub("withdraw"), [7n]);
  t.throws(() => call(developer, HUB, hub("withdrawTo"), [1n, MARKET]), /native-transfer-failed/);
  call(developer, HUB, hub("withdrawTo"), [3n, requester]);
  t.equal(state.balance(requester), before);
  t.end();
});

t.test("a bare transfer to the hub is a deposit", (t) => {
  const { state, requester, block, account } = fresh();
  state.debit(requester, 9n * NRLC);
  state.credit(HUB, 9n * NRLC);
  marketNatives[HUB]!.call({
    state,
    block: block(),
    self: HUB,
    sender: requester,
    origin: requester,
    value: 9n * NRLC,
    data: EMPTY,
    isStatic: false,
    log: () => {},
  });
  t.equal(account(requester).stake, 9n);
  t.end();
});

t.test("RLC is an ERC-20 of nine decimals over native balances", (t) => {
  const { call, requester, developer, state, account } = fresh();
  const ask = (name: string, args: AbiValue[], from: Address = requester) => call(from, TOKEN, token(name), args);
  const before = state.balance(developer) / NRLC;
  t.equal(ask("decimals", []).values[0], 9n);
  t.strictSame(eventNames(ask("transfer", [developer, 7n]).logs), ["Transfer"]);
  t.equal(ask("balanceOf", [developer]).values[0], before + 7n);
  t.throws(() => ask("transfer", [developer, 10n ** 30n]), /exceeds balance/);
  t.throws(() => ask("transfer", [MARKET, 1n]), /cannot hold/);
  ask("transfer", [HUB, 4n]);
  t.equal(account(requester).stake, 4n, "to the hub it is a deposit");
  t.throws(() => ask("transferFrom", [requester, developer, 1n], developer), /insufficient allowance/);
  ask("approve", [developer, 3n]);
  ask("transferFrom", [requester, developer, 2n], developer);
  t.equal(ask("allowance", [requester, developer]).values[0], 1n);
  ask("approveAndCall", [HUB, 6n, EMPTY]);
  t.equal(account(requester).stake, 10n);
  t.throws(() => ask("approveAndCall", [HUB, 6n, utf8("match")]), /UnsupportedOperation/);
  t.throws(() => call(requester, HUB, hub("deposit(uint256)"), [1n]), /insufficient allowance/);
  ask("approve", [HUB, 1n]);
  call(requester, HUB, hub("deposit(uint256)"), [1n]);
  t.equal(account(requester).stake, 11n);
  t.end();
});

t.test("each condition of a job reverts with its reason", (t) => {
  const world = fresh();
  const { call, requester, developer, app, submit } = world;
  t.throws(() => submit({ version: 2n }), /unknown version/);
  t.throws(() => submit({ ext: Uint8Array.of(1) }), /extensions/);
  t.throws(() => submit({ category: 7n }), /0x01/);
  t.throws(() => submit({ gasLimit: 2_000_000_001n }), /gasLimit must be/);
  t.throws(() => submit({ gasLimit: 0n }), /gasLimit must be/);
  t.throws(() => submit({ trust: 101n }), /trust is at most/);
  t.throws(() => submit({ volume: 0 }), /0x60/);
  t.throws(() => submit({ tag: `0x${"00".repeat(31)}01` as Hash }), /0x06/);
  t.throws(() => submit({ dataset: developer }), /0x30/);
  t.throws(() => submit({ params: "x".repeat(65_537) }), /params are at most/);
  t.throws(() => submit({ category: 3n, gasLimit: 240_000_000_000n, trust: 100n }), /more than half a slot/);
  t.throws(() => submit({ value: (80_000_000n + 100n) * NRLC - 1n }), /does not cover/);
  const before = world.state.balance(requester);
  submit({ value: 50n * RLC });
  t.equal(world.state.balance(requester), before - (80_000_000n + 100n) * NRLC, "what exceeds the cost goes back");
  const quoted = call(requester, MARKET, market("quote"), [world.jobArgs({ volume: 3 })]).values;
  // Three tasks are two lots, each of which buys 4 Ggas for two seats.
  t.strictSame(quoted, [53_333_334n, 100n, 0n, 3n * 53_333_434n * NRLC]);
  call(developer, MARKET, market("offer"), [app, 100n, ZERO_HASH, false]);
  t.throws(() => submit(), /no open offer/);
  t.throws(() => call(requester, MARKET, market("offer"), [app, 1n, ZERO_HASH, true]), /not the entry's owner/);
  call(developer, MARKET, market("offer"), [app, 100n, ZERO_HASH, true]);
  call(developer, APP_REGISTRY, registry("transferFrom"), [developer, requester, BigInt(app)]);
  t.throws(() => submit(), /no open offer/, "the owner of before made it");
  t.end();
});

t.test("a sponsor takes back lots that were not drawn, all at once or, long after the start, each", (t) => {
  const world = createWorld({ workers: [["w0", 2]] });
  const { call, requester, account } = world;
  const bag = world.submit({ volume: 3, gasLimit: 2_000_000_000n });
  const each = 80_000_000n + 100n;
  world.advance(2);
  t.equal(account(requester).locked, 3n * each);
  t.throws(() => call(addressBy("other"), MARKET, market("cancel"), [bag]), /not the sponsor/);
  const claimAll = (indexes: bigint[]) =>
    call(requester, HUB, hub("initializeAndClaimArray"), [indexes.map(() => bag), indexes]);
  t.throws(() => claimAll([1n]), /cannot be claimed now/);
  world.advance(100);
  claimAll([2n]);
  t.equal(account(requester).locked, 2n * each);
  t.throws(() => claimAll([2n]), /cannot be claimed now/);
  call(requester, MARKET, market("cancel"), [bag]);
  t.equal(account(requester).locked, each, "the one that was drawn");
  t.throws(() => call(requester, MARKET, market("cancel"), [bag]), /nothing is left/);
  t.throws(() => claimAll([1n]), /was cancelled/);
  claimAll([0n]);
  t.equal(account(requester).locked, 0n);
  t.end();
});

t.test("unknown selectors revert with a reason, and selectors and topics are iExec's", (t) => {
  const { call, requester } = fresh();
  t.throws(() => call(requester, HUB, abiFunction("matchOrdersLater()"), []), /Hub: unknown function/);
  const selectors: [string, string][] = [
    ["viewDeal", "0xb74861b2"],
    ["viewTask", "0xadccf0d5"],
    ["viewContribution", "0xe741363b"],
    ["viewAccount", "0x6b55f4a5"],
    ["viewCategory", "0x4f5f44ec"],
    ["viewApp", "0xe1523fb4"],
    ["contribute", "0x34623484"],
    ["reveal", "0xfc334e8c"],
    ["finalize", "0x8fc375e5"],
    ["claim", "0xbd66528a"],
    ["initializeAndClaimArray", "0xf722cb32"],
    ["domain", "0xc2fb26a6"],
    ["deposit()", "0xd0e30db0"],
    ["deposit(uint256)", "0xb6b55f25"],
    ["depositForArray", "0x3354f8a5"],
  ];
  for (const [name, selector] of selectors) t.equal(hub(name).selector, selector, name);
  t.equal(functionsOf(APP_REGISTRY_ABI)("createApp").selector, "0x3f7868ff");
  t.equal(functionsOf(REGISTRY_ABI)("isRegistered").selector, "0xc3c5a547");
  t.equal(functionsOf(DATASET_REGISTRY_ABI)("createDataset").selector, "0x3354bcdb");
  t.equal(functionsOf(WORKERPOOL_REGISTRY_ABI)("createWorkerpool").selector, "0xe40238f4");
  t.equal(HUB_EVENTS.TaskFinalize!.topic, "0x78ce8a8bc0fcb704e8ba3b3dbb36aa88002df8038128b4af2f27ef65db665044");
  t.equal(HUB_EVENTS.Seize!.topic, "0x1bccc549c38561cd5b57f0db11ceb8dde1b0b6ee05ab5e155b51c7c5ba64becb");
  t.equal(HUB_EVENTS.SchedulerNotice!.topic, "0x692ad61076dceddd0f1a861f737553dd61fc8501cf4190d29c4e90af6607f765");
  t.end();
});

t.test("an unknown deal or task shows zeros, as iExec's do", (t) => {
  const { call, requester } = fresh();
  const id = keccak256(utf8("nothing"));
  const deal = call(requester, HUB, hub("viewDeal"), [id]).values[0] as AbiValue[];
  t.equal(deal[10], 0n);
  const task = call(requester, HUB, hub("viewTask"), [id]).values[0] as AbiValue[];
  t.equal(task[0], 0n);
  t.strictSame(call(requester, HUB, hub("viewContribution"), [id, requester]).values[0], [
    0n,
    ZERO_HASH,
    ZERO_HASH,
    ZERO_ADDRESS,
    0n,
  ]);
  t.throws(() => call(requester, HUB, hub("resultFor"), [id]), /task-pending/);
  t.end();
});

t.test("an output root is written as the CID that IPFS tools know", (t) => {
  t.equal(
    outputCid("0xd1702d661901cb6748104b7357f96212a8824ced1ffc0f0b7a7494639748960e"),
    "bafybeigroawwmgibzntuqeclonl7syqsvcbez3i77qhqw6tusrrzosewby",
  );
  t.end();
});
