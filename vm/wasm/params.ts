import { CID } from "multiformats/cid";
import { JSON_OF_ANY_LENGTH, parseJson } from "../../lib/json.ts";
import { TASK_LIMITS, type TaskLimits } from "./limits.ts";
import { WasmRefused } from "./refusal.ts";
import { clashOf, isFileName, isInputName, isOfIexec } from "./task.ts";
import type { VmRules } from "./versions.ts";

/** Data that a deal's parameters name, checked against what names it. */
export type InputReference =
  | { readonly kind: "ipfs"; readonly cid: string; readonly name: string }
  | { readonly kind: "url"; readonly url: string; readonly sha256: `0x${string}`; readonly name: string };

export interface JobParams {
  readonly args: readonly string[];
  readonly inputs: readonly InputReference[];
  /** Variables that are added to the environment. */
  readonly env: Readonly<Record<string, string>>;
}

const MAX_BYTES = 64 * 1024;
/** Of the receipt's making: how deep a parser or a writer comes differs between machines. */
const JSON_LIMITS = { ...JSON_OF_ANY_LENGTH, maxDepth: 64 };
const refuse = (rule: string): never => {
  throw new WasmRefused(rule, { section: "params" });
};

/**
 * Splits iexec_args as iExec does: at white space, with single or double quotes around what belongs together; there is
 * no escape. Throws WasmRefused for a quote that is not closed.
 */
export const splitArgs = (text: string): string[] => {
  const args: string[] = [];
  let current = "";
  let started = false;
  let quote = "";
  for (const character of text) {
    if (quote !== "") {
      if (character === quote) quote = "";
      else current += character;
    } else if (character === '"' || character === "'") {
      quote = character;
      started = true;
    } else if (/[ \t\r\n]/.test(character)) {
      if (started) args.push(current);
      current = "";
      started = false;
    } else {
      current += character;
      started = true;
    }
  }
  if (quote !== "") refuse("a quote in iexec_args is not closed");
  if (started) args.push(current);
  return args;
};

/** Characters of a CID of SHA-256 at most, in any of the bases that are read. */
const MAX_CID_CHARS = 64;

const decodeName = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

/** The name of an input, or where `path` says that it lies. */
const nameOf = (text: string, isPath: boolean, limits: TaskLimits): string => {
  const name = decodeName(text);
  if (name.startsWith("/") !== isPath || !isInputName(name, limits))
    return refuse(isPath ? `no path that an input may have: ${name.slice(0, 80)}` : "bad file name");
  return name;
};

/**
 * Reads a name of data: `/ipfs/<cid>`, with `?filename=<name>` as IPFS gateways take it, or `<url>#sha256=<hex>`, whose
 * name is the last part of its path. `?path=<path>` and `#sha256=<hex>&path=<path>` put it elsewhere than in `/in`. Throws
 * WasmRefused for anything without a checksum, since machines could see different bytes.
 */
