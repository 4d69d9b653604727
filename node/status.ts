import { epochOf, slotOf } from "../chain/params.ts";
import { FUTURE_TOLERANCE_MS } from "../consensus/admission.ts";
import type { Engine } from "../consensus/engine.ts";
import { type Condition, createAlarms } from "../lib/alarms.ts";
import type { Disk } from "../lib/disk.ts";
import type { Log } from "../lib/log.ts";
import { span } from "../lib/span.ts";
import type { Network } from "../p2p/network.ts";
import type { Doppelganger } from "./doppelganger.ts";
import { createPeerReports } from "./peer-reports.ts";

export interface StatusOptions {
  readonly engine: Pick<Engine, "chain" | "now" | "head" | "justified" | "finalized">;
  /** Left out: the node talks to no others. */
  readonly network?: Pick<Network, "contacts" | "onStatus"> | undefined;
  /** Addresses of other nodes that the operator gave. */
  readonly bootstrap?: readonly string[];
  /** When the node's validators may sign; left out: it has none. */
  readonly duties?: Pick<Doppelganger, "firstSlot" | "mayWork"> | undefined;
  /** The disk that the node keeps its data on. */
  readonly disk: Pick<Disk, "shortage">;
  readonly log: Log;
}

/** Tells a node's operator what the node does, and what is wrong. */
export interface NodeStatus {
  /** Looks around; called by a timer, or by a test with a clock of its own. */
  tick(): void;
  /** Counts a block or a vote of this node's validators. */
  signed(what: "block" | "vote"): void;
  start(): void;
  stop(): void;
}

const TICK_MS = 5_000;
const LINE_MS = 60_000;
/** A head that is older by more slots is not in step. */
const IN_STEP_SLOTS = 10;
/** A node whose head has not moved for so long does not catch up. */
const MOVING_MS = 60_000;
/** So far the last final epoch is behind when all is well, and so far it has to be to be told. */
const USUAL_LAG = 3;
const LEAST_TOLD_LAG = USUAL_LAG + 4;
/** A pause of so many slots, and of so long, in which no timer ran is told. */
const PAUSE_SLOTS = 4;
const PAUSE_MS = 10_000;

const NO_PEERS: Condition = { key: "peers", afterMs: 30_000, over: "there are peers again" };
const DISK: Condition = { key: "disk", afterMs: 0, over: "there is room on the disk again" };
const CLOCK: Condition = { key: "clock", afterMs: 10_000, over: "this machine's clock agrees with its peers' again" };

