import type { Block } from "../../chain/block.ts";
import { hashHeader } from "../../chain/header.ts";
import { epochOf, slotOf } from "../../chain/params.ts";
import { signTransaction, type Transaction, type TransactionFields } from "../../chain/transaction.ts";
import { type Address, fromHex, type Hash, type Hex, utf8 } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { addressOf as addressOfKey, signCompact } from "../../lib/secp256k1.ts";
import type { ValidatorKeys } from "../../node/folder.ts";
import { createRpcServer } from "../../rpc/server.ts";
import { createWorkDesk } from "../../rpc/work.ts";
import { createTestNetwork, PROFILE, silent } from "../helpers/chain.ts";
import { EASY_WORK } from "../helpers/mining.ts";
import { addressOf, type ChainLog, decodeItem, encodeItem, functionOf, kindOf, type Target } from "./contracts.ts";
import { askOne } from "./rpc.ts";

export const GWEI = 10n ** 9n;
export const NRLC = 10n ** 9n;
const VALIDATORS = 4;
/** What the clock of the machine would refuse is answered. */
const HOUR_MS = 3_600_000;
const ENDLESS = { perSecond: 1_000_000, burst: HOUR_MS * 1_000 };
/** Wei for each gas that a slot lets its message pay; what is sent in a slot runs in its order. */
const TIP = GWEI;
const TIP_STEP = 1_000n;

export interface Actor {
  readonly key: Hash;
  readonly address: Address;
}
/** An address as rolec has it: viem's have a checksum. */
export const lower = (address: Address): Address => address.toLowerCase() as Address;

const actors = new Map<string, Actor>();
/** An account that signs, by its name. */
export const actor = (name: string): Actor => {
  const key = keccak256(utf8(`golden ${name}`));
  const made = actors.get(name) ?? { key, address: addressOfKey(key) };
  actors.set(name, made);
  return made;
};
/** Who has RLC from the chain's begin on. */
export const CAST = [
  ...["requester", "developer", "scheduler", "staker", "owner", "heir", "stranger", "broker", "forker", "joiner"],
  ...["w0", "w1", "w2", "w3", "w4", "w5", "p0", "p1", "p2", "noise 0", "noise 1", "noise 2", "noise 3"],
] as const;

/** A transaction that a story asks for. */
export interface Ask {
  readonly from: Actor;
  readonly to: Address;
  readonly data: Hex;
  /** Wei. */
  readonly value: bigint;
  /** Whether it reverts; undefined where the story does not care. */
  readonly fails: boolean | undefined;
  readonly fields: Partial<TransactionFields>;
}
export interface Done {
  readonly ok: boolean;
  readonly logs: readonly ChainLog[];
}
/** What a story waits for: its transactions, or so many slots. It is told what came of them. */
export type Step = readonly Ask[] | number;
export type Scene<T> = AsyncGenerator<Step, T, readonly Done[]>;
export type Story = Scene<void>;

/** Addresses and ids that stories made, for those that come after. */
export interface Known {
  app?: Address;
  dataset?: Address;
  pool?: Address;
  genesisPool?: Address;
  group?: Address;
  readonly deals: Hash[];
  readonly tasks: Hash[];
  readonly lots: Hash[];
  readonly entries: Address[];
}

const PARAMS = {
  ...PROFILE,
  ...EASY_WORK,
  workFloorHashes: "64",
  leakAfterEpochs: 4,
  trustingEpochs: 20,
  evidenceEpochs: 30,
  unbondingEpochs: 40,
};

