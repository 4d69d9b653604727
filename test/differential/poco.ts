import { type Abi, encodeAbiParameters, encodeFunctionData, toFunctionSelector, zeroAddress } from "viem";
import { concat, fromHex, type Hash, type Hex, wordAddress } from "../../lib/bytes.ts";
import { NRLC } from "../../lib/units.ts";
import {
  APP_REGISTRY,
  DATASET_REGISTRY,
  HUB,
  MARKET,
  SYSTEM_CODE,
  TOKEN,
  VALIDATORS,
  WORKERPOOL_REGISTRY,
} from "../../vm/addresses.ts";
import { ENTRY_CODE_HASH } from "../../vm/market/registry.ts";
import { artifact, creationCode, deployed, hasArtifact } from "./artifacts.ts";
import { ABIS, encode } from "./contracts.ts";
import { createMachine } from "./evm.ts";
import { ACTORS, BALANCE, GENESIS, OWNER } from "./setting.ts";
import type { World } from "./world.ts";

/** How RLC come into the hub: as the chain's coin, or as the ERC-20 token at 0x…1005. */
export type Mode = "native" | "token";

const FACETS = {
  native: "IexecEscrowNativeFacet",
  token: "IexecEscrowTokenFacet",
} as const;
const COMMON_FACETS = [
  "IexecAccessorsABILegacyFacet",
  "IexecCategoryManagerFacet",
  "IexecConfigurationExtraFacet",
  "IexecConfigurationFacet",
  "IexecERC20Facet",
  "IexecOrderManagementFacet",
  "IexecPoco1Facet",
  "IexecPoco2Facet",
  "IexecPocoAccessorsFacet",
  "IexecRelayFacet",
];
const SINK: Hex = `0x${"dd".repeat(20)}`;
const facetAddress = (i: number): Hex => `0x${(0xfacade00 + i).toString(16).padStart(40, "0")}`;

/** Selectors of a facet; receive and fallback stand under selectors of their own in iExec's diamond. */
const selectorsOf = (abi: Abi): Hex[] =>
  abi.flatMap((item): Hex[] => {
    if (item.type === "function") return [toFunctionSelector(item)];
    if (item.type === "receive") return ["0x00000000"];
    return item.type === "fallback" ? ["0xffffffff"] : [];
  });

const REGISTRIES = [
  [APP_REGISTRY, "registries/apps/AppRegistry"],
  [DATASET_REGISTRY, "registries/datasets/DatasetRegistry"],
  [WORKERPOOL_REGISTRY, "registries/workerpools/WorkerpoolRegistry"],
] as const;

/**
 * Deploys iExec's published contracts (6.1.0) at the addresses that rolec's market has, and brings them to the state of
 * rolec's genesis: owner, categories, the public pool and the hub stake of 0x…1006.
 */
