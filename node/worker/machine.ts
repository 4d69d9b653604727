import { readdirSync, readFileSync } from "node:fs";
import { cpus, platform } from "node:os";
import { join } from "node:path";

/** What a worker asks of the machine that it runs on. */
export interface Machine {
  readonly cores: number;
  /** The share of the processors, from 0 to 1, that others than jobs used lately. */
  othersLoad(jobs: number): number;
  /** False where it runs on a battery; true where nothing is known of one. */
  onMains(): boolean;
}

interface Usage {
  readonly at: number;
  readonly busy: number;
  readonly nice: number;
  readonly total: number;
}

const POWER_FOLDER = "/sys/class/power_supply";
/** Shorter spans say more about a moment than about a machine. */
const SPAN_MS = 5_000;

const usageNow = (): Usage => {
  let [busy, nice, total] = [0, 0, 0];
  for (const { times } of cpus()) {
    busy += times.user + times.sys + times.irq;
    nice += times.nice;
    total += times.user + times.sys + times.irq + times.nice + times.idle;
  }
  return { at: Date.now(), busy, nice, total };
};

const read = (path: string): string => {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
};

/** Reads Linux's power supplies: mains that is plugged in counts, else a battery that is being emptied. */
export const isOnMains = (folder = POWER_FOLDER): boolean => {
  let supplies: string[];
  try {
    supplies = readdirSync(folder);
  } catch {
    return true;
  }
  const of = (type: string): string[] => supplies.filter((name) => read(join(folder, name, "type")) === type);
  const mains = of("Mains");
  if (mains.length > 0) return mains.some((name) => read(join(folder, name, "online")) === "1");
  // A battery of a mouse or a keyboard belongs to a device, and says so.
  const own = of("Battery").filter((name) => read(join(folder, name, "scope")) !== "Device");
  return !own.some((name) => read(join(folder, name, "status")) === "Discharging");
};

/** Watches this machine. Jobs run at the lowest priority, which Linux counts apart; elsewhere each counts as a core. */
export const thisMachine = (): Machine => {
  const cores = Math.max(1, cpus().length);
  let [from, last] = [usageNow(), 0];
  return {
    cores,
    othersLoad: (jobs) => {
      const now = usageNow();
      if (now.at - from.at >= SPAN_MS && now.total > from.total) {
        const share = (now.busy - from.busy) / (now.total - from.total);
        last = Math.max(0, platform() === "linux" ? share : share - jobs / cores);
        from = now;
      }
      return last;
    },
    onMains: isOnMains,
  };
};