type Network = Awaited<ReturnType<typeof createTestNetwork>>;
export interface Stage extends Network {
  readonly url: string;
  readonly known: Known;
  readonly validator: readonly ValidatorKeys[];
  readonly slot: () => number;
  readonly head: () => Block;
  /** Seconds of the head. */
  readonly time: () => number;
  readonly epoch: () => number;
  /** Runs a slot. */
  readonly pass: (offline?: ReadonlySet<number>) => Promise<void>;
  readonly ask: (
    from: Actor,
    target: Target,
    fn: string,
    args?: readonly unknown[],
    options?: { value?: bigint; fails?: boolean | undefined; fields?: Partial<TransactionFields> },
  ) => Ask;
  /** Signs what is to be sent, with the sender's next nonce or a later one. */
  readonly sign: (ask: Ask, ahead?: number) => Transaction;
  /** Signs and gives to the nodes. */
  readonly send: (ask: Ask) => Hash;
  /** Reads a view at the head. */
  readonly read: <T>(target: Target, fn: string, args?: readonly unknown[]) => Promise<T>;
  /** Another block of a slot by its proposer. */
  readonly twinOf: (block: Block) => Block;
  readonly stop: () => Promise<void>;
}

/** Opens the network of four validators, the first node with its JSON-RPC. */
export const openStage = async (): Promise<Stage> => {
  const network = await createTestNetwork(VALIDATORS, [], PARAMS, {
    hubOwner: actor("owner").address,
    upgrades: [{ era: 20, issuancePerSlotWei: "2000000000000000000" }],
  });
  const { genesis, nodes, keys } = network;
  const { engine } = nodes[0]!;
  const desk = createWorkDesk({ engine, beneficiary: keys[0]!.address });
  const server = createRpcServer({
    ...{ engine, host: "127.0.0.1", port: 0, log: silent, methods: desk.methods },
    ...{ allowances: { local: ENDLESS, all: ENDLESS }, limits: { maxBatchMs: HOUR_MS, maxCallMs: HOUR_MS } },
  });
  const { port } = await server.start();
  const url = `http://127.0.0.1:${port}`;
  const nonces = new Map<Address, number>();
  let slot = 0;
  let sent = 0n;
  const head = (): Block => engine.head();
  const sign: Stage["sign"] = ({ from, to, data, value, fields }, ahead = 0) => {
    const nonce = (nonces.get(from.address) ?? 0) + ahead;
    if (ahead === 0) nonces.set(from.address, nonce + 1);
    const { chainId } = genesis;
    const usual = { type: 2 as const, chainId, nonce, gasLimit: 4_000_000, accessList: [] };
    const fees = { maxPriorityFeePerGas: TIP - TIP_STEP * sent++, maxFeePerGas: 3n * GWEI };
    return signTransaction({ ...usual, ...fees, to, value, data: fromHex(data), ...fields }, from.key);
  };
  return {
    ...network,
    url,
    validator: keys,
    known: { deals: [], tasks: [], lots: [], entries: [] },
    slot: () => slot,
    head,
    time: () => head().header.timestamp,
    epoch: () => epochOf(genesis, slotOf(genesis, head().header.timestamp)),
    pass: async (offline) => {
      await network.run(1, offline);
      slot += 1;
      sent = 0n;
    },
    ask: (from, target, fn, args = [], { value = 0n, fails = false, fields = {} } = {}) => ({
      ...{ from, to: addressOf(target), value, fails, fields },
      data: encodeItem(functionOf(kindOf(target), fn), args),
    }),
    sign,
    send: (ask) => {
      const tx = sign(ask);
      for (const node of nodes) node.engine.addTransaction(tx.raw);
      return tx.hash;
    },
    read: async <T>(target: Target, fn: string, args: readonly unknown[] = []): Promise<T> => {
      const item = functionOf(kindOf(target), fn);
      const data = encodeItem(item, args);
      const call = { from: actor("requester").address, to: addressOf(target), data };
      return decodeItem(item, await askOne<Hex>(url, "eth_call", call, "latest")) as T;
    },
    twinOf: (block) => {
      const header = { ...block.header, extraData: Uint8Array.of(1) };
      const hash = hashHeader(header);
      const key = keys.find(({ address }) => address === header.beneficiary)!;
      return { ...block, header, hash, signature: signCompact(hash, key.secp) };
    },
    stop: async () => {
      await server.stop();
      for (const node of nodes) await node.engine.stop();
    },
  };
};