export const createPocoWorld = async (mode: Mode): Promise<World> => {
  const machine = await createMachine(
    GENESIS.chainId,
    REGISTRIES.map(([address]) => address),
  );
  for (const { address, balance } of GENESIS.accounts) await machine.credit(address, balance);
  for (const address of [VALIDATORS, MARKET, TOKEN]) await machine.setCode(address, SYSTEM_CODE);
  if (mode === "token") await machine.place(TOKEN, creationCode(deployed("RLC"), {}), OWNER.address);

  let next = 0;
  const libraries: Record<string, Hex> = { IexecLibOrders_v5: facetAddress(next++) };
  await machine.place(
    libraries.IexecLibOrders_v5!,
    creationCode(artifact("libs/IexecLibOrders_v5"), {}),
    OWNER.address,
  );
  const cut: { facetAddress: Hex; action: number; functionSelectors: Hex[] }[] = [];
  const taken = new Set<Hex>();
  const facets = [
    ...["DiamondCutFacet", "DiamondLoupeFacet", "OwnershipFacet"].map((name) => deployed(name)),
    ...[...COMMON_FACETS, FACETS[mode]]
      .map((name) => `facets/${name}`)
      .filter(hasArtifact)
      .map(artifact),
  ];
  for (const facet of facets) {
    const at = facetAddress(next++);
    await machine.place(at, creationCode(facet, libraries), OWNER.address);
    const functionSelectors = selectorsOf(facet.abi).filter((selector) => !taken.has(selector));
    for (const selector of functionSelectors) taken.add(selector);
    cut.push({ facetAddress: at, action: 0, functionSelectors });
  }
  const diamond = artifact("Diamond");
  const { inputs } = diamond.abi.find(({ type }) => type === "constructor") as Extract<
    Abi[number],
    { type: "constructor" }
  >;
  const args = encodeAbiParameters(inputs, [
    cut,
    { owner: OWNER.address, init: zeroAddress, initCalldata: "0x" },
  ] as never);
  await machine.place(HUB, concat(creationCode(diamond, libraries), fromHex(args)), OWNER.address);

  const send = async (
    to: Hex,
    abi: Abi,
    functionName: string,
    params: readonly unknown[],
    from = OWNER.address,
    value = 0n,
  ) => {
    const data = encodeFunctionData({ abi, functionName, args: params } as never);
    const { ok, data: returned } = await machine.call({ from, to, data, value }, GENESIS.genesisTime);
    if (!ok) throw new Error(`${functionName} reverted: ${returned}`);
    return returned;
  };
  for (const [address, path] of REGISTRIES) {
    const registry = artifact(path);
    await machine.place(address, creationCode(registry, {}), OWNER.address);
    const code = await machine.view(
      { from: OWNER.address, to: address, data: toFunctionSelector("proxyCodeHash()"), value: 0n },
      0,
    );
    await machine.replaceWord(address, code.data as Hash, ENTRY_CODE_HASH);
    await send(address, registry.abi, "initialize", [zeroAddress]);
  }
  const hub = artifact(mode === "native" ? "IexecInterfaceNative" : "IexecInterfaceToken").abi;
  await send(HUB, hub, "configure", [
    TOKEN,
    "Staked RLC",
    "SRLC",
    9,
    ...REGISTRIES.map(([address]) => address),
    zeroAddress,
  ]);
  // 6.2.0 starts with this; 6.1.0 with half of it.
  await send(HUB, hub, "setCallbackGas", [200_000n]);
  for (const { name, description, workClockTimeRef } of GENESIS.categories)
    await send(HUB, hub, "createCategory", [name, description, BigInt(workClockTimeRef)]);

  const pools = artifact("registries/workerpools/WorkerpoolRegistry").abi;
  const made = await send(WORKERPOOL_REGISTRY, pools, "createWorkerpool", [MARKET, GENESIS.poolDescription]);
  const pool: Hex = wordAddress(made);
  const policy = [GENESIS.params.poolStakeRatioPercent, 0n];
  await send(pool, artifact("registries/workerpools/Workerpool").abi, "changePolicy", policy, MARKET);
  if (mode === "native") {
    const wei = GENESIS.marketHubStakeNrlc * 10n ** 9n;
    await machine.credit(OWNER.address, wei);
    await send(HUB, hub, "depositFor", [MARKET], OWNER.address, wei);
  }
  if (mode === "native") return machine;

  // The supply is the deployer's: the actors get as much as they have coins in rolec.
  const token = ABIS.token as Abi;
  const nrlc = BALANCE / NRLC;
  for (const { address } of ACTORS) await send(TOKEN, token, "transfer", [address, nrlc]);
  await send(TOKEN, token, "approve", [HUB, GENESIS.marketHubStakeNrlc]);
  await send(HUB, hub, "depositFor", [GENESIS.marketHubStakeNrlc, MARKET]);
  const balance = async (address: Hex): Promise<bigint> => {
    const data = encode("token", "balanceOf", [address]);
    return BigInt((await machine.view({ from: OWNER.address, to: TOKEN, data, value: 0n }, 0)).data) * NRLC;
  };
  const rest = (await balance(OWNER.address)) / NRLC - nrlc;
  await send(TOKEN, token, "transfer", [SINK, rest]);
  return { ...machine, balance };
};
