import { type Address, type Hex, toHex, utf8, wordAddress, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { NRLC } from "../../lib/units.ts";
import { HUB, TOKEN } from "../../vm/addresses.ts";
import { IS_6_1 } from "./artifacts.ts";
import { ENTRY_KINDS, type EntryKind, encode } from "./contracts.ts";
import { pick } from "./match.ts";
import type { Session } from "./session.ts";
import { type Actor, BALANCE } from "./setting.ts";
import type { StepOf } from "./steps.ts";

/** Somebody to give something to: mostly an actor. */
const target = (session: Session, n: number): Address =>
  pick<Address>(
    [session.actor(n).address, session.actor(n).address, session.actor(n).address, ZERO_ADDRESS, HUB],
    n >> 4,
  );

/** What the RLC token may be asked to pass on with an approval: nothing, what is no operation, a match. Nothing to 6.1.0. */
const operation = (session: Session, n: number): Hex => {
  if (!IS_6_1 && n % 4 === 1) return pick<Hex>(["0x12", "0xdeadbeef", "0x156194d4"], n >> 2);
  if (IS_6_1 || n % 4 !== 2 || session.matches.length === 0) return "0x";
  const { app, dataset, workerpool, request } = pick(session.matches, n >> 2).orders;
  return encode("hub", "matchOrders", [app, dataset, workerpool, request]);
};

/** Deposits RLC of the token at 0x…1005. */
const depositToken = async (session: Session, step: StepOf<"deposit">): Promise<void> => {
  const who = session.actor(step.who);
  const to = target(session, step.to);
  const amount = step.amount % (BALANCE / 4n / NRLC);
  const token = (name: string, args: readonly unknown[]) => session.send(who, TOKEN, encode("token", name, args));
  switch (step.how % 7) {
    case 0:
      await token("transfer", [session.actor(step.to).address, amount]);
      return;
    case 1:
      await token("transferFrom", [session.actor(step.to).address, who.address, amount]);
      return;
    case 2:
    case 3:
      await token("approveAndCall", [HUB, amount, operation(session, step.to)]);
      return;
    case 4:
      if (step.to % 4 !== 0) await token("approve", [HUB, amount]);
      await session.hub(who, "deposit", [amount]);
      return;
    case 5:
      if (step.to % 4 !== 0) await token("approve", [HUB, amount]);
      await session.hub(who, "depositFor", [amount, to]);
      return;
    default: {
      if (step.to % 4 !== 0) await token("approve", [HUB, amount]);
      const amounts = [amount / 3n, amount / 2n, step.to % 5 === 0 ? step.amount : 1n];
      const targets = [to, who.address, session.actor(step.to + 1).address].slice(0, step.to % 7 === 0 ? 2 : 3);
      await session.hub(who, "depositForArray", [amounts, targets]);
    }
  }
};

const deposit = async (session: Session, step: StepOf<"deposit">): Promise<void> => {
  const who = session.actor(step.who);
  const to = target(session, step.to);
  // Value above the sender's balance is no call: no transaction gets so far.
  const most = await session.reference.balance(who.address);
  const wei = step.amount % (BALANCE / 4n) < most ? step.amount % (BALANCE / 4n) : 0n;
  const amount = wei / NRLC;
  switch (step.how % 6) {
    case 0:
    case 1:
      await session.hub(who, "deposit", [], wei);
      return;
    case 2:
      await session.hub(who, "depositFor", [to], wei);
      return;
    case 3:
      await session.send(who, HUB, "0x", wei);
      return;
    default: {
      const amounts = [amount / 3n, amount / 2n, step.to % 5 === 0 ? step.amount : 1n];
      const targets = [to, who.address, session.actor(step.to + 1).address].slice(0, step.to % 7 === 0 ? 2 : 3);
      await session.hub(who, "depositForArray", [amounts, targets], wei);
    }
  }
};

const withdraw = async (session: Session, step: StepOf<"withdraw">): Promise<void> => {
  const who = session.actor(step.who);
  if (step.how % 2 === 0) await session.hub(who, "withdraw", [step.amount]);
  else await session.hub(who, "withdrawTo", [step.amount, session.actor(step.to).address]);
};

const erc20 = async (session: Session, step: StepOf<"erc20">): Promise<void> => {
  const who = session.actor(step.who);
  const to = target(session, step.to);
  switch (step.how % 6) {
    case 0:
      await session.hub(who, "transfer", [to, step.amount]);
      return;
    case 1:
      await session.hub(who, "approve", [to, step.amount]);
      return;
    case 2:
      await session.hub(who, "increaseAllowance", [to, step.amount]);
      return;
    case 3:
      await session.hub(who, "decreaseAllowance", [to, step.amount]);
      return;
    case 4:
      await session.hub(who, "transferFrom", [target(session, step.from), to, step.amount]);
      return;
    default: {
      const owner = session.actor(step.from);
      await session.hub(owner, "approve", [who.address, step.amount]);
      await session.hub(who, "transferFrom", [owner.address, to, step.amount / 2n]);
    }
  }
};

const entryArgs = (kind: EntryKind, owner: Address, variant: number): unknown[] => {
  const name = `${kind} ${variant}`;
  const data = toHex(utf8(variant === 0 ? "" : `/ipfs/${"x".repeat(20 * variant)}`));
  if (kind === "app") return [owner, name, "DOCKER", data, keccak256(utf8(name)), data];
  return kind === "dataset" ? [owner, name, data, keccak256(utf8(name))] : [owner, name];
};
const CREATE = { app: "createApp", dataset: "createDataset", workerpool: "createWorkerpool" } as const;

/** Registers an entry and notes its address. */
export const createEntry = async (session: Session, who: Actor, kind: EntryKind, owner: Address, variant: number) => {
  const outcome = await session.registry(kind, who, CREATE[kind], entryArgs(kind, owner, variant));
  if (outcome.ok) session.entries[kind].push(wordAddress(outcome.data));
};

const erc721 = async (session: Session, step: StepOf<"erc721">): Promise<void> => {
  const kind = pick(ENTRY_KINDS, step.kind);
  const entry = pick(session.entries[kind], step.entry);
  const owner = await session.ownerOf(kind, entry);
  const who = (step.owned && owner && session.actorAt(owner)) || session.actor(step.who);
  const to = target(session, step.to);
  const id = BigInt(entry);
  switch (step.how % 6) {
    case 0:
      await session.registry(kind, who, "transferFrom", [owner ?? who.address, to, id]);
      return;
    case 1:
      await session.registry(kind, who, "safeTransferFrom(address,address,uint256)", [owner ?? who.address, to, id]);
      return;
    case 2:
      await session.registry(kind, who, "approve", [to, id]);
      return;
    case 3:
      await session.registry(kind, who, "setApprovalForAll", [to, step.entry % 3 !== 0]);
      return;
    case 4:
      await session.registry(kind, who, "transferFrom", [session.actor(step.who).address, to, id]);
      return;
    default:
      await session.registry(kind, who, "safeTransferFrom(address,address,uint256,bytes)", [
        owner ?? who.address,
        to,
        id,
        "0x12",
      ]);
  }
};

const policy = async (session: Session, step: StepOf<"policy">): Promise<void> => {
  const pool = pick(session.entries.workerpool, step.pool);
  const owner = await session.ownerOf("workerpool", pool);
  const who = (step.owned && owner && session.actorAt(owner)) || session.actor(step.who);
  await session.send(who, pool, encode("poolEntry", "changePolicy", [step.stake, step.reward]));
};

/** Runs a step about money or entries. */
export const runAssets = async (
  session: Session,
  step: StepOf<"deposit" | "withdraw" | "erc20" | "create" | "erc721" | "policy">,
): Promise<void> => {
  switch (step.step) {
    case "deposit":
      return session.mode === "native" ? deposit(session, step) : depositToken(session, step);
    case "withdraw":
      return withdraw(session, step);
    case "erc20":
      return erc20(session, step);
    case "create": {
      const owner = step.owner % 16 === 0 ? ZERO_ADDRESS : session.actor(step.owner).address;
      return createEntry(session, session.actor(step.who), pick(ENTRY_KINDS, step.kind), owner, step.variant);
    }
    case "erc721":
      return erc721(session, step);
    case "policy":
      return policy(session, step);
  }
};
