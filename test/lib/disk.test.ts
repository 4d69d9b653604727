import t from "tap";
import { boundlessDisk, createDisk, diskFault, freeBytesOf, isDiskFull } from "../../lib/disk.ts";

const MIB = 1024 * 1024;

t.test("a disk keeps its reserve, and says how much is left", (t) => {
  let free = 300 * MIB;
  const disk = createDisk(() => free);
  t.equal(disk.left(), 44 * MIB);
  t.equal(disk.shortage(), undefined);
  disk.check(44 * MIB);
  t.throws(() => disk.check(44 * MIB + 1), { code: "disk-reserve", verdict: "retry", message: /300 MiB/ });
  free = 200 * MIB;
  t.match(disk.shortage(), /200 MiB left, and keeps 256 MiB/);
  t.throws(() => disk.check(0), { code: "disk-reserve" });
  createDisk(() => free, 0).check(free);
  boundlessDisk.check(Number.MAX_SAFE_INTEGER);
  t.ok(freeBytesOf("/")() > 0);
  t.equal(freeBytesOf("/nowhere")(), Number.POSITIVE_INFINITY, "a system that does not tell has room");
  t.end();
});

t.test("a full disk is known by its error, whoever passes it on, and gets its folder's name", (t) => {
  const full = Object.assign(new Error("write"), { code: "ENOSPC" });
  const passedOn = new Error("not written", { cause: new Error("x", { cause: full }) });
  for (const error of [full, passedOn, new Error("IO error: No space left on device"), { code: "ENOSPC" }])
    t.equal(isDiskFull(error), error instanceof Error);
  t.match(diskFault("/data", passedOn), { message: /\/data is full: make room/, cause: passedOn });
  const other = new Error("other");
  t.equal(diskFault("/data", other), other);
  t.end();
});
