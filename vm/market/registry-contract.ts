import type { State } from "../../chain/state.ts";
import { type Address, type Hash, toHex, ZERO_ADDRESS } from "../../lib/bytes.ts";
import type { AbiValue } from "../abi.ts";
import { NATIVE_GAS } from "../gas.ts";
import { type CallContext, type NativeContract, nativeContract } from "../natives.ts";
import { revert } from "../revert.ts";
import { SYSTEM_CODE } from "../tables.ts";
import {
  APP_ABI,
  APP_REGISTRY_ABI,
  DATASET_ABI,
  DATASET_REGISTRY_ABI,
  eventsOf,
  type Handler,
  methodsFor,
  REGISTRY_ABI,
  WORKERPOOL_ABI,
  WORKERPOOL_REGISTRY_ABI,
} from "./abi.ts";
import { emitAt } from "./env.ts";
import { hubOwner } from "./owner.ts";
import { apps, datasets, ENTRY_CODE_HASH, type Registry, workerpools } from "./registry.ts";

const { view, write, writeMany } = NATIVE_GAS;
/** ERC-165, ERC-721, ERC-721 Metadata, ERC-721 Enumerable. */
const INTERFACES = ["0x01ffc9a7", "0x80ac58cd", "0x5b5e139f", "0x780e9d63"];

const entryOf = (tokenId: AbiValue): Address => {
  const id = tokenId as bigint;
  if (id >> 160n !== 0n) revert("ERC721: invalid token ID");
  return toHex(Uint8Array.from({ length: 20 }, (_, i) => Number((id >> BigInt(8 * (19 - i))) & 0xffn)));
};

const viewing = (run: (ctx: CallContext, args: AbiValue[]) => AbiValue): Handler => ({
  gas: view,
  run: (ctx, args) => [run(ctx, args)],
});

const contract = <T>(
  registry: Registry<T>,
  own: readonly string[],
  create: string,
  predict: string,
  read: (args: AbiValue[]) => T,
): NativeContract => {
  const safeTransfer: Handler = {
    gas: writeMany,
    run: (ctx, [from, to, id]) => {
      registry.transfer(ctx, ctx.sender, from as Address, to as Address, entryOf(id!));
      if (ctx.state.code(to as Address).length > 0) revert("ERC721: transfer to non ERC721Receiver implementer");
      return [];
    },
  };
  return nativeContract(
    registry.name,
    methodsFor([...REGISTRY_ABI, ...own], {
      [create]: {
        gas: 2 * writeMany,
        run: (ctx, [owner, ...rest]) => [registry.create(ctx, owner as Address, read(rest))],
      },
      [predict]: viewing((_, [owner, ...rest]) => registry.predict(owner as Address, read(rest))),
      isRegistered: viewing((ctx, [entry]) => registry.ownerOf(ctx.state, entry as Address) !== undefined),
      ownerOf: viewing((ctx, [id]) => registry.ownerOf(ctx.state, entryOf(id!)) ?? revert("ERC721: invalid token ID")),
      balanceOf: viewing((ctx, [owner]) => BigInt(registry.balanceOf(ctx.state, owner as Address))),
      tokenOfOwnerByIndex: viewing((ctx, [owner, index]) =>
        BigInt(
          registry.owned(ctx.state, owner as Address, index as bigint) ??
            revert("ERC721Enumerable: owner index out of bounds"),
        ),
      ),
      tokenByIndex: viewing((ctx, [index]) =>
        BigInt(registry.byIndex(ctx.state, index as bigint) ?? revert("ERC721Enumerable: global index out of bounds")),
      ),
      totalSupply: viewing((ctx) => BigInt(registry.count(ctx.state))),
      approve: {
        gas: write,
        run: (ctx, [to, id]) => {
          registry.approve(ctx, ctx.sender, to as Address, entryOf(id!));
          return [];
        },
      },
      getApproved: viewing((ctx, [id]) => registry.approvedOf(ctx.state, entryOf(id!))),
      setApprovalForAll: {
        gas: write,
        run: (ctx, [operator, approved]) => {
          registry.setOperator(ctx, ctx.sender, operator as Address, approved as boolean);
          return [];
        },
      },
      isApprovedForAll: viewing((ctx, [owner, operator]) =>
        registry.isOperator(ctx.state, owner as Address, operator as Address),
      ),
      transferFrom: {
        gas: writeMany,
        run: (ctx, [from, to, id]) => {
          registry.transfer(ctx, ctx.sender, from as Address, to as Address, entryOf(id!));
          return [];
        },
      },
      "safeTransferFrom(address,address,uint256)": safeTransfer,
      "safeTransferFrom(address,address,uint256,bytes)": safeTransfer,
      name: viewing(() => registry.name),
      symbol: viewing(() => registry.symbol),
      owner: viewing((ctx) => hubOwner(ctx.state)),
      previous: viewing(() => ZERO_ADDRESS),
      master: viewing(() => ZERO_ADDRESS),
      initialized: viewing(() => true),
      proxyCode: viewing(() => SYSTEM_CODE),
      proxyCodeHash: viewing(() => ENTRY_CODE_HASH),
      supportsInterface: viewing((_, [id]) => INTERFACES.includes(id as string)),
    }),
  );
};

