import { setTimeout as sleep } from "node:timers/promises";
import { type MessageStream, StreamMessageEvent } from "@libp2p/interface";
import { Uint8ArrayList } from "uint8arraylist";
import type { Turns } from "../lib/turns.ts";
import { type Clock, createBucket, monotonic } from "./bucket.ts";
import { processorMs } from "./peer-budget.ts";

/**
 * Milliseconds of processor that a connection may cost before anything of it is understood: at once, and each second after. One
 * that costs more is read later: nothing is lost, its sender waits.
 */
const PACE = { capacity: 1_000, perSecond: 250 };

/** Tells how many of the first bytes of what has come are handed on in one turn. Throws where they end the connection. */
export type Cut = (data: Uint8ArrayList) => number;

/** Reads one connection. */
export interface Reading {
  /** Takes what comes on a stream from its listeners, those that are there now apart, and hands it on to them in parts. */
  cut(stream: MessageStream, cut: Cut): void;
  /** Has the connection pay for what it begins, and others do for it later. */
  spend(ms: number): void;
}

interface Stage {
  readonly stream: MessageStream;
  readonly cut: Cut;
  /** What has come and is not handed on. */
  readonly rest: Uint8ArrayList;
}

/**
 * Reads a connection in turns with all others and at its pace, stage after stage: its own bytes, what they are decrypted to. One
 * part of a stage is handed on at a time, and nothing comes while a part waits.
 */
export const createReading = (connection: MessageStream, turns: Turns, now: Clock = monotonic): Reading => {
  const pace = createBucket(PACE.capacity, PACE.perSecond, now);
  const stages: Stage[] = [];
  let isHandingOn: MessageStream | undefined;
  let isReading = false;

  /** Hands on a part of what was understood furthest; false where nothing is left. */
  const handOn = (): boolean => {
    const stage = stages.findLast(({ rest }) => rest.byteLength > 0);
    if (!stage) return false;
    const { stream, cut, rest } = stage;
    const began = processorMs();
    try {
      const part = rest.sublist(0, cut(rest));
      rest.consume(part.byteLength);
      isHandingOn = stream;
      stream.dispatchEvent(new StreamMessageEvent(part));
    } catch (error) {
      stream.abort(error as Error);
    } finally {
      isHandingOn = undefined;
      pace.spend(processorMs() - began);
    }
    return true;
  };
  const isOpen = (): boolean => connection.status === "open";
  const isDone = (): boolean => pace.level > 0 && stages.every(({ rest }) => rest.byteLength === 0);
  /** What is left, and what comes meanwhile, waits. */
  const readOn = async (): Promise<void> => {
    while (isOpen() && !isDone()) {
      connection.pause();
      if (pace.level <= 0) await sleep(pace.waitMs, undefined, { ref: false });
      await turns.turn();
      if (isOpen()) handOn();
      // What came before the pause is in the stream: it is kept here, and no other pause is undone with this one.
      if (isOpen() && isDone()) connection.resume();
    }
    isReading = false;
  };
  const read = (): void => {
    if (isReading) return;
    isReading = true;
    // What is short costs no more than a part of each stage: it waits for nothing.
    for (let i = 0; i < stages.length && isOpen(); i++) handOn();
    void readOn();
  };
  return {
    cut: (stream, cut) => {
      const rest = new Uint8ArrayList();
      stages.push({ stream, cut, rest });
      stream.addEventListener("message", (event) => {
        if (isHandingOn === stream) return;
        event.stopImmediatePropagation();
        rest.append(event.data);
        read();
      });
    },
    spend: pace.spend,
  };
};
