import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InvalidArgumentError } from "commander";
import t, { type Test } from "tap";
import { devGenesis } from "../../chain/genesis.ts";
import { endpoint, httpUrl, isLoopbackHost, tcpMultiaddr } from "../../lib/endpoint.ts";
import { addressesToListen, host, multiaddrs, rpcHostName, rpcOrigin } from "../../node/cli/options.ts";
import { createProgram } from "../../node/cli/program.ts";
import { downloadFile, uploadData } from "../../node/data-client.ts";
import { devKey, genesisValidator, validatorKeys, writeNodeFolder } from "../../node/folder.ts";
import { stratumSource } from "../../node/miner/stratum-source.ts";
import { type NodeInfo, startNode } from "../../node/node.ts";
import { freePorts } from "../../node/ports.ts";
import { rpcClient } from "../../rpc/client.ts";
import { silent } from "../helpers/chain.ts";
import { raw } from "../helpers/rpc.ts";

const hasIpv6 = await new Promise<boolean>((resolve) => {
  const server = createServer();
  server.once("error", () => resolve(false));
  server.listen(0, "::1", () => server.close(() => resolve(true)));
});
const needsIpv6 = hasIpv6 ? {} : { skip: "this machine has no IPv6" };

const keys = validatorKeys(devKey("validator", 0));
const genesis = devGenesis({
  genesisTime: Math.floor(Date.now() / 1_000),
  validators: [genesisValidator(keys, 10n ** 22n)],
  accounts: [],
  slots: [],
});
const start = async (t: Test, rpcHost: string, listen: readonly string[], bootstrap: readonly string[] = []) => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-hosts-"));
  writeNodeFolder(datadir, genesis, keys);
  rmSync(join(datadir, "validator.json"), { force: true });
  const node = await startNode({
    datadir,
    rpc: { host: rpcHost, port: 0 },
    p2p: { listen, bootstrap, announce: ["/ip6/2001:db8::7/tcp/30303"] },
    stratum: { host: rpcHost, port: 0 },
    beneficiary: keys.address,
    log: silent,
  });
  t.teardown(async () => {
    await node.stop();
    rmSync(datadir, { recursive: true, force: true });
  });
  const info = JSON.parse(readFileSync(join(datadir, "node.json"), "utf8")) as NodeInfo;
  return { ...node, info, client: rpcClient(node.rpcUrl), port: Number(new URL(node.rpcUrl).port) };
};