/** 0x…1002: ERC-721 registry of apps. */
export const appRegistryNative = contract(apps, APP_REGISTRY_ABI, "createApp", "predictApp", (args) => {
  const [name, appType, multiaddr, checksum, mrenclave] = args as [string, string, Uint8Array, Hash, Uint8Array];
  return { name, appType, multiaddr, checksum, mrenclave };
});
/** 0x…1003: ERC-721 registry of datasets. */
export const datasetRegistryNative = contract(
  datasets,
  DATASET_REGISTRY_ABI,
  "createDataset",
  "predictDataset",
  (args) => {
    const [name, multiaddr, checksum] = args as [string, Uint8Array, Hash];
    return { name, multiaddr, checksum };
  },
);
/** 0x…1004: ERC-721 registry of workerpools, whose policy starts with PoCo's 30 and 1 percent. */
export const workerpoolRegistryNative = contract(
  workerpools,
  WORKERPOOL_REGISTRY_ABI,
  "createWorkerpool",
  "predictWorkerpool",
  (args) => ({ description: args[0] as string, workerStakeRatio: 30n, schedulerRewardRatio: 1n }),
);

/** A view of the entry that is called. */
const field = <T>(registry: Registry<T>, read: (entry: T) => AbiValue): Handler =>
  viewing((ctx) => read(registry.get(ctx.state, ctx.self) ?? revert("no such entry")));
const common = <T>(registry: Registry<T>): Record<string, Handler> => ({
  owner: viewing((ctx) => registry.ownerOf(ctx.state, ctx.self) ?? revert("no such entry")),
  registry: viewing(() => registry.address),
});

const appNative = nativeContract(
  "App",
  methodsFor(APP_ABI, {
    ...common(apps),
    m_appName: field(apps, ({ name }) => name),
    m_appType: field(apps, ({ appType }) => appType),
    m_appMultiaddr: field(apps, ({ multiaddr }) => multiaddr),
    m_appChecksum: field(apps, ({ checksum }) => checksum),
    m_appMREnclave: field(apps, ({ mrenclave }) => mrenclave),
  }),
);
const datasetNative = nativeContract(
  "Dataset",
  methodsFor(DATASET_ABI, {
    ...common(datasets),
    m_datasetName: field(datasets, ({ name }) => name),
    m_datasetMultiaddr: field(datasets, ({ multiaddr }) => multiaddr),
    m_datasetChecksum: field(datasets, ({ checksum }) => checksum),
  }),
);
const { PolicyUpdate } = eventsOf(WORKERPOOL_ABI);
const workerpoolNative = nativeContract(
  "Workerpool",
  methodsFor(WORKERPOOL_ABI, {
    ...common(workerpools),
    m_workerpoolDescription: field(workerpools, ({ description }) => description),
    m_workerStakeRatioPolicy: field(workerpools, ({ workerStakeRatio }) => workerStakeRatio),
    m_schedulerRewardRatioPolicy: field(workerpools, ({ schedulerRewardRatio }) => schedulerRewardRatio),
    changePolicy: {
      gas: write,
      run: (ctx, args) => {
        const [stakeRatio, rewardRatio] = args as [bigint, bigint];
        const pool = workerpools.get(ctx.state, ctx.self) ?? revert("no such entry");
        if (workerpools.ownerOf(ctx.state, ctx.self) !== ctx.sender) revert("Ownable: caller is not the owner");
        if (rewardRatio > 100n) revert("policy-invalid-ratio");
        workerpools.set(ctx.state, ctx.self, {
          ...pool,
          workerStakeRatio: stakeRatio,
          schedulerRewardRatio: rewardRatio,
        });
        const values = [pool.workerStakeRatio, stakeRatio, pool.schedulerRewardRatio, rewardRatio];
        emitAt(ctx, ctx.self, PolicyUpdate!, ...values);
        return [];
      },
    },
  }),
);

/** Gives the contract of a registry's entry; undefined for any other address. */
export const marketEntryAt = (state: State, address: Address): NativeContract | undefined => {
  if (state.code(address).length === 0) return undefined;
  if (apps.ownerOf(state, address)) return appNative;
  if (datasets.ownerOf(state, address)) return datasetNative;
  return workerpools.ownerOf(state, address) && workerpoolNative;
};
