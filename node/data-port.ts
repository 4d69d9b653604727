import type { DataStore } from "../p2p/data/store.ts";
import type { Network } from "../p2p/network.ts";
import type { DataPort } from "../rpc/data-port.ts";

/** Gives the RPC a node's data. What is kept is told to the network; without one, only what is here is found. */
export const dataPort = (store: DataStore, network: Network | undefined): DataPort => {
  const provided = async <T extends { cid: string }>(kept: Promise<T>): Promise<T> => {
    const found = await kept;
    network?.provideData(found.cid);
    return found;
  };
  const fetch = async (cid: string, signal?: AbortSignal): Promise<void> => network?.fetchData(cid, signal);
  return {
    importTree: (entries, pin) => provided(store.importTree(entries, pin)),
    importFile: (bytes, pin) => provided(store.importFile(bytes, pin)),
    fetch,
    open: async (cid, path) => {
      const node = await store.open(cid, path);
      return node.kind === "file"
        ? { kind: node.kind, cid: node.cid.toString(), size: node.size, read: node.read }
        : { kind: node.kind, cid: node.cid.toString(), size: 0, read: async function* () {} };
    },
    list: store.listTree,
    pins: () =>
      store.blocks
        .pins()
        .flatMap(({ cid, holders }) => [...holders].map(([holder, until]) => ({ cid: cid.toString(), holder, until }))),
    pin: async (cid, pin) => {
      await fetch(cid);
      await store.pin(cid, pin);
      network?.provideData(cid);
    },
    unpin: store.unpin,
    stats: store.blocks.stats,
  };
};
