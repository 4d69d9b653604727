import t, { type Test } from "tap";
import { type Address, EMPTY, type Hash, utf8, word, ZERO_ADDRESS, ZERO_HASH } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import type { AbiValue } from "../../../vm/abi.ts";
import { HUB } from "../../../vm/addresses.ts";
import { functionsOf, WORKERPOOL_ABI } from "../../../vm/market/abi.ts";
import { taskId } from "../../../vm/market/deal.ts";
import { KITTY } from "../../../vm/market/kitty.ts";
import { log2, weightOf } from "../../../vm/market/scheduled/consensus.ts";
import { MAX_CONTRIBUTORS } from "../../../vm/market/scheduled/task.ts";
import { scoreUp } from "../../../vm/market/score.ts";
import { signedMessageHash } from "../../../vm/market/signature.ts";
import { createScene, resultOf, SCHEDULER, type Scene, signAs } from "./scene.ts";
import { addressBy, eventNames, hub } from "./world.ts";

const STAKE = 1_000_000n;
const entry = functionsOf(WORKERPOOL_ABI);
/** A deal of one task with its task open. */
const opened = (options: Parameters<Scene["match"]>[0] = {}, names?: readonly string[]) => {
  const scene = createScene(names);
  const dealid = scene.match(options);
  return { scene, dealid, task: scene.initialize(dealid, 0n) };
};
const taskOf = (scene: Scene, task: Hash) => {
  const values = scene.view("viewTask", task) as AbiValue[];
  const [status, , , timeref, contributionDeadline, revealDeadline, finalDeadline, consensus, revealed, winners] =
    values;
  const [, , , , , , , , , , contributors, digest, results, , callback] = values;
  return {
    ...{ status, timeref, contributionDeadline, revealDeadline, finalDeadline, consensus, revealed, winners },
    ...{ contributors, digest, results, callback },
  };
};
const balanced = (t: Test, scene: Scene, names: readonly string[] = ["w0", "w1", "w2", "w3", "w4"]): void => {
  const books = scene.books([SCHEDULER, ...names].map(addressBy));
  for (const [name, [owed, has]] of Object.entries(books)) t.equal(owed, has, `${name} owes what it has`);
};

t.test("a task is opened once, by anyone, with the deadlines of its category", (t) => {
  const { scene, dealid, task } = opened({ request: { volume: 2n } });
  const start = BigInt(scene.block().timestamp);
  t.equal(task, taskId(dealid, 0));
  const { status, timeref, contributionDeadline, finalDeadline } = taskOf(scene, task);
  t.strictSame([status, timeref, contributionDeadline, finalDeadline], [1n, 10n, start + 70n, start + 100n]);
  t.throws(() => scene.initialize(dealid), /reverted/, "twice");
  t.throws(() => scene.initialize(dealid, 2n), /reverted/, "no such task");
  t.throws(() => scene.initialize(keccak256(EMPTY)), /reverted/, "no such deal");
  const { logs, values } = scene.call(scene.staker, HUB, hub("initializeArray"), [[dealid], [1n]]);
  t.strictSame([eventNames(logs), values[0]], [["TaskInitialize"], true]);
  t.throws(() => scene.call(scene.staker, HUB, hub("initializeArray"), [[dealid], []]), /reverted/);
  t.end();
});

