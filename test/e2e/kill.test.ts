import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import type { Hex } from "../../lib/bytes.ts";
import { type Member, startTestnet, untilAgreed } from "../../node/testnet.ts";
import { type RpcClient, rpcClient } from "../../rpc/client.ts";
import { runTransfers } from "../helpers/transfers.ts";

t.setTimeout(840_000);

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const numberOf = async (client: RpcClient, tag: string): Promise<number> =>
  Number(((await client.call("eth_getBlockByNumber", [tag, false])) as { number: Hex }).number);
const untilTrue = async (what: string, probe: () => Promise<boolean>): Promise<void> => {
  for (let i = 0; i < 200; i++) {
    if (await probe().catch(() => false)) return;
    await sleep(200);
  }
  throw new Error(`${what}: not within 40 s`);
};
const kill = async (member: Member): Promise<void> => {
  const ended = new Promise((resolve) => member.process!.once("exit", resolve));
  member.process!.kill("SIGKILL");
  await ended;
};

t.test("a network of processes survives kill -9 of any validator, and of all", { timeout: 240_000 }, async (t) => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-e2e-"));
  const testnet = await startTestnet({
    datadir,
    validators: 4,
    workers: 0,
    slotsPerWorker: 1,
    accounts: 2,
    rpcPort: 18_545,
    p2pPort: 18_745,
  });
  t.teardown(async () => {
    await testnet.stop();
    rmSync(datadir, { recursive: true, force: true });
  });
  await untilAgreed(testnet);
  const [first, second] = testnet.members as [Member, Member];
  const observer = rpcClient(testnet.members[3]!.rpcUrl);
  t.equal((await runTransfers(testnet, 4, () => {})).length, 4, "transfers are mined and final");

  await kill(second);
  const final = await numberOf(observer, "finalized");
  await untilTrue("finality with three of four", async () => (await numberOf(observer, "finalized")) > final + 8);
  await testnet.restart(second);
  const back = rpcClient(second.rpcUrl);
  await untilTrue(
    "catching up",
    async () => (await numberOf(back, "latest")) >= (await numberOf(observer, "latest")) - 1,
  );
  const shared = await numberOf(back, "finalized");
  const tag = `0x${shared.toString(16)}`;
  const [here, there] = await Promise.all(
    [back, observer].map((client) => client.call("eth_getBlockByNumber", [tag, false])),
  );
  t.equal(
    (here as { hash: Hex }).hash,
    (there as { hash: Hex }).hash,
    "the restarted validator has the others' final chain",
  );

  const before = await numberOf(observer, "finalized");
  const beforeHash = (
    (await observer.call("eth_getBlockByNumber", [`0x${before.toString(16)}`, false])) as { hash: Hex }
  ).hash;
  const balance = await observer.call("eth_getBalance", [testnet.accounts[1]!.address, "finalized"]);
  for (const member of testnet.members) await kill(member);
  await testnet.restart(first);
  await Promise.all(testnet.members.slice(1).map((member) => testnet.restart(member)));
  t.ok((await numberOf(observer, "finalized")) >= before, "what was final is final after kill -9 of all");
  t.equal(
    ((await observer.call("eth_getBlockByNumber", [`0x${before.toString(16)}`, false])) as { hash: Hex }).hash,
    beforeHash,
  );
  t.equal(await observer.call("eth_getBalance", [testnet.accounts[1]!.address, "finalized"]), balance);
  await untilTrue("finality after all were killed", async () => (await numberOf(observer, "finalized")) > before + 4);
});
