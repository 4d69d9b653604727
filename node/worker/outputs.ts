import type { Hash } from "../../lib/bytes.ts";
import { ENTRY_BYTES } from "../../p2p/data/limits.ts";
import { outputHolder } from "../../p2p/data/outputs.ts";
import type { RpcClient } from "../../rpc/client.ts";
import { outputBound } from "../../vm/wasm/gas.ts";
import type { TaskResult } from "../../vm/wasm/host.ts";

/**
 * A lot is begun where twice what its results may take is free. So whoever fills a node's room has to do it with ever smaller
 * lots, each paid for by its gas, and what writes little is always welcome.
 */
const SHARE = 2;
const MIB = 1024 * 1024;

/**
 * The results that a worker has at its node, by lot or task. They are leased: until the answer is due while they are computed,
 * until the lot must be over once the worker has committed, and for serveSeconds more when it reveals them as what was agreed on.
 * So whatever becomes of the worker, what nobody is promised goes by itself.
 */
export interface Outputs {
  /** Says why the results of `count` tasks may find no room; undefined where they will. */
  lack(gasLimit: number, count: number): Promise<string | undefined>;
  /** Notes that tasks begin, whose results will come. */
  begin(id: Hash, gasLimit: number, count: number): void;
  /** Takes up what an earlier life of the worker has begun: what became of it is to be looked at. */
  resume(ids: readonly Hash[]): void;
  /** Notes one result: the others of a deal are seldom more than twice the largest. */
  wrote(id: Hash, result: Pick<TaskResult, "blocks">): void;
  /** Moves the end of a lease, where that makes it longer. */
  keep(id: Hash, until: number): Promise<void>;
  /** Unpins at once what nobody is promised. */
  release(id: Hash): Promise<void>;
  /** Forgets what is served until its time. */
  served(id: Hash): void;
  /** Lots and tasks whose results are leased. */
  leased(): readonly Hash[];
}

interface Lease {
  readonly bound: number;
  readonly tasks: number;
  readonly largest: number;
  readonly until: number;
}

const NOTHING_TO_COME: Lease = { bound: 0, tasks: 0, largest: 0, until: 0 };

/** Makes the book of a worker's results at its node. */
export const createOutputs = (client: RpcClient): Outputs => {
  const leases = new Map<Hash, Lease>();
  return {
    lack: async (gasLimit, count) => {
      const { outputRoom } = (await client.call("rolec_pins", [0, 0])) as { outputRoom: number };
      let room = outputRoom;
      for (const { bound, tasks, largest } of leases.values()) room -= tasks * Math.min(bound, 2 * largest);
      const bytes = count * outputBound(gasLimit);
      if (bytes * SHARE <= room) return undefined;
      const words = `its results may take ${Math.ceil(bytes / MIB)} MiB`;
      return `${words}, and the node has room for ${Math.max(0, Math.floor(room / MIB))} MiB of results`;
    },
    begin: (id, gasLimit, count) => {
      const bound = outputBound(gasLimit);
      leases.set(id, { bound, tasks: count, largest: bound, until: 0 });
    },
    resume: (ids) => {
      for (const id of ids) leases.set(id, NOTHING_TO_COME);
    },
    wrote: (id, { blocks }) => {
      const lease = leases.get(id);
      if (!lease) return;
      const bytes = blocks.reduce((sum, block) => sum + block.bytes.length + ENTRY_BYTES, 0);
      const largest = lease.largest === lease.bound ? bytes : Math.max(lease.largest, bytes);
      leases.set(id, { ...lease, tasks: lease.tasks - 1, largest });
    },
    keep: async (id, until) => {
      const lease = leases.get(id) ?? NOTHING_TO_COME;
      if (lease.until >= until) return;
      await client.call("rolec_keepPins", [outputHolder(id), until]);
      leases.set(id, { ...lease, until });
    },
    release: async (id) => {
      leases.delete(id);
      await client.call("rolec_releasePins", [outputHolder(id)]);
    },
    served: (id) => void leases.delete(id),
    leased: () => [...leases.keys()],
  };
};
