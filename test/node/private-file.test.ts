import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { ZERO_HASH } from "../../lib/bytes.ts";
import { partOf } from "../../lib/whole-file.ts";
import { readOrMakeWorkerKey } from "../../node/cli/worker-options.ts";
import { validatorKeys, writeNodeFolder, writeSecret } from "../../node/folder.ts";
import { readOrMakeSecret, readSecretFile, sealValidator } from "../../node/validator-keystores.ts";
import { openSigners, readPlainKeys, readValidatorSource } from "../../node/validator-source.ts";
import { createHost } from "../../p2p/host.ts";

const folder = mkdtempSync(join(tmpdir(), "rolec-private-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const skip = process.platform === "win32" ? "Windows has no such modes" : false;
const at = (...names: string[]) => join(folder, ...names);

t.test(
  "every file with a secret is refused while others may read or write it, with the command that helps",
  { skip },
  async (t) => {
    const keys = validatorKeys();
    writeNodeFolder(at("plain"), {}, keys);
    writeNodeFolder(at("sealed"), {});
    const quick = { kdf: () => ({ name: "pbkdf2", c: 10, salt: new Uint8Array(32) }) as const };
    await sealValidator(at("sealed", "keys"), keys, "x", quick);
    writeSecret(at("sealed", "validator.json"), JSON.stringify({ keystores: "keys", passwordFile: "password" }));
    writeNodeFolder(at("remote"), {});
    const remote = { remoteSigner: "http://127.0.0.1:9", tokenFile: "token" };
    writeSecret(at("remote", "validator.json"), JSON.stringify(remote));
    const open = async (datadir: string) => openSigners(readValidatorSource(at(datadir))!, ZERO_HASH);
    const peer = async () => {
      const host = await createHost({ datadir: at("plain"), listen: [], genesisHash: ZERO_HASH });
      await host.stop();
    };
    const made = (path: string) => readOrMakeSecret(path, () => "x");
    const uses: [string, () => unknown, () => unknown][] = [
      [at("plain", "validator.json"), () => readValidatorSource(at("plain")), () => undefined],
      [at("plain", "validator.json"), () => readPlainKeys(keys, at("plain", "validator.json")), () => undefined],
      [at("sealed", "password"), () => open("sealed"), () => made(at("sealed", "password"))],
      [
        at("remote", "token"),
        () => open("remote").catch((error: Error) => checkRefused(error)),
        () => made(at("remote", "token")),
      ],
      [at("words"), () => made(at("words")), () => made(at("words"))],
      [at("words"), () => readSecretFile(at("words")), () => undefined],
      [at("worker", "worker.json"), () => readOrMakeWorkerKey(at("worker")), () => readOrMakeWorkerKey(at("worker"))],
      [at("plain", "peer.key"), peer, peer],
    ];
    /** That nobody answers there is said after the token was read. */
    const checkRefused = (error: Error): void => {
      if (/chmod/.test(error.message)) throw error;
    };
    for (const [path, use, make] of uses) {
      await make();
      t.equal(statSync(path).mode & 0o777, 0o600, `${path} is written for its owner alone`);
      await use();
      for (const mode of [0o644, 0o640, 0o604, 0o620]) {
        chmodSync(path, mode);
        const message = new RegExp(`\\(mode 0${mode.toString(8)}\\): chmod 600 ${path}$`);
        await t.rejects(async () => use(), { message }, `${path} ${mode.toString(8)}`);
      }
      chmodSync(path, 0o400);
      await use();
      chmodSync(path, 0o600);
    }
  },
);

t.test("a file that lies in a secret's way does not get it", { skip }, (t) => {
  writeFileSync(partOf(at("out")), "", { mode: 0o666 });
  chmodSync(partOf(at("out")), 0o666);
  writeSecret(at("out"), "secret");
  t.equal(statSync(at("out")).mode & 0o777, 0o600);
  t.end();
});