/** Makes the status of a node. */
export const createStatus = (options: StatusOptions): NodeStatus => {
  const { engine, network, bootstrap = [], duties, disk, log } = options;
  const { genesis } = engine.chain;
  const { now } = engine;
  const slotMs = genesis.params.slotSeconds * 1000;
  const epochMs = slotMs * genesis.params.slotsPerEpoch;
  /** As soon as those who do not vote lose for it, if that is later. */
  const toldLag = Math.max(LEAST_TOLD_LAG, genesis.params.leakAfterEpochs);
  const finality: Condition = { key: "finality", afterMs: 2 * epochMs, over: "blocks become final again" };
  const alarms = createAlarms({ log, now });
  const reports = createPeerReports(now);
  const startedMs = now();
  const signed = { block: 0, vote: 0 };
  let hadPeers = false;
  let headHash = engine.head().hash;
  let headMovedMs = startedMs;
  let isToldAlone = false;
  let isToldDuties = (duties?.firstSlot ?? 0) === 0;
  let lastTickMs = startedMs;
  let nextLineMs = startedMs;
  let timer: NodeJS.Timeout | undefined;
  let unsubscribe: (() => void) | undefined;

  const slotNow = (): number => Math.floor(slotOf(genesis, now() / 1000));
  const ageMs = (): number => Math.max(0, now() - engine.head().header.timestamp * 1000);

  /** What the node is about, in a few words. */
  const stateNow = (): string => {
    const { number, timestamp } = engine.head().header;
    // On a chain of its own a node is always in step.
    if (hadPeers && network?.contacts.count() === 0) return "alone";
    if (slotNow() - slotOf(genesis, timestamp) <= IN_STEP_SLOTS) return "in step";
    const highest = Math.min(reports.highest(), slotNow());
    // A peer's word alone is no synchronization: it has to go on.
    if (highest > number && now() - headMovedMs < MOVING_MS) return `syncing, ${highest - number} blocks behind`;
    return "no new block";
  };
  const dutiesNow = (): string[] => {
    if (!duties) return [];
    if (slotNow() < duties.firstSlot) return [`its validators sign from slot ${duties.firstSlot} on`];
    if (!duties.mayWork(slotNow())) return ["its validators sign nothing: another program has their keys"];
    return [`proposed ${signed.block}, voted ${signed.vote}`];
  };

  const line = (): void => {
    const slot = slotNow();
    const { hash, header } = engine.head();
    const peers = network?.contacts.count();
    const others = peers === undefined ? [] : [`${peers} ${peers === 1 ? "peer" : "peers"}`];
    const fields = { slot, head: header.number, hash, ...(peers === undefined ? {} : { peers }) };
    if (slot < 0) {
      const seconds = Math.ceil(genesis.genesisTime - now() / 1000);
      log.info(
        { ...fields, slot0InSeconds: seconds },
        [`slot 0 in ${span(seconds * 1000)}`, ...others, ...(duties ? ["its validators wait for it"] : [])].join(", "),
      );
      return;
    }
    const justified = engine.justified().epoch;
    const final = engine.finalized().epoch;
    const state = stateNow();
    const parts = [
      `slot ${slot}`,
      `head ${header.number} ${hash.slice(0, 10)} ${span(ageMs())} old`,
      `justified ${justified}`,
      `final ${final}`,
      ...others,
      state,
      ...dutiesNow(),
    ];
    const counted = duties ? { proposed: signed.block, voted: signed.vote } : {};
    log.info(
      { ...fields, ageSeconds: Math.floor(ageMs() / 1000), justified, final, state, ...counted },
      parts.join(", "),
    );
    Object.assign(signed, { block: 0, vote: 0 });
  };

  /** A machine that slept, or whose clock was set: what was seen before says nothing of now. */
  const lookAtPause = (): void => {
    const gapMs = now() - lastTickMs;
    lastTickMs = now();
    if (gapMs < 0) log.warn(`this machine's clock was set back by ${span(-gapMs)} or more`);
    else if (gapMs - TICK_MS > Math.max(PAUSE_MS, PAUSE_SLOTS * slotMs))
      log.warn(
        { pauseSeconds: Math.floor(gapMs / 1000) },
        `nothing ran for ${span(gapMs)}: this machine slept, was too busy, or its clock was set forward; going on`,
      );
    else return;
    alarms.restart();
    reports.clear();
    nextLineMs = now();
    headMovedMs = now();
  };

  const lookAtPeers = (): void => {
    if (!network) return;
    const { contacts } = network;
    for (const address of bootstrap) {
      const fault = contacts.fault(address);
      const condition: Condition = { key: `address ${address}`, afterMs: 10_000, over: `${address} is reached` };
      alarms.check(condition, fault === undefined ? undefined : () => `${address} ${fault}`, { address });
    }
    const isAlone = contacts.count() === 0;
    hadPeers ||= !isAlone;
    const isKnown = hadPeers || contacts.called() > 0;
    const tried = contacts.called() === 0 ? "" : `: none of ${contacts.called()} known addresses leads to one`;
    alarms.check(
      NO_PEERS,
      isAlone && isKnown ? (lastedMs) => `no peers of this network since ${span(lastedMs)}${tried}` : undefined,
    );
    if (!isAlone || isKnown || isToldAlone || now() - startedMs < NO_PEERS.afterMs) return;
    isToldAlone = true;
    log.info("no bootstrap given, and no other node known: this one waits for others to call it");
  };

  const lookAtClock = (): void => {
    const clock = reports.clock();
    const isOff = clock !== undefined && Math.abs(clock.aheadMs) > FUTURE_TOLERANCE_MS;
    const say = (): string => {
      const { aheadMs, peers } = clock!;
      const [side, seconds] = [aheadMs > 0 ? "ahead of" : "behind", (Math.abs(aheadMs) / 1000).toFixed(1)];
      const whose = peers === 1 ? "its one peer's" : `those of its ${peers} peers`;
      return `this machine's clock is ${seconds} s ${side} ${whose}: blocks come too early or too late; set it by NTP`;
    };
    alarms.check(CLOCK, isOff ? say : undefined, { aheadMs: clock?.aheadMs });
  };

  const lookAtFinality = (): void => {
    const present = epochOf(genesis, slotNow());
    const final = engine.finalized().epoch;
    const isLate = present - final >= toldLag && !stateNow().startsWith("syncing");
    const say = (): string => `no finality for ${present - final} epochs: the last final one is ${final}`;
    alarms.check(finality, isLate ? say : undefined, { epoch: present, final });
  };

  const lookAtDuties = (): void => {
    if (!duties || isToldDuties || slotNow() < duties.firstSlot || !duties.mayWork(slotNow())) return;
    isToldDuties = true;
    log.info({ firstSlot: duties.firstSlot }, "no double of its validators was heard: they sign from now on");
  };

  const lookAtDisk = (): void => {
    const shortage = disk.shortage();
    alarms.check(
      DISK,
      shortage === undefined
        ? undefined
        : () => `${shortage}: it takes no data, receipts and orders of others, and a full disk stops it`,
    );
  };

  const tick = (): void => {
    lookAtPause();
    if (engine.head().hash !== headHash) headMovedMs = now();
    headHash = engine.head().hash;
    const isDue = now() >= nextLineMs;
    if (isDue) {
      nextLineMs = now() + LINE_MS;
      line();
    }
    lookAtPeers();
    lookAtClock();
    lookAtFinality();
    lookAtDuties();
    if (isDue) lookAtDisk();
  };
  return {
    tick,
    signed: (what) => {
      signed[what] += 1;
    },
    start: () => {
      unsubscribe = network?.onStatus(reports.add);
      tick();
      timer = setInterval(tick, TICK_MS);
    },
    stop: () => {
      clearInterval(timer);
      unsubscribe?.();
    },
  };
};
