import t from "tap";
import {
  createPublicClient,
  createWalletClient,
  defineChain,
  encodeFunctionData,
  http,
  keccak256,
  parseAbi,
  parseEther,
  toRlp,
  webSocket,
} from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { signTransaction, type TransactionFields } from "../../chain/transaction.ts";
import { blsKeygen, blsProve, blsPublicKey, blsVerifyProof } from "../../lib/bls.ts";
import { EMPTY, type Hex, toHex, utf8, word } from "../../lib/bytes.ts";
import { RLC } from "../../lib/units.ts";
import { createChainView } from "../../rpc/chain-view.ts";
import { ethMethods } from "../../rpc/eth.ts";
import { hexNumber } from "../../rpc/values.ts";
import { encodeCall } from "../../vm/abi.ts";
import { MARKET, VALIDATORS } from "../../vm/addresses.ts";
import { VALIDATORS_ABI } from "../../vm/validators.ts";
import { accountOf } from "../helpers/chain.ts";
import { startRpc } from "../helpers/rpc.ts";

const alice = accountOf("alice");
const bob = accountOf("bob");
const rich = accountOf("rich");
const node = await startRpc([alice.address, bob.address, rich.address]);
t.teardown(() => node.stop());
const { client } = node;

const chain = defineChain({
  id: 77_216,
  name: "rolec",
  nativeCurrency: { name: "RLC", symbol: "RLC", decimals: 18 },
  rpcUrls: { default: { http: [node.url], webSocket: [node.url.replace("http", "ws")] } },
});
const reader = createPublicClient({ chain, transport: http(), pollingInterval: 20, cacheTime: 0 });
const wallet = createWalletClient({ chain, transport: http(), account: privateKeyToAccount(alice.key) });
const abi = parseAbi(VALIDATORS_ABI);

const signed = (nonce: number, changes: Partial<TransactionFields> = {}, key = bob.key): Hex =>
  toHex(
    signTransaction(
      {
        type: 2,
        chainId: 77_216,
        nonce,
        maxPriorityFeePerGas: 10n ** 9n,
        maxFeePerGas: 10n ** 10n,
        gasLimit: 21_000,
        to: alice.address,
        value: 1n,
        data: EMPTY,
        accessList: [],
        ...changes,
      },
      key,
    ).raw,
  );
const refusal = async (
  method: string,
  ...params: unknown[]
): Promise<{ code: number; message: string; data: unknown }> =>
  client.call(method, params).then(
    (result) => t.fail(`${method} answered ${JSON.stringify(result)}`) as never,
    (error) => error,
  );

t.test("viem sends a transfer and waits for its receipt", async (t) => {
  const hash = await wallet.sendTransaction({ to: bob.address, value: parseEther("2") });
  t.equal(await client.call("eth_getTransactionCount", [alice.address, "pending"]), "0x1");
  t.equal(await client.call("eth_getTransactionCount", [alice.address, "latest"]), "0x0");
  t.match(await client.call("eth_getTransactionByHash", [hash]), { blockHash: null, from: alice.address });
  t.equal(await client.call("eth_getTransactionReceipt", [hash]), null);
  await node.mine();
  const receipt = await reader.waitForTransactionReceipt({ hash });
  t.match(receipt, { status: "success", gasUsed: 21_000n, from: alice.address, to: bob.address, logs: [] });
  t.equal(await reader.getBalance({ address: bob.address }), 1_002n * RLC);
  const block = await reader.getBlock({ includeTransactions: true });
  t.equal(block.transactions[0]?.hash, hash);
  t.equal(block.hash, receipt.blockHash);
  t.match(await reader.getTransaction({ hash }), { blockHash: block.hash, value: parseEther("2"), type: "eip1559" });
});

