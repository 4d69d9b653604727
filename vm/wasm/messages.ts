import type { Outcome } from "./instance.ts";
import type { Rewritten } from "./rewritten-store.ts";
import type { InputFile, Task } from "./task.ts";

/** Which of V8's compilers runs the job; results are the same, "baseline" exists to prove it. */
export type Tier = "optimizing" | "baseline";

/** A task whose files are named by their place among those that came with the module. */
export interface SentTask extends Omit<Task, "inputs" | "dataset"> {
  readonly inputs: readonly SentFile[];
  readonly dataset?: SentFile & { readonly address: NonNullable<Task["dataset"]>["address"] };
}
interface SentFile {
  readonly name: string;
  readonly file: number;
}

/**
 * What the host sends to a process: a module to rewrite, or one rewritten before; then, deal by deal, the files of its tasks, and
 * tasks one by one; `rest` when no task comes for now.
 */
export type ToChild =
  | { readonly kind: "prepare"; readonly vmVersion: number; readonly module: Uint8Array; readonly isWanted: boolean }
  | {
      readonly kind: "compile";
      readonly vmVersion: number;
      readonly rewritten: Rewritten | undefined;
      readonly tier: Tier;
    }
  | { readonly kind: "files"; readonly files: readonly Uint8Array[] }
  | { readonly kind: "task"; readonly task: SentTask }
  | { readonly kind: "rest" };

/**
 * What comes back: `warm` when the process takes a module, then one for each message. `prepared` brings the rewritten module where
 * it is wanted, before the engine has seen it; `rested` the bytes of memory that the process has with no file of a deal left in
 * it, where it knows them. A fault is of this machine, never a result.
 */
export type FromChild =
  | { readonly kind: "warm" }
  | { readonly kind: "prepared"; readonly rewritten: Rewritten | undefined }
  | { readonly kind: "ready" }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "outcome"; readonly outcome: Outcome }
  | { readonly kind: "rested"; readonly bytes: number | undefined }
  | { readonly kind: "fault"; readonly reason: string };

/** Splits tasks from their files, each of which is sent once, however many tasks have it. */
export const createPacker = () => {
  const places = new Map<Uint8Array, number>();
  const pack = ({ name, bytes }: InputFile): SentFile => {
    const file = places.get(bytes) ?? places.size;
    places.set(bytes, file);
    return { name, file };
  };
  return {
    /** Gives the tasks as they are sent, and the files that were not sent before. */
    pack: (tasks: readonly Task[]): { files: Uint8Array[]; sent: SentTask[] } => {
      const before = places.size;
      const sent = tasks.map(({ inputs, dataset, ...task }) => ({
        ...task,
        inputs: inputs.map(pack),
        ...(dataset ? { dataset: { ...pack(dataset), address: dataset.address } } : {}),
      }));
      return { files: [...places.keys()].slice(before), sent };
    },
  };
};

/** Puts a task and its files together again. */
export const unpackTask = ({ inputs, dataset, ...task }: SentTask, files: readonly Uint8Array[]): Task => {
  const unpack = ({ name, file }: SentFile): InputFile => ({ name, bytes: files[file]! });
  return {
    ...task,
    inputs: inputs.map(unpack),
    ...(dataset ? { dataset: { ...unpack(dataset), address: dataset.address } } : {}),
  };
};
