import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import t from "tap";
import { memoryDb } from "../../chain/db.ts";
import { encodeHeader, type Header } from "../../chain/header.ts";
import { timestampOf } from "../../chain/params.ts";
import { createEngine, type Engine } from "../../consensus/engine.ts";
import type { Link } from "../../consensus/finality.ts";
import { createProducer } from "../../consensus/producer.ts";
import type { Signer } from "../../consensus/signer.ts";
import { blsPublicKey } from "../../lib/bls.ts";
import { toHex, ZERO_HASH } from "../../lib/bytes.ts";
import { writeSecret } from "../../node/folder.ts";
import { askValidators, connectSigner } from "../../node/signer/client.ts";
import { createGuard } from "../../node/signer/guard.ts";
import { createSignerServer } from "../../node/signer/server.ts";
import { protectWith } from "../../node/slashing-protection.ts";
import { awaitSigners } from "../../node/validator-source.ts";
import { memoryProtection, silent, testGenesis } from "../helpers/chain.ts";

const TOKEN = "a token that only nodes have";
const { genesis, keys } = testGenesis(2);
const [A, B] = keys as [(typeof keys)[0], (typeof keys)[0]];
let nowMs = genesis.genesisTime * 1000;
const setSlot = (slot: number): void => {
  nowMs = timestampOf(genesis, slot) * 1000;
};

const createTestEngine = (): Promise<Engine> =>
  createEngine({ db: memoryDb(), genesis, now: () => nowMs, log: silent });
const { genesisHash } = await createTestEngine();

const startSigner = async (t: { teardown(end: () => Promise<void>): void }) => {
  const guard = createGuard({ keys, genesis, genesisHash, protection: protectWith(memoryDb()), now: () => nowMs });
  const server = createSignerServer({ guard, genesisHash, token: TOKEN, host: "127.0.0.1", port: 0, log: silent });
  const { port } = await server.start();
  t.teardown(() => server.stop());
  const options = { url: `http://127.0.0.1:${port}`, token: TOKEN };
  const ask = async (path: string, init: RequestInit & { token?: string } = {}) => {
    const { token = TOKEN, ...rest } = init;
    const response = await fetch(`${options.url}${path}`, { headers: { authorization: `Bearer ${token}` }, ...rest });
    return { status: response.status, error: ((await response.json()) as { error?: string }).error };
  };
  return { options, ask, signers: await connectSigner(options, genesisHash) };
};

/** Works for some signers alone, through slots, with protection that allows whatever they are asked for once. */
const work = async (signers: readonly Signer[], slots: number): Promise<Engine> => {
  const engine = await createTestEngine();
  const producer = createProducer({
    engine,
    signers,
    protection: memoryProtection(),
    publishBlock: () => undefined,
    publishVote: () => undefined,
    log: silent,
  });
  for (let slot = 1; slot <= slots; slot++) {
    setSlot(slot);
    await producer.onSlot(slot);
    producer.onHalfSlot(slot);
  }
  return engine;
};

const linkOf = (change: Partial<Link> = {}): Link => ({
  sourceEpoch: 0,
  sourceHash: genesisHash,
  targetEpoch: 1,
  targetHash: ZERO_HASH,
  ...change,
});

t.test("a node without keys makes blocks and finality through a signer", async (t) => {
  const { signers, options } = await startSigner(t);
  t.same((await askValidators(options)).validators, [
    { address: A.address, blsPublicKey: blsPublicKey(A.bls) },
    { address: B.address, blsPublicKey: blsPublicKey(B.bls) },
  ]);
  const engine = await work(signers, 16);
  t.equal(engine.head().header.number, 16);
  t.equal(engine.finalized().epoch, 2);
});

