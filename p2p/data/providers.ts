import type { PeerId } from "@libp2p/interface";
import type { CID } from "multiformats/cid";
import type { Log } from "../../lib/log.ts";
import type { Host } from "../host.ts";

const FIND_TIMEOUT_MS = 15_000;
const PROVIDE_TIMEOUT_MS = 30_000;
/** Providers that are tried for one tree: anybody can say to have it. */
const MAX_PROVIDERS = 16;
/** Announcements that wait; later ones are left out, since peers are asked directly too. */
const MAX_WAITING = 1_024;

/** Finds who has data, and tells what this node has, through Kademlia. Without a router nobody is found. */
export const createProviders = (host: Host, log: Log) => {
  const waiting = new Map<string, CID>();
  const stopped = new AbortController();
  let busy = false;

  const work = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    try {
      for (const [name, cid] of waiting) {
        if (stopped.signal.aborted) return;
        waiting.delete(name);
        const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(PROVIDE_TIMEOUT_MS)]);
        await host.contentRouting
          .provide(cid, { signal })
          .catch((error: Error) => log.debug({ cid: name, error: error.message }, "not announced"));
      }
    } finally {
      busy = false;
    }
  };

  return {
    find: async function* (cid: CID, signal: AbortSignal): AsyncGenerator<PeerId> {
      const limited = AbortSignal.any([signal, AbortSignal.timeout(FIND_TIMEOUT_MS)]);
      let found = 0;
      try {
        for await (const { id } of host.contentRouting.findProviders(cid, { signal: limited })) {
          yield id;
          if (++found >= MAX_PROVIDERS) return;
        }
      } catch (error) {
        log.debug({ cid: cid.toString(), error: (error as Error).message }, "no provider found");
      }
    },
    provide: (cid: CID): void => {
      if (waiting.size >= MAX_WAITING) return;
      waiting.set(cid.toString(), cid);
      void work();
    },
    stop: (): void => stopped.abort(new Error("the node stops")),
  };
};
