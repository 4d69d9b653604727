import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statfsSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import "../helpers/plain-spawn.ts";
import { rpcClient } from "../../rpc/client.ts";
import { startWatched } from "../helpers/memory.ts";

t.setTimeout(240_000);

const SIZE_MIB = 24;
const folder = mkdtempSync(join(tmpdir(), "rolec-disk-"));
/** A disk of its own, small enough to be filled; undefined where this user may not mount one. */
const mounted = (() => {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${SIZE_MIB}m`, "none", folder], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();
t.teardown(() => {
  if (mounted) execFileSync("umount", ["-l", folder]);
  rmSync(folder, { recursive: true, force: true });
});
const skip = !mounted && "this user may not mount a disk";
const filler = join(folder, "filler");
/** Fills the disk but for so many bytes. */
const fill = (left: number): void => {
  const { bavail, bsize } = statfsSync(folder);
  writeFileSync(filler, new Uint8Array(Math.max(0, bavail * bsize - left)));
};

const startDev = async (t: { teardown(work: () => Promise<void>): void }, ...more: string[]) => {
  const datadir = join(folder, "node");
  const node = startWatched(["dev", "--port", "0", "--datadir", datadir, "--json", ...more], 256);
  t.teardown(node.stop);
  for (let i = 0; i < 1_200 && !node.output().includes("accounts") && node.errors() === ""; i++) await sleep(50);
  const { rpcUrl } = JSON.parse(node.output()) as { rpcUrl: string };
  return { ...node, rpcUrl, client: rpcClient(rpcUrl) };
};
const heightOf = async (node: { client: ReturnType<typeof rpcClient> }): Promise<number> =>
  Number(await node.client.call("eth_blockNumber"));
const untilAbove = async (node: { client: ReturnType<typeof rpcClient> }, height: number): Promise<void> => {
  for (let i = 0; i < 1_200 && (await heightOf(node)) <= height; i++) await sleep(50);
};

t.test("below the reserve a node takes no data, and its chain goes on", { skip }, async (t) => {
  const node = await startDev(t, "--disk-reserve", "8");
  fill(6 * 1024 * 1024);
  const upload = () =>
    fetch(`${node.rpcUrl}/data`, {
      method: "POST",
      headers: { "content-type": "application/octet-stream" },
      body: new Uint8Array(1024),
    });
  const refused = await upload();
  t.equal(refused.status, 507);
  t.match(await refused.text(), /disk-reserve.*MiB left, and keeps 8 MiB/);
  const before = await heightOf(node);
  await untilAbove(node, before + 1);
  t.ok((await heightOf(node)) > before + 1, "blocks go on");
  truncateSync(filler);
  const { status } = await upload();
  t.equal(status, 200, "and there is room again");
  await node.stop();
});

t.test(
  "a node whose disk is full stops with its name, and goes on where it was once there is room",
  { skip },
  async (t) => {
    const node = await startDev(t, "--disk-reserve", "0");
    await untilAbove(node, 1);
    const before = await heightOf(node);
    fill(0);
    t.equal(await node.ended, 1);
    t.match(node.errors(), `${join(folder, "node")}`);
    t.match(node.errors(), /the disk of \S+ is full: make room on it, then start again/);

    const again = startWatched(["dev", "--port", "0", "--datadir", join(folder, "node")], 256);
    t.equal(await again.ended, 1, "it does not start on a full disk");
    t.match(again.errors(), /is full: make room on it/);

    rmSync(filler);
    const later = await startDev(t, "--disk-reserve", "0");
    const after = await heightOf(later);
    t.ok(after >= before, `block ${after}, ${before} was seen before`);
    await untilAbove(later, after);
    t.ok((await heightOf(later)) > after, "and blocks go on");
    await later.stop();
    t.ok(readdirSync(join(folder, "node")).includes("chain"));
  },
);