t.test("viem reads a system contract, and reads why a call reverts", async (t) => {
  t.equal(await reader.readContract({ address: VALIDATORS, abi, functionName: "validatorCount" }), 1n);
  t.equal(
    (await reader.readContract({ address: VALIDATORS, abi, functionName: "validatorAt", args: [0n] })).toLowerCase(),
    node.validator.address,
  );
  const [power, votePower, bond] = await reader.readContract({
    address: VALIDATORS,
    abi,
    functionName: "viewPower",
    args: [node.validator.address],
  });
  t.ok(power > 0n && votePower === power && bond === 10_000n * RLC);
  await t.rejects(
    reader.readContract({ address: VALIDATORS, abi, functionName: "validatorAt", args: [5n] }),
    /unknown validator/,
  );
  const error = await refusal("eth_call", { to: VALIDATORS, data: "0x12345678" });
  t.match(error, { code: 3, message: "execution reverted: Validators: unknown function" });
  t.match(error.data, /^0x08c379a0/);
  t.match(await refusal("eth_estimateGas", { to: VALIDATORS, data: "0x12345678" }), { code: 3 });
  t.equal(await client.call("eth_call", [{ to: bob.address, data: "0x1234" }]), "0x");
  t.equal(await client.call("eth_getCode", [VALIDATORS]), "0xfe");
  t.equal(await client.call("eth_getCode", [bob.address]), "0x");
});

t.test("viem writes to a system contract, and watches its events by polling and by WebSocket", async (t) => {
  const followed = createPublicClient({ chain, transport: webSocket() });
  const seen: string[] = [];
  const stops = [reader, followed].map((each, i) =>
    each.watchContractEvent({
      address: VALIDATORS,
      abi,
      eventName: "Bonded",
      onLogs: (logs) => seen.push(...logs.map((log) => `${i} ${log.args.amount}`)),
    }),
  );
  const heads: bigint[] = [];
  stops.push(followed.watchBlockNumber({ onBlockNumber: (number) => heads.push(number) }));
  await new Promise((resolve) => setTimeout(resolve, 200));
  const hash = await wallet.writeContract({
    address: VALIDATORS,
    abi,
    functionName: "bond",
    args: [node.validator.address],
    value: 3n,
  });
  await node.mine();
  const receipt = await reader.waitForTransactionReceipt({ hash });
  t.equal(receipt.status, "success");
  t.equal(receipt.logs.length, 1);
  for (let i = 0; seen.length < 2 && i < 100; i++) await new Promise((resolve) => setTimeout(resolve, 20));
  t.strictSame(seen.sort(), ["0 3", "1 3"]);
  t.ok(heads.includes(receipt.blockNumber));
  for (const stop of stops) stop();
  const logs = await reader.getContractEvents({ address: VALIDATORS, abi, eventName: "Bonded", fromBlock: 0n });
  t.equal(logs[0]?.args.amount, 3n);
  t.equal(logs[0]?.logIndex, 0);
  (await followed.transport.getRpcClient()).close();
});

t.test("viem registers a validator with an estimate that is exact", async (t) => {
  const secret = blsKeygen(utf8("rpc"));
  const richWallet = createWalletClient({ chain, transport: http(), account: privateKeyToAccount(rich.key) });
  const args = [blsPublicKey(secret), blsProve(secret), rich.address] as const;
  await t.rejects(
    reader.estimateContractGas({ address: VALIDATORS, abi, functionName: "register", args, account: rich.address }),
    /bond is below the minimum/,
  );
  const value = 1_000n * RLC;
  const poor = await refusal("eth_estimateGas", {
    from: rich.address,
    to: VALIDATORS,
    value: "0xffffffffffffffffffff",
  });
  t.match(poor, { code: -32000, message: /^insufficient funds for transfer/ });
  const gas = await reader
    .estimateContractGas({
      address: VALIDATORS,
      abi,
      functionName: "register",
      args,
      account: rich.address,
      value: value - 10n * RLC,
    })
    .catch(() => undefined);
  t.equal(gas, undefined, "below the minimum too");
  await client.call("eth_sendRawTransaction", [signed(0, { to: rich.address, value: RLC })]);
  await node.mine();
  const hash = await richWallet.writeContract({ address: VALIDATORS, abi, functionName: "register", args, value });
  await node.mine();
  const receipt = await reader.waitForTransactionReceipt({ hash });
  t.equal(receipt.status, "success");
  t.equal(receipt.gasUsed, (await reader.getTransaction({ hash })).gas);
  t.equal(((await client.call("rolec_validators")) as unknown[]).length, 2);
});

