import "../helpers/plain-spawn.ts";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import t from "tap";
import { devGenesis } from "../../chain/genesis.ts";
import { genesisValidator, validatorKeys, writeNodeFolder, writeSecret } from "../../node/folder.ts";
import { lightKdf } from "../../node/keystore.ts";
import { startNode } from "../../node/node.ts";
import { sealValidator } from "../../node/validator-keystores.ts";
import { rpcClient } from "../../rpc/client.ts";
import { RLC, silent } from "../helpers/chain.ts";

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
  const signer = spawn(process.execPath, [MAIN, "signer", "--datadir", at("signer"), ...genesis, ...keystores], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  t.teardown(() => signer.kill("SIGKILL"));
  const [, url] = await lineOf(signer, /signs for 1 validators at (http:\S+)/);
  t.equal(statSync(at("signer", "token")).mode & 0o777, 0o600);
  writeSecret(at("node", "validator.json"), JSON.stringify({ remoteSigner: url, tokenFile: "../signer/token" }));
  const node = await startNode({
    datadir: at("node"),
    rpc: { host: "127.0.0.1", port: 0 },
    log: silent,
  });
  t.teardown(() => node.stop());
  const miner = await new Promise<unknown>((resolve, reject) => {
    const following = rpcClient(node.rpcUrl).subscribe(["newHeads"], (head) => {
      following.then((end) => end(), reject);
      resolve((head as { miner: string }).miner);
    });
    following.catch(reject);
  });
  t.equal(miner, keys.address);
  signer.kill("SIGTERM");
  const [code] = await once(signer, "exit");
  t.equal(code, 0, "the signer stops in order");
});
