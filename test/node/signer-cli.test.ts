import { RLC } from "../../lib/units.ts";
import "../helpers/plain-spawn.ts";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import t from "tap";
import { devGenesis } from "../../chain/genesis.ts";
import { genesisValidator, validatorKeys, writeNodeFolder, writeSecret } from "../../node/folder.ts";
import { lightKdf } from "../../node/keystore.ts";
import { startNode } from "../../node/node.ts";
import { sealValidator } from "../../node/validator-keystores.ts";
import { rpcClient } from "../../rpc/client.ts";

const MAIN = fileURLToPath(new URL("../../node/cli/main.ts", import.meta.url));

/** Reads what a process prints until a line has what is looked for. Throws with all of it where the process ends before. */
const lineOf = async (child: ChildProcess, pattern: RegExp): Promise<RegExpExecArray> => {
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout! })) {
    lines.push(line);
    const match = pattern.exec(line);
    if (match) return match;
  }
  throw new Error(`ended before ${pattern}:\n${lines.join("\n")}`);
};

t.test("a node without keys makes blocks by a signer of another process", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-signer-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const at = (...names: string[]): string => join(folder, ...names);
  const keys = validatorKeys();
  const document = devGenesis({
    genesisTime: Math.floor(Date.now() / 1000),
    validators: [genesisValidator(keys, 10_000n * RLC)],
    accounts: [],
    slots: [],
  });
  writeNodeFolder(at("node"), document);
  await sealValidator(at("keys"), keys, "x", { kdf: lightKdf });
  writeSecret(at("password"), "x\n");
  const genesis = ["--genesis", at("node", "genesis.json"), "--port", "0"];
  const keystores = ["--keystores", at("keys"), "--password-file", at("password")];
  const spawnSigner = (...more: string[]): ChildProcess => {
    const args = ["signer", "--datadir", at("signer"), ...genesis, ...keystores, ...more];
    const signer = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    t.teardown(() => signer.kill("SIGKILL"));
    return signer;
  };
  const startSigner = async (...more: string[]): Promise<{ signer: ChildProcess; url: string }> => {
    const signer = spawnSigner(...more);
    signer.stderr!.resume();
    const [, url] = await lineOf(signer, /signs for 1 validators at (http:\S+)/);
    return { signer, url: url! };
  };
  const first = await startSigner();
  t.equal(statSync(at("signer", "token")).mode & 0o777, 0o600);
  first.signer.kill("SIGTERM");
  const [code] = await once(first.signer, "exit");
  t.equal(code, 0, "the signer stops in order");

  // Of a folder with its token what was signed is gone.
  rmSync(at("signer", "slashing-protection"), { recursive: true });
  const refused = spawnSigner();
  t.match(await text(refused.stderr!), /slashing-protection does not say what 0x.*--new-protection/);
  t.equal(refused.exitCode ?? (await once(refused, "exit"))[0], 1);

  // The node is started before its signer.
  genesis.splice(-1, 1, new URL(first.url).port);
  const { url: remoteSigner } = first;
  writeSecret(at("node", "validator.json"), JSON.stringify({ remoteSigner, tokenFile: "../signer/token" }));
  const lines: string[] = [];
  const told = Promise.withResolvers<void>();
  const log = pino({ level: "info" }, { write: (line: string) => told.resolve(void lines.push(JSON.parse(line).msg)) });
  const starting = startNode({ datadir: at("node"), rpc: { host: "127.0.0.1", port: 0 }, log });
  await told.promise;
  const { signer } = await startSigner("--new-protection");
  const node = await starting;
  t.teardown(() => node.stop());
  t.match(lines, [
    /^this node waits for its signer before it starts: signer http.*ECONNREFUSED/,
    /^the signer answers: this node starts/,
    "node started",
  ]);
  const miner = await new Promise<unknown>((resolve, reject) => {
    const following = rpcClient(node.rpcUrl).subscribe(["newHeads"], (head) => {
      following.then((end) => end(), reject);
      resolve((head as { miner: string }).miner);
    });
    following.catch(reject);
  });
  t.equal(miner, keys.address);
  signer.kill("SIGTERM");
  await once(signer, "exit");
});