t.test("four contributors, one wrong and one silent: money and events are PoCo's to the unit", (t) => {
  const { scene, task } = opened();
  for (const [worker, result] of [
    ["w0", "wrong"],
    ["w1", "right"],
    ["w2", "right"],
  ] as const)
    t.strictSame(eventNames(scene.contribute(worker, task, result).logs), ["Transfer", "Lock", "TaskContribute"]);
  t.equal(taskOf(scene, task).status, 1n, "4*3 > 7*2 does not hold");
  const { logs } = scene.contribute("w3", task, "right");
  t.strictSame(eventNames(logs), ["Transfer", "Lock", "TaskContribute", "TaskConsensus"], "8*3 > 11*2 does");
  t.throws(() => scene.contribute("w4", task, "right"), /reverted/, "the task is closed");
  t.strictSame(scene.has("w1"), [STAKE - 300n, 300n]);
  const now = BigInt(scene.block().timestamp);
  const revealing = taskOf(scene, task);
  t.strictSame([revealing.status, revealing.winners, revealing.revealDeadline], [2n, 3n, now + 20n]);
  t.throws(() => scene.reveal("w0", task, "wrong"), /reverted/);
  t.throws(() => scene.reveal("w1", task, "wrong"), /reverted/);
  t.strictSame(eventNames(scene.reveal("w1", task, "right").logs), ["TaskReveal"]);
  t.throws(() => scene.reveal("w1", task, "right"), /reverted/, "twice");
  scene.reveal("w2", task, "right");
  t.throws(() => scene.finalize(task), /reverted/, "one still has time");
  scene.advance(20);
  t.throws(() => scene.reveal("w3", task, "right"), /reverted/, "too late");
  t.throws(
    () => scene.call(addressBy("w1"), HUB, hub("finalize"), [task, EMPTY, EMPTY]),
    /reverted/,
    "not the scheduler",
  );
  t.throws(() => scene.finalize(task, EMPTY, utf8("x")), /reverted/, "callback data without a callback");
  const done = scene.finalize(task, utf8("there"));
  t.strictSame(eventNames(done.logs), [
    ...["Seize", "Transfer", "Reward", "Transfer", "Unlock"],
    ...["Seize", "FaultyContribution"],
    ...["Transfer", "Unlock", "Transfer", "Reward", "AccurateContribution"],
    ...["Transfer", "Unlock", "Transfer", "Reward", "AccurateContribution"],
    ...["Seize", "FaultyContribution"],
    ...["Transfer", "Reward", "TaskFinalize"],
  ]);
  t.strictSame(scene.has("w0"), [STAKE - 300n, 0n]);
  t.strictSame(scene.has("w1"), [STAKE + 792n, 0n]);
  t.strictSame(scene.has("w2"), [STAKE + 792n, 0n]);
  t.strictSame(scene.has("w3"), [STAKE - 300n, 0n]);
  t.strictSame(scene.has(SCHEDULER), [STAKE + 16n, 0n]);
  t.strictSame(scene.has("developer"), [50n, 0n]);
  t.strictSame(scene.has("requester"), [STAKE - 1_050n, 0n]);
  const end = taskOf(scene, task);
  t.strictSame([end.status, end.revealed, end.digest, end.results], [3n, 2n, resultOf("right"), utf8("there")]);
  t.strictSame(scene.view("resultFor", task), EMPTY);
  t.throws(() => scene.finalize(task), /reverted/, "twice");
  t.throws(() => scene.call(scene.requester, HUB, hub("claim"), [task]), /reverted/, "it is done");
  const contribution = (worker: string) => (scene.view("viewContribution", task, addressBy(worker)) as AbiValue[])[0];
  t.strictSame(["w0", "w1", "w2", "w3", "w4"].map(contribution), [1n, 2n, 2n, 1n, 0n]);
  t.equal(scene.view("viewScore", addressBy("w1")), 1n);
  t.equal(scene.view("viewScore", addressBy("w0")), 0n);
  t.equal((scene.view("viewContribution", task, addressBy("w1")) as AbiValue[])[4], 1n, "log2 of the weight 2");
  balanced(t, scene);
  t.end();
});

t.test("a worker alone is paid, and its score stays", (t) => {
  const { scene, task } = opened({ request: { trust: 0n }, dataset: {} });
  scene.contribute("w0", task, "right");
  scene.reveal("w0", task, "right");
  scene.finalize(task);
  t.strictSame(scene.has("w0"), [STAKE + 990n, 0n]);
  t.strictSame(scene.has(SCHEDULER), [STAKE + 10n, 0n]);
  t.strictSame(scene.has("developer"), [55n, 0n]);
  t.equal(scene.view("viewScore", addressBy("w0")), 0n);
  balanced(t, scene);
  t.end();
});

