import t from "tap";
import { type Address, EMPTY, ZERO_HASH } from "../../../lib/bytes.ts";
import type { AbiFunction, AbiValue } from "../../../vm/abi.ts";
import { APP_ABI, functionsOf } from "../../../vm/market/abi.ts";
import { APP_REGISTRY, HUB, TOKEN } from "../../../vm/tables.ts";
import { CASES } from "./refusal-cases.ts";
import { createScene } from "./scene.ts";
import { addressBy, hub, registry } from "./world.ts";

t.test("each write with each argument wrong in turn reverts for that reason and changes nothing", (t) => {
  for (const { name, setUp } of CASES) {
    const scene = createScene();
    const { from, to, fn, args, wrong } = setUp(scene);
    const { root } = scene.state.commit();
    for (const [argument, value, reason] of wrong) {
      const sender = argument < 0 ? (value as Address) : from;
      const changed = argument < 0 ? args : args.with(argument, value);
      t.throws(() => scene.call(sender, to, fn, changed), new Error(reason), `${name}, argument ${argument}`);
      t.equal(scene.state.commit().root, root, `${name}, argument ${argument}: the state is as before`);
    }
    scene.call(from, to, fn, args);
    t.pass(`${name} is right with all of them right`);
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
