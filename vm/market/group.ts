import { ONLY, pairId, single, table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import { type Address, addressWord, concat, fromHex, toHex, word, wordAddress, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { address, record, uint } from "../../lib/codec.ts";
import { keccak256Bytes } from "../../lib/keccak.ts";
import { MARKET, SYSTEM_CODE } from "../addresses.ts";
import { NATIVE_GAS } from "../gas.ts";
import { MARKET_TABLE } from "../layout.ts";
import { type CallContext, type NativeContract, nativeContract } from "../natives.ts";
import { ensure, revert } from "../revert.ts";
import { eventsOf, GROUP_ABI, type Handler, MARKET_EVENTS, methodsFor } from "./abi.ts";
import { type Env, emitAt } from "./env.ts";
import { ENTRY_CODE_HASH } from "./registry.ts";

/** ERC-734's purpose of a member of a group, as PoCo asks for it. */
export const GROUPMEMBER_PURPOSE = 4n;

const groups = table(MARKET, MARKET_TABLE.group, 1, record({ owner: address, members: uint }));
const members = table(MARKET, MARKET_TABLE.groupMember, 1, single(uint));
const counts = table(MARKET, MARKET_TABLE.groupCount, 1, single(uint));
const { MembersAdded, MembersRemoved, OwnershipTransferred } = eventsOf(GROUP_ABI);

/** Gives the owner of a group; undefined where an address is none. */
export const groupOwner = (state: State, group: Address): Address | undefined => groups.get(state, group)?.owner;
/** Tells whether a group holds an account. */
export const isMember = (state: State, group: Address, account: Address): boolean =>
  members.get(state, pairId(group, account)) === 1;

/** Tells whether a restriction lets an account pass: none, the account itself, or a group that holds it. */
export const accepts = (state: State, restriction: Address, account: Address): boolean =>
  restriction === ZERO_ADDRESS || restriction === account || isMember(state, restriction, account);

const setMembers = (state: State, group: Address, accounts: readonly Address[], isIn: boolean): void => {
  const { owner, members: before } = groups.get(state, group)!;
  let count = before;
  for (const account of accounts) {
    if (isMember(state, group, account) === isIn) continue;
    members.set(state, pairId(group, account), isIn ? 1 : undefined);
    count += isIn ? 1 : -1;
  }
  groups.set(state, group, { owner, members: count });
};

/** Makes a group of accounts, owned by who asks; a restriction that names it accepts its members. */
export const createGroup = (env: Env, owner: Address, accounts: readonly Address[]): Address => {
  const { state } = env;
  const number = counts.get(state, ONLY) ?? 0;
  counts.set(state, ONLY, number + 1);
  const salted = concat(Uint8Array.of(0xff), fromHex(MARKET), fromHex(word(number)), fromHex(ENTRY_CODE_HASH));
  const group: Address = toHex(keccak256Bytes(salted).subarray(12));
  state.setCode(group, SYSTEM_CODE);
  groups.set(state, group, { owner, members: 0 });
  emitAt(env, MARKET, MARKET_EVENTS.GroupCreated!, group, owner);
  setMembers(state, group, accounts, true);
  if (accounts.length > 0) emitAt(env, group, MembersAdded!, accounts);
  return group;
};

/** A call that only the owner of the group that is called may make. */
const owned = (
  own: Pick<Handler, "gas" | "perWord">,
  run: (ctx: CallContext, arg: Address[] | Address) => void,
): Handler => ({
  ...own,
  run: (ctx, [arg]) => {
    ensure(groupOwner(ctx.state, ctx.self) === ctx.sender, "Ownable: caller is not the owner");
    run(ctx, arg as Address[] | Address);
    return [];
  },
});

const { view, write } = NATIVE_GAS;
/** A group: answers ERC-734's keyHasPurpose for its members. */
export const groupNative: NativeContract = nativeContract(
  "Group",
  methodsFor(GROUP_ABI, {
    owner: { gas: view, run: (ctx) => [groupOwner(ctx.state, ctx.self)!] },
    memberCount: { gas: view, run: (ctx) => [BigInt(groups.get(ctx.state, ctx.self)!.members)] },
    keyHasPurpose: {
      gas: view,
      run: (ctx, args) => {
        const [key, purpose] = args as [Address, bigint];
        const account: Address = wordAddress(key);
        return [
          purpose === GROUPMEMBER_PURPOSE && addressWord(account) === key && isMember(ctx.state, ctx.self, account),
        ];
      },
    },
    addMembers: owned({ gas: write, perWord: write }, (ctx, accounts) => {
      setMembers(ctx.state, ctx.self, accounts as Address[], true);
      emitAt(ctx, ctx.self, MembersAdded!, accounts);
    }),
    removeMembers: owned({ gas: write, perWord: write }, (ctx, accounts) => {
      setMembers(ctx.state, ctx.self, accounts as Address[], false);
      emitAt(ctx, ctx.self, MembersRemoved!, accounts);
    }),
    transferOwnership: owned({ gas: write }, (ctx, to) => {
      if (to === ZERO_ADDRESS) revert("Ownable: new owner is the zero address");
      const { members: count } = groups.get(ctx.state, ctx.self)!;
      groups.set(ctx.state, ctx.self, { owner: to as Address, members: count });
      emitAt(ctx, ctx.self, OwnershipTransferred!, ctx.sender, to);
    }),
  }),
);
