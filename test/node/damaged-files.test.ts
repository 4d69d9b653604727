import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import t, { type Test } from "tap";
import { openDb } from "../../chain/db.ts";
import { devGenesis } from "../../chain/genesis.ts";
import { utf8, ZERO_HASH } from "../../lib/bytes.ts";
import { readOrMakeWorkerKey } from "../../node/cli/worker-options.ts";
import { devKey, genesisValidator, validatorKeys, writeNodeFolder, writeSecret } from "../../node/folder.ts";
import { lightKdf, readKeystoreFile, sealSecp256k1 } from "../../node/keystore.ts";
import { startNode } from "../../node/node.ts";
import { openPoolStore } from "../../node/pool/store.ts";
import { readSecretFile } from "../../node/validator-keystores.ts";
import { openSigners } from "../../node/validator-source.ts";
import { rpcClient } from "../../rpc/client.ts";
import { silent } from "../helpers/chain.ts";

const folderOf = (t: Test): string => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-damage-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  return folder;
};

/** What a loss of power, or a copy that was cut off, makes of a file. */
const DAMAGES: Readonly<Record<string, (path: string) => void>> = {
  empty: (path) => truncateSync(path, 0),
  torn: (path) => truncateSync(path, Math.floor(statSync(path).size / 2)),
  zeros: (path) => writeFileSync(path, new Uint8Array(statSync(path).size)),
};

const newFolder = (t: Test): string => {
  const datadir = folderOf(t);
  const keys = validatorKeys(devKey("validator", 0));
  const genesisTime = Math.floor(Date.now() / 1_000);
  const genesis = devGenesis({
    genesisTime,
    validators: [genesisValidator(keys, 10n ** 22n)],
    accounts: [],
    slots: [],
  });
  writeNodeFolder(datadir, genesis, keys);
  return datadir;
};

const startAndStop = async (datadir: string, lines?: string[], newProtection = false): Promise<void> => {
  const log = lines ? pino({ level: "warn" }, { write: (line: string) => lines.push(line) }) : silent;
  const p2p = { listen: ["/ip4/127.0.0.1/tcp/0"], bootstrap: [] };
  const node = await startNode({ datadir, newProtection, rpc: { host: "127.0.0.1", port: 0 }, p2p, log });
  await node.stop();
};

/** Runs a node until its validator has made a block. */
const makeBlock = async (datadir: string): Promise<void> => {
  const node = await startNode({ datadir, rpc: { host: "127.0.0.1", port: 0 }, log: silent });
  const rpc = rpcClient(node.rpcUrl);
  while (Number(await rpc.call("eth_blockNumber", [])) === 0) await sleep(100);
  await node.stop();
};

/** Requires that an error names the file, what to do with it, and what is lost. */
const says = async (t: Test, work: () => unknown, path: string, label: string): Promise<void> => {
  await t.rejects(async () => work(), { message: new RegExp(`${path}[ :]`) }, `${label} is named`);
  await t.rejects(async () => work(), { message: /(\. |: )(Put|Remove|Stop|put|It keeps)/ }, `${label}: what to do`);
  await t.rejects(async () => work(), { message: /lost|stays shut|from signing twice/ }, `${label}: what is lost`);
};

t.test("a node says of each damaged file of its folder what to do and what is lost, or does without it", async (t) => {
  const datadir = newFolder(t);
  await startAndStop(datadir);
  const files = readdirSync(datadir).filter((name) => statSync(join(datadir, name)).isFile());
  t.same(files.sort(), ["genesis.json", "node.json", "peer.key", "peers.json", "validator.json"]);
  for (const name of files) {
    const path = join(datadir, name);
    copyFileSync(path, join(datadir, "whole"));
    for (const [kind, damage] of Object.entries(DAMAGES)) {
      damage(path);
      const lines: string[] = [];
      // What a node writes again at its start it does not need; of what it needs it says more.
      if (name === "node.json") await startAndStop(datadir);
      else if (name === "peers.json") {
        await startAndStop(datadir, lines);
        t.match(lines.join(""), `"file":"${path}"`, kind);
        t.match(lines.join(""), /damaged.*lost/, kind);
      } else await says(t, () => startAndStop(datadir), path, `${name} ${kind}`);
      copyFileSync(join(datadir, "whole"), path);
    }
  }
  writeFileSync(join(datadir, "genesis.json"), "{}");
  await t.rejects(startAndStop(datadir), { message: new RegExp(`^${join(datadir, "genesis.json")}: genesis: `) });
});

