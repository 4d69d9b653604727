import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { memoryDb } from "../../chain/db.ts";
import { dataPort } from "../../node/data-port.ts";
import { type InputsOptions, openInputs, type Patience } from "../../node/worker/inputs.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { dataRoute } from "../../rpc/data.ts";
import { startRpc } from "./rpc.ts";

/**
 * Starts what a job's inputs come from, until the test file ends: a web server that answers by path, and never where it has no answer, and a
 * node with a data store.
 */
export const startSources = async (answers: Readonly<Record<string, RequestListener>>) => {
  let asked = 0;
  const web = createServer((request, response) => {
    asked += 1;
    answers[request.url!]?.(request, response);
  });
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  const store = await openDataStore(memoryDb());
  const node = await startRpc([], { routes: [dataRoute(dataPort(store, undefined))] });
  const root = mkdtempSync(join(tmpdir(), "rolec-sources-"));
  t.teardown(async () => {
    web.closeAllConnections();
    web.close();
    await node.stop();
    rmSync(root, { recursive: true, force: true });
  });
  let folders = 0;
  return {
    /** What the URLs of the web server begin with. */
    base: `http://127.0.0.1:${(web.address() as AddressInfo).port}`,
    /** Requests that it has got. */
    asked: () => asked,
    store,
    node,
    root,
    /** Opens a worker's inputs in a folder of their own. */
    open: (options: Partial<InputsOptions> = {}) => {
      const folder = join(root, String(folders++));
      return { folder, inputs: openInputs({ node: node.url, folder, allowPrivate: true, ...options }) };
    },
  };
};

/** Waits so long. */
export const patience = (ms = 60_000): Patience => ({ signal: AbortSignal.timeout(ms), until: Date.now() + ms });
