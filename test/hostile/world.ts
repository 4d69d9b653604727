import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { multiaddr } from "@multiformats/multiaddr";
import { readGenesis } from "../../chain/genesis.ts";
import { type Header, hashHeader } from "../../chain/header.ts";
import { epochOf, slotOf } from "../../chain/params.ts";
import { fromHex, type Hash, type Hex } from "../../lib/bytes.ts";
import { createHost, type Host } from "../../p2p/host.ts";
import { KINDS, type Kind, topicOf } from "../../p2p/topics.ts";
import { rpcClient } from "../../rpc/client.ts";
import type { Target, World } from "./attack.ts";
import { accountsOf, hostileValidators } from "./genesis.ts";
import { connectionsTo } from "./wire.ts";

const HEAD_MS = 1_000;
const DIAL_MS = 10_000;

/** Reads a header as eth_getBlockByNumber gives it. */
const headerOf = (json: Record<string, Hex>): Header => ({
  parentHash: json.parentHash!,
  ommersHash: json.sha3Uncles!,
  beneficiary: json.miner!,
  stateRoot: json.stateRoot!,
  transactionsRoot: json.transactionsRoot!,
  receiptsRoot: json.receiptsRoot!,
  logsBloom: fromHex(json.logsBloom!),
  difficulty: BigInt(json.difficulty!),
  number: Number(json.number),
  gasLimit: Number(json.gasLimit),
  gasUsed: Number(json.gasUsed),
  timestamp: Number(json.timestamp),
  extraData: fromHex(json.extraData!),
  mixHash: json.mixHash!,
  nonce: Number(json.nonce),
  baseFeePerGas: BigInt(json.baseFeePerGas!),
  validatorsRoot: json.validatorsRoot!,
  consensusRoot: json.consensusRoot!,
  historyRoot: json.historyRoot!,
  randaoReveal: json.randaoReveal!,
});

interface RawGossip {
  sendRpc(peer: string, rpc: object): boolean;
}

/** An attacker's world, its end, and what became of its first connection. */
export interface OpenWorld {
  readonly world: World;
  readonly counts: Record<string, number>;
  /** Tells whether the attacker's first host has lost every connection, and whether it may come back. */
  verdict(): Promise<{ readonly out: boolean; readonly banned: boolean }>;
  close(): Promise<void>;
}

/** Connects an attacker's peer to its targets. */
export const openWorld = async (
  genesisFile: string,
  targets: readonly Target[],
  signal: AbortSignal,
): Promise<OpenWorld> => {
  const genesis = readGenesis(JSON.parse(readFileSync(genesisFile, "utf8")));
  const target = targets[0]!;
  const peers = new Set(targets.map(({ p2p }) => p2p.split("/p2p/")[1]!));
  const client = rpcClient(target.rpcUrl, { timeoutMs: 10_000 });
  const { genesisHash } = (await client.call("rolec_network")) as { genesisHash: Hash };
  const hosts: Host[] = [];
  const folders: string[] = [];
  const ends: (() => unknown)[] = [];
  const counts: Record<string, number> = {};

  const makeHost = async (): Promise<Host> => {
    const datadir = mkdtempSync(join(tmpdir(), "rolec-hostile-peer-"));
    folders.push(datadir);
    const host = await createHost({ datadir, listen: [], genesisHash });
    hosts.push(host);
    await host.start();
    return host;
  };
  const dial = (host: Host) =>
    Promise.all(targets.map(({ p2p }) => host.dial(multiaddr(p2p), { signal: AbortSignal.timeout(DIAL_MS) })));
  const join_ = async (): Promise<Host> => {
    const host = await makeHost();
    for (const kind of KINDS) host.services.pubsub.subscribe(topicOf(genesisHash, kind));
    await dial(host);
    return host;
  };
  const host = await join_();

  let head: { at: number; value: { hash: Hash; header: Header } } | undefined;
  const nowSlot = (): number => Math.floor(slotOf(genesis, Date.now() / 1000));
  const sendRpc = (rpc: object): void => {
    for (const peer of peers) {
      const isSent = (host.services.pubsub as unknown as RawGossip).sendRpc(peer, { ...rpc });
      counts[isSent ? "sent" : "unsent"] = (counts[isSent ? "sent" : "unsent"] ?? 0) + 1;
    }
  };
  const world: World = {
    genesis,
    genesisHash,
    targets,
    peers,
    target,
    client,
    validators: hostileValidators(),
    accounts: accountsOf("hostile"),
    host,
    join: join_,
    makeHost,
    sendRpc,
    gossip: (kind: Kind, data) =>
      sendRpc({ subscriptions: [], messages: [{ topic: topicOf(genesisHash, kind), data }] }),
    head: async () => {
      if (head && Date.now() - head.at < HEAD_MS) return head.value;
      const json = (await client.call("eth_getBlockByNumber", ["latest", false])) as Record<string, Hex>;
      const header = headerOf(json);
      const hash = hashHeader(header);
      if (hash !== json.hash) throw new Error(`the header of ${json.hash} is read as that of ${hash}`);
      head = { at: Date.now(), value: { hash, header } };
      return head.value;
    },
    slot: nowSlot,
    epoch: () => epochOf(genesis, nowSlot()),
    signal,
    onEnd: (work) => void ends.push(work),
    count: (what, n = 1) => {
      counts[what] = (counts[what] ?? 0) + n;
    },
  };
  return {
    world,
    counts,
    verdict: async () => {
      const out = connectionsTo(host, peers).length === 0;
      if (!out) return { out, banned: false };
      const again = await dial(host).catch(() => undefined);
      // A host that is refused learns of it after the handshake.
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      return { out, banned: !again || connectionsTo(host, peers).length === 0 };
    },
    close: async () => {
      for (const end of ends) await Promise.resolve(end()).catch(() => undefined);
      await Promise.all(hosts.map((each) => Promise.resolve(each.stop()).catch(() => undefined)));
      for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    },
  };
};
