import type { DataStore } from "../p2p/data/store.ts";
import type { TreeNode } from "../p2p/data/walk.ts";
import type { Network } from "../p2p/network.ts";
import type { DataEntry, DataPort, PinnedData } from "../rpc/data-port.ts";

const entryOf = (node: TreeNode): DataEntry => ({
  path: node.path,
  kind: node.kind,
  cid: node.cid.toString(),
  size: node.size,
  read: node.kind === "file" ? node.read : async function* () {},
});

/** Gives the RPC a node's data. What is kept is told to the network; without one, only what is here is found. */
export const dataPort = (store: DataStore, network: Network | undefined): DataPort => {
  const provided = async <T extends { cid: string }>(kept: Promise<T>): Promise<T> => {
    const found = await kept;
    network?.provideData(found.cid);
    return found;
  };
  const fetch: DataPort["fetch"] = async (cid, options) => network?.fetchData(cid, options);
  return {
    importTree: (entries, pin) => provided(store.importTree(entries, pin)),
    importFile: (bytes, pin) => provided(store.importFile(bytes, pin)),
    has: store.hasTree,
    fetch,
    open: async (cid, path, signal) => entryOf(await store.open(cid, path, signal)),
    list: async (cid, signal) => (await store.listTree(cid, signal)).map(entryOf),
    pins: (skip, limit) => {
      const found: PinnedData[] = [];
      let at = 0;
      for (const { cid, holders } of store.blocks.pins())
        for (const [holder, until] of holders) {
          if (at++ < skip) continue;
          if (found.length >= limit) return found;
          found.push({ cid: cid.toString(), holder, until });
        }
      return found;
    },
    pin: async (cid, pin) => {
      await fetch(cid);
      await store.pin(cid, pin);
      network?.provideData(cid);
    },
    unpin: store.unpin,
    keep: store.keep,
    release: store.release,
    stats: store.blocks.stats,
  };
};
