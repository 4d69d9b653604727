import { join } from "node:path";
import { openDb } from "../chain/db.ts";
import { createEngine } from "../consensus/engine.ts";
import { createProducer } from "../consensus/producer.ts";
import type { Log } from "../lib/log.ts";
import { type DataStore, openDataStore } from "../p2p/data/store.ts";
import { openLotReceipts } from "../p2p/lots.ts";
import { createNetwork } from "../p2p/network.ts";
import { dataRoute } from "../rpc/data.ts";
import { lotMethods } from "../rpc/lots.ts";
import { createRpcServer } from "../rpc/server.ts";
import { watchForDoubles } from "./doppelganger.ts";
import { writeSecret } from "./folder.ts";
import { openGenesis } from "./genesis-file.ts";
import { openSlashingProtection } from "./slashing-protection.ts";
import { openSigners, readValidatorSource, type ValidatorSource } from "./validator-source.ts";

export interface NodeOptions {
  /** Folder with genesis.json and, where the node validates, validator.json. */
  readonly datadir: string;
  /** Where the keys of the node's validators are; left out: where validator.json says, if there is one. */
  readonly validators?: ValidatorSource | undefined;
  /** Whole epochs to listen for doubles of its validators before it signs; left out: none, nobody else has their keys. */
  readonly doppelgangerEpochs?: number;
  readonly rpc: { readonly host: string; readonly port: number };
  /** Left out: no connections to other nodes. */
  readonly p2p?: { readonly listen: readonly string[]; readonly bootstrap: readonly string[] };
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
  readonly chainId: number;
  stop(): Promise<void>;
}

const EXPIRY_MS = 60_000;
const DOUBLE =
  "another program signs with the keys of this node's validator: this node does not, until it is started again. Stop the other, and bring over what it signed (rolec validator protection export)";
/** Who keeps what comes over RPC: the node's owner, for good. */
const OWNER = { holder: "rpc" };

/** Data as the RPC's gateway takes it: what is uploaded stays. */
const ownData = (store: DataStore) => ({
  importTree: (entries: Iterable<{ path: string; bytes?: Uint8Array }>) => store.importTree(entries, OWNER),
  importFile: (bytes: Uint8Array) => store.importFile(bytes, OWNER),
  listTree: (cid: string) => store.listTree(cid),
  readFile: (cid: string, path?: string) => store.readFile(cid, path),
});

/** Starts a node: the composition root of every program that runs one. */
export const startNode = async (options: NodeOptions): Promise<RunningNode> => {
  const { datadir, log } = options;
  const { genesis, genesisHash } = openGenesis(datadir);
  const source = options.validators ?? readValidatorSource(datadir);
  // Keys before anything that would have to be stopped again: a wrong password is the likeliest reason not to start.
  const signers = source ? await openSigners(source, genesisHash) : [];
  // The database then: it refuses a folder that another process has open, before anything is signed.
  const db = await openDb(join(datadir, "chain"));
  const engine = await createEngine({ db, genesis, now: Date.now, log });
  const dataDb = await openDb(join(datadir, "data"));
  const data = await openDataStore(dataDb);
  const network = options.p2p
    ? await createNetwork({
        engine,
        datadir,
        listen: options.p2p.listen,
        bootstrap: options.p2p.bootstrap,
        data,
        dataDb,
        log,
      })
    : undefined;
  // RPC before the duties: a node that cannot be asked should not sign.
  const lots = network?.lots ?? openLotReceipts(dataDb, engine);
  const routes = [dataRoute({ ...ownData(data), fetch: async (cid) => network?.fetchData(cid) })];
  const rpc = createRpcServer({
    engine,
    network,
    host: options.rpc.host,
    port: options.rpc.port,
    log,
    routes,
    methods: lotMethods(lots),
  });
  const expiry = setInterval(() => void data.expire(Math.floor(Date.now() / 1000)), EXPIRY_MS);
  const { port } = await rpc.start();
  // The network before the producer: what is produced must be able to leave.
  await network?.start();
  const protection = source
    ? await openSlashingProtection(join(datadir, "slashing-protection"), genesisHash)
    : undefined;
  const addresses = signers.map(({ address }) => address);
  const doubles = watchForDoubles({
    engine,
    validators: addresses,
    epochs: (protection && options.doppelgangerEpochs) ?? 0,
    onDouble: (double) => log.fatal(double, DOUBLE),
  });
  const producer = protection
    ? createProducer({
        engine,
        signers,
        protection,
        mayWork: doubles.mayWork,
        publishBlock: (block) => network?.publishBlock(block),
        publishVote: (vote) => network?.publishVote(vote),
        log,
      })
    : undefined;
  producer?.start();
  const rpcUrl = `http://${options.rpc.host}:${port}`;
  const info: NodeInfo = { pid: process.pid, rpcUrl, p2p: network?.multiaddrs() ?? [] };
  writeSecret(join(datadir, "node.json"), `${JSON.stringify(info, null, 2)}\n`);
  engine.on("finalized", ({ epoch, hash }) => log.info({ epoch, hash }, "finalized"));
  if (doubles.firstSlot > 0)
    log.info({ firstSlot: doubles.firstSlot }, "listens for doubles of its validators before it signs");
  log.info({ rpcUrl, validators: addresses, head: engine.head().header.number }, "node started");
  return {
    rpcUrl,
    chainId: genesis.chainId,
    stop: async () => {
      clearInterval(expiry);
      await producer?.stop();
      doubles.stop();
      await rpc.stop();
      await network?.stop();
      await engine.stop();
      await protection?.close();
      await dataDb.close();
      await db.close();
      log.info("node stopped");
    },
  };
};