t.test("weights are max(score/3, 3) - 1, and rewards go by their logarithms", (t) => {
  t.strictSame([0n, 11n, 12n, 14n, 15n, 300n].map(weightOf), [2n, 2n, 3n, 3n, 4n, 99n]);
  t.strictSame([1n, 2n, 3n, 4n, 7n, 8n, 99n].map(log2), [0, 1, 1, 2, 2, 3, 6]);
  const { scene, task } = opened({ request: { trust: 9n } });
  for (let i = 0; i < 27; i++) scoreUp(scene.state, addressBy("w0"));
  scene.contribute("w1", task, "right");
  scene.contribute("w0", task, "right");
  t.equal(taskOf(scene, task).status, 2n, "2*8 = 16: 16*9 > 17*8");
  for (const worker of ["w0", "w1"]) scene.reveal(worker, task, "right");
  scene.finalize(task);
  t.strictSame(scene.has("w0"), [STAKE + 742n, 0n], "three parts of four of 990");
  t.strictSame(scene.has("w1"), [STAKE + 247n, 0n]);
  t.strictSame(scene.has(SCHEDULER), [STAKE + 11n, 0n]);
  t.equal(scene.view("viewScore", addressBy("w0")), 28n);
  balanced(t, scene);
  t.end();
});

t.test("a fault takes a third of a score", (t) => {
  const { scene, task } = opened({ request: { trust: 2n } });
  for (let i = 0; i < 8; i++) scoreUp(scene.state, addressBy("w0"));
  scene.contribute("w0", task, "wrong");
  t.equal(taskOf(scene, task).status, 2n, "one is enough for trust 2");
  scene.advance(20);
  scene.call(scene.scheduler, HUB, hub("reopen"), [task]);
  scene.contribute("w1", task, "right");
  scene.reveal("w1", task, "right");
  scene.finalize(task);
  t.equal(scene.view("viewScore", addressBy("w0")), 5n);
  t.equal(scene.view("viewScore", addressBy("w1")), 1n);
  t.strictSame(scene.has("w1"), [STAKE + 1_287n, 0n], "99 of 100 of price and stake");
  balanced(t, scene);
  t.end();
});

t.test("what nobody reveals is reopened by the scheduler, and who hid it cannot contribute again", (t) => {
  const { scene, task } = opened();
  const reopen = (from: Address = scene.scheduler) => scene.call(from, HUB, hub("reopen"), [task]);
  for (const worker of ["w0", "w1"]) scene.contribute(worker, task, "hidden");
  t.equal(taskOf(scene, task).status, 2n);
  t.throws(() => reopen(), /reverted/, "there is time to reveal");
  scene.advance(20);
  t.throws(() => reopen(addressBy("w0")), /reverted/, "not the scheduler");
  t.strictSame(eventNames(reopen().logs), ["TaskReopen"]);
  const again = taskOf(scene, task);
  t.strictSame([again.status, again.consensus, again.revealDeadline, again.winners], [1n, ZERO_HASH, 0n, 0n]);
  t.throws(() => reopen(), /reverted/);
  t.throws(() => scene.contribute("w0", task, "right"), /reverted/);
  scene.contribute("w2", task, "hidden");
  scene.contribute("w3", task, "hidden");
  t.equal(taskOf(scene, task).winners, 2n, "the same result may win, without those who hid it");
  for (const worker of ["w2", "w3"]) scene.reveal(worker, task, "hidden");
  t.throws(() => reopen(), /reverted/);
  scene.finalize(task);
  t.strictSame(scene.has("w0"), [STAKE - 300n, 0n]);
  t.strictSame(scene.has("w2"), [STAKE + 792n, 0n]);
  balanced(t, scene);
  t.end();
});