t.test("a call that costs much is not tried, and its gas is told from its calldata", async (t) => {
  const group = (members: number) => {
    const accounts = Array.from({ length: members }, (_, i) => `0x${word(i + 1).slice(26)}`);
    return { from: rich.address, to: MARKET, data: toHex(encodeCall("createGroup(address[])", [accounts])) };
  };
  t.match(await client.call("eth_call", [group(100)]), /^0x/);
  t.match(await refusal("eth_call", group(600)), {
    code: -32000,
    message: /^out of gas: gas required is 1\d{7}, limit 3000000/,
  });
  const gas = Number(await client.call("eth_estimateGas", [group(600)]));
  t.ok(gas > 3_000_000);
  t.match(await refusal("eth_estimateGas", { ...group(600), gas: hexNumber(gas - 1) }), { message: /^out of gas/ });
});

t.test("a proof of possession is verified in steps, and once", async (t) => {
  const secret = blsKeygen(utf8("steps"));
  const [key, proof] = [blsPublicKey(secret), blsProve(secret)];
  const steps = async (data: Hex): Promise<number> => {
    let turns = 0;
    const turn = async (): Promise<void> => {
      turns += 1;
    };
    const methods = ethMethods(createChainView(node.engine));
    const request = { from: rich.address, to: VALIDATORS, data };
    await Promise.resolve(
      methods.eth_call!.run([request], { connection: undefined, client: {}, turn, hold: () => undefined }),
    ).catch(() => {});
    return turns;
  };
  const register = (of: Hex) => encodeFunctionData({ abi, functionName: "register", args: [key, of, rich.address] });
  t.equal(await steps(register(proof)), 6, "five steps, and the call");
  t.equal(await steps(register(proof)), 1, "it is known");
  t.ok(blsVerifyProof(key, proof));
  t.ok((await steps(register(blsProve(blsKeygen(utf8("other")))))) > 1);
  t.notOk(blsVerifyProof(key, blsProve(blsKeygen(utf8("other")))));
  t.equal(await steps(register("0x12")), 0, "no proof");
});

t.test("a transaction that is refused says why, in words that wallets know", async (t) => {
  const refused = async (data: Hex, message: string | RegExp) =>
    t.match(await refusal("eth_sendRawTransaction", data), { code: -32000, message });
  const ok = signed(1);
  await client.call("eth_sendRawTransaction", [ok]);
  await refused(ok, /already known/);
  await refused(signed(0), /nonce too low/);
  await refused(signed(1, { value: 2n }), /replacement transaction underpriced/);
  await refused(signed(2, { value: 10n ** 24n }), /insufficient funds for gas \* price \+ value/);
  await refused(signed(2, { gasLimit: 20_999 }), /intrinsic gas too low/);
  await refused(signed(2, { gasLimit: 400_000_000 }), /exceeds block gas limit/);
  await refused(signed(2, { chainId: 1 }), /invalid chain id/);
  await refused(signed(2, { to: undefined }), /contract creation/);
  await refused(
    signed(2, { maxPriorityFeePerGas: 10n ** 11n }),
    /max priority fee per gas higher than max fee per gas/,
  );
  await refused(signed(99_999), /nonce too high/);
  for (const type of ["00", "03", "04", "50"]) await refused(`0x${type}c0`, "transaction type not supported");
  await refused(`0x03${"00".repeat(131_000)}`, "transaction type not supported");
  await refused(`0x02${"00".repeat(131_072)}`, "oversized data: got 131073 max 131072");
  const without = ["0x01", "0x03e8", "0x5208", bob.address, "0x01", "0x", "0x1b", "0x01", "0x01"] as const;
  await refused(toRlp([...without]), "only replay-protected (EIP-155) transactions allowed over RPC");
  await refused("0x", "typed transaction too short");
  await refused("0x02c0", /^rlp: /);
  await refused(`${ok}00`, "rlp: bytes behind the item");
  await refused(ok.slice(0, -2) as Hex, "rlp: an item runs past its end");
  await refused(`0x02f8${"ff".repeat(40)}`, /^rlp: /);
  await refused(`0x${"c1".repeat(30_000)}`, /^rlp: /);
  const raised = { maxFeePerGas: 11n * 10n ** 9n, maxPriorityFeePerGas: 11n * 10n ** 8n };
  for (const [name, fee] of Object.entries(raised))
    await refused(signed(1, { ...raised, [name]: fee - 1n }), /replacement transaction underpriced/);
  const faster = (await client.call("eth_sendRawTransaction", [signed(1, raised)])) as Hex;
  await node.mine();
  t.ok(await client.call("eth_getTransactionReceipt", [faster]), "exactly 10 % more is what wallets send");
});

