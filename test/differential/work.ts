import { type Address, fromHex, type Hash, type Hex, toHex, utf8, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { HUB } from "../../vm/addresses.ts";
import { addTask, pick } from "./match.ts";
import { type SignatureForm, signAs } from "./orders.ts";
import type { KnownDeal, KnownTask, Session } from "./session.ts";
import { ACTORS, type Actor, ENCLAVE, OWNER } from "./setting.ts";
import type { StepOf } from "./steps.ts";

/** A task as PoCo shows it. */
interface TaskView {
  readonly status: number;
  readonly contributionDeadline: bigint;
  readonly revealDeadline: bigint;
  readonly finalDeadline: bigint;
  readonly revealCounter: bigint;
  readonly winnerCounter: bigint;
  readonly contributors: readonly Address[];
  readonly consensusValue: Hash;
}
const ACTIVE = 1;
const REVEALING = 2;
const PROVED = 2;

const resultOf = (n: number): Hex => toHex(utf8(`result ${n}`));
/** Result 0 is what the honest find; the others are lies. */
const digestOf = (n: number): Hash => keccak256(fromHex(resultOf(n)));
const packed = (...parts: readonly Hex[]): Hash => keccak256(...parts.map(fromHex));
/** EIP-191 of a hash. */
const ethSigned = (hash: Hash): Hash => keccak256(utf8("\x19Ethereum Signed Message:\n32"), fromHex(hash));
const key = (task: Hash, worker: Address): string => `${task} ${worker}`;

const viewTask = async (session: Session, { id }: KnownTask): Promise<TaskView> =>
  (await session.ask<TaskView>(HUB, "hub", "viewTask", [id]))!;
const dealOf = (session: Session, task: KnownTask): KnownDeal => session.deals.find(({ id }) => id === task.dealid)!;
/** Mostly one of the latest tasks, so that some get to their end. */
const latest = (session: Session, n: number): number => {
  const { length } = session.tasks;
  return n % 8 === 0 ? (n >> 3) % length : Math.max(0, length - 1 - (n % 3));
};
const taskAt = (session: Session, n: number): KnownTask | undefined =>
  session.tasks.length === 0 ? undefined : session.tasks[latest(session, n)];

/** Signatures and challenge of a contribution; `enclave`: 0 as the deal wants, 1 none, 2 one, 3 one with a wrong signature. */
const authorized = (
  session: Session,
  task: KnownTask,
  worker: Actor,
  hashes: { hash: Hash; seal: Hash },
  options: { authorization: SignatureForm; authorizer: number; enclave: number },
) => {
  const deal = dealOf(session, task);
  const withEnclave = options.enclave === 0 ? deal.isTee : options.enclave > 1;
  const challenge = withEnclave ? ENCLAVE.address : ZERO_ADDRESS;
  const owner = session.actorAt(deal.poolOwner);
  const signer = pick([owner ?? OWNER, ENCLAVE, worker], options.authorizer);
  const message = ethSigned(packed(worker.address, task.id, challenge));
  const enclaveMessage = ethSigned(packed(hashes.hash, hashes.seal));
  return {
    challenge,
    enclaveSign: withEnclave
      ? signAs(enclaveMessage, ENCLAVE.key, OWNER.key, options.enclave === 3 ? "wrong-key" : "plain")
      : "0x",
    authorizationSign: signAs(message, signer.key, ENCLAVE.key, options.authorization),
  };
};
const HONEST = { authorization: "plain", authorizer: 0, enclave: 0 } as const;

const contribute = async (
  session: Session,
  task: KnownTask,
  worker: Actor,
  options: { digest: number; seal: number; authorization: SignatureForm; authorizer: number; enclave: number },
): Promise<void> => {
  const digest = digestOf(options.digest);
  const hash = packed(task.id, digest);
  const sealer = options.seal === 0 ? worker.address : OWNER.address;
  const seal = packed(sealer, task.id, digest);
  const { challenge, enclaveSign, authorizationSign } = authorized(session, task, worker, { hash, seal }, options);
  const args = [task.id, hash, seal, challenge, enclaveSign, authorizationSign];
  const { ok } = await session.hub(worker, "contribute", args);
  if (ok) session.digests.set(key(task.id, worker.address), options.digest);
};

const resultsOf = (n: number): Hex => toHex(utf8(pick(["", '{"storage":"ipfs"}', "x".repeat(33)], n)));
/** What a deal's callback gets: 0 what fits, 1 what does not, 2 nothing. */
const callbackOf = (deal: KnownDeal, digest: number, choice: number): Hex => {
  if (choice === 1) return resultOf(9);
  return choice === 2 || deal.callback === ZERO_ADDRESS ? "0x" : resultOf(digest);
};

const fast = async (
  session: Session,
  task: KnownTask,
  worker: Actor,
  options: {
    digest: number;
    results: number;
    callback: number;
    authorization: SignatureForm;
    authorizer: number;
    enclave: number;
  },
): Promise<void> => {
  const digest = digestOf(options.digest);
  const hashes = { hash: packed(task.id, digest), seal: packed(worker.address, task.id, digest) };
  const { challenge, enclaveSign, authorizationSign } = authorized(session, task, worker, hashes, options);
  const callback = callbackOf(dealOf(session, task), options.digest, options.callback);
  const args = [task.id, digest, resultsOf(options.results), callback, challenge, enclaveSign, authorizationSign];
  await session.hub(worker, "contributeAndFinalize", args);
};

const finalize = async (
  session: Session,
  task: KnownTask,
  who: Actor,
  results: number,
  callback: number,
): Promise<void> => {
  const deal = dealOf(session, task);
  const view = await viewTask(session, task);
  // The digest that was revealed, as some contributor of the agreed hash committed to it.
  const digest = [0, 1, 2].find((n) => packed(task.id, digestOf(n)) === view.consensusValue) ?? 0;
  await session.hub(who, "finalize", [task.id, resultsOf(results), callbackOf(deal, digest, callback)]);
};

/** Does what comes next for a task, as honest people would. */
const advance = async (session: Session, step: StepOf<"advance">): Promise<void> => {
  for (let i = 0; i < session.tasks.length; i++) {
    const task = pick(session.tasks, latest(session, step.task) + i);
    const view = await viewTask(session, task);
    const deal = dealOf(session, task);
    const scheduler = session.actorAt(deal.poolOwner) ?? OWNER;
    const who = session.actor(step.who);
    if (view.status === 0) {
      await session.hub(who, "initialize", [task.dealid, task.index]);
      return;
    }
    if (view.status === ACTIVE) {
      if (BigInt(session.now) >= view.finalDeadline) {
        await session.hub(who, "claim", [task.id]);
        return;
      }
      const had = view.contributors.map((each) => each.toLowerCase());
      const fresh = ACTORS.map((_, n) => session.actor(step.who + n)).find(({ address }) => !had.includes(address));
      if (!fresh) continue;
      if (had.length === 0 && deal.trust === 1n && step.who % 3 === 0)
        return fast(session, task, fresh, { ...HONEST, digest: 0, results: step.who, callback: 0 });
      // Some lie, where there is anybody to say otherwise.
      const digest = deal.trust > 1n && (step.who >> 8) % 4 === 1 ? 1 : 0;
      await contribute(session, task, fresh, { ...HONEST, digest, seal: 0 });
      return;
    }
    if (view.status === REVEALING) {
      // Some are silent, and are not waited for.
      if (view.revealCounter > 0n && (step.who >> 8) % 4 === 2) await goTo(session, task, "revealDeadline", 0);
      for (const worker of view.contributors) {
        const actor = session.actorAt(worker)!;
        const digest = session.digests.get(key(task.id, actor.address)) ?? 0;
        const { status } = (await session.ask<{ status: number }>(HUB, "hub", "viewContribution", [task.id, worker]))!;
        if (status === PROVED || packed(task.id, digestOf(digest)) !== view.consensusValue) continue;
        if (BigInt(session.now) >= view.revealDeadline) continue;
        await session.hub(actor, "reveal", [task.id, digestOf(digest)]);
        return;
      }
      if (BigInt(session.now) >= view.finalDeadline) await session.hub(who, "claim", [task.id]);
      else if (view.revealCounter === 0n) await session.hub(scheduler, "reopen", [task.id]);
      else await finalize(session, task, scheduler, step.who, 0);
      return;
    }
  }
};

/** Goes on to a deadline of a task or a second about it, or some seconds. Never back. */
const passTime = async (session: Session, step: StepOf<"time">): Promise<void> => {
  const task = taskAt(session, step.task);
  const around = (step.seconds % 3) - 1;
  let to = session.now + step.seconds;
  if (task && step.to % 4 !== 0) {
    const view = await viewTask(session, task);
    const deadline = pick([view.contributionDeadline, view.revealDeadline, view.finalDeadline], step.to);
    if (deadline > 0n) to = Number(deadline) + around;
  }
  session.now = Math.max(session.now, to);
};

/** Goes on to a deadline of a task, or some seconds before; never back. */
const goTo = async (
  session: Session,
  task: KnownTask,
  deadline: "contributionDeadline" | "revealDeadline",
  offset: number,
): Promise<void> => {
  const at = Number((await viewTask(session, task))[deadline]) + offset;
  session.now = Math.max(session.now, at);
};

/** The latest task in a status, or the one that was chosen where none is. */
const taskIn = async (session: Session, chosen: KnownTask, wanted: (view: TaskView) => boolean): Promise<KnownTask> => {
  for (const task of session.tasks.slice(-6).reverse()) if (wanted(await viewTask(session, task))) return task;
  return chosen;
};

type WorkStep = StepOf<
  "advance" | "initialize" | "contribute" | "reveal" | "finalize" | "reopen" | "claim" | "fast" | "time"
>;

/** In what state a task is when a step mostly works. */
const WANTED: Readonly<Partial<Record<WorkStep["step"], (view: TaskView) => boolean>>> = {
  contribute: ({ status }) => status === ACTIVE,
  reveal: ({ status }) => status === REVEALING,
  finalize: ({ status, revealCounter }) => status === REVEALING && revealCounter > 0n,
  reopen: ({ status, revealCounter }) => status === REVEALING && revealCounter === 0n,
  fast: ({ status, contributors }) => status === ACTIVE && contributors.length === 0,
  claim: ({ status }) => status === ACTIVE || status === REVEALING,
};

/** Runs a step of the life of a task. */
export const runWork = async (session: Session, step: WorkStep): Promise<void> => {
  if (step.step === "time") return passTime(session, step);
  if (step.step === "advance") {
    // Others each time, and now and then a liar or one who does not wait.
    for (let i = 0; i < step.times; i++) await advance(session, { ...step, who: step.who + i * 257 });
    return;
  }
  const who = session.actor(step.who);
  const chosen = taskAt(session, step.task);
  if (!chosen) return;
  const wanted = step.task % 4 === 0 ? undefined : WANTED[step.step];
  const task = wanted ? await taskIn(session, chosen, wanted) : chosen;
  const deal = dealOf(session, task);
  const scheduler = session.actorAt(deal.poolOwner) ?? OWNER;
  switch (step.step) {
    case "initialize": {
      const index = deal.first + BigInt(step.index);
      const second = step.index === 0 ? [] : [deal.first + BigInt(step.index - 1)];
      const indexes = step.many ? [index, ...second] : [index];
      const name = step.many ? "initializeArray" : "initialize";
      const args = step.many ? [indexes.map(() => task.dealid), indexes] : [task.dealid, index];
      if ((await session.hub(who, name, args)).ok) for (const each of indexes) addTask(session, task.dealid, each);
      return;
    }
    case "contribute":
      if (step.edge !== undefined) await goTo(session, task, "contributionDeadline", step.edge);
      return contribute(session, task, who, step);
    case "reveal": {
      if (step.edge !== undefined) await goTo(session, task, "revealDeadline", step.edge);
      // Mostly by one who contributed: of others nobody is in the list, and `who` stays.
      const { contributors } = await viewTask(session, task);
      const worker = contributors.length > 0 && step.who % 5 !== 0 ? pick(contributors, step.who) : who.address;
      const actor = session.actorAt(worker) ?? who;
      const committed = session.digests.get(key(task.id, actor.address)) ?? 0;
      await session.hub(actor, "reveal", [task.id, digestOf((committed + step.digest) % 3)]);
      return;
    }
    case "finalize":
      if (step.late) await goTo(session, task, "revealDeadline", 0);
      return finalize(session, task, step.owner ? scheduler : who, step.results, step.callback);
    case "reopen":
      if (step.late) await goTo(session, task, "revealDeadline", 0);
      await session.hub(step.owner ? scheduler : who, "reopen", [task.id]);
      return;
    case "claim": {
      if (step.late) session.now = Math.max(session.now, deal.end);
      const other = pick(session.tasks, step.other);
      const ids = step.index === 0 ? [task.id] : [task.id, other.id];
      const index = deal.first + BigInt(step.index === 0 ? 0n : deal.size - 1n);
      if (step.how % 4 === 0) await session.hub(who, "claimArray", [ids]);
      else if (step.how % 4 === 1) await session.hub(who, "initializeAndClaimArray", [[task.dealid], [index]]);
      else await session.hub(who, "claim", [task.id]);
      return;
    }
    case "fast":
      return fast(session, task, who, step);
  }
};
