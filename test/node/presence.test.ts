import t from "tap";
import type { Address } from "../../lib/bytes.ts";
import { marketFunction, slotsOfWorker, view } from "../../node/market-client.ts";
import { send } from "../../node/wallet.ts";
import { createPresence } from "../../node/worker/presence.ts";
import { PAUSE } from "../../vm/market/slot.ts";
import { MARKET } from "../../vm/tables.ts";
import { accountOf, silent } from "../helpers/chain.ts";
import { startRpc } from "../helpers/rpc.ts";

t.test("a worker that stops pauses its slots, and one that starts takes them up again; the slots pay", async (t) => {
  const { key, address } = accountOf("laptop");
  const node = await startRpc([address]);
  t.teardown(node.stop);
  const { client, genesis } = node;
  const { membershipEpochs, slotsPerEpoch, slotStakeNrlc } = genesis.params;
  const membership = membershipEpochs * slotsPerEpoch;
  await node.mine(1);
  const [pool] = await view(client, MARKET, marketFunction("genesisPool"));
  const join = marketFunction("join").encode(pool!, node.validator.address as Address, 3n);
  await send(client, key, { to: MARKET, data: join, value: 3n * slotStakeNrlc * 10n ** 9n });
  await node.mine(membership + slotsPerEpoch);
  const states = async () => (await slotsOfWorker(client, address)).map(({ pause }) => pause);
  t.same(await states(), [PAUSE.none, PAUSE.none, PAUSE.none]);
  const balance = await client.call("eth_getBalance", [address, "latest"]);

  await createPresence(client, key, silent).farewell();
  await node.mine(1);
  t.same(await states(), [PAUSE.paused, PAUSE.paused, PAUSE.paused]);
  await node.mine(membership + slotsPerEpoch);
  const drawable = async () => ((await view(client, MARKET, marketFunction("viewPool"), pool!))[0] as bigint[])[3];
  const without = await drawable();

  const started = createPresence(client, key, silent);
  await started.follow("it is night");
  await node.mine(1);
  t.same(await states(), [PAUSE.paused, PAUSE.paused, PAUSE.paused], "there is a reason to stay away");
  const back = createPresence(client, key, silent);
  await back.follow(undefined);
  await node.mine(1);
  t.same(await states(), [PAUSE.resuming, PAUSE.resuming, PAUSE.resuming]);
  await node.mine(membership + slotsPerEpoch);
  t.same(await states(), [PAUSE.none, PAUSE.none, PAUSE.none]);
  t.equal(await drawable(), without! + 3n);
  t.equal(await client.call("eth_getBalance", [address, "latest"]), balance, "and the account has paid nothing");
  const stakes = (await slotsOfWorker(client, address)).map(({ stakeWei }) => stakeWei);
  t.equal(stakes.filter((stake) => stake < slotStakeNrlc * 10n ** 9n).length, 1, "its first slot has");
});
