import type { Address } from "../../lib/bytes.ts";
import { HUB, MARKET, TOKEN } from "../../vm/addresses.ts";
import { runAny } from "./any.ts";
import { createEntry, runAssets } from "./assets.ts";
import { ENTRY_KINDS, encode, REGISTRY } from "./contracts.ts";
import { runManage, runMatch, runRematch } from "./match.ts";
import { createPocoWorld, type Mode } from "./poco.ts";
import { createRolecWorld } from "./rolec.ts";
import { Difference, Session } from "./session.ts";
import { ACTORS, OWNER } from "./setting.ts";
import type { Step, StepOf } from "./steps.ts";
import { runWork } from "./work.ts";

const KITTY: Address = "0x99c2268479b93fde36232351229815df80837e23";

const runStep = async (session: Session, step: Step): Promise<void> => {
  switch (step.step) {
    case "match":
      return runMatch(session, step);
    case "rematch":
      return runRematch(session, step);
    case "manage":
      return runManage(session, step);
    case "any":
      return runAny(session, step);
    case "deposit":
    case "withdraw":
    case "erc20":
    case "create":
    case "erc721":
    case "policy":
      return runAssets(session, step);
    default:
      return runWork(session, step);
  }
};

/** Compares all that the sequence may have changed: balances, scores, orders, deals, tasks, contributions, entries. */
const audit = async (session: Session): Promise<void> => {
  const people = [...ACTORS.map(({ address }) => address), OWNER.address];
  for (const address of [...people, KITTY, HUB, MARKET]) {
    await session.look(HUB, "hub", "viewAccount", [address]);
    const [expected, got] = [await session.reference.balance(address), await session.rolec.balance(address)];
    if (address !== MARKET && expected !== got)
      throw new Difference("balance", `${address} has ${got} wei, in the reference ${expected}`);
  }
  for (const address of people) await session.look(HUB, "hub", "viewScore", [address]);
  await session.look(HUB, "hub", "totalSupply", []);
  for (const { hashes } of session.matches.slice(-3))
    for (const hash of Object.values(hashes)) {
      await session.look(HUB, "hub", "viewConsumed", [hash]);
      await session.look(HUB, "hub", "viewPresigned", [hash]);
    }
  for (const { id } of session.deals.slice(-3)) await session.look(HUB, "hub", "viewDeal", [id]);
  for (const { id } of session.tasks.slice(-5)) {
    const { data } = await session.look(HUB, "hub", "viewTask", [id]);
    for (const { address } of ACTORS)
      if (data.includes(address.slice(2))) await session.look(HUB, "hub", "viewContribution", [id, address]);
  }
  for (const kind of ENTRY_KINDS)
    for (const entry of session.entries[kind]) await session.look(REGISTRY[kind], kind, "ownerOf", [BigInt(entry)]);
};

/** Runs a sequence in both worlds. Throws Difference at the first. */
export const runSequence = async (session: Session, steps: readonly Step[]): Promise<void> => {
  for (const step of steps) {
    await runStep(session, step);
    if (session.parted) return;
  }
  await audit(session);
};

const TRAINING: StepOf<"match"> = {
  step: "match",
  who: 0,
  requester: 0,
  app: 0,
  dataset: undefined,
  pool: 1,
  prices: [0n, 0n, 10n],
  volumes: [15n, 15n, 15n, 15n],
  trust: 4n,
  category: 4,
  tags: [0, 0, 0],
  beneficiary: 0,
  callback: 0,
  params: 0,
  forms: ["plain", "plain", "plain", "plain"],
  presign: 0,
  flaws: [],
  sponsored: false,
};

/**
 * Makes both worlds and brings them to where sequences start: everybody has stake, there are entries of each kind, and three
 * workers have scores of 15, 12 and 3.
 */
export const createBase = async (mode: Mode): Promise<Session> => {
  const session = new Session(mode, await createPocoWorld(mode), createRolecWorld());
  session.entries.workerpool.push(
    `0x${(await session.ask<Address>(REGISTRY.workerpool, "workerpool", "predictWorkerpool", [MARKET, "The public pool: the chain draws who computes"]))!.slice(2).toLowerCase()}`,
  );
  for (const [i, actor] of ACTORS.entries()) {
    if (mode === "native") await session.hub(actor, "deposit", [], 100n * 10n ** 18n);
    else await session.send(actor, TOKEN, encode("token", "approveAndCall", [HUB, 10n ** 11n, "0x"]));
    for (const kind of ENTRY_KINDS) if (i < 2) await createEntry(session, actor, kind, actor.address, i);
  }
  await runMatch(session, TRAINING);
  const deal = session.deals[0]!;
  session.tasks.length = 0;
  for (let i = 0; i < 15; i++) {
    const { data } = await session.hub(ACTORS[0]!, "initialize", [deal.id, BigInt(i)]);
    session.tasks.push({ id: data, dealid: deal.id, index: BigInt(i) });
    const second = i < 12 ? 6 : 5;
    for (const who of [7, second])
      await runWork(session, {
        step: "contribute",
        who,
        task: i,
        digest: 0,
        authorization: "plain",
        authorizer: 0,
        enclave: 0,
        seal: 0,
        edge: undefined,
      });
    for (const who of [7, second]) await runWork(session, { step: "reveal", who, task: i, digest: 0, edge: undefined });
    await runWork(session, { step: "finalize", who: 0, task: i, owner: true, late: false, results: 0, callback: 0 });
  }
  session.tasks.length = 0;
  session.deals.length = 0;
  await audit(session);
  return session;
};

/** Runs a sequence from the base and undoes it. Gives the session; `difference` where there is one. */
export const tryOut = async (
  base: Session,
  steps: readonly Step[],
): Promise<{ readonly session: Session; readonly difference?: Difference }> => {
  const session = base.fork();
  return base.reference.isolated(() =>
    base.rolec.isolated(async () => {
      try {
        await runSequence(session, steps);
        return { session };
      } catch (error) {
        if (error instanceof Difference) return { session, difference: error };
        throw error;
      }
    }),
  );
};
