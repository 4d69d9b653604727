import { open, readFile } from "node:fs/promises";
import { type Address, type Hash, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { parseCid } from "../../p2p/data/cid.ts";
import { MAX_BLOCK_BYTES } from "../../p2p/data/limits.ts";
import { decodeNode } from "../../p2p/data/unixfs.ts";
import type { RpcClient } from "../../rpc/client.ts";
import { type InputReference, type JobParams, parseParams } from "../../vm/wasm/params.ts";
import { WasmRefused } from "../../vm/wasm/refusal.ts";
import type { InputFile } from "../../vm/wasm/task.ts";
import type { VmRules } from "../../vm/wasm/versions.ts";
import { type DealView, viewApp, viewDataset, viewDeal } from "../market-client.ts";
import type { Input, Inputs, Patience } from "./inputs.ts";
import { referencesOf } from "./location.ts";
import { Unobtainable } from "./unobtainable.ts";

/** Files of a deal in memory. */
export interface Loaded {
  readonly module: Uint8Array;
  readonly inputs: readonly InputFile[];
  readonly dataset: (InputFile & { readonly address: Address }) | undefined;
  /** Bytes that all of them take. */
  readonly held: number;
}

/** What the tasks of a deal share, in files of this machine. */
export interface Furniture {
  readonly deal: DealView;
  readonly args: JobParams["args"];
  readonly env: JobParams["env"];
  /**
   * Why every worker calls the deal's tasks INVALID; undefined where they are not. Only what the deal says, and what is named by
   * its content, is the same for every worker.
   */
  readonly refused: string | undefined;
  /** Reads the files, each content once; of tasks that are refused the module alone, and of one that is too large what it may have. */
  load(): Promise<Loaded>;
}

export interface FurnishOptions {
  readonly client: RpcClient;
  readonly inputs: Pick<Inputs, "fetch">;
}

/** Reads what an entry's multiaddr names. What every worker refuses alike is a fault here. */
const entryReferences = (location: Uint8Array): InputReference[] => {
  try {
    return referencesOf(location);
  } catch (error) {
    throw error instanceof WasmRefused ? new Unobtainable(error.message) : error;
  }
};

const isNode = async (cid: string, block: Uint8Array): Promise<boolean> =>
  decodeNode(parseCid(cid), block).then(
    () => true,
    () => false,
  );

/**
 * Fetches an entry of a registry. A multiaddr may leave open whether it names a raw block or a tree whose root has the same
 * hash: it is the tree's where the block is one, whoever of them is given first.
 */
const fetchEntry = async (
  source: Pick<Inputs, "fetch">,
  references: readonly InputReference[],
  patience: Patience,
): Promise<Input> => {
  const [first, second] = references;
  if (first?.kind !== "ipfs" || !second) return source.fetch(first!, patience);
  const done = new AbortController();
  const each = { ...patience, signal: AbortSignal.any([patience.signal, done.signal]) };
  const tree = source.fetch(first, each);
  const block = source.fetch(second, each).then(async (found) => {
    const isTree = found.bytes <= MAX_BLOCK_BYTES && (await isNode(first.cid, await readFile(found.path)));
    return isTree ? tree : found;
  });
  try {
    return await Promise.any([tree, block]);
  } catch (error) {
    const { errors } = error as AggregateError;
    throw errors.find((one) => !(one instanceof Unobtainable)) ?? errors[0];
  } finally {
    done.abort(new Error("the other one was meant"));
  }
};

/** Gives the parameters, or why every worker refuses them. */
const paramsOf = (text: string, rules: VmRules): { params: JobParams; refused?: string } => {
  try {
    return { params: parseParams(text, rules) };
  } catch (error) {
    if (error instanceof WasmRefused) return { params: { args: [], inputs: [], env: {} }, refused: error.message };
    throw error;
  }
};

const readHead = async (path: string, bytes: number): Promise<Uint8Array> => {
  const file = await open(path);
  try {
    const head = new Uint8Array(bytes);
    await file.read(head, 0, bytes, 0);
    return head;
  } finally {
    await file.close();
  }
};

/** Reads files into memory, each content once. */
const createReading = () => {
  const known = new Map<string, Promise<Uint8Array>>();
  let held = 0;
  return {
    held: () => held,
    read: ({ path, digest, bytes }: Input, most = bytes): Promise<Uint8Array> => {
      const found = known.get(digest) ?? (bytes > most ? readHead(path, most) : readFile(path));
      if (!known.has(digest)) held += Math.min(bytes, most);
      known.set(digest, found);
      return found;
    },
  };
};

/**
 * Fetches what a deal's tasks share: the module, the inputs in the order of the parameters, the dataset. They are counted as
 * they come. Throws as Inputs does.
 */
export const furnish = async (
  { client, inputs: source }: FurnishOptions,
  dealid: Hash,
  rules: VmRules,
  patience: Patience,
): Promise<Furniture> => {
  const { limits, taskLimits } = rules;
  const deal = await viewDeal(client, dealid);
  const app = await viewApp(client, deal.app);
  const places = entryReferences(app.location);
  for (const place of places)
    if (place.kind !== "ipfs") throw new Unobtainable(`${place.url} is not content-addressed`);
  const code = await fetchEntry(source, places, patience);
  const { params, refused } = paramsOf(deal.params, rules);
  let reason = refused;
  if (code.bytes > limits.moduleBytes) reason ??= `a module of more than ${limits.moduleBytes} bytes`;
  if (app.checksum !== ZERO_HASH && `0x${code.digest}` !== app.checksum) reason ??= "the module has another checksum";

  let total = 0;
  const count = ({ bytes }: Input): void => {
    total += bytes;
    if (total > taskLimits.inputBytes) reason ??= `inputs of more than ${taskLimits.inputBytes} bytes`;
  };
  const found: { readonly name: string; readonly input: Input }[] = [];
  for (const each of params.inputs) {
    if (reason !== undefined) break;
    const input = await source.fetch(each, patience);
    found.push({ name: each.name, input });
    count(input);
  }
  let data: { readonly name: string; readonly input: Input } | undefined;
  if (reason === undefined && deal.dataset !== ZERO_ADDRESS) {
    const { name, location, checksum } = await viewDataset(client, deal.dataset);
    const input = await fetchEntry(source, entryReferences(location), patience);
    count(input);
    if (checksum !== ZERO_HASH && `0x${input.digest}` !== checksum) reason ??= "the dataset has another checksum";
    data = { name, input };
  }

  const load = async (): Promise<Loaded> => {
    const { read, held } = createReading();
    const module = await read(code, limits.moduleBytes);
    // What is refused pays for the module, and its receipt tells that it was there.
    if (reason !== undefined) return { module, inputs: [], dataset: undefined, held: held() };
    const inputs: InputFile[] = [];
    for (const { name, input } of found) inputs.push({ name, bytes: await read(input) });
    const dataset = data && { address: deal.dataset, name: data.name, bytes: await read(data.input) };
    return { module, inputs, dataset, held: held() };
  };
  return { deal, args: params.args, env: params.env, refused: reason, load };
};
