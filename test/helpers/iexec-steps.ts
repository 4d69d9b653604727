// What tests of several versions of iExec's tool do alike.
import type { Test } from "tap";
import type { Address } from "../../lib/bytes.ts";
import { APP_REGISTRY, DATASET_REGISTRY, WORKERPOOL_REGISTRY } from "../../vm/addresses.ts";
import { type chainOf, type Project, worked } from "./iexec-cli.ts";

const lower = (hex: unknown): Address => String(hex).toLowerCase() as Address;

/** Deploys an entry of each kind, once, and compares what the tool shows and counts with the chain. */
export const deployAll = async (
  t: Test,
  options: {
    readonly iexec: Project["iexec"];
    readonly project: Project;
    readonly chain: ReturnType<typeof chainOf>;
    readonly owner: Address;
    readonly chainId: number;
  },
): Promise<void> => {
  const { iexec, project, chain, owner, chainId } = options;
  const deployed = (kind: string): Address => lower(project.read("deployed.json")[kind][String(chainId)]);
  for (const [kind, registry] of [
    ["app", APP_REGISTRY],
    ["dataset", DATASET_REGISTRY],
    ["workerpool", WORKERPOOL_REGISTRY],
  ] as const) {
    worked(t, await iexec(kind, "init"));
    const answer = worked(t, await iexec(kind, "deploy"));
    t.equal(lower(answer.address), deployed(kind));
    t.equal(await chain.ownerOf(registry, deployed(kind)), owner);
    const [shown, counted] = await Promise.all([iexec(kind, "show", "0"), iexec(kind, "count")]);
    t.equal(lower(shown.address), deployed(kind));
    t.equal(lower(worked(t, shown)[kind].owner), owner);
    t.equal(Number(worked(t, counted).count), await chain.countOf(registry, owner));
    t.equal(Number(counted.count), 1);
  }
  const conf = project.read("iexec.json");
  const [entryOwner, name, type, multiaddr, checksum] = await chain.entry("App", deployed("app"));
  t.same(
    [entryOwner, name, type, Buffer.from(multiaddr as Uint8Array).toString(), checksum],
    [owner, conf.app.name, "DOCKER", conf.app.multiaddr, conf.app.checksum],
  );
  const twice = await iexec("app", "deploy");
  t.match(twice.error, /already deployed at address/);
  t.equal(await chain.countOf(APP_REGISTRY, owner), 1);
};
