import t from "tap";
import { decodeErrorResult, encodeErrorResult, parseAbi } from "viem";
import { type Address, type Hex, word, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { APP_REGISTRY, HUB, TOKEN } from "../../vm/addresses.ts";
import { IS_6_1 } from "./artifacts.ts";
import { encode, REGISTRY } from "./contracts.ts";
import { fittingOrders, KINDS, orderHash, signAs } from "./orders.ts";
import { createBase } from "./run.ts";
import { ACTORS, type Actor, OWNER } from "./setting.ts";
import type { Outcome } from "./world.ts";

// What docs/market-differences.md says that rolec does otherwise, where random sequences do not go. Each shows both answers.
const base = await createBase("native");
const [someone, other] = ACTORS as [Actor, Actor];
const app = base.entries.app[0]!;

const DIAMOND = parseAbi(["error NotContractOwner(address user, address owner)"]);
const ERRORS = parseAbi(["error Error(string)", "error Panic(uint256)"]);
/** "ok", the reason of a revert, or its data. */
const summary = ({ ok, data }: Outcome): string => {
  if (ok) return "ok";
  try {
    return String(decodeErrorResult({ abi: ERRORS, data }).args[0]);
  } catch {
    return data;
  }
};

const both = async (from: Address, to: Address, data: Hex, value = 0n): Promise<{ poco: Outcome; rolec: Outcome }> => {
  const message = { from, to, data, value };
  return { poco: await base.reference.view(message, base.now), rolec: await base.rolec.view(message, base.now) };
};

const CASES: readonly [title: string, from: Actor, to: Address, data: Hex, poco: string, rolec: string][] = [
  [
    "the registries cannot be changed",
    OWNER,
    HUB,
    encode("hub", "changeRegistries", [ZERO_ADDRESS, ZERO_ADDRESS, ZERO_ADDRESS]),
    "ok",
    "the registries are part of the protocol",
  ],
  [
    "only its owner gives the hub away",
    someone,
    HUB,
    encode("hub", "transferOwnership", [someone.address]),
    encodeErrorResult({ abi: DIAMOND, args: [someone.address, OWNER.address] }),
    "Ownable: caller is not the owner",
  ],
  ["an unknown function of the hub is no deposit", someone, HUB, "0xdeadbeef", "ok", "Hub: unknown function"],
  [
    "an unknown function of a registry says so",
    someone,
    APP_REGISTRY,
    "0xdeadbeef",
    "0x",
    "iExec Application Registry (V5): unknown function",
  ],
  ["an unknown function of an entry says so", someone, app, "0xdeadbeef", "0x", "App: unknown function"],
  [
    "the hub takes RLC of the token in native mode too",
    someone,
    HUB,
    encode("hub", "receiveApproval", [someone.address, 1n, TOKEN, "0x"]),
    "ok",
    "ERC20: insufficient allowance",
  ],
  [
    "a time that no clock has is no category's",
    OWNER,
    HUB,
    encode("hub", "createCategory", ["name", "description", 2n ** 255n]),
    "ok",
    "workClockTimeRef is out of range",
  ],
];

for (const [title, from, to, data, poco, rolec] of CASES)
  t.test(title, async (t) => {
    const answers = await both(from.address, to, data);
    t.equal(summary(answers.poco), poco, "the reference");
    t.equal(summary(answers.rolec), rolec, "rolec");
  });

t.test("text of an entry is UTF-8", async (t) => {
  const good = encode("app", "createApp", [someone.address, "n", "DOCKER", "0x12", ZERO_HASH, "0x"]);
  const bad = good.replace("444f434b4552", "444fff4b4552") as Hex;
  const answers = await both(someone.address, APP_REGISTRY, bad);
  t.equal(summary(answers.poco), "ok");
  t.equal(summary(answers.rolec), "0x");
});

t.test("entries have no code to copy: the code of all is one byte", async (t) => {
  for (const kind of ["app", "dataset", "workerpool"] as const) {
    const { rolec } = await both(someone.address, REGISTRY[kind], encode(kind, "master", []));
    t.equal(rolec.data, ZERO_HASH);
    const code = await both(someone.address, REGISTRY[kind], encode(kind, "proxyCode", []));
    t.equal(BigInt(`0x${code.rolec.data.slice(66, 130)}`), 1n);
    t.equal(code.rolec.data.slice(130, 132), "fe");
  }
});

t.test("bits of a dataset's tag that name TEE frameworks are left out, as 6.2.0 does and 6.1.0 does not", async (t) => {
  const session = base.fork();
  const orders = fittingOrders(
    {
      app,
      dataset: base.entries.dataset[0]!,
      workerpool: base.entries.workerpool[1]!,
      requester: other.address,
    },
    session.nextSalt(),
  );
  orders.dataset.tag = word(0xfen);
  orders.workerpool.tag = word(0xf0n);
  for (const kind of KINDS) {
    const signer = kind === "request" ? other : someone;
    orders[kind].sign = signAs(orderHash(kind, orders[kind]), signer.key, OWNER.key, "plain");
  }
  const { app: a, dataset, workerpool, request } = orders;
  const data = encode("hub", "matchOrders", [a, dataset, workerpool, request]);
  const answers = await both(someone.address, HUB, data);
  t.equal(summary(answers.poco), IS_6_1 ? "iExecV5-matchOrders-0x06" : "ok");
  t.equal(summary(answers.rolec), "ok");
  await base.rolec.isolated(async () => {
    const made = await base.rolec.call({ from: someone.address, to: HUB, data, value: 0n }, base.now);
    const view = { from: someone.address, to: HUB, data: encode("hub", "viewDeal", [made.data]), value: 0n };
    const deal = await base.rolec.view(view, base.now);
    t.ok(deal.data.includes(word(0xf0n).slice(2)), "the deal's tag is the rest of the dataset's");
  });
});
