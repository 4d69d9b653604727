import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import t, { type Test } from "tap";
import { memoryDb } from "../../chain/db.ts";
import { timestampOf } from "../../chain/params.ts";
import { createEngine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { localSigner } from "../../consensus/signer.ts";
import { partOf } from "../../lib/whole-file.ts";
import { createScheduler } from "../../node/pool/scheduler.ts";
import { defaultPolicy } from "../../node/worker/policy.ts";
import { createWorker } from "../../node/worker/worker.ts";
import { memoryProtection, silent, testGenesis, testKey } from "../helpers/chain.ts";
import { startRpc } from "../helpers/rpc.ts";

t.setTimeout(120_000);

const logged = () => {
  const lines: { level: number; msg: string }[] = [];
  return { lines, log: pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line)) }) };
};
/** A port that passes requests on to a node while `isUp`, and else cuts them off; counts them. */
const gateTo = async (t: Test, target: string) => {
  const state = { isUp: false, tries: 0, url: "" };
  const server: Server = createServer(async (request, response) => {
    state.tries += 1;
    if (!state.isUp) return void request.socket.destroy();
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const init = { method: request.method!, headers: { "content-type": "application/json" } };
    const answer = await fetch(target, { ...init, body: Buffer.concat(chunks) });
    response.end(await answer.text());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return state;
};
const folderOf = (t: Test): string => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-trouble-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};
const until = async (condition: () => boolean): Promise<void> => {
  for (let i = 0; i < 600 && !condition(); i++) await sleep(50);
};

for (const name of ["worker", "scheduler"] as const)
  t.test(`a ${name} whose node is away says so once, and once that it is back`, async (t) => {
    const node = await startRpc();
    t.teardown(() => node.stop());
    const gate = await gateTo(t, node.url);
    const { lines, log } = logged();
    const datadir = folderOf(t);
    const common = { privateKey: testKey("daemon"), node: gate.url, datadir, log };
    const pool = `0x${"0d".repeat(20)}` as const;
    const daemon =
      name === "worker"
        ? createWorker({ ...common, policy: defaultPolicy(1) })
        : createScheduler({ ...common, pool, workers: [], noEnclave: false });
    daemon.start();
    await until(() => gate.tries >= 5);
    t.same(
      lines.map(({ msg }) => msg.replace(/:.*/, "")),
      ["the node does not answer"],
    );
    const status = JSON.parse(readFileSync(join(datadir, "status.json"), "utf8")) as { lastError?: string };
    t.type(status.lastError, "string", "its status says so too");
    gate.isUp = true;
    await until(() => lines.length > 1);
    t.match(lines[1]!.msg, /^the node answers again, after/);
    // Its own folder fails: the node is not blamed.
    mkdirSync(partOf(join(datadir, "status.json")));
    await until(() => lines.length > 2);
    await sleep(1_500);
    await daemon.stop();
    t.equal(lines.length, 3, JSON.stringify(lines));
    t.match(lines[2]!.msg, `the folder ${datadir} is not read or written`);
  });

t.test("duties whose signer is away are told once, and once that it is back", async (t) => {
  const { genesis, keys } = testGenesis(1);
  let slot = 0;
  const now = () => timestampOf(genesis, slot) * 1000;
  const engine = await createEngine({ db: memoryDb(), genesis, now, log: silent });
  t.teardown(() => engine.stop());
  const { lines, log } = logged();
  let isAway = true;
  const own = localSigner(keys[0]!);
  const signer: typeof own = {
    ...own,
    reveal: (...args) => (isAway ? Promise.reject(new Error("signer http://x: ECONNREFUSED")) : own.reveal(...args)),
    vote: (...args) => (isAway ? Promise.reject(new Error("signer http://x: ECONNREFUSED")) : own.vote(...args)),
  };
  const publish = { publishBlock: () => undefined, publishVote: () => undefined };
  const producer = createProducer({ engine, signers: [signer], protection: memoryProtection(), ...publish, log });
  for (let i = 0; i < 20; i++) await producer.onSlot(++slot);
  t.same(
    lines.map(({ msg }) => msg),
    ["proposing fails: signer http://x: ECONNREFUSED", "voting fails: signer http://x: ECONNREFUSED"],
  );
  isAway = false;
  for (let i = 0; i < 12; i++) await producer.onSlot(++slot);
  t.same(
    lines.slice(2).map(({ msg }) => msg.replace(/,.*/, "")),
    ["blocks are proposed again", "votes are cast again"],
  );
});
