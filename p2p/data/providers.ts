import type { PeerId } from "@libp2p/interface";
import type { CID } from "multiformats/cid";
import type { Log } from "../../lib/log.ts";
import type { Host } from "../host.ts";

const FIND_TIMEOUT_MS = 15_000;
const PROVIDE_TIMEOUT_MS = 30_000;
/** Providers that are tried for one tree: anybody can say to have it. */
const MAX_PROVIDERS = 16;
/** Announcements that wait; later ones come with the next round, and peers are asked directly too. */
const MAX_WAITING = 1_024;
/** Others forget an announcement after two days, so it is made again, and sooner where nobody heard it. */
const AGAIN_MS = 12 * 3_600_000;
const RETRY_MS = 60_000;
const ROUND_MS = 30_000;

/** Finds who has data, and tells what this node keeps (`kept`), through Kademlia. */
export const createProviders = (host: Host, log: Log, kept: () => readonly CID[]) => {
  const waiting = new Map<string, CID>();
  /** When each was announced last, or was tried to be. */
  const announced = new Map<string, { cid: CID; again: number }>();
  const stopped = new AbortController();
  let busy = false;
  let timer: NodeJS.Timeout | undefined;

  const announce = async (cid: CID): Promise<void> => {
    const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(PROVIDE_TIMEOUT_MS)]);
    const name = cid.toString();
    // Nobody to tell: Kademlia would take that for done.
    const isHeard = host.getPeers().length > 0;
    try {
      await host.contentRouting.provide(cid, { signal });
      announced.set(name, { cid, again: Date.now() + (isHeard ? AGAIN_MS : RETRY_MS) });
    } catch (error) {
      announced.set(name, { cid, again: Date.now() + RETRY_MS });
      log.debug({ cid: name, error: (error as Error).message }, "not announced");
    }
  };
  const work = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    try {
      for (const [name, cid] of waiting) {
        if (stopped.signal.aborted) return;
        waiting.delete(name);
        await announce(cid);
      }
    } finally {
      busy = false;
    }
  };
  const provide = (cid: CID): void => {
    if (waiting.size >= MAX_WAITING) return;
    waiting.set(cid.toString(), cid);
    void work();
  };
  /** Announces what is kept and due, and no longer what is not kept any more. */
  const round = (): void => {
    const now = new Map(kept().map((cid) => [cid.toString(), cid]));
    for (const [name, { cid }] of announced) {
      if (now.has(name)) continue;
      announced.delete(name);
      host.contentRouting.cancelReprovide(cid).catch(() => undefined);
    }
    for (const [name, cid] of now) if ((announced.get(name)?.again ?? 0) <= Date.now()) provide(cid);
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
    provide,
    start: (): void => {
      round();
      timer = setInterval(round, ROUND_MS);
    },
    stop: (): void => {
      clearInterval(timer);
      stopped.abort(new Error("the node stops"));
    },
  };
};
