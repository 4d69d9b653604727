import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Argument, Command } from "commander";
import { type Address, EMPTY, type Hash, type Hex, word, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { createLog } from "../../lib/log.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import { createTroubles, type Subject } from "../../lib/trouble.ts";
import { NRLC, parseRlc, rlc } from "../../lib/units.ts";
import { type RpcClient, rpcClient } from "../../rpc/client.ts";
import { ORDER_NAMES, type OrderName, orderToJson, type SignedOrder } from "../../vm/market/signed-order.ts";
import { readGivenJson } from "../folder.ts";
import { lockFolder } from "../folder-lock.ts";
import { publicPool } from "../iexec-files.ts";
import { viewCategory } from "../market-client.ts";
import { createMatcher, type Filled } from "../matcher.ts";
import {
  cancelOrder,
  checkRequest,
  findOrder,
  freshSalt,
  type ListedOrder,
  listOrders,
  type OrdersFile,
  ordersOfFile,
  placeOrder,
  signOrder,
} from "../orders.ts";
import { stopping, stopSignal } from "../stop.ts";
import { address, amount, DEFAULT_NODE, folder, hash, privateKey, url, whole } from "./options.ts";
import { fail, print, printJson, short, table } from "./output.ts";

const count = whole(0, Number.MAX_SAFE_INTEGER);
/** Parses an amount in RLC into nRLC, which orders count in. */
const price = (text: string): bigint => {
  const wei = parseRlc(text);
  if (wei % NRLC !== 0n) throw new Error(`"${text}" has more than 9 decimals`);
  return wei / NRLC;
};
const tag = (text: string): Hash => {
  if (!/^0x[0-9a-fA-F]{1,64}$/.test(text)) throw new Error(`"${text}" is no tag: 0x and hex digits`);
  return word(BigInt(text));
};
const kindArgument = () => new Argument("<kind>", "what the order is of").choices(ORDER_NAMES);

interface PlaceFlags {
  key: Hex;
  price: bigint;
  appPrice: bigint;
  datasetPrice: bigint;
  dataset: Address;
  volume: number;
  category: number;
  trust: number;
  tag: Hash;
  forApp: Address;
  forDataset: Address;
  forPool?: Address;
  anyPool?: boolean;
  forRequester: Address;
  params?: string;
  args?: string;
  beneficiary?: Address;
  callback: Address;
  node: string;
  json?: boolean;
}

/** Makes an order of what was said on the command line. */
const orderOf = (kind: OrderName, entry: Address, forPool: Address, flags: PlaceFlags): SignedOrder => {
  const terms = { volume: BigInt(flags.volume), tag: flags.tag, salt: freshSalt(), sign: EMPTY };
  const market = { category: BigInt(flags.category), trust: BigInt(flags.trust) };
  const restrictions = {
    apprestrict: flags.forApp,
    datasetrestrict: flags.forDataset,
    workerpoolrestrict: forPool,
    requesterrestrict: flags.forRequester,
  };
  const { apprestrict, datasetrestrict, workerpoolrestrict, requesterrestrict } = restrictions;
  switch (kind) {
    case "app": {
      const own = { datasetrestrict, workerpoolrestrict, requesterrestrict };
      return { kind, order: { ...terms, ...own, app: entry, appprice: flags.price } };
    }
    case "dataset": {
      const own = { apprestrict, workerpoolrestrict, requesterrestrict };
      return { kind, order: { ...terms, ...own, dataset: entry, datasetprice: flags.price } };
    }
    case "workerpool": {
      const own = { apprestrict, datasetrestrict, requesterrestrict };
      return { kind, order: { ...terms, ...market, ...own, workerpool: entry, workerpoolprice: flags.price } };
    }
    case "request": {
      const requester = addressOf(flags.key);
      return {
        kind,
        order: {
          ...terms,
          ...market,
          app: entry,
          appmaxprice: flags.appPrice,
          dataset: flags.dataset,
          datasetmaxprice: flags.datasetPrice,
          workerpool: forPool,
          workerpoolmaxprice: flags.price,
          requester,
          beneficiary: flags.beneficiary ?? requester,
          callback: flags.callback,
          params: flags.params ?? JSON.stringify(flags.args === undefined ? {} : { iexec_args: flags.args }),
        },
      };
    }
  }
};

/**
 * The pool that an order is for. In a pool that somebody schedules its owner decides whose word counts, so that a request is
 * for the public one unless its signer says otherwise.
 */
const poolOf = async (client: RpcClient, kind: OrderName, { forPool, anyPool }: PlaceFlags): Promise<Address> => {
  if (forPool !== undefined && anyPool) fail("--for-pool names one pool, --any-pool asks for none");
  if (forPool !== undefined || anyPool || kind !== "request") return forPool ?? ZERO_ADDRESS;
  return publicPool(client);
};

const chainIdOf = async (client: RpcClient): Promise<number> => Number(await client.call("eth_chainId", []));

const place = (command: Command): Command =>
  command
    .description("sign an order, and give it to a node's book and so to all nodes")
    .addArgument(kindArgument())
    .argument("<entry>", "app, dataset or pool that is offered; of a request the app that is asked for", address)
    .requiredOption("--key <key>", "private key of the entry's owner, or of the requester", privateKey)
    .addOption(amount("--price <rlc>", "of a task; of a request the most for the pool", price))
    .addOption(amount("--app-price <rlc>", "of a request, the most for the app", price))
    .option("--dataset <address>", "of a request, the dataset", address, ZERO_ADDRESS)
    .addOption(amount("--dataset-price <rlc>", "of a request, the most for the dataset", price))
    .option("--volume <n>", "tasks", whole(1, Number.MAX_SAFE_INTEGER), 1)
    .option("--category <n>", "category, of pools and requests", count, 0)
    .option("--trust <n>", "of a pool the most, of a request the least", count, 1)
    .option("--tag <hex>", "what is asked of the others; bit 0 is an enclave", tag, ZERO_HASH)
    .option("--for-app <address>", "with this app alone, or those of a group", address, ZERO_ADDRESS)
    .option("--for-dataset <address>", "with this dataset alone", address, ZERO_ADDRESS)
    .option("--for-pool <address>", "in this pool alone; a request is for the public one when left out", address)
    .option("--any-pool", "of a request, in whatever pool: its owner then decides who computes, and what is right")
    .option("--for-requester <address>", "for this requester alone", address, ZERO_ADDRESS)
    .option("--args <text>", "of a request, arguments of the program")
    .option("--params <json>", "of a request, all parameters, as iExec's tools write them")
    .option("--beneficiary <address>", "of a request, whom the result is for; the requester when left out", address)
    .option("--callback <address>", "of a request, where the result is to be read on the chain", address, ZERO_ADDRESS)
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .option("--json", "print the signed order too, as JSON")
    .action(async (kind: OrderName, entry: Address, flags: PlaceFlags) => {
      const client = rpcClient(flags.node);
      const pool = await poolOf(client, kind, flags);
      if (kind === "workerpool" || kind === "request") await viewCategory(client, BigInt(flags.category));
      const signed = signOrder(await chainIdOf(client), flags.key, orderOf(kind, entry, pool, flags));
      const id = await placeOrder(client, signed);
      if (flags.json) printJson({ hash: id, kind, order: orderToJson(signed.order) });
      else print(`${kind} order ${id} stands in the book`);
    });

const submit = (command: Command): Command =>
  command
    .description("give signed orders of a file (orders.json of iExec's tools) to a node's book")
    .argument("<file>", "file")
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .action(async (path: string, flags: { node: string }) => {
      const client = rpcClient(flags.node);
      const file = readGivenJson<OrdersFile>(resolve(path)) ?? fail(`${path} does not exist`);
      const orders = ordersOfFile(file, await chainIdOf(client));
      if (orders.length === 0) fail(`${path} has no orders of this chain`);
      // All before the first: a file is placed whole or not at all.
      for (const order of orders) checkRequest(order);
      for (const order of orders) print(`${order.kind} order ${await placeOrder(client, order)} stands in the book`);
    });

interface ListFlags {
  signer?: Address;
  app?: Address;
  dataset?: Address;
  workerpool?: Address;
  requester?: Address;
  category?: number;
  skip: number;
  limit: number;
  node: string;
  json?: boolean;
}

const entryOf = ({ kind, order }: SignedOrder): Address =>
  kind === "dataset" ? order.dataset : kind === "workerpool" ? order.workerpool : order.app;
const priceOf = ({ kind, order }: SignedOrder): bigint =>
  kind === "app"
    ? order.appprice
    : kind === "dataset"
      ? order.datasetprice
      : kind === "workerpool"
        ? order.workerpoolprice
        : order.workerpoolmaxprice;
const jsonOf = ({ signed, ...entry }: ListedOrder) => ({
  ...entry,
  kind: signed.kind,
  order: orderToJson(signed.order),
});

const list = (command: Command): Command =>
  command
    .description("list the orders of a kind that stand: the lowest price first, of requests the highest")
    .addArgument(kindArgument())
    .option("--signer <address>", "signed by this account", address)
    .option("--app <address>", "of this app", address)
    .option("--dataset <address>", "of this dataset", address)
    .option("--workerpool <address>", "of this pool", address)
    .option("--requester <address>", "of this requester", address)
    .option("--category <n>", "of this category", count)
    .option("--skip <n>", "leave out the first", count, 0)
    .option("--limit <n>", "at most so many", whole(1, 100), 20)
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .option("--json", "print JSON")
    .action(async (kind: OrderName, { node, json, ...query }: ListFlags) => {
      const found = await listOrders(rpcClient(node), { ...query, kind });
      if (json) return printJson(found.map(jsonOf));
      if (found.length === 0) return print(`no ${kind} order stands`);
      const rows = found.map(({ hash, signed, remaining }) => {
        const { order } = signed;
        const market = "category" in order ? [`${order.category}`, `${order.trust}`] : [];
        return [short(hash), entryOf(signed), rlc(priceOf(signed) * NRLC, 9), `${remaining}`, ...market];
      });
      const market = kind === "workerpool" || kind === "request" ? ["category", "trust"] : [];
      const header = ["order", kind === "request" ? "app" : kind, "RLC a task", "tasks left", ...market];
      print(table(header, rows));
      return undefined;
    });

const show = (command: Command): Command =>
  command
    .description("print an order that stands in a node's book")
    .argument("<hash>", "hash of the order", hash)
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .action(async (id: Hash, flags: { node: string }) => {
      const found =
        (await findOrder(rpcClient(flags.node), id)) ?? fail(`order ${id} does not stand in this node's book`);
      printJson(jsonOf(found));
    });

const cancel = (command: Command): Command =>
  command
    .description("close an order on the chain: it makes no deal any more, and leaves all books")
    .argument("<hash>", "hash of an order that stands in the node's book", hash)
    .requiredOption("--key <key>", "private key of who signed it", privateKey)
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .action(async (id: Hash, flags: { key: Hex; node: string }) => {
      const client = rpcClient(flags.node);
      const found = (await findOrder(client, id)) ?? fail(`order ${id} does not stand in this node's book`);
      if (found.signer !== addressOf(flags.key)) fail(`${found.signer} signed this order, not ${addressOf(flags.key)}`);
      print(`cancelled by ${await cancelOrder(client, flags.key, found.signed)}`);
    });

const filledLine = ({ dealid, volume, priceNrlc, workerpool }: Filled): string =>
  `deal ${dealid}: ${volume} ${volume === 1n ? "task" : "tasks"} at ${rlc(priceNrlc * NRLC, 9)} RLC in pool ${workerpool}`;

const ROUND: Subject = { fails: "orders are not matched", works: "orders are matched again" };
/** Where the matcher of an account has its folder unless told. */
const matcherFolder = (account: Address): string =>
  join(process.env.XDG_STATE_HOME ?? join(homedir(), ".local", "state"), "rolec", `match-${account}`);

const match = (command: Command): Command =>
  command
    .description("make deals of orders that cross: requests that pay most first, each by the cheapest offers")
    .requiredOption("--key <key>", "private key of an account that pays the gas", privateKey)
    .option("--every <seconds>", "look so often", whole(1, 3_600), 2)
    .option("--once", "look once")
    .option("--datadir <folder>", "folder of the matcher, one for each account (default: one of this user's)", folder)
    .option("--node <url>", "RPC of a node", url, DEFAULT_NODE)
    .action(async (flags: { key: Hex; every: number; once?: boolean; datadir?: string; node: string }) => {
      // Two that send from one account would take each other's nonces.
      const folder = resolve(flags.datadir ?? matcherFolder(addressOf(flags.key)));
      const lock = await lockFolder(folder, "order match");
      const matcher = createMatcher(rpcClient(flags.node), flags.key);
      if (flags.once) {
        const filled = await matcher.round();
        for (const deal of filled) print(filledLine(deal));
        if (filled.length === 0) print("no orders cross");
        return lock.release();
      }
      void stopSignal();
      const troubles = createTroubles({ log: createLog(), folder });
      while (!stopping.aborted) {
        try {
          for (const deal of await matcher.round()) print(filledLine(deal));
          troubles.works(ROUND);
        } catch (error) {
          // A node that restarts, or a deal that somebody else made first, ends no matcher.
          troubles.fails(ROUND, error as Error);
        }
        await sleep(flags.every * 1_000, undefined, { signal: stopping }).catch(() => undefined);
      }
      await lock.release();
      return undefined;
    });

export const orderCommand = (): Command => {
  const command = new Command("order").description("offer apps, datasets and pools, ask for computation, match both");
  place(command.command("place"));
  submit(command.command("submit"));
  list(command.command("list"));
  show(command.command("show"));
  cancel(command.command("cancel"));
  match(command.command("match"));
  return command;
};
