import { type Address, fromHex, type Hash, type Hex, toHex, utf8, word, ZERO_ADDRESS } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { HUB, TOKEN } from "../../../vm/addresses.ts";
import { type Contract, type EntryKind, encode, REGISTRY } from "../../differential/contracts.ts";
import {
  fittingOrders,
  KINDS,
  type Kind,
  operationHash,
  orderHash,
  type Quadruple,
  signAs,
} from "../../differential/orders.ts";
import type { Session } from "../../differential/session.ts";
import { ACTORS, type Actor, ENCLAVE, OWNER } from "../../differential/setting.ts";

/** A write that works where the session stands. */
export interface RightCall {
  readonly contract: Contract;
  readonly to: Address;
  /** Name, or signature where a name stands twice. */
  readonly fn: string;
  readonly from: Actor;
  readonly args: readonly unknown[];
  readonly value?: bigint;
  /** Signs arguments again, after one of them was changed. */
  readonly sign?: (args: readonly unknown[]) => readonly unknown[];
}

/** The owner of app, dataset and pool; who requests, computes, and has nothing to do with it. */
export const [OWNER_OF_ALL, , REQUESTER, WORKER, SECOND, , , STRANGER] = ACTORS as readonly [
  ...[Actor, Actor, Actor, Actor, Actor, Actor, Actor, Actor],
];
const packed = (...parts: readonly Hex[]): Hash => keccak256(...parts.map(fromHex));
const ethSigned = (hash: Hash): Hash => keccak256(utf8("\x19Ethereum Signed Message:\n32"), fromHex(hash));
const signed = (hash: Hash, { key }: Actor): Hex => signAs(hash, key, OWNER.key, "plain");
const signerOf = (kind: Kind): Actor => (kind === "request" ? REQUESTER : OWNER_OF_ALL);

/** Signs four orders as their owners do. */
export const signOrders = (orders: Quadruple): Quadruple => {
  const sign = <K extends Kind>(kind: K) => ({
    ...orders[kind],
    sign: signed(orderHash(kind, orders[kind]), signerOf(kind)),
  });
  return { app: sign("app"), dataset: sign("dataset"), workerpool: sign("workerpool"), request: sign("request") };
};
export const listed = ({ app, dataset, workerpool, request }: Quadruple) => [app, dataset, workerpool, request];

/** Orders of the owner's entries that each name the others, at prices and with tags. */
export const openOrders = (session: Session): Quadruple => {
  const [app, dataset] = [session.entries.app[0]!, session.entries.dataset[0]!];
  const workerpool = session.entries.workerpool[1]!;
  const requester = REQUESTER.address;
  const orders = fittingOrders({ app, dataset, workerpool, requester }, session.nextSalt());
  const tags = { app: word(0x101n), dataset: word(0x201n), workerpool: word(0xf01n), request: word(0x401n) };
  for (const kind of KINDS) Object.assign(orders[kind], { volume: 3n, tag: tags[kind] });
  const restricts = { apprestrict: app, datasetrestrict: dataset, workerpoolrestrict: workerpool };
  for (const kind of ["app", "dataset", "workerpool"] as const)
    for (const [name, value] of Object.entries({ ...restricts, requesterrestrict: requester }))
      if (name in orders[kind]) Object.assign(orders[kind], { [name]: value });
  Object.assign(orders.app, { appprice: 5n });
  Object.assign(orders.dataset, { datasetprice: 7n });
  Object.assign(orders.workerpool, { workerpoolprice: 1_000n, trust: 4n });
  Object.assign(orders.request, { appmaxprice: 6n, datasetmaxprice: 7n, workerpoolmaxprice: 2_000n, workerpool });
  return orders;
};

const RESULT = toHex(utf8("right"));
const DIGEST = keccak256(fromHex(RESULT));

/** Signs what a contribution carries: the enclave its hash and seal, the pool's owner its worker, task and enclave. */
const authorizing = (hashes: (args: readonly unknown[]) => [Hash, Hash]) => (args: readonly unknown[]) => {
  const [task, enclave] = [args[0] as Hash, args.at(-3) as Address];
  const proof = signed(ethSigned(packed(...hashes(args))), ENCLAVE);
  const authorization = signed(ethSigned(packed(WORKER.address, task, enclave)), OWNER_OF_ALL);
  return [...args.slice(0, -2), proof, authorization];
};

