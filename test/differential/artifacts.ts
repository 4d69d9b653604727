import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Abi } from "viem";
import { type Address, fromHex, type Hex } from "../../lib/bytes.ts";

interface Artifact {
  readonly abi: Abi;
  readonly bytecode: string;
  readonly linkReferences?: Readonly<Record<string, Readonly<Record<string, readonly { start: number }[]>>>>;
}

/** A folder with artifacts of another version, laid out as in the published package (docs/market-differences.md). */
const { ROLEC_POCO } = process.env;
const root = ROLEC_POCO ?? dirname(createRequire(import.meta.url).resolve("@iexec/poco/package.json"));
const read = (path: string): Artifact => JSON.parse(readFileSync(join(root, path), "utf8")) as Artifact;
const cache = new Map<string, Artifact>();

/** Gives an artifact of the published package by its path below artifacts/contracts, as in "facets/IexecPoco1Facet". */
export const artifact = (path: string): Artifact => {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const found = cache.get(path) ?? read(`artifacts/contracts/${path}.sol/${name}.json`);
  cache.set(path, found);
  return found;
};

/** Tells whether the package has an artifact: facets were merged from version to version. */
export const hasArtifact = (path: string): boolean =>
  existsSync(join(root, `artifacts/contracts/${path}.sol/${path.slice(path.lastIndexOf("/") + 1)}.json`));

/** Gives a contract that the package holds only as it was deployed to Arbitrum One. */
export const deployed = (name: string): Artifact => read(`deployments/arbitrum/${name}.json`);

/** Gives creation code with the addresses of its libraries filled in. */
export const creationCode = ({ bytecode, linkReferences }: Artifact, libraries: Readonly<Record<string, Address>>) => {
  let hex = bytecode.replace(/^0x/, "");
  for (const names of Object.values(linkReferences ?? {}))
    for (const [library, places] of Object.entries(names)) {
      const address = libraries[library];
      if (!address) throw new Error(`no library ${library}`);
      for (const { start } of places) hex = hex.slice(0, 2 * start) + address.slice(2) + hex.slice(2 * start + 40);
    }
  return fromHex(`0x${hex}` as Hex);
};

/** Whether the contracts are those of 6.1.0, which is what npm has. */
export const IS_6_1 = hasArtifact("facets/IexecERC20Facet");