t.test(
  "a failed task gives all their stakes back but the scheduler's, which goes to the kitty and to the next success",
  (t) => {
    const { scene, dealid, task } = opened({ request: { volume: 2n } });
    const claim = (id: Hash) => scene.call(scene.staker, HUB, hub("claim"), [id]);
    scene.contribute("w0", task, "one");
    scene.contribute("w1", task, "two");
    t.throws(() => claim(task), /reverted/);
    t.throws(() => claim(keccak256(EMPTY)), /reverted/, "no such task");
    scene.advance(70);
    t.throws(() => scene.contribute("w2", task, "one"), /reverted/, "too late");
    scene.advance(30);
    const { logs } = claim(task);
    t.strictSame(eventNames(logs), [
      ...["Transfer", "Unlock", "Seize", "Reward", "Lock"],
      ...["Transfer", "Unlock", "Transfer", "Unlock", "TaskClaimed"],
    ]);
    t.strictSame(scene.account(KITTY), { stake: 0n, locked: 300n });
    t.strictSame(scene.has("w0"), [STAKE, 0n]);
    t.strictSame(scene.has(SCHEDULER), [STAKE - 600n, 300n]);
    t.strictSame(scene.has("requester"), [STAKE - 1_050n, 1_050n]);
    t.throws(() => claim(task), /reverted/, "twice");
    t.equal(taskOf(scene, task).status, 4n);
    balanced(t, scene);
    scene.call(scene.staker, HUB, hub("initializeAndClaimArray"), [[dealid], [1n]]);
    t.strictSame(scene.account(KITTY), { stake: 0n, locked: 600n });
    t.throws(() => scene.call(scene.staker, HUB, hub("claimArray"), [[task]]), /reverted/);

    const next = scene.initialize(scene.match({ request: { trust: 1n } }));
    scene.contribute("w0", next, "right");
    scene.reveal("w0", next, "right");
    t.strictSame(eventNames(scene.finalize(next).logs).slice(5, 8), ["Seize", "Transfer", "Reward"]);
    t.strictSame(scene.account(KITTY), { stake: 0n, locked: 0n }, "less than the least that is given");
    t.strictSame(scene.has(SCHEDULER), [STAKE + 10n, 0n]);
    balanced(t, scene);
    t.end();
  },
);

t.test("the kitty gives a tenth, and at least 1 RLC", (t) => {
  const scene = createScene();
  const price = 10n ** 11n;
  scene.stake(scene.requester, 10n ** 12n);
  scene.stake(scene.scheduler, 10n ** 12n);
  const options = { workerpool: { workerpoolprice: price }, request: { workerpoolmaxprice: price, trust: 1n } };
  const failed = scene.initialize(scene.match(options));
  scene.advance(100);
  scene.call(scene.staker, HUB, hub("claim"), [failed]);
  t.equal(scene.account(KITTY).locked, 3n * 10n ** 10n);
  const succeed = () => {
    const task = scene.initialize(scene.match({ request: { trust: 1n } }));
    scene.contribute("w0", task, "right");
    scene.reveal("w0", task, "right");
    scene.finalize(task);
    return scene.account(KITTY).locked;
  };
  t.equal(succeed(), 27n * 10n ** 9n);
  t.equal(succeed(), 243n * 10n ** 8n);
  for (let i = 0; i < 9; i++) succeed();
  const before = scene.account(KITTY).locked;
  t.ok(before < 10n ** 10n);
  t.equal(succeed(), before - 10n ** 9n);
  balanced(t, scene);
  t.end();
});