t.test("a node says of each damaged database what to do and what is lost, and forgets nothing", async (t) => {
  const datadir = newFolder(t);
  await startAndStop(datadir);
  const folders = readdirSync(datadir).filter((name) => statSync(join(datadir, name)).isDirectory());
  t.same(folders.sort(), ["chain", "data", "lock", "slashing-protection"]);
  for (const name of folders) {
    const path = join(datadir, name);
    const current = join(path, "CURRENT");
    const was = readFileSync(current, "utf8");
    for (const [kind, damage] of Object.entries(DAMAGES)) {
      damage(current);
      await says(t, () => startAndStop(datadir), path, `${name} ${kind}`);
      writeFileSync(current, was);
    }
    rmSync(current);
    await says(t, () => startAndStop(datadir), path, `${name} without CURRENT`);
    writeFileSync(current, was);
  }
  await startAndStop(datadir);
});

t.test(
  "without what its validator signed a node does not start on a chain that has the validator in a set",
  async (t) => {
    const datadir = newFolder(t);
    const path = join(datadir, "slashing-protection");
    await makeBlock(datadir);
    await startAndStop(datadir);
    rmSync(path, { recursive: true });
    await says(t, () => startAndStop(datadir), path, "gone");
    await t.rejects(startAndStop(datadir), { message: /protection import <file>.*--new-protection/ });

    // Another validator, which this chain has in no set, begins; the one that served comes back by the option alone.
    const own = readFileSync(join(datadir, "validator.json"), "utf8");
    writeSecret(join(datadir, "validator.json"), JSON.stringify(validatorKeys(devKey("validator", 1))));
    await startAndStop(datadir);
    writeSecret(join(datadir, "validator.json"), own);
    await t.rejects(startAndStop(datadir), { message: /does not say what 0x/ }, "beside records of others too");
    await startAndStop(datadir, undefined, true);
    await startAndStop(datadir);
  },
);

t.test("a database whose content is damaged names itself, and its owner's remedy", async (t) => {
  const path = join(folderOf(t), "db");
  const db = await openDb(path);
  const key = utf8("key");
  await db.batch([{ key, value: new Uint8Array(50_000).fill(7) }], true);
  await db.compact?.(key);
  await db.close();
  const [table] = readdirSync(path).filter((name) => name.endsWith(".ldb"));
  truncateSync(join(path, table!), 40_000);
  const damaged = await openDb(path, { remedy: "Remove it." });
  const error = { name: "DatabaseError", message: new RegExp(`^database ${path} is not read: .*Remove it\\.$`) };
  t.throws(() => damaged.get(key), error);
  await t.rejects(async () => {
    for await (const _ of damaged.iterate(key));
  }, error);
  await damaged.close();
  rmSync(join(path, table!));
  await t.rejects(openDb(path, { remedy: "Remove it." }), {
    name: "DamagedFileError",
    message: /missing files.*Remove it\.$/,
  });
});

t.test("so do a worker, a scheduler, a signer and its node", async (t) => {
  const folder = folderOf(t);
  const pool = `0x${"11".repeat(20)}` as const;
  const at = (name: string): string => join(folder, name);
  readOrMakeWorkerKey(folder);
  const store = openPoolStore(folder, pool);
  store.scanned = 5;
  store.save();
  writeSecret(at("token"), "a token of a signer\n");
  writeSecret(at("password"), "a password\n");
  writeSecret(at("keystore.json"), JSON.stringify(await sealSecp256k1(devKey("worker", 0), "x", lightKdf())));
  const readers: Readonly<Record<string, () => unknown>> = {
    "worker.json": () => readOrMakeWorkerKey(folder),
    [`pool-${pool}.json`]: () => openPoolStore(folder, pool),
    token: () => openSigners({ kind: "remote", url: "http://127.0.0.1:1", tokenFile: at("token") }, ZERO_HASH),
    password: () => readSecretFile(at("password")),
    "keystore.json": () => readKeystoreFile(at("keystore.json")),
  };
  for (const [name, read] of Object.entries(readers))
    for (const [kind, damage] of Object.entries(DAMAGES)) {
      // A word that is cut off is a word.
      if (kind === "torn" && !name.endsWith(".json")) continue;
      const was = readFileSync(at(name));
      damage(at(name));
      await says(t, read, at(name), `${name} ${kind}`);
      writeFileSync(at(name), was);
    }
});
