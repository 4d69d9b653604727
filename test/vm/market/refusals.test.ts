import t from "tap";
import { type Address, EMPTY, ZERO_HASH } from "../../../lib/bytes.ts";
import { type AbiFunction, type AbiValue, abiFunction } from "../../../vm/abi.ts";
import { APP_REGISTRY, HUB, TOKEN } from "../../../vm/addresses.ts";
import { APP_ABI, functionsOf, GROUP_ABI, MARKET_ABI, TOKEN_ABI } from "../../../vm/market/abi.ts";
import { MARKET_CASES } from "./market-cases.ts";
import { CASES } from "./refusal-cases.ts";
import { createScene } from "./scene.ts";
import { addressBy, hub, registry } from "./world.ts";

t.test("each write with each argument wrong in turn reverts for that reason and changes nothing", (t) => {
  for (const { name, setUp } of [...CASES, ...MARKET_CASES]) {
    const scene = createScene(undefined, [["w0", 2]]);
    const { from, to, fn, args, value = 0n, wrong } = setUp(scene);
    scene.state.credit(addressBy("stranger"), 2n * value);
    const { root } = scene.state.commit();
    for (const [argument, other, reason] of wrong) {
      const sender = argument === -1 ? (other as Address) : from;
      const wei = argument === -2 ? (other as bigint) : value;
      const changed = argument < 0 ? args : args.with(argument, other);
      t.throws(() => scene.call(sender, to, fn, changed, wei), new Error(reason), `${name}, argument ${argument}`);
      t.equal(scene.state.commit().root, root, `${name}, argument ${argument}: the state is as before`);
    }
    scene.call(from, to, fn, args, value);
    t.pass(`${name} is right with all of them right`);
  }
  t.end();
});

t.test("no write of 0x…1006, of groups and of the token is left out", (t) => {
  const tried = new Set(MARKET_CASES.concat(CASES).map(({ name }) => name));
  for (const [contract, abi] of Object.entries({ market: MARKET_ABI, group: GROUP_ABI, token: TOKEN_ABI }))
    for (const line of abi.filter((each) => each.startsWith("function ") && !each.includes(" view "))) {
      const { name } = abiFunction(line);
      t.ok(tried.has(`${contract}.${name}`), `${contract}.${name}`);
    }
  t.end();
});

t.test("what nobody may do is refused to the owner too", (t) => {
  const scene = createScene();
  const { call, developer, app, staker } = scene;
  const owner = addressBy("owner");
  const refused = (from: Address, to: Address, fn: AbiFunction, args: AbiValue[], reason: RegExp) =>
    t.throws(() => call(from, to, fn, args), reason);
  const configuration = [TOKEN, "", "", 9n, HUB, HUB, HUB, HUB];
  refused(owner, HUB, hub("configure"), configuration, /already-configured/);
  refused(staker, HUB, hub("configure"), configuration, /caller is not the owner/);
  refused(owner, HUB, hub("changeRegistries"), [HUB, HUB, HUB], /part of the protocol/);
  refused(staker, HUB, hub("importScore"), [staker], /reverted/);
  refused(owner, HUB, hub("createCategory"), ["a", "b", 1n << 49n], /out of range/);
  refused(owner, APP_REGISTRY, registry("initialize"), [HUB], /reverted/);
  refused(owner, APP_REGISTRY, registry("setName"), [HUB, "x"], /not supported on this chain/);
  refused(staker, APP_REGISTRY, registry("setName"), [HUB, "x"], /caller is not the owner/);
  const entry = functionsOf(APP_ABI);
  refused(developer, app, entry("setName"), [HUB, "x"], /not supported on this chain/);
  refused(staker, app, entry("setName"), [HUB, "x"], /caller is not the owner/);
  refused(staker, app, entry("initialize"), ["", "", EMPTY, ZERO_HASH, EMPTY], /already initialized/);
  call(staker, HUB, hub("updateDomainSeparator"), []);
  t.end();
});