/** Brings deals and tasks to where each of PoCo's calls is due. Gives the calls. */
const work = async (session: Session, hub: Contract): Promise<RightCall[]> => {
  const send = async (from: Actor, fn: string, args: readonly unknown[]): Promise<Hex> => {
    const { ok, data } = await session.hub(from, fn, args);
    if (!ok) throw new Error(`${fn} reverts: ${data}`);
    return data;
  };
  /** A deal of three tasks, of which `tasks` are opened. */
  const deal = async (tasks: number, changes: (orders: Quadruple) => void = () => {}) => {
    const orders = openOrders(session);
    changes(orders);
    const id = await send(STRANGER, "matchOrders", listed(signOrders(orders)));
    const ids: Hash[] = [];
    for (let i = 0n; i < tasks; i++) ids.push(await send(STRANGER, "initialize", [id, i]));
    return { id, tasks: ids as [Hash, Hash, Hash] };
  };
  const plain = ({ app, dataset, workerpool, request }: Quadruple): void => {
    for (const order of [app, dataset, workerpool, request]) order.tag = word(0n);
  };
  const contribute = async (task: Hash): Promise<void> => {
    const hashes = [packed(task, DIGEST), packed(WORKER.address, task, DIGEST)];
    const authorization = signed(ethSigned(packed(WORKER.address, task, ZERO_ADDRESS)), OWNER_OF_ALL);
    await send(WORKER, "contribute", [task, ...hashes, ZERO_ADDRESS, "0x", authorization]);
  };
  const late = await deal(2, plain);
  session.now += 80;
  const callback = STRANGER.address;
  const due = await deal(3, (orders) => {
    plain(orders);
    orders.request.callback = callback;
  });
  for (const task of due.tasks) await contribute(task);
  await send(WORKER, "reveal", [due.tasks[0], DIGEST]);
  session.now += 19;
  const other = await deal(1, plain);
  await contribute(other.tasks[0]);
  session.now += 1;
  const open = await deal(1, (orders) => {
    orders.request.callback = callback;
  });
  const [task] = open.tasks;
  const hash = packed(task, DIGEST);
  const seal = packed(WORKER.address, task, DIGEST);
  const call = (fn: string, from: Actor, args: readonly unknown[], sign?: RightCall["sign"]): RightCall => ({
    ...{ contract: hub, to: HUB, fn, from, args },
    ...(sign ? { sign } : {}),
  });
  const contributing = authorizing((args) => [args[1] as Hash, args[2] as Hash]);
  const finalizing = authorizing(([id, digest]) => [
    packed(id as Hash, digest as Hash),
    packed(WORKER.address, id as Hash, digest as Hash),
  ]);
  const enclave = ENCLAVE.address;
  return [
    call("initialize", STRANGER, [open.id, 1n]),
    call("initializeArray", STRANGER, [
      [open.id, open.id],
      [1n, 2n],
    ]),
    call("contribute", WORKER, contributing([task, hash, seal, enclave, "0x", "0x"]), contributing),
    call(
      "contributeAndFinalize",
      WORKER,
      finalizing([task, DIGEST, "0x1234", RESULT, enclave, "0x", "0x"]),
      finalizing,
    ),
    call("reveal", WORKER, [other.tasks[0], DIGEST]),
    call("reopen", OWNER_OF_ALL, [due.tasks[1]]),
    call("finalize", OWNER_OF_ALL, [due.tasks[0], "0x1234", RESULT]),
    call("claim", STRANGER, [late.tasks[0]]),
    call("claimArray", STRANGER, [late.tasks.slice(0, 2)]),
    call("initializeAndClaimArray", STRANGER, [[late.id], [2n]]),
  ];
};

const MANAGE = {
  app: "manageAppOrder",
  dataset: "manageDatasetOrder",
  workerpool: "manageWorkerpoolOrder",
  request: "manageRequestOrder",
} as const;

/** A right call for each write of the hub over orders. */
const orderCalls = (session: Session, contract: Contract): RightCall[] => {
  const match = (fn: string, from: Actor): RightCall => ({
    ...{ contract, to: HUB, fn, from, args: listed(signOrders(openOrders(session))) },
    sign: ([app, dataset, workerpool, request]) =>
      listed(signOrders({ app, dataset, workerpool, request } as Quadruple)),
  });
  return [
    match("matchOrders", STRANGER),
    match("sponsorMatchOrders", SECOND),
    ...KINDS.flatMap((kind): RightCall[] => {
      const order = openOrders(session)[kind];
      const sign = ([of]: readonly unknown[]) => {
        const { order, operation } = of as { order: Quadruple[Kind]; operation: number };
        return [{ order, operation, sign: signed(operationHash(kind, order, operation), signerOf(kind)) }];
      };
      const broadcast = MANAGE[kind].replace("manage", "broadcast");
      return [
        { contract, to: HUB, fn: MANAGE[kind], from: STRANGER, args: sign([{ order, operation: 0 }]), sign },
        { contract, to: HUB, fn: broadcast, from: STRANGER, args: [order] },
      ];
    }),
  ];
};

