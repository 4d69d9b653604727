import { memoryDb } from "../../chain/db.ts";
import { epochOf, eraOf, paramsAt } from "../../chain/params.ts";
import { openState, type State } from "../../chain/state.ts";
import { EMPTY, fromHex, toHex, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { AbiError } from "../../vm/abi.ts";
import { marketGenesis } from "../../vm/market/genesis.ts";
import { nativeAt } from "../../vm/native-table.ts";
import { type BlockContext, Revert } from "../../vm/natives.ts";
import { validatorsGenesis } from "../../vm/validators.ts";
import { GENESIS } from "./setting.ts";
import type { Message, Outcome, World, WorldLog } from "./world.ts";

const blockAt = (timestamp: number): BlockContext => {
  const slot = Math.floor((timestamp - GENESIS.genesisTime) / GENESIS.params.slotSeconds);
  const epoch = epochOf(GENESIS, slot);
  const era = eraOf(GENESIS, epoch);
  return {
    number: slot,
    timestamp,
    slot,
    epoch,
    era,
    mixHash: ZERO_HASH,
    beneficiary: ZERO_ADDRESS,
    baseFee: 0n,
    gasLimit: GENESIS.params.gasLimit,
    chainId: GENESIS.chainId,
    genesisHash: ZERO_HASH,
    params: paramsAt(GENESIS, era),
    finalizedEpoch: 0,
  };
};

/** Runs a message as a transaction's, without gas. */
const run = (state: State, { from, to, value, data }: Message, timestamp: number): Outcome => {
  const before = state.snapshot();
  if (state.balance(from) < value) return { ok: false, data: "0x", logs: [] };
  state.debit(from, value);
  state.credit(to, value);
  const native = nativeAt(state, to);
  if (!native) return { ok: true, data: "0x", logs: [] };
  const logs: WorldLog[] = [];
  try {
    const returned = native.call({
      state,
      block: blockAt(timestamp),
      self: to,
      sender: from,
      origin: from,
      value,
      data: fromHex(data),
      isStatic: false,
      log: (address, topics, bytes) => logs.push({ address, topics: [...topics], data: toHex(bytes) }),
    });
    return { ok: true, data: toHex(returned), logs };
  } catch (error) {
    if (!(error instanceof Revert || error instanceof AbiError)) throw error;
    state.revert(before);
    return { ok: false, data: toHex(error instanceof Revert ? error.data : EMPTY), logs: [] };
  }
};

/** Makes rolec's native market at its genesis. */
export const createRolecWorld = (): World => {
  const state = openState(memoryDb());
  for (const { address, balance } of GENESIS.accounts) state.credit(address, balance);
  validatorsGenesis(state, GENESIS);
  marketGenesis(state, GENESIS);
  const isolated = async <T>(inner: () => Promise<T>): Promise<T> => {
    const before = state.snapshot();
    try {
      return await inner();
    } finally {
      state.revert(before);
    }
  };
  const call = async (message: Message, timestamp: number): Promise<Outcome> => run(state, message, timestamp);
  return {
    name: "rolec",
    call,
    view: (message, timestamp) => isolated(() => call(message, timestamp)),
    balance: async (address) => state.balance(address),
    root: () => state.commit().root,
    isolated,
  };
};
