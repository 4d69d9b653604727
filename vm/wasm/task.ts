import { type Address, type Hash, isHex } from "../../lib/bytes.ts";
import { TASK_LIMITS, type TaskLimits } from "./limits.ts";
import { WasmRefused } from "./refusal.ts";
import type { VmRules } from "./versions.ts";

/** A file given to a task. */
export interface InputFile {
  /** Its name in `/in`, or the absolute path that it has elsewhere. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** One task of a lot: everything that its result depends on, beside the module. */
export interface Task {
  readonly taskid: Hash;
  /** Arguments without the program's name. */
  readonly args: readonly string[];
  /** More of the environment; iExec's names cannot be replaced. */
  readonly env?: Readonly<Record<string, string>>;
  readonly inputs: readonly InputFile[];
  readonly dataset?: InputFile & { readonly address: Address };
  readonly gasLimit: number;
  /** Unix seconds: the deal's start. */
  readonly startTime: number;
  readonly hasCallback: boolean;
  /** The task's bag as PoCo numbers it: `index` is the task's own, `first` that of the deal's first task. */
  readonly bot?: { readonly size: number; readonly first: number; readonly index: number };
  /** Why the task is invalid without being run, e.g. parameters that are refused. */
  readonly refused?: string;
}

/** Tells whether a name may stand in `/in`. */
export const isFileName = (name: string): boolean =>
  name !== "" &&
  name !== "." &&
  name !== ".." &&
  Buffer.byteLength(name) <= TASK_LIMITS.nameBytes &&
  name.isWellFormed() &&
  !/[/\\\0]/.test(name);

/** What tasks write to, or every task has: no input has a place there. */
const RESERVED = ["out", "tmp", "dev"];

/** Gives the names on the way from the root to an input. */
export const pathOf = (name: string): readonly string[] =>
  name.startsWith("/") ? name.slice(1).split("/") : ["in", name];

/** Tells whether an input may have a name: of a file in `/in`, or an absolute path of such names, as deep as inputs may be. */
export const isInputName = (name: string, { inputDepth, pathBytes }: TaskLimits): boolean => {
  if (!name.startsWith("/")) return isFileName(name);
  const path = pathOf(name);
  return (
    path.length <= inputDepth &&
    Buffer.byteLength(name) <= pathBytes &&
    path.every(isFileName) &&
    !RESERVED.includes(path[0]!)
  );
};

/** Finds an input that cannot have its place: another has it, or is a file on the way to it. Undefined where there is none. */
export const clashOf = (names: readonly string[]): string | undefined => {
  const folders = new Set(["/in"]);
  const files = new Set<string>();
  for (const name of names) {
    const path = pathOf(name);
    const place = `/${path.join("/")}`;
    if (files.has(place)) return name;
    files.add(place);
    for (let depth = 1; depth < path.length; depth++) folders.add(`/${path.slice(0, depth).join("/")}`);
  }
  return names.find((name) => folders.has(`/${pathOf(name).join("/")}`));
};

/** Name of the program, the first argument. */
export const PROGRAM = "app";

/** Tells whether a variable's name is one that the tasks of iExec have, now or later: no deal gives it another value. */
export const isOfIexec = (name: string): boolean => name.startsWith("IEXEC_");

/**
 * Makes the environment of a task in iExec's names and order, then what `env` adds in the order of its names; TMPDIR keeps its place
 * whoever says what it is.
 */
export const environmentOf = (task: Task, { taskLimits }: VmRules): string[] => {
  const names = new Map<string, string>([
    ["IEXEC_TASK_ID", task.taskid],
    ["IEXEC_IN", "/in"],
    ["IEXEC_OUT", "/out"],
  ]);
  if (task.dataset) {
    names.set("IEXEC_DATASET_ADDRESS", task.dataset.address);
    names.set("IEXEC_DATASET_FILENAME", task.dataset.name);
  }
  names.set("IEXEC_BOT_SIZE", String(task.bot?.size ?? 1));
  names.set("IEXEC_BOT_FIRST_INDEX", String(task.bot?.first ?? 0));
  names.set("IEXEC_BOT_TASK_INDEX", String(task.bot?.index ?? 0));
  names.set("IEXEC_INPUT_FILES_NUMBER", String(task.inputs.length));
  names.set("IEXEC_INPUT_FILES_FOLDER", "/in");
  for (const [i, { name }] of task.inputs.entries()) names.set(`IEXEC_INPUT_FILE_NAME_${i + 1}`, name);
  if (taskLimits.scratchEntries > 0) names.set("TMPDIR", "/tmp");
  for (const [name, value] of Object.entries(task.env ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)))
    if (!isOfIexec(name)) names.set(name, value);
  return Array.from(names, ([name, value]) => `${name}=${value}`);
};

const refuse = (rule: string): never => {
  throw new WasmRefused(rule, { section: "task" });
};

const isText = (text: string): boolean => text.isWellFormed() && !text.includes("\0");

/** Gives all files that a task is given. */
export const filesOf = (task: Task): readonly InputFile[] =>
  task.dataset ? [...task.inputs, task.dataset] : task.inputs;

/** Checks what a task is given against the limits. Throws WasmRefused, and a TypeError for what a caller may not pass. */
export const checkTask = (task: Task, rules: VmRules): void => {
  const { taskLimits: limits } = rules;
  if (!isHex(task.taskid, 32)) throw new TypeError(`not a task id: ${task.taskid}`);
  if (!Number.isSafeInteger(task.gasLimit) || task.gasLimit < 0) throw new TypeError(`bad gas limit ${task.gasLimit}`);
  if (!Number.isSafeInteger(task.startTime) || task.startTime < 0 || task.startTime >= 2 ** 33)
    throw new TypeError(`bad start time ${task.startTime}`);
  if (task.refused !== undefined) refuse(task.refused);
  if (task.args.length > limits.arguments) refuse(`more than ${limits.arguments} arguments`);
  if (!task.args.every(isText)) refuse("malformed argument");
  const size = (texts: readonly string[]): number => texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0);
  if (size(task.args) > limits.argumentBytes) refuse(`arguments of more than ${limits.argumentBytes} bytes`);
  const files = filesOf(task);
  if (files.length > limits.inputFiles + 1) refuse(`more than ${limits.inputFiles} input files`);
  if (!task.inputs.every(({ name }) => isInputName(name, limits))) refuse("bad name of an input file");
  if (task.dataset && !isFileName(task.dataset.name)) refuse("bad name of the dataset");
  const clash = clashOf(files.map(({ name }) => name));
  if (clash !== undefined)
    refuse(`two input files have the same name, or one is on the way to another: ${clash.slice(0, 80)}`);
  if (files.reduce((sum, { bytes }) => sum + bytes.length, 0) > limits.inputBytes)
    refuse(`inputs of more than ${limits.inputBytes} bytes`);
  const environment = environmentOf(task, rules);
  if (!environment.every(isText)) refuse("malformed environment");
  if (size(environment) > limits.environmentBytes) refuse(`environment of more than ${limits.environmentBytes} bytes`);
};
