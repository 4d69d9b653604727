import { type Condition, createAlarms, type Teller } from "./alarms.ts";
import { folderFault } from "./disk.ts";

/** Something of a program's that can fail again and again: the node that it asks, a step of its work. */
export interface Subject {
  /** What is said while it fails, before the reason. */
  readonly fails: string;
  /** What is said when it works again. */
  readonly works: string;
}

/**
 * What troubles a daemon: each subject is told when it begins to fail, every ten minutes while it does, and once when it works
 * again, however often it is tried. A fault of the daemon's own folder or disk is told as that, whatever met it.
 */
export interface Troubles {
  /** Notes a failure, and gives it in words. */
  fails(subject: Subject, error: Error, fields?: object): string;
  works(subject: Subject): void;
  /** Notes that the daemon's own folder was written. */
  folderWorks(): void;
  /** The newest that still fails, in words; undefined where all works. */
  now(): string | undefined;
}

const FOLDER: Condition = { key: "folder", afterMs: 0, over: "its folder is written again" };

const conditionOf = ({ fails, works }: Subject): Condition => ({ key: fails, afterMs: 0, over: works });

/** Makes the troubles of a daemon that keeps its files in `folder`; `now` in ms. */
export const createTroubles = (options: { log: Teller; folder?: string; now?: () => number }): Troubles => {
  const { log, folder, now = Date.now } = options;
  const alarms = createAlarms({ log, now });
  const lasting = new Map<string, string>();
  const over = (condition: Condition): void => {
    alarms.check(condition, undefined);
    lasting.delete(condition.key);
  };
  return {
    fails: (subject, error, fields) => {
      const own = folder === undefined ? undefined : folderFault(folder, error);
      const condition = own === undefined ? conditionOf(subject) : FOLDER;
      const words = own ?? error.message;
      alarms.check(condition, () => (own === undefined ? `${subject.fails}: ${words}` : words), fields);
      lasting.delete(condition.key);
      lasting.set(condition.key, words);
      return words;
    },
    works: (subject) => over(conditionOf(subject)),
    folderWorks: () => over(FOLDER),
    now: () => [...lasting.values()].at(-1),
  };
};