export const parseReference = (text: string, limits: TaskLimits = TASK_LIMITS): InputReference => {
  const ipfs = /^(?:ipfs:\/\/|\/ipfs\/)([A-Za-z0-9]+)(?:\?(filename|path)=([^&#]+))?$/.exec(text);
  if (ipfs) {
    // Decoding base58 takes the square of its length: seconds for what parameters may hold.
    if (ipfs[1]!.length > MAX_CID_CHARS) return refuse(`a CID of ${ipfs[1]!.length} characters`);
    let cid: CID;
    try {
      cid = CID.parse(ipfs[1]!).toV1();
    } catch {
      return refuse(`not a CID: ${ipfs[1]!.slice(0, 80)}`);
    }
    if (cid.multihash.code !== 0x12 || (cid.code !== 0x70 && cid.code !== 0x55))
      return refuse(`a CID must be of SHA-256 and dag-pb or raw: ${cid}`);
    const name = ipfs[3] === undefined ? cid.toString() : nameOf(ipfs[3], ipfs[2] === "path", limits);
    return { kind: "ipfs", cid: cid.toString(), name };
  }
  // Read by rules of our own: which hosts are well-formed is another question for each version of a URL parser.
  const url = /^(https?:\/\/[^\s#/?][^\s#]*)#sha256=(?:0x)?([0-9a-fA-F]{64})(?:&path=([^&#\s]+))?$/.exec(text);
  if (!url) return refuse(`data must be named /ipfs/<cid> or <url>#sha256=<hex>, not ${text.slice(0, 80)}`);
  const path = url[1]!.split("?")[0]!.replace(/^https?:\/\/[^/]*/, "");
  const own = decodeName(path.slice(path.lastIndexOf("/") + 1));
  if (url[3] === undefined && !isFileName(own)) return refuse("a URL must end in a file name");
  const name = url[3] === undefined ? own : nameOf(url[3], true, limits);
  return { kind: "url", url: url[1]!, sha256: `0x${url[2]!.toLowerCase()}`, name };
};

const ENV_NAME = /^(?!__proto__$)[A-Za-z_][A-Za-z0-9_]*$/;
const MAX_ENV_NAME_CHARS = 255;

/** Reads variables by their names. Throws WasmRefused for a name that none may have, and for what is no text. */
const parseEnv = (value: unknown, { variables }: TaskLimits): Record<string, string> => {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return refuse("rolec_env is no object of texts");
  const entries = Object.entries(value);
  if (entries.length > variables) refuse(`more than ${variables} variables`);
  for (const [name, text] of entries) {
    if (!ENV_NAME.test(name) || isOfIexec(name) || name.length > MAX_ENV_NAME_CHARS)
      refuse(`no name of a variable: ${name.slice(0, 80)}`);
    if (typeof text !== "string" || !text.isWellFormed() || text.includes("\0"))
      refuse(`variable ${name.slice(0, 80)} is not a text`);
  }
  return Object.fromEntries(entries);
};

const isAbsent = (value: unknown): boolean =>
  value === undefined || value === null || value === false || value === "" || JSON.stringify(value) === "{}";

/**
 * Reads a deal's parameters: JSON with iExec's names, or nothing. Throws WasmRefused (status INVALID) for what is
 * malformed, unknown, too large, or cannot be done on a public chain: secrets, encrypted or other storage.
 */
export const parseParams = (text: string, { taskLimits: limits }: VmRules): JobParams => {
  if (Buffer.byteLength(text) > MAX_BYTES) refuse(`parameters of more than ${MAX_BYTES} bytes`);
  if (text.trim() === "") return { args: [], inputs: [], env: {} };
  let document: unknown;
  try {
    document = parseJson(text, JSON_LIMITS);
  } catch (error) {
    refuse(`parameters are ${(error as Error).message}`);
  }
  if (typeof document !== "object" || document === null || Array.isArray(document))
    return refuse("parameters are not a JSON object");
  const fields = document as Record<string, unknown>;
  let args: string[] = [];
  let inputs: InputReference[] = [];
  let env: Readonly<Record<string, string>> = {};
  for (const [key, value] of Object.entries(fields)) {
    if (key === "iexec_args") {
      if (typeof value !== "string" || !value.isWellFormed() || value.includes("\0"))
        return refuse("iexec_args is not a text");
      args = splitArgs(value);
      if (args.length > limits.arguments) refuse(`more than ${limits.arguments} arguments`);
    } else if (key === "iexec_input_files") {
      if (!Array.isArray(value) || !value.every((file) => typeof file === "string"))
        return refuse("iexec_input_files is not a list of texts");
      if (value.length > limits.inputFiles) refuse(`more than ${limits.inputFiles} input files`);
      inputs = value.map((text) => parseReference(text, limits));
      const clash = clashOf(inputs.map(({ name }) => name));
      if (clash !== undefined)
        refuse(`two input files have the same name, or one is on the way to another: ${clash.slice(0, 80)}`);
    } else if (key === "rolec_env" && limits.variables > 0) {
      env = parseEnv(value, limits);
    } else if (key === "iexec_result_storage_provider") {
      if (!isAbsent(value) && value !== "ipfs") refuse("results are stored on ipfs only");
    } else if (key === "iexec_result_encryption" || key === "iexec_secrets" || key === "bulk_cid") {
      if (!isAbsent(value)) refuse(`${key} is not supported`);
    } else if (key !== "iexec_developer_logger" && key !== "iexec_result_storage_proxy")
      refuse(`unknown parameter ${key.slice(0, 80)}`);
  }
  return { args, inputs, env };
};