t.test("what is not there is null, and what was there is found every way", async (t) => {
  const nothing = `0x${"12".repeat(32)}`;
  t.equal(await client.call("eth_getBlockByHash", [nothing, false]), null);
  t.equal(await client.call("eth_getBlockByNumber", ["0xffffff", false]), null);
  t.equal(await client.call("eth_getTransactionByHash", [nothing]), null);
  t.equal(await client.call("eth_getTransactionReceipt", [nothing]), null);
  t.match(await refusal("eth_getBalance", bob.address, "0xffffff"), { code: -32001 });
  const block = (await client.call("eth_getBlockByNumber", ["0x1", true])) as { hash: Hex; transactions: unknown[] };
  t.strictSame(await client.call("eth_getBlockByHash", [block.hash, true]), block);
  t.strictSame(await client.call("eth_getTransactionByBlockHashAndIndex", [block.hash, "0x0"]), block.transactions[0]);
  t.strictSame(await client.call("eth_getTransactionByBlockNumberAndIndex", ["0x1", "0x0"]), block.transactions[0]);
  t.equal(await client.call("eth_getTransactionByBlockNumberAndIndex", ["0x1", "0x9"]), null);
  t.equal(await client.call("eth_getBlockTransactionCountByNumber", ["0x1"]), "0x1");
  const receipts = (await client.call("eth_getBlockReceipts", [{ blockHash: block.hash }])) as unknown[];
  t.equal(receipts.length, 1);
  t.equal(
    await client.call("eth_getBalance", [bob.address, { blockHash: block.hash }]),
    `0x${(1_002n * RLC).toString(16)}`,
  );
  for (const tag of ["earliest", "safe", "finalized", "latest", "pending"])
    t.ok(await client.call("eth_getBlockByNumber", [tag, false]), tag);
});

t.test("what can be mined is pending, and what lacks a nonce before it is queued", async (t) => {
  const [ready, gapped] = [signed(2), signed(5)];
  for (const raw of [ready, gapped]) await client.call("eth_sendRawTransaction", [raw]);
  t.same(await client.call("txpool_status"), { pending: "0x1", queued: "0x1" });
  const whole = (raw: Hex) => client.call("eth_getTransactionByHash", [keccak256(raw)]);
  const mine = { pending: { 2: await whole(ready) }, queued: { 5: await whole(gapped) } };
  t.match(mine.pending[2], { from: bob.address, nonce: "0x2", gas: "0x5208", type: "0x2", blockHash: null });
  t.same(await client.call("txpool_contentFrom", [bob.address]), mine);
  t.same(await client.call("txpool_contentFrom", [alice.address]), { pending: {}, queued: {} });
  t.same(await client.call("txpool_content"), {
    pending: { [bob.address]: mine.pending },
    queued: { [bob.address]: mine.queued },
  });
  await node.mine();
  t.same(await client.call("txpool_status"), { pending: "0x0", queued: "0x1" });
  for (const nonce of [3, 4]) await client.call("eth_sendRawTransaction", [signed(nonce)]);
  t.same(await client.call("txpool_status"), { pending: "0x3", queued: "0x0" });
  await node.mine();
});