t.test("a node waits for a signer that has not made its token", async (t) => {
  const { options } = await startSigner(t);
  const folder = mkdtempSync(join(tmpdir(), "rolec-token-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const tokenFile = join(folder, "token");
  const lines: string[] = [];
  const told = Promise.withResolvers<void>();
  const log = pino({}, { write: (line: string) => told.resolve(void lines.push(JSON.parse(line).msg)) });
  const waiting = awaitSigners({ kind: "remote", url: options.url, tokenFile }, genesisHash, log);
  await told.promise;
  writeSecret(tokenFile, `${TOKEN}\n`);
  t.equal((await waiting).length, keys.length);
  t.match(lines, [/waits for its signer .*its token .*token does not exist/, /^the signer answers/]);
  t.equal(lines.length, 2);
});

t.test("of two nodes behind one signer only one is served: nothing slashable leaves it", async (t) => {
  const { signers } = await startSigner(t);
  const first = await work(signers, 12);
  t.equal(first.head().header.number, 12);
  // The second has no protection of its own that would know, and would vote and propose differently.
  const second = await work(signers, 12);
  t.equal(second.head().header.number, 0);
  t.equal(second.votes.all().length, 0);
});

t.test("a signer refuses what EIP-3076 forbids, slots to come, and headers that pay others", async (t) => {
  const engine = await work((await startSigner(t)).signers, 9);
  const { header } = engine.head();
  const { signers } = await startSigner(t);
  const [signer] = signers as [Signer];
  const own = (change: Partial<Header> = {}): Header => ({ ...header, beneficiary: A.address, ...change });
  await signer.proposal(own());
  await signer.proposal(own());
  const refused = (promise: Promise<unknown>, reason: RegExp) => t.rejects(promise, reason, String(reason));
  await refused(signer.proposal(own({ gasUsed: 5 })), /412: a block for slot 9 is not signed: slot 9 was/);
  const before = timestampOf(genesis, 8);
  await refused(signer.proposal(own({ timestamp: before })), /412: a block for slot 8 is not signed/);
  await refused(signer.proposal(own({ timestamp: timestampOf(genesis, 15) })), /412: slot 15 has not come/);
  await refused(signer.proposal(own({ timestamp: genesis.genesisTime })), /412: .* begins no slot/);
  await refused(signer.proposal(own({ timestamp: 0 })), /412: timestamp 0 begins no slot/);
  await refused(signer.proposal(own({ beneficiary: B.address })), /412: pays .*, not its validator/);
  await refused(signer.reveal(genesisHash, 15), /412: slot 15 has not come/);
  t.match(await signer.reveal(genesisHash, 10), /^0x/);

  await signer.vote(genesisHash, linkOf({ sourceEpoch: 1, targetEpoch: 2 }));
  await signer.vote(genesisHash, linkOf({ sourceEpoch: 1, targetEpoch: 2 }));
  await refused(
    signer.vote(genesisHash, linkOf({ sourceEpoch: 1, targetEpoch: 2, targetHash: genesisHash })),
    /412: a vote for epoch 2 is not signed: one for 2 was/,
  );
  await refused(signer.vote(genesisHash, linkOf({ targetEpoch: 9 })), /412: slot 36 has not come/);
  await refused(signer.vote(genesisHash, linkOf({ targetEpoch: Number.MAX_SAFE_INTEGER })), /412: .* has not come/);
  setSlot(16);
  await refused(signer.vote(genesisHash, linkOf({ targetEpoch: 3 })), /412: a vote from epoch 0 is not signed/);
  await refused(signer.vote(genesisHash, linkOf({ sourceEpoch: 3, targetEpoch: 3 })), /412: .* goes nowhere/);
  t.match(await signers[1]!.vote(genesisHash, linkOf()), /^0x/, "another validator's history is its own");
});

t.test("who has no token, and what makes no sense, gets no signature", async (t) => {
  const { ask, options } = await startSigner(t);
  const post = (path: string, body: unknown) =>
    ask(path, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });
  for (const path of ["/validators", "/vote", "/nowhere"]) t.equal((await ask(path, { token: "guess" })).status, 401);
  t.equal((await ask("/validators", { headers: {} })).status, 401);
  t.equal((await ask("/sign")).status, 404);
  t.equal((await ask("/vote")).status, 405);
  t.equal((await post("/vote", "{")).status, 400);
  t.equal((await post("/vote", "[]")).status, 400);
  t.equal((await post("/vote", `{"a":"${"x".repeat(20_000)}"}`)).status, 413);
  t.match(await post("/vote", { validator: genesisHash }), { status: 404, error: /no keys of validator/ });
  const vote = { validator: A.address, ...linkOf() };
  const malformed: [string, object, RegExp][] = [
    ["/vote", { ...vote, sourceEpoch: "0" }, /sourceEpoch must be a whole number/],
    ["/vote", { ...vote, sourceEpoch: -1 }, /sourceEpoch must be/],
    ["/vote", { ...vote, targetEpoch: 1e300 }, /targetEpoch must be/],
    ["/vote", { ...vote, targetHash: "0x00" }, /targetHash must be 32 bytes/],
    ["/reveal", { validator: A.address, slot: 1.5 }, /slot must be/],
    ["/reveal", { validator: A.address, message: "0x00" }, /slot must be/],
    ["/proposal", { validator: A.address, hash: ZERO_HASH }, /header must be RLP/],
    ["/proposal", { validator: A.address, header: "0xzz" }, /header must be RLP/],
    ["/proposal", { validator: A.address, header: "0xc0" }, /header: codec: 0 fields/],
    ["/proposal", { validator: A.address, header: `0x${"f8".repeat(2_048)}` }, /header: /],
  ];
  for (const [path, body, error] of malformed) t.match(await post(path, body), { status: 400, error }, String(error));
  await t.rejects(connectSigner({ ...options, token: "guess" }, genesisHash), /answers 401: the bearer token/);
  await t.rejects(connectSigner(options, ZERO_HASH), /of the network with genesis/);
});

t.test("a signer that is silent, floods, lies or sends elsewhere gives an error, and no signature", async (t) => {
  const { signers } = await startSigner(t);
  const header = (await work(signers, 2)).head().header;
  const answers: Record<string, string> = {};
  const server = createServer((request, response) => {
    const answer = answers[request.url!];
    if (answer === "redirect") response.writeHead(302, { location: "/elsewhere" });
    if (answer !== undefined) response.end(answer);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => server.closeAllConnections());
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const connect = () => connectSigner({ url, token: TOKEN, timeoutMs: 200 }, genesisHash);
  await t.rejects(connect(), /signer http.*timeout/);
  for (const [answer, reason] of [
    ["redirect", /redirect/],
    ["no JSON", /answers 200 and no JSON/],
    ["null", /does not say its network/],
    ["x".repeat(100_000), /more than 65536 bytes/],
    [JSON.stringify({ genesisHash, validators: [{ address: A.address }] }), /without its keys/],
  ] as const) {
    answers["/validators"] = answer;
    await t.rejects(connect(), reason);
  }
  const validators = [{ address: A.address, blsPublicKey: blsPublicKey(A.bls) }];
  answers["/validators"] = JSON.stringify({ genesisHash, validators });
  const [signer] = (await connect()) as [Signer];
  await t.rejects(signer.proposal(header), /timeout/);
  answers["/proposal"] = JSON.stringify({
    signature: await signers[1]!.proposal({ ...header, beneficiary: B.address }),
  });
  await t.rejects(signer.proposal(header), /a signature that is not of/);
  answers["/reveal"] = JSON.stringify({ signature: await signers[0]!.reveal(genesisHash, 1) });
  await t.rejects(signer.reveal(genesisHash, 2), /a signature that is not of/);
  t.match(await signer.reveal(genesisHash, 1), /^0x/);
  answers["/vote"] = JSON.stringify({ signature: "0x" });
  await t.rejects(signer.vote(genesisHash, linkOf()), /a signature that is not of/);
  t.equal(toHex(encodeHeader(header)).length < 4_098, true, "headers fit what a signer takes");
});
