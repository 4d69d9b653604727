import { join } from "node:path";
import { openDb } from "../chain/db.ts";
import { ConflictError } from "../consensus/conflict.ts";
import { createEngine } from "../consensus/engine.ts";
import { createProducer } from "../consensus/producer.ts";
import { hasServed } from "../consensus/sets.ts";
import type { Address } from "../lib/bytes.ts";
import { createDisk, diskFault, freeBytesOf } from "../lib/disk.ts";
import { httpUrl, placeOfMultiaddr } from "../lib/endpoint.ts";
import type { Log } from "../lib/log.ts";
import { openDataStore } from "../p2p/data/store.ts";
import { peerKey } from "../p2p/host.ts";
import { openLotReceipts } from "../p2p/lots.ts";
import { createNetwork } from "../p2p/network.ts";
import { openOrderBook } from "../p2p/orders/book.ts";
import { dataRoute } from "../rpc/data.ts";
import { lotMethods } from "../rpc/lots.ts";
import { orderMethods } from "../rpc/orders.ts";
import { pinMethods } from "../rpc/pins.ts";
import { createRpcServer } from "../rpc/server.ts";
import { createStratum } from "../rpc/stratum.ts";
import { createWorkDesk } from "../rpc/work.ts";
import { settledConflicts, writeConflict } from "./conflict-file.ts";
import { dataPort } from "./data-port.ts";
import { watchForDoubles } from "./doppelganger.ts";
import { writeNote } from "./folder.ts";
import { lockFolder } from "./folder-lock.ts";
import { openGenesis } from "./genesis-file.ts";
import { checkPlace, listening, type Place } from "./ports.ts";
import { REMEDIES } from "./remedies.ts";
import { openSlashingProtection } from "./slashing-protection.ts";
import { createStatus } from "./status.ts";
import { awaitSigners, readValidatorSource, type ValidatorSource } from "./validator-source.ts";

export interface NodeOptions {
  /** Folder with genesis.json and, where the node validates, validator.json. */
  readonly datadir: string;
  /** Where the keys of the node's validators are; left out: where validator.json says, if there is one. */
  readonly validators?: ValidatorSource | undefined;
  /** Whole epochs to listen for doubles of its validators before it signs; left out: none, nobody else has their keys. */
  readonly doppelgangerEpochs?: number;
  /** That its validators never signed on this chain, whatever the chain shows of them. */
  readonly newProtection?: boolean | undefined;
  readonly rpc: {
    readonly host: string;
    readonly port: number;
    /** Names beside localhost under which it is asked; origins of web pages that may call, and those that may not store. */
    readonly hostNames?: readonly string[] | undefined;
    readonly origins?: readonly string[] | undefined;
    readonly openOrigins?: readonly string[] | undefined;
  };
  /** Left out: no connections to other nodes. */
  readonly p2p?: {
    readonly listen: readonly string[];
    readonly bootstrap: readonly string[];
    /** Addresses beside those it listens on, at which others reach it. */
    readonly announce?: readonly string[];
  };
  /** Bytes that data may take: what is pinned, of that what tasks wrote, and what is passed on. */
  readonly data?: { readonly cacheBytes?: number; readonly pinnedBytes?: number; readonly outputBytes?: number };
  /** MiB of the disk that data of others may not fill; left out: 256. */
  readonly diskReserveMib?: number | undefined;
  /** Where miners may connect by Stratum; left out: nowhere. */
  readonly stratum?: { readonly host: string; readonly port: number } | undefined;
  /** The validator that miners work for; left out: this node's own, if it validates. */
  readonly beneficiary?: Address | undefined;
  readonly log: Log;
}

/** What a running node writes into its folder for those who started it. */
export interface NodeInfo {
  readonly pid: number;
  readonly rpcUrl: string;
  readonly p2p: readonly string[];
}

export interface RunningNode {
  readonly rpcUrl: string;
  /** The port for miners, where there is one. */
  readonly stratumPort: number | undefined;
  readonly chainId: number;
  /** Resolves with the reason when the node cannot go on: it has to be stopped then. */
  readonly failed: Promise<Error>;
  stop(): Promise<void>;
}

const EXPIRY_MS = 60_000;
const DOUBLE =
  "another program signs with the keys of this node's validator: this node does not, until it is started again. Stop the other, and bring over what it signed (rolec validator protection export)";

const STRATUM_OPTIONS = { hostOption: "--stratum-host", portOption: "--stratum" };
const p2pPlaces = ({ p2p }: NodeOptions): Place[] =>
  (p2p?.listen ?? []).map((address) => ({
    ...placeOfMultiaddr(address),
    hostOption: "--p2p-host",
    portOption: "--p2p-port",
  }));

/** Starts a node: the composition root of every program that runs one. */
export const startNode = async (options: NodeOptions): Promise<RunningNode> => {
  const lock = await lockFolder(options.datadir, "node");
  const databases: Closable[] = [];
  try {
    const node = await start(options, databases);
    const stop = async (): Promise<void> => {
      await node.stop();
      await lock.release();
    };
    return { ...node, stop };
  } catch (error) {
    await Promise.allSettled(databases.map((each) => each.close()));
    await lock.release();
    throw diskFault(options.datadir, error as Error);
  }
};

interface Closable {
  close(): Promise<void>;
}