t.test("filters give what came since they were asked last", async (t) => {
  const blocks = await client.call("eth_newBlockFilter");
  const pending = await client.call("eth_newPendingTransactionFilter");
  const logs = await client.call("eth_newFilter", [{ address: VALIDATORS }]);
  const hash = await client.call("eth_sendRawTransaction", [signed(6)]);
  await node.mine(2);
  t.equal(((await client.call("eth_getFilterChanges", [blocks])) as unknown[]).length, 2);
  t.strictSame(await client.call("eth_getFilterChanges", [blocks]), []);
  t.strictSame(await client.call("eth_getFilterChanges", [pending]), [hash]);
  t.strictSame(await client.call("eth_getFilterChanges", [logs]), []);
  t.ok(((await client.call("eth_getFilterLogs", [logs])) as unknown[]).length <= 2);
  t.equal(await client.call("eth_uninstallFilter", [blocks]), true);
  t.equal(await client.call("eth_uninstallFilter", [blocks]), false);
  t.match(await refusal("eth_getFilterChanges", blocks), { code: -32000, message: "filter not found" });
});

t.test("our own client follows heads, and batches", async (t) => {
  const numbers: unknown[] = [];
  const stop = await client.subscribe(["newHeads"], (head) => numbers.push((head as { number: Hex }).number));
  await node.mine(2);
  for (let i = 0; numbers.length < 2 && i < 100; i++) await new Promise((resolve) => setTimeout(resolve, 10));
  t.equal(numbers.length, 2);
  stop();
  const [chainId, error] = await client.batch([
    { method: "eth_chainId", params: [] },
    { method: "eth_nothing", params: [] },
  ]);
  t.equal(chainId, "0x12da0");
  t.match(error, { name: "RpcCallError", code: -32601 });
  await t.rejects(
    client.subscribe(["nothing"], () => undefined),
    { code: -32602 },
  );
});

t.test("fees follow EIP-1559, and proofs name the record", async (t) => {
  const history = await reader.getFeeHistory({ blockCount: 3, rewardPercentiles: [10, 50] });
  t.equal(history.baseFeePerGas.length, 4);
  t.equal(history.reward?.length, 3);
  const block = await reader.getBlock();
  t.ok((await reader.getGasPrice()) > block.baseFeePerGas! / 2n);
  const slot = `0x${"00".repeat(32)}`;
  const proof = (await client.call("eth_getProof", [VALIDATORS, [slot], "latest"])) as { accountProof: unknown[] };
  t.ok(proof.accountProof.length > 0);
  t.equal(await client.call("eth_getStorageAt", [VALIDATORS, "0x0", "latest"]), slot);
  t.match(await client.call("eth_createAccessList", [{ to: bob.address }]), { accessList: [], gasUsed: "0x5208" });
});

t.test("rolec methods tell of validators, power and finality", async (t) => {
  t.match(await client.call("rolec_power"), [
    { validator: node.validator.address, stake: (10_000n * RLC + 3n).toString() },
  ]);
  t.match(await client.call("rolec_finality"), {
    head: { slot: Number },
    justified: { epoch: Number },
    finalized: { hash: /^0x/ },
  });
  t.match(await client.call("rolec_network"), { chainId: 77_216, peers: [] });
  t.match(await client.call("rolec_genesis"), { chainId: 77_216 });
  t.match(await client.call("rolec_account", [node.validator.address]), { validator: { index: 0, isActive: true } });
  t.match(await client.call("web3_clientVersion"), /^rolec\//);
});

t.test("logs are numbered through a block, the same wherever they are asked for", async (t) => {
  const data = encodeCall("bond(address)", [node.validator.address]);
  const first = Number(await client.call("eth_getTransactionCount", [alice.address, "latest"]));
  const hashes: unknown[] = [];
  for (let i = 0; i < 3; i++) {
    const changes = { to: i === 1 ? bob.address : VALIDATORS, data: i === 1 ? EMPTY : data, gasLimit: 200_000 };
    hashes.push(await client.call("eth_sendRawTransaction", [signed(first + i, changes, alice.key)]));
  }
  await node.mine();
  const receipts = (await client.call("eth_getBlockReceipts", ["latest"])) as { logs: { logIndex: Hex }[] }[];
  t.same(
    receipts.map(({ logs }) => logs.map(({ logIndex }) => logIndex)),
    [["0x0"], [], ["0x1"]],
  );
  for (const [i, hash] of hashes.entries()) t.same(await client.call("eth_getTransactionReceipt", [hash]), receipts[i]);
  t.same(await client.call("eth_getLogs", [{ address: VALIDATORS }]), [...receipts[0]!.logs, ...receipts[2]!.logs]);
});
