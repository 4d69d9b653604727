import { type Address, fromHex, type Hash, word, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { HUB, MARKET, TOKEN } from "../../vm/addresses.ts";
import { IS_6_1 } from "./artifacts.ts";
import { ENTRY_KINDS, type EntryKind } from "./contracts.ts";
import {
  fittingOrders,
  KINDS,
  type Kind,
  type Order,
  operationHash,
  orderHash,
  type Quadruple,
  signAs,
} from "./orders.ts";
import type { Match, Session } from "./session.ts";
import { type Actor, OWNER } from "./setting.ts";
import type { StepOf } from "./steps.ts";

export const pick = <T>(list: readonly T[], n: number): T => list[n % list.length]!;
const MANAGE = {
  app: "manageAppOrder",
  dataset: "manageDatasetOrder",
  workerpool: "manageWorkerpoolOrder",
  request: "manageRequestOrder",
} as const;
/** Tag bits: TEE, GPU, both, one of a high place, and those of TEE frameworks, which 6.1.0 does not mask (docs/market-differences.md). */
const TAGS: readonly Hash[] = [
  ...[ZERO_HASH, word(1n), word(0x100n), word(0x101n), word(1n << 255n)],
  IS_6_1 ? word(0x10n) : word(0xen),
];

/** Ways in which orders do not fit, about one for each check of matchOrders. */
const FLAWS: readonly ((orders: Quadruple, session: Session) => void)[] = [
  ({ request }) => {
    request.category += 1n;
  },
  ({ request, workerpool }) => {
    request.category = 99n;
    workerpool.category = 99n;
  },
  ({ request, workerpool }) => {
    request.trust = (workerpool.trust + 1n) % 2n ** 256n;
  },
  ({ request, app }) => {
    request.appmaxprice = app.appprice > 0n ? app.appprice - 1n : 5n;
  },
  ({ request, dataset }) => {
    request.datasetmaxprice = dataset.datasetprice > 0n ? dataset.datasetprice - 1n : 5n;
  },
  ({ request, workerpool }) => {
    request.workerpoolmaxprice = workerpool.workerpoolprice > 0n ? workerpool.workerpoolprice - 1n : 5n;
  },
  ({ workerpool }) => {
    workerpool.tag = ZERO_HASH;
  },
  ({ app }) => {
    app.tag = ZERO_HASH;
  },
  ({ request }, session) => {
    request.app = pick(session.entries.app, 1);
  },
  ({ request }) => {
    request.dataset = MARKET;
  },
  ({ dataset }) => {
    dataset.dataset = ZERO_ADDRESS;
  },
  ({ request }) => {
    request.workerpool = TOKEN;
  },
  ({ request, workerpool }) => {
    request.workerpool = workerpool.workerpool;
  },
  ...(["datasetrestrict", "workerpoolrestrict", "requesterrestrict"] as const).flatMap((name) => [
    ({ app }: Quadruple) => {
      app[name] = HUB;
    },
    (orders: Quadruple) => {
      orders.app[name] = acceptedBy(orders, name);
    },
  ]),
  ...(["apprestrict", "workerpoolrestrict", "requesterrestrict"] as const).flatMap((name) => [
    ({ dataset }: Quadruple) => {
      dataset[name] = "0x00000000000000000000000000000000000000aa";
    },
    (orders: Quadruple) => {
      orders.dataset[name] = acceptedBy(orders, name);
    },
  ]),
  ...(["apprestrict", "datasetrestrict", "requesterrestrict"] as const).flatMap((name) => [
    ({ workerpool, app }: Quadruple) => {
      workerpool[name] = name === "apprestrict" ? HUB : app.app;
    },
    (orders: Quadruple) => {
      orders.workerpool[name] = acceptedBy(orders, name);
    },
  ]),
  (orders) => {
    orders.app.app = HUB;
    orders.request.app = HUB;
  },
  (orders, session) => {
    orders.app.app = pick(session.entries.workerpool, 0);
    orders.request.app = orders.app.app;
  },
  (orders) => {
    orders.app.app = "0x00000000000000000000000000000000000000aa";
    orders.request.app = orders.app.app;
  },
  (orders, session) => {
    orders.dataset.dataset = pick(session.entries.app, 0);
    orders.request.dataset = orders.dataset.dataset;
  },
  (orders, session) => {
    orders.workerpool.workerpool = pick(session.entries.app, 0);
  },
  (orders) => {
    orders.workerpool.workerpool = ZERO_ADDRESS;
  },
  (orders) => {
    orders.request.requester = ZERO_ADDRESS;
  },
  (orders) => {
    orders.request.requester = HUB;
  },
  (orders) => {
    orders.app.volume = 0n;
  },
];
const acceptedBy = (orders: Quadruple, name: string): Address => {
  if (name === "requesterrestrict") return orders.request.requester;
  return { app: orders.app.app, dataset: orders.dataset.dataset, workerpool: orders.workerpool.workerpool }[
    name.replace("restrict", "") as EntryKind
  ];
};

/** Who must sign an order: the entry's owner, or the requester. */
const signerOf = async (session: Session, kind: Kind, order: Order): Promise<Actor | undefined> => {
  if (kind === "request") return session.actorAt((order as Quadruple["request"]).requester);
  const entry = (order as unknown as Record<string, Address>)[kind]!;
  for (const each of ENTRY_KINDS) {
    const owner = session.entries[each].includes(entry) ? await session.ownerOf(each, entry) : undefined;
    if (owner) return session.actorAt(owner);
  }
  return undefined;
};

const submit = async (session: Session, who: Actor, match: Match, sponsored: boolean): Promise<void> => {
  const { app, dataset, workerpool, request } = match.orders;
  const name = sponsored ? "sponsorMatchOrders" : "matchOrders";
  const outcome = await session.hub(who, name, [app, dataset, workerpool, request]);
  if (!outcome.ok) return;
  const id = outcome.data;
  const deal = await session.ask<{
    workerpool: { owner: Address };
    callback: Address;
    trust: bigint;
    tag: Hash;
    botFirst: bigint;
    botSize: bigint;
    startTime: bigint;
    category: bigint;
  }>(HUB, "hub", "viewDeal", [id]);
  if (!deal) return;
  const category = await session.ask<{ workClockTimeRef: bigint }>(HUB, "hub", "viewCategory", [deal.category]);
  session.deals.push({
    id,
    poolOwner: deal.workerpool.owner,
    callback: deal.callback,
    trust: deal.trust,
    isTee: (BigInt(deal.tag) & 1n) === 1n,
    first: deal.botFirst,
    size: deal.botSize,
    end: Number(deal.startTime + 10n * (category?.workClockTimeRef ?? 0n)),
  });
  for (let i = 0n; i < deal.botSize && i < 3n; i++) addTask(session, id, deal.botFirst + i);
};
/** Notes a task that there may be. */
export const addTask = (session: Session, dealid: Hash, index: bigint): void =>
  void session.tasks.push({ id: keccak256(fromHex(dealid), fromHex(word(index))), dealid, index });

/** Makes four orders, flaws and all, signs them or signs them on chain, and matches them. */
export const runMatch = async (session: Session, step: StepOf<"match">): Promise<void> => {
  const requester = session.actor(step.requester);
  const dataset = step.dataset === undefined ? ZERO_ADDRESS : pick(session.entries.dataset, step.dataset);
  const orders = fittingOrders(
    {
      app: pick(session.entries.app, step.app),
      dataset,
      workerpool: pick(session.entries.workerpool, step.pool),
      requester: requester.address,
    },
    session.nextSalt(),
  );
  const { app, workerpool, request } = orders;
  [app.appprice, orders.dataset.datasetprice, workerpool.workerpoolprice] = step.prices;
  [request.appmaxprice, request.datasetmaxprice, request.workerpoolmaxprice] = step.prices;
  [app.volume, orders.dataset.volume, workerpool.volume, request.volume] = step.volumes;
  request.trust = step.trust;
  workerpool.trust = step.trust;
  request.category = BigInt(step.category);
  workerpool.category = request.category;
  app.tag = TAGS[step.tags[0]]!;
  orders.dataset.tag = dataset === ZERO_ADDRESS ? ZERO_HASH : TAGS[step.tags[1]]!;
  request.tag = TAGS[step.tags[2]]!;
  workerpool.tag = word((1n << 256n) - 1n);
  // Most deals want the app to say that it runs in an enclave where somebody else does.
  if ((BigInt(orders.dataset.tag) | BigInt(request.tag)) & 1n) app.tag = word(BigInt(app.tag) | 1n);
  request.beneficiary = step.beneficiary % 3 === 0 ? ZERO_ADDRESS : session.actor(step.beneficiary).address;
  request.callback = [ZERO_ADDRESS, session.actor(step.params).address, app.app][step.callback]!;
  request.params = pick(["{}", "", '{"iexec_args":"hi"}', "ü".repeat(40)], step.params);
  for (const flaw of step.flaws) pick(FLAWS, flaw)(orders, session);

  const hashes = {} as Record<Kind, Hash>;
  for (const [i, kind] of KINDS.entries()) {
    const order = orders[kind];
    hashes[kind] = orderHash(kind, order);
    const signer = (await signerOf(session, kind, order)) ?? requester;
    if ((step.presign >> i) & 1) await session.hub(signer, MANAGE[kind], [{ order, operation: 0, sign: "0x" }]);
    else order.sign = signAs(hashes[kind], signer.key, OWNER.key, step.forms[i]!);
  }
  const match = { orders, hashes };
  session.matches.push(match);
  await submit(session, session.actor(step.who), match, step.sponsored);
};

/** Matches orders again that were matched before: as they were, with one of another match, or with one that asks for another volume. */
export const runRematch = async (session: Session, step: StepOf<"rematch">): Promise<void> => {
  if (session.matches.length === 0) return;
  const before = pick(session.matches, step.match);
  const orders = structuredClone(before.orders);
  const hashes = { ...before.hashes };
  if (step.mixed !== undefined) {
    const kind = pick(KINDS, step.mixed);
    const other = pick(session.matches, step.mixed);
    Object.assign(orders, { [kind]: structuredClone(other.orders[kind]) });
    hashes[kind] = other.hashes[kind];
  }
  if (step.volume !== undefined) {
    orders.request.volume = step.volume;
    orders.request.salt = session.nextSalt();
    hashes.request = orderHash("request", orders.request);
    const signer = session.actorAt(orders.request.requester);
    if (signer) orders.request.sign = signAs(hashes.request, signer.key, OWNER.key, "plain");
  }
  const match = { orders, hashes };
  session.matches.push(match);
  await submit(session, session.actor(step.who), match, step.sponsored);
};

/** Signs or closes an order on chain, as its owner, as somebody else, or with the owner's signature. */
export const runManage = async (session: Session, step: StepOf<"manage">): Promise<void> => {
  if (session.matches.length === 0) return;
  const kind = pick(KINDS, step.kind);
  const order = pick(session.matches, step.order).orders[kind];
  const signer = await signerOf(session, kind, order);
  const sender = step.who === undefined ? (signer ?? OWNER) : session.actor(step.who);
  const sign =
    step.form === undefined
      ? "0x"
      : signAs(operationHash(kind, order, step.operation), (signer ?? OWNER).key, OWNER.key, step.form);
  await session.hub(sender, MANAGE[kind], [{ order, operation: step.operation, sign }]);
};
