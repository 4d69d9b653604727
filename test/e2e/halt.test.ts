import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import "../helpers/plain-spawn.ts";
import { type Address, type Hex, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import { uploadData } from "../../node/data-client.ts";
import { deployApp, outcomesOf, submitJob } from "../../node/jobs.ts";
import { marketFunction, slotsOfWorker, view } from "../../node/market-client.ts";
import { createPool } from "../../node/pool/owner.ts";
import { followJob } from "../../node/progress.ts";
import { startTestnet } from "../../node/testnet.ts";
import { transact } from "../../node/wallet.ts";
import { rpcClient } from "../../rpc/client.ts";
import { MARKET } from "../../vm/addresses.ts";
import { LOT_STATUS } from "../../vm/market/lot.ts";
import { STATUS } from "../../vm/wasm/status.ts";

t.setTimeout(300_000);

const app = (name: string): Buffer =>
  readFileSync(fileURLToPath(new URL(`../../apps/option-pricing/${name}`, import.meta.url)));
const WORKERS = 4;
const SLOTS = 5;
/** Blocks in two minutes of the testnet's slots of two seconds. */
const MOST_WAIT = 60;
const POOLS = 6;
const JOBS = 8;
const ONE_RLC = 10n ** 18n;

t.test("a twentieth of the slots, and pools that can draw nothing, hold up nobody's job", async (t) => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-e2e-"));
  const ports = { rpcPort: 20_445, p2pPort: 20_485 };
  const network = { datadir, validators: 1, workers: WORKERS, slotsPerWorker: SLOTS, accounts: 2, ...ports };
  const testnet = await startTestnet(network);
  t.teardown(async () => {
    await testnet.stop();
    rmSync(datadir, { recursive: true, force: true });
  });
  const [validator] = testnet.members;
  const node = validator!.rpcUrl;
  const client = rpcClient(node);
  const [honest, evil] = testnet.accounts.map(({ privateKey }) => privateKey) as [Hex, Hex];
  const deployed = await deployApp(client, node, honest, app("option-pricing.wasm"), "option-pricing");
  const blockNow = async (): Promise<number> => Number(await client.call("eth_blockNumber", []));

  // It takes a slot and never answers in it.
  const [genesisPool] = await view(client, MARKET, marketFunction("genesisPool"));
  const [figures] = await view(client, MARKET, marketFunction("viewPool"), genesisPool!);
  const stake = (figures as readonly bigint[])[6]! * 10n ** 9n;
  const joining = marketFunction("join").encode(genesisPool!, validator!.address, 1n);
  await transact(client, evil, { to: MARKET, data: joining, value: stake });
  while ((await slotsOfWorker(client, addressOf(evil))).length < 1) await new Promise((go) => setTimeout(go, 500));

  // Jobs of hours for the least gas, in the public pool and in pools without slots.
  const job = (pool: Address, trust: bigint) => [
    1n,
    pool,
    deployed.app,
    ZERO_ADDRESS,
    JSON.stringify({ iexec_args: "--help" }),
    6n,
    30_000_000n,
    trust,
    1n,
    ZERO_HASH,
    addressOf(evil),
    ZERO_ADDRESS,
    new Uint8Array(0),
  ];
  const submit = (pool: Address, trust: bigint) =>
    transact(client, evil, { to: MARKET, data: marketFunction("submit").encode(job(pool, trust)), value: ONE_RLC });
  for (let i = 0; i < POOLS; i++) {
    const pool = await createPool(client, evil, `empty ${i}`, { stakePercent: 0n, ownerPercent: 0n });
    await transact(client, evil, {
      to: MARKET,
      data: marketFunction("openPool").encode(pool, ZERO_ADDRESS, ZERO_ADDRESS),
    });
    await submit(pool, 1n);
  }
  for (let i = 0; i < JOBS; i++) await submit(genesisPool as Address, 100n);

  const input = `/ipfs/${await uploadData(node, app("positions.csv"))}?filename=positions.csv`;
  const { dealid, block } = await submitJob(client, honest, {
    app: deployed.app,
    params: JSON.stringify({ iexec_args: "--paths 2000", iexec_input_files: [input] }),
    tasks: 1,
    gasLimit: 500_000_000,
    trust: 4,
  });
  const [lot] = await followJob(client, dealid, () => {}, 240_000);
  t.equal(lot!.status, LOT_STATUS.completed);
  t.match(await outcomesOf(client, dealid), [{ receipt: { status: STATUS.ok } }]);
  t.ok((await blockNow()) - block <= MOST_WAIT, "it was drawn, computed and settled within two minutes");
});
