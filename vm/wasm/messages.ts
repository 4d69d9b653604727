import type { Outcome } from "./instance.ts";
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

/** What the host sends to the process of a lot: the module and all files first, then tasks one by one. */
export type ToChild =
  | {
      readonly kind: "start";
      readonly vmVersion: number;
      readonly module: Uint8Array;
      readonly files: readonly Uint8Array[];
      readonly tier: Tier;
    }
  | { readonly kind: "task"; readonly task: SentTask };

/** What comes back: `warm` when the process takes a module, then one for each message. A fault is of this machine, never a result. */
export type FromChild =
  | { readonly kind: "warm" }
  | { readonly kind: "ready" }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "outcome"; readonly outcome: Outcome }
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