/** `databases` gets each that is open, for a start that fails further on. */
const start = async (options: NodeOptions, databases: Closable[]): Promise<RunningNode> => {
  const { datadir, log } = options;
  const opened = <T extends Closable>(database: T): T => {
    databases.push(database);
    return database;
  };
  const { genesis, genesisHash } = openGenesis(datadir);
  // A node that has seen two chains become final does not choose between them.
  const settled = settledConflicts(datadir);
  const source = options.validators ?? readValidatorSource(datadir);
  // Keys before anything that would have to be stopped again: a wrong password is the likeliest reason not to start.
  const signers = source ? await awaitSigners(source, genesisHash, log) : [];
  if (options.p2p) await peerKey(datadir);
  const db = opened(await openDb(join(datadir, "chain"), { remedy: REMEDIES.chain }));
  const engine = await createEngine({ db, genesis, now: Date.now, log, settled });
  let end: (error: Error) => void = () => {};
  const failed = new Promise<Error>((resolve) => {
    end = resolve;
  });
  engine.on("fatal", (error) => {
    try {
      if (error instanceof ConflictError) log.fatal({ file: writeConflict(datadir, error) }, "the proof is kept");
    } finally {
      end(error);
    }
  });
  const onFailure = (error: Error): void => {
    log.fatal({ error: error.message }, "this node cannot go on");
    end(error);
  };
  const disk = createDisk(freeBytesOf(datadir), options.diskReserveMib);
  const protection = source
    ? opened(await openSlashingProtection(join(datadir, "slashing-protection"), genesisHash, onFailure))
    : undefined;
  const addresses = signers.map(({ address }) => address);
  const head = engine.head();
  const maySign = options.newProtection || head.header.number === 0;
  // A signer has protection of its own, and any node may come to it.
  if (source?.kind !== "remote")
    await protection?.begin(addresses, (each) => !maySign && hasServed(engine.stateOf(head), each));
  const dataDb = opened(await openDb(join(datadir, "data"), { onFailure, remedy: REMEDIES.data }));
  const data = await openDataStore(dataDb, { ...options.data, disk });
  const orders = await openOrderBook({ db: dataDb, engine, now: Date.now, log, disk });
  const network = options.p2p
    ? await createNetwork({ engine, datadir, ...options.p2p, data, dataDb, orders, disk, log })
    : undefined;
  // RPC before the duties: a node that cannot be asked should not sign.
  const lots = network?.lots ?? (await openLotReceipts({ db: dataDb, engine, disk }));
  const ownData = dataPort(data, network);
  const desk = createWorkDesk({ engine, beneficiary: options.beneficiary ?? signers[0]?.address });
  const rpc = createRpcServer({
    engine,
    network,
    host: options.rpc.host,
    port: options.rpc.port,
    hosts: options.rpc.hostNames,
    origins: options.rpc.origins,
    openOrigins: options.rpc.openOrigins,
    log,
    routes: [dataRoute(ownData)],
    methods: { ...lotMethods(lots), ...pinMethods(ownData), ...orderMethods(orders), ...desk.methods },
  });
  const tidy = async (): Promise<void> => {
    const seconds = Math.floor(Date.now() / 1000);
    await data.expire(seconds);
    await lots.expire(seconds);
  };
  const expiry = setInterval(() => {
    tidy().catch((error: Error) => log.warn({ error: error.message }, "what has run out is not dropped"));
  }, EXPIRY_MS);
  const { port } = await listening({ ...options.rpc, hostOption: "--host", portOption: "--port" }, rpc.start);
  // The network before the producer: what is produced must be able to leave.
  for (const place of p2pPlaces(options)) await checkPlace(place);
  await network?.start();
  const miners = options.stratum;
  const stratum = miners && createStratum({ engine, desk, ...miners, log });
  const stratumPort = stratum && (await listening({ ...miners, ...STRATUM_OPTIONS }, stratum.start));
  const doubles = watchForDoubles({
    engine,
    validators: addresses,
    epochs: (protection && options.doppelgangerEpochs) ?? 0,
    onDouble: (double) => log.fatal(double, DOUBLE),
  });
  const status = createStatus({
    engine,
    network,
    bootstrap: options.p2p?.bootstrap ?? [],
    duties: protection && doubles,
    disk,
    log,
  });
  const producer = protection
    ? createProducer({
        engine,
        signers,
        protection,
        mayWork: doubles.mayWork,
        publishBlock: (block) => {
          status.signed("block");
          network?.publishBlock(block);
        },
        publishVote: (vote) => {
          status.signed("vote");
          network?.publishVote(vote);
        },
        log,
      })
    : undefined;
  producer?.start();
  const rpcUrl = httpUrl(options.rpc.host, port);
  const info: NodeInfo = { pid: process.pid, rpcUrl, p2p: network?.multiaddrs() ?? [] };
  writeNote(join(datadir, "node.json"), `${JSON.stringify(info, null, 2)}\n`);
  engine.on("finalized", ({ epoch, hash }) => log.debug({ epoch, hash }, "finalized"));
  if (doubles.firstSlot > 0)
    log.info({ firstSlot: doubles.firstSlot }, "listens for doubles of its validators before it signs");
  log.info({ rpcUrl, validators: addresses, head: engine.head().header.number }, "node started");
  status.start();
  return {
    rpcUrl,
    stratumPort,
    chainId: genesis.chainId,
    failed,
    stop: async () => {
      clearInterval(expiry);
      status.stop();
      await stratum?.stop();
      await producer?.stop();
      doubles.stop();
      await rpc.stop();
      await network?.stop();
      orders.stop();
      await engine.stop();
      await protection?.close();
      await dataDb.close();
      await db.close();
      log.info("node stopped");
    },
  };
};