t.test("one trusted worker contributes and finalizes in one call", (t) => {
  const { scene, task } = opened({ request: { trust: 1n } });
  const run = (worker = "w0", authorization = scene.authorize(worker, task), callback: Uint8Array = EMPTY) =>
    scene.call(addressBy(worker), HUB, hub("contributeAndFinalize"), [
      ...[task, resultOf("right"), utf8("there"), callback],
      ...[ZERO_ADDRESS, EMPTY, authorization],
    ]);
  t.throws(() => run("w0", scene.authorize("w1", task)), /reverted/);
  t.throws(() => run("w0", EMPTY), /invalid-signature-format/);
  t.throws(() => run("w0", scene.authorize("w0", task), utf8("x")), /reverted/);
  const { logs } = run();
  t.strictSame(eventNames(logs), [
    ...["Seize", "Transfer", "Reward", "Transfer", "Unlock"],
    ...["Transfer", "Reward", "Transfer", "Reward"],
    ...["TaskContribute", "TaskConsensus", "TaskReveal", "TaskFinalize"],
  ]);
  const end = taskOf(scene, task);
  const now = BigInt(scene.block().timestamp);
  t.strictSame([end.status, end.revealed, end.winners, end.revealDeadline], [3n, 1n, 1n, now + 20n]);
  t.strictSame(scene.has("w0"), [STAKE + 990n, 0n]);
  t.strictSame(scene.has(SCHEDULER), [STAKE + 10n, 0n]);
  t.strictSame((scene.view("viewContribution", task, addressBy("w0")) as AbiValue[])[4], 0n);
  t.throws(() => run("w1"), /reverted/, "it is done");
  balanced(t, scene);

  const strict = opened({ request: { trust: 2n } });
  const late = [
    strict.task,
    resultOf("right"),
    EMPTY,
    EMPTY,
    ZERO_ADDRESS,
    EMPTY,
    strict.scene.authorize("w0", strict.task),
  ];
  t.throws(() => strict.scene.call(addressBy("w0"), HUB, hub("contributeAndFinalize"), late), /reverted/, "trust is 2");
  t.end();
});

t.test("with a callback, the digest is that of the data, which resultFor gives", (t) => {
  const data = utf8("42");
  const { scene, task } = opened({ request: { trust: 1n, callback: addressBy("consumer") } });
  const digest = keccak256(data);
  const [hash, seal] = [
    keccak256(Buffer.concat([task, digest].map((each) => Buffer.from(each.slice(2), "hex")))),
    keccak256(Buffer.concat([addressBy("w0"), task, digest].map((each) => Buffer.from(each.slice(2), "hex")))),
  ];
  scene.call(addressBy("w0"), HUB, hub("contribute"), [
    ...[task, hash, seal, ZERO_ADDRESS, EMPTY],
    scene.authorize("w0", task),
  ]);
  scene.call(addressBy("w0"), HUB, hub("reveal"), [task, digest]);
  t.throws(() => scene.view("resultFor", task), /task-pending/);
  t.throws(() => scene.finalize(task), /reverted/, "no data");
  t.throws(() => scene.finalize(task, EMPTY, utf8("43")), /reverted/, "other data");
  scene.finalize(task, EMPTY, data);
  t.strictSame(scene.view("resultFor", task), data);
  t.strictSame(taskOf(scene, task).callback, data);
  t.end();
});

