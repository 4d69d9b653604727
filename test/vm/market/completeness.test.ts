import t, { type Test } from "tap";
import { type Address, fromHex, utf8, ZERO_HASH } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { abiEvent, abiFunction, decodeError } from "../../../vm/abi.ts";
import { APP_REGISTRY, DATASET_REGISTRY, HUB, MARKET, TOKEN, WORKERPOOL_REGISTRY } from "../../../vm/addresses.ts";
import {
  APP_ABI,
  APP_REGISTRY_ABI,
  DATASET_ABI,
  DATASET_REGISTRY_ABI,
  HUB_ABI,
  REGISTRY_ABI,
  TOKEN_ABI,
  WORKERPOOL_ABI,
  WORKERPOOL_REGISTRY_ABI,
} from "../../../vm/market/abi.ts";
import { marketEntryAt, marketNatives } from "../../../vm/market/natives.ts";
import { APP_ORDER, DATASET_ORDER, REQUEST_ORDER, WORKERPOOL_ORDER } from "../../../vm/market/order.ts";
import { Revert } from "../../../vm/natives.ts";
import * as poco from "./poco-abi.ts";
import { createScene } from "./scene.ts";
import { hub } from "./world.ts";

const KINDS = [APP_ORDER, DATASET_ORDER, WORKERPOOL_ORDER, REQUEST_ORDER];
/** Writes the tuples of orders and operations out. */
const spelled = (source: string): string =>
  KINDS.reduce(
    (text, { name, tuple, operationTuple }) =>
      text
        .replaceAll(new RegExp(`(?<=[(, ])${name}Operation(?=[ ,)])`, "g"), operationTuple)
        .replaceAll(new RegExp(`(?<=[(, ])${name}(?=[ ,)])`, "g"), tuple),
    source,
  );
const split = (line: string): [id: string, source: string] => {
  const at = line.indexOf(" ");
  return [line.slice(0, at), spelled(line.slice(at + 1))];
};
const scene = createScene();

/** Tells what a contract answers to a bare selector: nothing but "unknown function" says that it has no such function. */
const answerOf = (contract: Address, selector: string): string => {
  const native = marketNatives[contract] ?? marketEntryAt(scene.state, contract);
  const before = scene.state.snapshot();
  try {
    native!.call({
      ...{ state: scene.state, block: scene.block(), self: contract, sender: scene.requester, origin: scene.requester },
      ...{ value: 0n, data: fromHex(selector), isStatic: false, log: () => {} },
    });
    return "";
  } catch (error) {
    return error instanceof Revert ? (decodeError(error.data) ?? "") : "";
  } finally {
    scene.state.revert(before);
  }
};

const answers = (t: Test, contract: Address, abi: readonly string[], functions: readonly string[]): void => {
  const ours = abi.filter((line) => line.startsWith("function ")).map(abiFunction);
  for (const [selector, source] of functions.map(split)) {
    const theirs = abiFunction(source);
    t.equal(theirs.selector, selector, source);
    const own = ours.find((each) => each.selector === selector);
    // iExec's tools know RLC without what its functions return.
    if (theirs.outputs.length > 0)
      t.strictSame(
        own?.outputs.map(({ name }) => name),
        theirs.outputs.map(({ name }) => name),
        `what ${theirs.name} returns`,
      );
    t.notMatch(answerOf(contract, selector), /unknown function/, `${theirs.name} is answered`);
  }
};
const logs = (t: Test, abi: readonly string[], events: readonly string[]): void => {
  const ours = abi.filter((line) => line.startsWith("event "));
  for (const [topic, source] of events.map(split)) {
    t.equal(abiEvent(source).topic, topic, source);
    const indexed = (text: string) => (text.match(/ indexed /g) ?? []).length;
    const own = ours.find((line) => abiEvent(line).topic === topic);
    t.equal(own && indexed(own), indexed(source), `${abiEvent(source).name} is logged`);
  }
};

t.test("every function, event and error of PoCo's hub is there", (t) => {
  answers(t, HUB, HUB_ABI, poco.HUB_FUNCTIONS);
  logs(t, HUB_ABI, poco.HUB_EVENTS);
  const errors = HUB_ABI.filter((line) => line.startsWith("error ")).map((line) => abiFunction(line.slice(6)).selector);
  t.strictSame([...errors].sort(), poco.HUB_ERRORS.map((line) => split(line)[0]).sort());
  t.match(answerOf(HUB, "0x01020304"), /unknown function/, "and nothing else");
  t.end();
});

t.test("every function and event of PoCo's registries is there", (t) => {
  for (const [registry, abi, own] of [
    [APP_REGISTRY, APP_REGISTRY_ABI, poco.APP_REGISTRY_FUNCTIONS],
    [DATASET_REGISTRY, DATASET_REGISTRY_ABI, poco.DATASET_REGISTRY_FUNCTIONS],
    [WORKERPOOL_REGISTRY, WORKERPOOL_REGISTRY_ABI, poco.WORKERPOOL_REGISTRY_FUNCTIONS],
  ] as const)
    answers(t, registry, [...REGISTRY_ABI, ...abi], [...poco.REGISTRY_FUNCTIONS, ...own]);
  logs(t, REGISTRY_ABI, poco.REGISTRY_EVENTS);
  t.end();
});

t.test("every function and event of PoCo's entries and of RLC is there", (t) => {
  answers(t, scene.app, APP_ABI, poco.APP_FUNCTIONS);
  answers(t, scene.dataset, DATASET_ABI, poco.DATASET_FUNCTIONS);
  answers(t, scene.pool, WORKERPOOL_ABI, poco.WORKERPOOL_FUNCTIONS);
  logs(t, WORKERPOOL_ABI, poco.WORKERPOOL_EVENTS);
  answers(t, TOKEN, TOKEN_ABI, poco.TOKEN_FUNCTIONS);
  t.end();
});

t.test("the hub shows itself as a diamond of one facet", (t) => {
  const selectors = scene.view("facetFunctionSelectors", HUB) as string[];
  t.ok(poco.HUB_FUNCTIONS.every((line) => selectors.includes(line.slice(0, 10))));
  t.strictSame(scene.view("facets"), [[HUB, selectors]]);
  t.strictSame(scene.view("facetAddresses"), [HUB]);
  t.equal(scene.view("facetAddress", hub("viewDeal").selector), HUB);
  t.equal(scene.view("facetAddress", "0x01020304"), `0x${"00".repeat(20)}`);
  t.strictSame(scene.view("facetFunctionSelectors", MARKET), []);
  t.equal(scene.view("supportsInterface", "0x48e2b093"), true);
  t.equal(scene.view("supportsInterface", "0xffffffff"), false);
  const owner = scene.view("owner") as Address;
  const cut = [[], owner, new Uint8Array()];
  t.throws(() => scene.call(owner, HUB, hub("diamondCut"), cut), /part of the protocol/);
  t.throws(() => scene.call(scene.requester, HUB, hub("diamondCut"), cut), /caller is not the owner/);
  t.end();
});

t.test("gas of a call depends on its calldata alone", (t) => {
  const native = marketNatives[HUB]!;
  const short = hub("claimArray").encode([ZERO_HASH]);
  const long = hub("claimArray").encode([ZERO_HASH, keccak256(utf8("a")), keccak256(utf8("b"))]);
  t.ok(native.gas(long) > native.gas(short) + 2 * 600_000, "each claim has its price");
  const before = native.gas(long);
  scene.initialize(scene.match());
  t.equal(native.gas(long), before);
  t.end();
});
