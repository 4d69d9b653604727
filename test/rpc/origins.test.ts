import t, { type Test } from "tap";
import { WebSocket } from "ws";
import { memoryDb } from "../../chain/db.ts";
import { dataPort } from "../../node/data-port.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { dataRoute } from "../../rpc/data.ts";
import { method, STORING_METHODS } from "../../rpc/dispatch.ts";
import { isOriginOption, LOCAL_ORIGINS, normalOrigin } from "../../rpc/origins.ts";
import type { RpcServerOptions } from "../../rpc/server.ts";
import { raw, startRpc } from "../helpers/rpc.ts";

const data = dataPort(await openDataStore(memoryDb()), undefined);
const start = async (t: Test, options: Partial<RpcServerOptions>) => {
  const methods = Object.fromEntries(STORING_METHODS.map((name) => [name, method([], () => "stored")]));
  const node = await startRpc([], { routes: [dataRoute(data)], methods, ...options });
  t.teardown(() => node.stop());
  return node;
};
const call = (name: string) => JSON.stringify({ jsonrpc: "2.0", id: 1, method: name, params: [] });
const isOpened = (port: number, headers: Record<string, string>): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, { headers });
    socket.once("open", () => resolve(true)).once("error", () => resolve(false));
    socket.once("open", () => socket.terminate());
  });
/** How a node answers a request, a browser's question before it, and a WebSocket, with these headers. */
const answers = async (port: number, headers: Record<string, string>) => {
  const posted = await raw(port, { headers, body: call("eth_chainId") });
  const asked = await raw(port, { method: "OPTIONS", headers });
  const grants = [posted, asked].map((each) => each.headers["access-control-allow-origin"]);
  return { http: posted.status, options: asked.status, grants, webSocket: await isOpened(port, headers) };
};
const ALLOWED = (origin?: string) => ({ http: 200, options: 204, grants: [origin, origin], webSocket: true });
const REFUSED = { http: 403, options: 403, grants: [undefined, undefined], webSocket: false };

t.test(
  "pages of the origins that the operator names may call, in any letter case, with a port or its scheme's",
  async (t) => {
    const node = await start(t, {
      origins: ["HTTPS://Wallet.Example:443/", "http://app.example:8080", "http://[::1]:*"],
    });
    for (const origin of ["https://wallet.example", "https://WALLET.example", "http://app.example:8080"])
      t.same(await answers(node.port, { origin }), ALLOWED(origin));
    t.same(await answers(node.port, { origin: "http://[::1]:5173" }), ALLOWED("http://[::1]:5173"));
    t.same(await answers(node.port, { origin: "https://wallet.example:443" }), ALLOWED("https://wallet.example:443"));
    const others = [
      "http://wallet.example",
      "https://wallet.example:444",
      "http://app.example",
      "https://evil.example",
    ];
    for (const origin of [...others, "https://wallet.example.evil.example", "null", "", "http://localhost:3000"])
      t.same(await answers(node.port, { origin }), REFUSED, origin);
    t.same(await answers(node.port, {}), ALLOWED(undefined), "no page at all");
  },
);

t.test("* lets every page call that has an origin", async (t) => {
  const node = await start(t, { origins: ["*"] });
  for (const origin of ["https://any.example", "http://localhost:3000"])
    t.same(await answers(node.port, { origin }), ALLOWED(origin));
  t.same(await answers(node.port, { origin: "null" }), REFUSED);
  t.equal((await raw(node.port, { headers: { origin: "https://any.example", host: "evil.example" } })).status, 403);
});

t.test("pages of this machine may call a node for development, whatever their port", async (t) => {
  const node = await start(t, { openOrigins: LOCAL_ORIGINS });
  for (const origin of ["http://localhost:3000", "http://127.0.0.1:5173", "http://[::1]:1", "https://localhost"])
    t.same(await answers(node.port, { origin }), ALLOWED(origin));
  for (const origin of ["null", "http://localhost.evil.example", "http://evil.example:3000"])
    t.same(await answers(node.port, { origin }), REFUSED, origin);
});

t.test("a wallet in the browser calls as no page does, unless it is listed", async (t) => {
  const origin = "chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn";
  const node = await start(t, {});
  t.same(await answers(node.port, { origin }), { ...REFUSED, http: 200 });
  t.match((await raw(node.port, { headers: { origin }, body: call("rolec_pin") })).body, /"code":-32000/);
  const listing = await start(t, { origins: [origin] });
  t.same(await answers(listing.port, { origin }), ALLOWED(origin));
});