t.test("a TEE deal asks for an enclave's signature, authorized by the scheduler or by the broker", (t) => {
  const tee = word(1);
  const options = { app: { tag: tee }, workerpool: { tag: tee }, request: { trust: 1n } };
  const { scene, task } = opened(options);
  const enclave = addressBy("enclave");
  const [hash, seal] = scene.commitmentOf("w0", task, "right");
  const proof = signAs("enclave", signedMessageHash(hash, seal));
  const contribute = (challenge: Address, enclaveSign: Uint8Array, authorization: Uint8Array) =>
    scene.call(addressBy("w0"), HUB, hub("contribute"), [task, hash, seal, challenge, enclaveSign, authorization]);
  t.throws(() => contribute(ZERO_ADDRESS, EMPTY, scene.authorize("w0", task)), /reverted/, "no enclave");
  t.throws(() => contribute(enclave, proof, scene.authorize("w0", task)), /reverted/, "authorized for none");
  t.throws(
    () => contribute(enclave, signAs("w0", hash), scene.authorize("w0", task, enclave)),
    /reverted/,
    "not its own",
  );
  t.throws(() => contribute(enclave, EMPTY, scene.authorize("w0", task, enclave)), /invalid-signature-format/);
  scene.call(addressBy("owner"), HUB, hub("setTeeBroker"), [addressBy("broker")]);
  t.throws(
    () => contribute(enclave, proof, scene.authorize("w0", task, enclave)),
    /reverted/,
    "the broker authorizes now",
  );
  contribute(enclave, proof, scene.authorize("w0", task, enclave, "broker"));
  t.equal((scene.view("viewContribution", task, addressBy("w0")) as AbiValue[])[3], enclave);

  const second = scene.initialize(scene.match(options));
  const commitment = scene.commitmentOf("w1", second, "right");
  scene.call(addressBy("w1"), HUB, hub("contributeAndFinalize"), [
    ...[second, resultOf("right"), EMPTY, EMPTY, enclave],
    signAs("enclave", signedMessageHash(...commitment)),
    scene.authorize("w1", second, enclave, "broker"),
  ]);
  t.equal(taskOf(scene, second).status, 3n);
  t.end();
});

t.test("a contribution needs a stake, an authorization of the worker's own, and a task", (t) => {
  const { scene, task } = opened();
  const [hash, seal] = scene.commitmentOf("w0", task, "right");
  const contribute = (from: string, authorization: Uint8Array, id = task) =>
    scene.call(addressBy(from), HUB, hub("contribute"), [id, hash, seal, ZERO_ADDRESS, EMPTY, authorization]);
  t.throws(() => contribute("w0", scene.authorize("w1", task)), /reverted/);
  t.throws(() => contribute("w0", scene.authorize("w0", task, ZERO_ADDRESS, "w0")), /reverted/);
  t.throws(() => contribute("poor", scene.authorize("poor", task)), /IexecEscrow: Transfer amount exceeds balance/);
  t.throws(() => contribute("w0", scene.authorize("w0", task), ZERO_HASH), /reverted/);
  contribute("w0", scene.authorize("w0", task));
  t.throws(() => contribute("w0", scene.authorize("w0", task)), /reverted/, "twice");
  t.end();
});

t.test("the pool's policy at the time of the match holds", (t) => {
  const scene = createScene();
  const { call, scheduler, pool } = scene;
  call(scheduler, pool, entry("changePolicy"), [250n, 40n]);
  const task = scene.initialize(scene.match({ request: { trust: 1n } }));
  call(scheduler, pool, entry("changePolicy"), [0n, 100n]);
  scene.contribute("w0", task, "right");
  t.strictSame(scene.has("w0"), [STAKE - 2_500n, 2_500n]);
  scene.reveal("w0", task, "right");
  scene.finalize(task);
  t.strictSame(scene.has("w0"), [STAKE + 600n, 0n]);
  t.strictSame(scene.has(SCHEDULER), [STAKE + 400n, 0n]);
  t.end();
});

t.test("a task has a bounded number of contributors", (t) => {
  const names = Array.from({ length: MAX_CONTRIBUTORS + 1 }, (_, i) => `c${i}`);
  const { scene, task } = opened({ request: { trust: 100n } }, names);
  for (const name of names.slice(0, -1)) scene.contribute(name, task, name);
  t.throws(() => scene.contribute(names.at(-1)!, task, "more"), /at most 64 contributors/);
  scene.advance(100);
  scene.call(scene.staker, HUB, hub("claim"), [task]);
  t.strictSame(scene.has("c63"), [STAKE, 0n]);
  balanced(t, scene, names);
  t.end();
});
