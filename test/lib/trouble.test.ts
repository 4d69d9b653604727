import { readFileSync } from "node:fs";
import t from "tap";
import { folderFault } from "../../lib/disk.ts";
import { createTroubles, type Subject } from "../../lib/trouble.ts";

const NODE: Subject = { fails: "the node does not answer", works: "the node answers again" };
const STEPS: Subject = { fails: "a step fails", works: "all steps are done again" };

const teller = () => {
  const lines: string[] = [];
  const log = {
    warn: (_: object, line: string) => void lines.push(line),
    info: (line: string) => void lines.push(line),
  };
  let nowMs = 0;
  const troubles = createTroubles({ log, folder: "/worker", now: () => nowMs });
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { lines, troubles, pass };
};

t.test("whoever is away is told once, and once that it is back, however often it is tried", async (t) => {
  const { lines, troubles, pass } = teller();
  for (let i = 0; i < 40; i++) {
    troubles.fails(NODE, new Error(`no answer ${i}`));
    troubles.fails(STEPS, new Error("ECONNREFUSED"));
    pass(500);
  }
  t.same(lines, ["the node does not answer: no answer 0", "a step fails: ECONNREFUSED"]);
  t.equal(troubles.now(), "ECONNREFUSED");
  troubles.works(STEPS);
  t.equal(troubles.now(), "no answer 39");
  for (let i = 0; i < 10; i++) troubles.works(NODE);
  t.same(lines.slice(2), ["all steps are done again, after 20 s", "the node answers again, after 20 s"]);
  t.equal(troubles.now(), undefined, "what is over is no last error");
});

t.test("what comes and goes is told once a minute, what lasts every ten", async (t) => {
  const { lines, troubles, pass } = teller();
  for (let i = 0; i < 100; i++) {
    troubles.fails(NODE, new Error("away"));
    pass(250);
    troubles.works(NODE);
    pass(250);
  }
  t.ok(lines.length <= 2, lines.join());
  pass(60_000);
  for (let i = 0; i < 60; i++, pass(30_000)) troubles.fails(NODE, new Error("away"));
  t.ok(lines.length <= 6, lines.join());
});

t.test("a fault of the own folder is called that, whoever met it", async (t) => {
  const { lines, troubles } = teller();
  let caught: unknown;
  try {
    readFileSync("/proc/self/none/status.json");
  } catch (error) {
    caught = error;
  }
  const words = troubles.fails(NODE, caught as Error);
  t.match(words, /^the folder \/worker is not read or written: ENOENT/);
  t.match(lines, [words]);
  troubles.works(NODE);
  t.equal(troubles.now(), words);
  troubles.folderWorks();
  t.match(lines[1], /its folder is written again/);
  const system = (code: string, more: object = {}) => Object.assign(new Error(`${code}: x`), { code, ...more });
  const full = "the disk of /worker is full: make room on it";
  t.equal(folderFault("/worker", system("ENOSPC", { syscall: "write" })), full);
  t.equal(folderFault("/worker", new Error("not kept", { cause: system("EDQUOT") })), full);
  for (const code of ["EACCES", "EROFS", "ENOENT"])
    t.match(folderFault("/worker", system(code, { path: "/worker/x", syscall: "open" })), code);
  t.match(folderFault("/worker", system("EIO", { syscall: "read" })), "EIO");
  for (const other of [
    new Error("no space left on device, says the node"),
    new TypeError("fetch failed", { cause: system("ECONNREFUSED", { syscall: "connect", address: "127.0.0.1" }) }),
    system("EACCES", { syscall: "connect", path: "/socket" }),
    system("ENOENT", { syscall: "spawn bwrap", path: "bwrap" }),
    system("ECONNRESET", { syscall: "read" }),
    undefined,
  ])
    t.equal(folderFault("/worker", other), undefined);
});