t.test("a page stores only where its origin is named", async (t) => {
  const stores = async (node: { port: number }, origin?: string) => {
    const headers: Record<string, string> = origin === undefined ? {} : { origin };
    const called = await Promise.all(
      STORING_METHODS.map(async (name) => (await raw(node.port, { headers, body: call(name) })).body),
    );
    const type = { "content-type": "application/octet-stream" };
    const uploaded = await raw(node.port, { path: "/data", headers: { ...headers, ...type }, body: "x" });
    const socket = new WebSocket(`ws://127.0.0.1:${node.port}`, { headers });
    const bySocket = await new Promise<string>((resolve) => {
      socket.once("open", () => socket.send(call("rolec_pin"))).once("error", () => resolve("refused"));
      socket.once("message", (text) => resolve(String(text)));
    });
    socket.terminate();
    const all = [...called, bySocket].map((body) => /"result":"stored"/.test(body));
    t.equal(new Set(all).size, 1, "methods agree");
    t.equal(uploaded.status, all[0] ? 200 : 403);
    return all[0];
  };
  const named = await start(t, { origins: ["https://files.example", "*"] });
  t.equal(await stores(named, "https://files.example"), true);
  t.equal(await stores(named, "https://any.example"), false);
  t.equal(await stores(named), true);
  const dev = await start(t, { openOrigins: LOCAL_ORIGINS });
  t.equal(await stores(dev, "http://localhost:3000"), false);
});

t.test("a page of another site cannot make a browser fetch what it does not say the origin of", async (t) => {
  const node = await start(t, {});
  const { cid } = JSON.parse(
    (await raw(node.port, { path: "/data", headers: { "content-type": "application/octet-stream" }, body: "hi" })).body,
  );
  const get = async (site: string, dest: string, port = node.port) =>
    (
      await raw(port, {
        method: "GET",
        path: `/ipfs/${cid}`,
        headers: { "sec-fetch-site": site, "sec-fetch-dest": dest },
      })
    ).status;
  for (const dest of ["image", "iframe", "script", "empty", "embed"]) t.equal(await get("cross-site", dest), 403);
  t.equal(await get("cross-site", "document"), 200, "a link that its user follows");
  t.equal(await get("none", "document"), 200);
  t.equal(await get("same-origin", "image"), 200);
  const open = await start(t, { origins: ["*"] });
  t.equal(await get("cross-site", "image", open.port), 200);
});

t.test("nothing below /ipfs runs in a browser, whatever is answered", async (t) => {
  const node = await start(t, { origins: ["https://wallet.example"] });
  const upload = await raw(node.port, {
    path: "/data",
    headers: { "content-type": "application/octet-stream" },
    body: "<script>alert(1)</script>",
  });
  const { cid } = JSON.parse(upload.body);
  const paths = [`${cid}`, `${cid}?filename=a.html`, `${cid}?filename=a.svg`, `${cid}/none`, "nonsense", "%ff", ""];
  const statuses = new Set<number>();
  for (const path of paths)
    for (const how of ["GET", "HEAD", "POST", "DELETE", "OPTIONS"]) {
      const { status, headers } = await raw(node.port, { method: how, path: `/ipfs/${path}` });
      statuses.add(status);
      t.match(headers["content-security-policy"], /default-src 'none'.*sandbox/, `${how} ${path}`);
      t.notMatch(headers["content-security-policy"], /allow-scripts|script-src/);
      t.equal(headers["x-content-type-options"], "nosniff");
      t.notMatch(headers["content-type"] ?? "", /html|svg|xml|javascript/);
    }
  for (const status of [200, 204, 400, 404, 405]) t.ok(statuses.has(status), `${status}`);
  const foreign = await raw(node.port, {
    method: "GET",
    path: `/ipfs/${cid}`,
    headers: { origin: "https://evil.example" },
  });
  t.equal(foreign.status, 403);
  t.match(foreign.headers["content-security-policy"], /sandbox/);
});

t.test(
  "a node is asked under the names that the operator gives, in any letter case, with or without a port",
  async (t) => {
    const node = await start(t, { hosts: ["RPC.Example.org", "other.example:8545"] });
    for (const host of [
      "rpc.example.org",
      "RPC.EXAMPLE.ORG:443",
      "rpc.example.org.",
      "Other.Example:1",
      "LOCALHOST:8545",
    ])
      t.same(await answers(node.port, { host }), ALLOWED(undefined), host);
    for (const host of ["[::1]", "[::1]:8545", "127.0.0.1:1", "[fd00::2]:80"])
      t.same(await answers(node.port, { host }), ALLOWED(undefined), host);
    for (const host of [
      "evil.example",
      "rpc.example.org.evil.example",
      "localhost.evil.example",
      "*",
      "[localhost]:1x",
    ])
      t.same(await answers(node.port, { host }), REFUSED, host);
  },
);

t.test("an origin is a scheme, a name and a port, and nothing else", (t) => {
  for (const good of ["*", "https://a.example", "http://localhost:*", "http://[::1]:3000", "chrome-extension://abc"])
    t.ok(isOriginOption(good), good);
  const paths = ["https://a.example/path", "https://a.example?x", "https://a.example#x", "https://u:p@a.example"];
  for (const bad of [
    ...paths,
    "null",
    "a.example",
    "",
    "**",
    "http://*",
    "http://a:80:*",
    "http://a:99999",
    "file:///",
  ])
    t.notOk(isOriginOption(bad), bad);
  t.equal(normalOrigin("HTTP://[0:0:0:0:0:0:0:1]:80"), "http://[::1]");
  t.end();
});
