import type { State } from "../../chain/state.ts";
import { type Address, type Hash, word, wordAddress, ZERO_ADDRESS } from "../../lib/bytes.ts";
import type { AbiValue } from "../abi.ts";
import { SYSTEM_CODE } from "../addresses.ts";
import { NATIVE_GAS } from "../gas.ts";
import { type CallContext, type NativeContract, nativeContract } from "../natives.ts";
import { ensure, refuse, revert } from "../revert.ts";
import {
  APP_ABI,
  APP_REGISTRY_ABI,
  DATASET_ABI,
  DATASET_REGISTRY_ABI,
  errorsOf,
  eventsOf,
  type Handler,
  methodsFor,
  REGISTRY_ABI,
  WORKERPOOL_ABI,
  WORKERPOOL_REGISTRY_ABI,
} from "./abi.ts";
import { emitAt } from "./env.ts";
import { groupNative, groupOwner } from "./group.ts";
import { acting, constant, viewing } from "./handlers.ts";
import { contractOwner, onlyOwner, transferContract } from "./owner.ts";
import { apps, datasets, ENTRY_CODE_HASH, type Registry, workerpools } from "./registry.ts";

const { view, write, writeMany } = NATIVE_GAS;
/** ERC-165, ERC-721, ERC-721 Metadata, ERC-721 Enumerable. */
const INTERFACES = ["0x01ffc9a7", "0x80ac58cd", "0x5b5e139f", "0x780e9d63"];

const errors = errorsOf(REGISTRY_ABI);
const UNSUPPORTED = "Operation not supported on this chain";

/** Gives the entry of a token id. Reverts on one that no address is. */
const entryOf = (tokenId: AbiValue): Address => {
  const id = tokenId as bigint;
  if (id >> 160n !== 0n) errors.ERC721NonexistentToken!(id);
  return wordAddress(word(id));
};
const unknown = (entry: Address): never => errors.ERC721NonexistentToken!(BigInt(entry));

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
      // No contract of this chain answers onERC721Received.
      if (ctx.state.code(to as Address).length > 0) errors.ERC721InvalidReceiver!(to!);
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
      ownerOf: viewing((ctx, [id]) => registry.ownerOf(ctx.state, entryOf(id!)) ?? unknown(entryOf(id!))),
      balanceOf: viewing((ctx, [owner]) => {
        if (owner === ZERO_ADDRESS) errors.ERC721InvalidOwner!(owner);
        return BigInt(registry.balanceOf(ctx.state, owner as Address));
      }),
      tokenOfOwnerByIndex: viewing((ctx, [owner, index]) => {
        if (owner === ZERO_ADDRESS) errors.ERC721InvalidOwner!(owner);
        const entry = registry.owned(ctx.state, owner as Address, index as bigint);
        return BigInt(entry ?? errors.ERC721OutOfBoundsIndex!(owner!, index!));
      }),
      tokenByIndex: viewing((ctx, [index]) =>
        BigInt(registry.byIndex(ctx.state, index as bigint) ?? errors.ERC721OutOfBoundsIndex!(ZERO_ADDRESS, index!)),
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
      baseURI: viewing((ctx) => registry.baseUri(ctx.state)),
      tokenURI: viewing((ctx, [id]) => {
        if (!registry.ownerOf(ctx.state, entryOf(id!))) unknown(entryOf(id!));
        const base = registry.baseUri(ctx.state);
        return base === "" ? "" : `${base}${id}`;
      }),
      setBaseURI: acting(write, (ctx, [uri]) => {
        onlyOwner(ctx.state, registry.address, ctx.sender);
        registry.setBaseUri(ctx.state, uri as string);
      }),
      setName: acting(view, (ctx) => {
        onlyOwner(ctx.state, registry.address, ctx.sender);
        revert(UNSUPPORTED);
      }),
      // It was initialized in genesis.
      initialize: acting(view, (ctx) => {
        onlyOwner(ctx.state, registry.address, ctx.sender);
        refuse();
      }),
      owner: viewing((ctx) => contractOwner(ctx.state, registry.address)),
      transferOwnership: acting(write, (ctx, [to]) => {
        onlyOwner(ctx.state, registry.address, ctx.sender);
        if (to === ZERO_ADDRESS) errors.OwnableInvalidOwner!(to);
        transferContract(ctx, ctx.sender, registry.address, to as Address);
      }),
      renounceOwnership: acting(write, (ctx) => transferContract(ctx, ctx.sender, registry.address, ZERO_ADDRESS)),
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
  viewing((ctx) => read(registry.get(ctx.state, ctx.self)!));
/** Reverts unless an account owns the entry that is called. */
const onlyEntryOwner = <T>(registry: Registry<T>, { state, self, sender }: CallContext): void =>
  ensure(registry.ownerOf(state, self) === sender, "caller is not the owner");
const common = <T>(registry: Registry<T>): Record<string, Handler> => ({
  owner: viewing((ctx) => registry.ownerOf(ctx.state, ctx.self)!),
  registry: constant(registry.address),
  // An entry is initialized by what creates it.
  initialize: acting(view, () => revert("already initialized")),
  setName: acting(view, (ctx) => {
    onlyEntryOwner(registry, ctx);
    revert(UNSUPPORTED);
  }),
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
        const pool = workerpools.get(ctx.state, ctx.self)!;
        onlyEntryOwner(workerpools, ctx);
        ensure(rewardRatio <= 100n);
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

/** Gives the contract of a registry's entry or of a group; undefined for any other address. */
export const marketEntryAt = (state: State, address: Address): NativeContract | undefined => {
  if (state.code(address).length === 0) return undefined;
  if (apps.ownerOf(state, address)) return appNative;
  if (datasets.ownerOf(state, address)) return datasetNative;
  if (workerpools.ownerOf(state, address)) return workerpoolNative;
  return groupOwner(state, address) && groupNative;
};