t.test("a node listens, is asked and is found at addresses of IPv6", needsIpv6, async (t) => {
  const first = await start(t, "::1", ["/ip6/::1/tcp/0"]);
  t.match(first.info.rpcUrl, /^http:\/\/\[::1\]:\d+$/);
  t.match(first.info.p2p[0], /^\/ip6\/::1\/tcp\/\d+\/p2p\/12D3/);
  t.ok(first.info.p2p.some((address) => address.startsWith("/ip6/2001:db8::7/tcp/30303/p2p/")));
  t.equal(Number(await first.client.call("eth_chainId")), genesis.chainId);
  const stop = await first.client.subscribe(["newHeads"], () => undefined);
  stop();
  const cid = await uploadData(first.rpcUrl, new TextEncoder().encode("six"));
  t.equal(new TextDecoder().decode(await downloadFile(first.rpcUrl, cid)), "six");

  const second = await start(t, "::", ["/ip6/::/tcp/0"], first.info.p2p.slice(0, 1));
  t.match(second.info.rpcUrl, /^http:\/\/\[::1\]:\d+$/, "of this machine, not of all");
  for (let i = 0; i < 200 && (await second.client.call("net_peerCount")) === "0x0"; i++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  t.equal(await second.client.call("net_peerCount"), "0x1");
  const { peers } = (await second.client.call("rolec_network")) as { peers: { address: string }[] };
  t.match(peers[0]!.address, /^\/ip6\/::1\//);
  const chainId = `{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}`;
  const byName = await raw(second.port, { headers: { host: `[::1]:${second.port}` }, body: chainId });
  t.equal(byName.status, 200, "asked at 127.0.0.1, where :: listens as well");

  const work = await new Promise((resolve, reject) => {
    const source = stratumSource({ host: "::1", port: first.stratumPort!, user: "x", onTrouble: reject });
    t.teardown(() => source.stop());
    source.start(resolve);
  });
  t.match(work, { seal: /^0x/ });
});

const placeOf = (host: string, port: number) => ({ host, port, hostOption: "--host", portOption: "--port" });
t.test("free ports are looked for at the host that will have them", needsIpv6, async (t) => {
  const server = createServer();
  const [port] = await freePorts(1, placeOf("::1", 23_600));
  await new Promise<void>((resolve) => server.listen(port, "::1", resolve));
  t.teardown(() => server.close());
  t.equal((await freePorts(1, placeOf("127.0.0.1", port!)))[0]! >= port!, true);
  const [next] = await freePorts(1, placeOf("::1", port!));
  t.ok(next! > port!);
  await t.rejects(freePorts(2, placeOf("::1", 65_535)), /no 2 free ports of ::1 from 65535 on/);
});

t.test("addresses are written as URLs and multiaddrs want them", (t) => {
  t.equal(endpoint("::1", 1), "[::1]:1");
  t.equal(endpoint("127.0.0.1", 1), "127.0.0.1:1");
  t.equal(httpUrl("localhost", 80), "http://localhost:80");
  t.equal(httpUrl("::", 80), "http://[::1]:80");
  t.equal(httpUrl("0.0.0.0", 80), "http://127.0.0.1:80");
  t.equal(httpUrl("fd00::2", 80), "http://[fd00::2]:80");
  t.equal(tcpMultiaddr("::", 5), "/ip6/::/tcp/5");
  t.equal(tcpMultiaddr("0.0.0.0", 5), "/ip4/0.0.0.0/tcp/5");
  for (const own of ["localhost", "::1", "127.9.9.9"]) t.ok(isLoopbackHost(own));
  for (const other of ["::", "0.0.0.0", "fd00::2", "127.evil.example"]) t.notOk(isLoopbackHost(other));
  t.end();
});

t.test("hosts, addresses, names and origins that cannot be are refused as options", async (t) => {
  t.equal(host("[::1]"), "::1");
  for (const good of ["::", "0.0.0.0", "localhost", "node-1.example"]) t.equal(host(good), good);
  for (const bad of ["", "a b", "fe80::1%eth0", "[127.0.0.1:1]", "http://a", "[::1]:80", "-x"])
    t.throws(() => host(bad), InvalidArgumentError, bad);
  t.same(addressesToListen("[::]", ["0.0.0.0"]), ["0.0.0.0", "::"]);
  t.throws(() => addressesToListen("localhost"), InvalidArgumentError);
  t.same(multiaddrs("/ip6/::1/tcp/1"), ["/ip6/::1/tcp/1"]);
  for (const bad of ["", "::1", "/ip6/zz/tcp/1", "/ip4/1.2.3.4/tcp/99999"])
    t.throws(() => multiaddrs(bad), InvalidArgumentError, bad);
  const parse = (option: ReturnType<typeof rpcOrigin>, text: string) => option.parseArg!(text, undefined as never);
  t.same(parse(rpcHostName(), "RPC.example:8545"), ["RPC.example:8545"]);
  for (const bad of ["*", "", "a/b", "http://a"]) t.throws(() => parse(rpcHostName(), bad), InvalidArgumentError, bad);
  t.same(parse(rpcOrigin(), "*"), ["*"]);
  for (const bad of ["null", "wallet.example", "https://a/b"])
    t.throws(() => parse(rpcOrigin(), bad), InvalidArgumentError, bad);
  for (const name of ["dev", "node", "testnet", "demo"]) {
    const command = (await createProgram()).commands.find((each) => each.name() === name)!;
    for (const flag of ["--host", "--rpc-host-name", "--rpc-origin"])
      t.ok(
        command.options.some(({ long }) => long === flag),
        `${name} ${flag}`,
      );
  }
});