/** A right call for each write of the hub over stake and settings, and of the token. */
const stakeCalls = async (session: Session, contract: Contract): Promise<RightCall[]> => {
  const isNative = session.mode === "native";
  const call = (fn: string, from: Actor, args: readonly unknown[], value = 0n): RightCall => ({
    ...{ contract, to: HUB, fn, from, args, value },
  });
  await session.hub(REQUESTER, "approve", [WORKER.address, 50n]);
  const pair = [
    [4n, 6n],
    [STRANGER.address, SECOND.address],
  ];
  const deposits = isNative
    ? [
        call("deposit", REQUESTER, [], 5n * 10n ** 9n),
        call("depositFor", REQUESTER, [STRANGER.address], 5n * 10n ** 9n),
        call("depositForArray", REQUESTER, pair, 10n * 10n ** 9n),
      ]
    : [
        call("deposit", REQUESTER, [10n]),
        call("depositFor", REQUESTER, [10n, STRANGER.address]),
        call("depositForArray", REQUESTER, pair),
        call("receiveApproval", STRANGER, [REQUESTER.address, 10n, TOKEN, "0x"]),
      ];
  const token = (fn: string, from: Actor, args: readonly unknown[]): RightCall => ({
    ...{ contract: "token", to: TOKEN, fn, from, args },
  });
  if (!isNative) {
    await session.send(REQUESTER, TOKEN, encode("token", "approve", [HUB, 10n]));
    await session.send(REQUESTER, TOKEN, encode("token", "approve", [WORKER.address, 10n]));
  }
  return [
    ...deposits,
    call("withdraw", REQUESTER, [1_000n]),
    call("withdrawTo", REQUESTER, [1_000n, STRANGER.address]),
    call("transfer", REQUESTER, [STRANGER.address, 9n]),
    call("transferFrom", WORKER, [REQUESTER.address, STRANGER.address, 50n]),
    call("approve", REQUESTER, [STRANGER.address, 9n]),
    call("increaseAllowance", REQUESTER, [WORKER.address, 9n]),
    call("decreaseAllowance", REQUESTER, [WORKER.address, 50n]),
    call("createCategory", OWNER, ["name", "description", 60n]),
    call("setTeeBroker", OWNER, [STRANGER.address]),
    call("setCallbackGas", OWNER, [100_000n]),
    call("transferOwnership", OWNER, [STRANGER.address]),
    call("updateDomainSeparator", STRANGER, []),
    call("recover", OWNER, []),
    ...(isNative
      ? []
      : [
          token("transfer", REQUESTER, [STRANGER.address, 9n]),
          token("approve", REQUESTER, [STRANGER.address, 9n]),
          token("transferFrom", WORKER, [REQUESTER.address, STRANGER.address, 10n]),
          token("approveAndCall", REQUESTER, [HUB, 10n, "0x"]),
        ]),
  ];
};

const CREATE = {
  app: ["createApp", "name", "DOCKER", "0x12", word(1n), "0x34"],
  dataset: ["createDataset", "name", "0x12", word(1n)],
  workerpool: ["createWorkerpool", "description"],
} as const;

/** A right call for each write of a registry and of its entries. */
const entryCalls = (session: Session, kind: EntryKind): RightCall[] => {
  const entry = session.entries[kind][kind === "workerpool" ? 1 : 0]!;
  const id = BigInt(entry);
  const [create, ...fields] = CREATE[kind];
  const own = OWNER_OF_ALL.address;
  const call = (fn: string, from: Actor, args: readonly unknown[]): RightCall => ({
    ...{ contract: kind, to: REGISTRY[kind], fn, from, args },
  });
  return [
    call(create, STRANGER, [own, ...fields]),
    call("approve", OWNER_OF_ALL, [STRANGER.address, id]),
    call("setApprovalForAll", OWNER_OF_ALL, [STRANGER.address, true]),
    call("transferFrom", OWNER_OF_ALL, [own, STRANGER.address, id]),
    call("safeTransferFrom(address,address,uint256)", OWNER_OF_ALL, [own, STRANGER.address, id]),
    call("safeTransferFrom(address,address,uint256,bytes)", OWNER_OF_ALL, [own, STRANGER.address, id, "0x12"]),
    call("setBaseURI", OWNER, ["https://example/"]),
    call("transferOwnership", OWNER, [STRANGER.address]),
    call("renounceOwnership", OWNER, []),
    ...(kind === "workerpool"
      ? [{ contract: "poolEntry", to: entry, fn: "changePolicy", from: OWNER_OF_ALL, args: [50n, 7n] } as const]
      : []),
  ];
};

/** Brings a session to where every one of these calls works, one at a time. */
export const rightCalls = async (session: Session): Promise<RightCall[]> => {
  const hub: Contract = session.mode === "native" ? "hub" : "tokenHub";
  return [
    ...(await work(session, hub)),
    ...orderCalls(session, hub),
    ...(await stakeCalls(session, hub)),
    ...(["app", "dataset", "workerpool"] as const).flatMap((kind) => entryCalls(session, kind)),
  ];
};
