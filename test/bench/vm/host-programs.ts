/** Programs that call the host in each way there is, as dear for it as they can for what they pay. */
import { TASK_LIMITS } from "../../../vm/wasm/limits.ts";
import { WASI_SIGNATURES } from "../../../vm/wasm/wasi-abi.ts";
import type { Program } from "./programs.ts";

type Value = number | bigint | string;
/** Where what calls answer is put, the number of what was opened last, vectors and subscriptions, and texts. */
const [ANSWER, OPENED, VECTOR, TEXTS, BUFFER] = [64, 32, 65_536, 1_024, 524_288] as const;
const FD = `(i32.load (i32.const ${OPENED}))`;
const ROOT = 3;
const [CREATE, TRUNCATE] = [1, 8];
const MIB = 1024 * 1024;
const FULL = TASK_LIMITS.outputBytes - 8_192;

/** Repeats code; local $j counts down, and so does $i around it. */
const repeat = (times: number, body: string): string =>
  `(local.set $j (i32.const ${times})) (loop $inner ${body} (br_if $inner (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))`;

/** Writes programs: a call takes numbers, expressions in brackets, and texts, which become an address and a length. */
const createText = () => {
  let texts = "";
  const place = (text: string): number => {
    const at = TEXTS + texts.length;
    texts += text;
    return at;
  };
  const call = (name: string, ...values: readonly Value[]): string => {
    const letters = WASI_SIGNATURES.get(name)!.split(">")[0]!;
    const flat = values.flatMap((value): Value[] =>
      typeof value === "string" && !value.startsWith("(") ? [place(value), value.length] : [value],
    );
    const pushed = [...letters].map((letter, i) => {
      const value = flat[i] ?? 0;
      return typeof value === "string" ? value : `(${letter === "I" ? "i64" : "i32"}.const ${value})`;
    });
    return `(drop (call $${name} ${pushed.join(" ")}))`;
  };
  const open = (path: string, flags = 0, rights = -1): string =>
    call("path_open", ROOT, 0, path, flags, rights, rights, 0, OPENED);
  /** Does something with the path whose last four letters count through 65,536 names as `counter` does. */
  const numbered = (path: string, counter: string, use: (at: number, length: number) => string): string => {
    const at = place(path);
    const digit = (i: number): string =>
      `(i32.store8 (i32.const ${at + path.length - 1 - i}) (i32.add (i32.const 97) (i32.and (i32.shr_u ${counter} (i32.const ${4 * i})) (i32.const 15))))`;
    return `${[0, 1, 2, 3].map(digit).join("")}${use(at, path.length)}`;
  };
  const many = (folder: string, count: number): string =>
    repeat(
      count,
      numbered(`${folder}/aaaaaaaa`, "(local.get $j)", (at, length) => call("path_create_directory", ROOT, at, length)),
    );
  /** A directory that was asked for with the right to write is refused. */
  const openFolder = (path: string): string => open(path, 0, -65);
  return { call, open, openFolder, numbered, many, texts: () => texts };
};
type Text = ReturnType<typeof createText>;

interface Source {
  readonly setup?: string;
  readonly body: string;
}

/** Makes a module of what is done before, and what is done `times`. */
export const textOf = (times: number, write: (text: Text) => Source, pages = 32): string => {
  const text = createText();
  const { setup = "", body } = write(text);
  const used = new Set(Array.from(`${setup}${body}`.matchAll(/call \$(\w+)/g), ([, name]) => name!));
  const types = { i: "i32", I: "i64" } as const;
  const imports = [...used].map((name) => {
    const [params, results] = WASI_SIGNATURES.get(name)!
      .split(">")
      .map((letters) => [...letters].map((l) => types[l as "i"]).join(" "));
    return `(import "wasi_snapshot_preview1" "${name}" (func $${name} (param ${params}) ${results === "" ? "" : `(result ${results})`}))`;
  });
  const data = [...Buffer.from(text.texts())].map((byte) => `\\${byte.toString(16).padStart(2, "0")}`).join("");
  return `(module ${imports.join("\n")} (memory (export "memory") ${pages} ${pages}) (data (i32.const ${TEXTS}) "${data}")
    (func (export "setup") (local $j i32) (local $i i32) ${setup})
    (func (export "_start") (local $j i32) (local $i i32) (local.set $i (i32.const ${times}))
      (loop $next ${body} (br_if $next (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))))`;
};

const program = (name: string, times: number, write: (text: Text) => Source, more: Partial<Program> = {}): Program => ({
  name,
  text: textOf(times, write),
  units: times,
  unit: "turn",
  ...more,
});

/** One call again and again. */
const single = (name: string, ...values: readonly Value[]): Program =>
  program(name, 20_000, ({ call }) => ({ body: call(name, ...values) }));
const named = (name: string, ...rest: Parameters<typeof single>): Program => ({ ...single(...rest), name });

/** Fills the places of 1,024 buffers of one length, or of subscriptions. */
const vectors = (length: number) => (words: Uint32Array) => {
  for (let i = 0; i < 1_024; i++) words.set([BUFFER, length], VECTOR / 4 + 2 * i);
};
const subscriptions = (tag: number, fd: number) => (words: Uint32Array) => {
  for (let i = 0; i < 4_096; i++) words.set([i, 0, tag, 0, fd], VECTOR / 4 + 12 * i);
};

const resizing = (name: string, times: number, sizes: readonly number[], path = "out/a"): Program =>
  program(name, times, ({ call, open }) => ({
    setup: open(path, CREATE),
    body: sizes.map((size) => call("fd_filestat_set_size", FD, size)).join(""),
  }));

const CHANGES: readonly Program[] = [
  program("fd_allocate 16 MiB in /out, unlink", 20, ({ call, open }) => ({
    body: `${open("out/a", CREATE)}${call("fd_allocate", FD, 0, FULL)}${call("fd_close", FD)}${call("path_unlink_file", ROOT, "out/a")}`,
  })),
  program("fd_allocate 60 MiB in /tmp, unlink", 20, ({ call, open }) => ({
    body: `${open("tmp/a", CREATE)}${call("fd_allocate", FD, 0, 60 * MIB)}${call("fd_close", FD)}${call("path_unlink_file", ROOT, "tmp/a")}`,
  })),
  program("fd_allocate 4 KiB in /tmp, unlink", 2_000, ({ call, open }) => ({
    body: `${open("tmp/a", CREATE)}${call("fd_allocate", FD, 0, 4_096)}${call("fd_close", FD)}${call("path_unlink_file", ROOT, "tmp/a")}`,
  })),
  resizing("fd_filestat_set_size 16 MiB, 0", 20, [FULL, 0]),
  resizing("fd_filestat_set_size 16 MiB, 8 MiB", 20, [FULL, FULL / 2 - 1]),
  resizing("fd_filestat_set_size 16 MiB, 9 MiB", 20, [FULL, 9 * MIB]),
  resizing("fd_filestat_set_size 60 MiB, 0 in /tmp", 20, [60 * MIB, 0], "tmp/a"),
  program("path_open to truncate 16 MiB", 20, ({ call, open }) => ({
    body: `${open("out/a", CREATE | TRUNCATE)}${call("fd_filestat_set_size", FD, FULL)}${call("fd_close", FD)}`,
  })),
  program(
    "fd_pwrite 1 byte after a hole of 16 MiB",
    20,
    ({ call, open }) => ({
      setup: open("out/a", CREATE),
      body: `${call("fd_pwrite", FD, VECTOR, 1, FULL, ANSWER)}${call("fd_filestat_set_size", FD, 0)}`,
    }),
    { setup: vectors(1) },
  ),
  program(
    "fd_pwrite 1 byte at the end of 16 MiB",
    20_000,
    ({ call, open }) => ({
      setup: `${open("out/a", CREATE)}${call("fd_allocate", FD, 0, FULL)}`,
      body: call("fd_pwrite", FD, VECTOR, 1, FULL - 1, ANSWER),
    }),
    { setup: vectors(1) },
  ),
  program(
    "fd_write 1 byte, appended",
    100_000,
    ({ call, open }) => ({
      setup: open("tmp/a", CREATE),
      body: call("fd_write", FD, VECTOR, 1, ANSWER),
    }),
    { setup: vectors(1) },
  ),
  program(
    "fd_pwrite 1 MiB",
    100,
    ({ call, open }) => ({ setup: open("tmp/a", CREATE), body: call("fd_pwrite", FD, VECTOR, 1, 0, ANSWER) }),
    { setup: vectors(MIB) },
  ),
];

const CONTENTS: readonly Program[] = [
  named("fd_write of nothing", "fd_write", 1, VECTOR, 0, ANSWER),
  named("fd_write to a bad descriptor", "fd_write", 99, VECTOR, 1, ANSWER),
  { ...named("fd_write of 1 byte", "fd_write", 1, VECTOR, 1, ANSWER), setup: vectors(1) },
  ...[0, 1, 64].map((length) =>
    program(
      `fd_write of 1,024 buffers of ${length}`,
      100,
      ({ call, open }) => ({
        setup: open("tmp/a", CREATE),
        body: call("fd_pwrite", FD, VECTOR, 1_024, 0, ANSWER),
      }),
      { setup: vectors(length) },
    ),
  ),
  ...[0, 1, 64].map((length) =>
    program(
      `fd_pread of 1,024 buffers of ${length}`,
      100,
      ({ call, open }) => ({ setup: open("in/a", 0, 6), body: call("fd_pread", FD, VECTOR, 1_024, 0, ANSWER) }),
      { setup: vectors(length), input: new Uint8Array(MIB) },
    ),
  ),
  program(
    "fd_read of 1 MiB",
    100,
    ({ call, open }) => ({ setup: open("in/a", 0, 6), body: call("fd_pread", FD, VECTOR, 1, 0, ANSWER) }),
    { setup: vectors(MIB), input: new Uint8Array(MIB) },
  ),
  program("fd_read of stdin, 1,024 buffers", 100, ({ call }) => ({ body: call("fd_read", 0, VECTOR, 1_024, ANSWER) }), {
    setup: vectors(1),
  }),
  program(
    "fd_write to /dev/null, 1,024 buffers of 64",
    100,
    ({ call, open }) => ({ setup: open("dev/null"), body: call("fd_write", FD, VECTOR, 1_024, ANSWER) }),
    { setup: vectors(64) },
  ),
  program(
    "fd_read of /dev/urandom, 1,024 buffers of 1",
    100,
    ({ call, open }) => ({ setup: open("dev/urandom"), body: call("fd_read", FD, VECTOR, 1_024, ANSWER) }),
    { setup: vectors(1) },
  ),
];

const many = (folder: string) => (text: Text) => text.many(folder, 4_000);
const PATHS: readonly Program[] = [
  named("path_filestat_get of a path of 2,000 parts", "path_filestat_get", ROOT, 0, "./".repeat(2_000), ANSWER),
  named("path_filestat_get of what is not there", "path_filestat_get", ROOT, 0, "nowhere", ANSWER),
  named("path_filestat_get of 255 bytes", "path_filestat_get", ROOT, 0, "n".repeat(255), ANSWER),
  named("path_open of what is not there", "path_open", ROOT, 0, "nowhere", 0, 0, 0, 0, ANSWER),
  program("path_filestat_get of 1,300 names among 4,000", 20, (text) => ({
    setup: `${many("out")(text)}${text.call("path_create_directory", ROOT, "out/d")}`,
    body: text.call("path_filestat_get", ROOT, 0, `out/${"d/../".repeat(800)}d`, ANSWER),
  })),
  program("path_filestat_get 16 deep", 2_000, ({ call }) => ({
    setup: Array.from({ length: 16 }, (_, i) => call("path_create_directory", ROOT, `out${"/d".repeat(i + 1)}`)).join(
      "",
    ),
    body: call("path_filestat_get", ROOT, 0, `out${"/d".repeat(16)}`, ANSWER),
  })),
  program("path_filestat_get 60 deep in /tmp, and made there", 2_000, ({ call }) => ({
    setup: Array.from({ length: 60 }, (_, i) => call("path_create_directory", ROOT, `tmp${"/d".repeat(i + 1)}`)).join(
      "",
    ),
    body: `${call("path_create_directory", ROOT, `tmp${"/d".repeat(60)}/e`)}${call("path_remove_directory", ROOT, `tmp${"/d".repeat(60)}/e`)}`,
  })),
  program("path_filestat_get through 32 links", 200, ({ call }) => ({
    setup: call("path_symlink", ".", ROOT, "out/l"),
    body: call("path_filestat_get", ROOT, 0, `out${"/l".repeat(32)}/x`, ANSWER),
  })),
  program("path_filestat_get through links of 4,000 bytes", 20, ({ call }) => ({
    setup: call("path_symlink", "./".repeat(2_000), ROOT, "out/l"),
    body: call("path_filestat_get", ROOT, 0, `out${"/l".repeat(32)}/x`, ANSWER),
  })),
  program("path_filestat_get through links of 1,300 names", 20, (text) => ({
    setup: `${many("out")(text)}${text.call("path_create_directory", ROOT, "out/d")}${text.call("path_symlink", `${"d/../".repeat(780)}.`, ROOT, "out/l")}`,
    body: text.call("path_filestat_get", ROOT, 0, `out${"/l".repeat(32)}/x`, ANSWER),
  })),
  program("path_filestat_get in a loop of links", 200, ({ call }) => ({
    setup: call("path_symlink", "l", ROOT, "out/l"),
    body: call("path_filestat_get", ROOT, 1, "out/l", ANSWER),
  })),
  program("path_symlink of 4,000 bytes, unlink", 500, ({ call }) => ({
    body: `${call("path_symlink", "x".repeat(4_000), ROOT, "tmp/l")}${call("path_unlink_file", ROOT, "tmp/l")}`,
  })),
  program("path_readlink of 4,000 bytes", 2_000, ({ call }) => ({
    setup: call("path_symlink", "x".repeat(4_000), ROOT, "out/l"),
    body: call("path_readlink", ROOT, "out/l", BUFFER, 1, ANSWER),
  })),
  program("path_link, unlink", 5_000, ({ call, open }) => ({
    setup: open("out/f", CREATE),
    body: `${call("path_link", ROOT, 0, "out/f", ROOT, "out/g")}${call("path_unlink_file", ROOT, "out/g")}`,
  })),
  program("path_open, fd_close", 5_000, ({ call, openFolder }) => ({
    body: `${openFolder("in")}${call("fd_close", FD)}`,
  })),
  program("path_open with 1,000 open", 5_000, ({ call, openFolder }) => ({
    setup: repeat(1_000, openFolder("in")),
    body: `${openFolder("in")}${call("fd_close", FD)}`,
  })),
  program("path_open with all open", 5_000, ({ openFolder }) => ({
    setup: repeat(1_024, openFolder("in")),
    body: openFolder("in"),
  })),
  program("fd_renumber", 5_000, ({ call, open, openFolder }) => ({
    setup: `${openFolder("in")}${open("out/a", CREATE)}`,
    body: `${open("out/a")}${call("fd_renumber", FD, 4)}`,
  })),
  program("path_create_directory, remove", 5_000, ({ call }) => ({
    body: `${call("path_create_directory", ROOT, "out/d")}${call("path_remove_directory", ROOT, "out/d")}`,
  })),
  program("path_create_directory, remove, first of 4,000", 5_000, (text) => ({
    setup: many("out")(text),
    body: `${text.call("path_create_directory", ROOT, "out/A")}${text.call("path_remove_directory", ROOT, "out/A")}`,
  })),
  program("path_rename of a file over a file", 5_000, ({ call, open }) => ({
    setup: open("out/f", CREATE),
    body: `${open("out/g", CREATE)}${call("fd_close", FD)}${call("path_rename", ROOT, "out/g", ROOT, "out/f")}`,
  })),
  program("path_rename of a file of 16 MiB over another", 20, ({ call, open }) => ({
    body: `${open("tmp/g", CREATE)}${call("fd_allocate", FD, 0, FULL)}${call("fd_close", FD)}${call("path_rename", ROOT, "tmp/g", ROOT, "tmp/f")}`,
  })),
  program("path_rename in a directory of 4,000", 5_000, (text) => ({
    setup: `${many("out")(text)}${text.call("path_create_directory", ROOT, "out/z")}`,
    body: `${text.call("path_rename", ROOT, "out/z", ROOT, "out/A")}${text.call("path_rename", ROOT, "out/A", ROOT, "out/z")}`,
  })),
  program("path_rename of a directory of 4,000", 200, (text) => ({
    setup: `${text.call("path_create_directory", ROOT, "out/d")}${many("out/d")(text)}`,
    body: `${text.call("path_rename", ROOT, "out/d", ROOT, "out/e")}${text.call("path_rename", ROOT, "out/e", ROOT, "out/d")}`,
  })),
  program("path_rename of 4,000 to a full directory", 200, (text) => ({
    setup: `${text.call("path_create_directory", ROOT, "out/d")}${many("out/d")(text)}${text.call("path_create_directory", ROOT, "out/e")}${text.call("path_create_directory", ROOT, "out/e/e")}`,
    body: text.call("path_rename", ROOT, "out/d", ROOT, "out/e"),
  })),
  program("path_filestat_set_times", 20_000, ({ call }) => ({
    body: call("path_filestat_set_times", ROOT, 0, "out", -1, -1, 5),
  })),
];

const readdir = (name: string, times: number, length: number, cookie: string): Program =>
  program(`fd_readdir of 4,000 entries, ${name}`, times, (text) => ({
    setup: `${many("out")(text)}${text.openFolder("out")}`,
    body: text.call("fd_readdir", FD, BUFFER, length, cookie, ANSWER),
  }));

const OTHERS: readonly Program[] = [
  single("sched_yield"),
  single("clock_res_get", 1, ANSWER),
  single("clock_time_get", 1, 0, ANSWER),
  ...(
    [
      ["1 byte", 20_000, 1],
      ["4 KiB", 500, 4_096],
      ["1 MiB", 4, MIB],
    ] as const
  ).map(([name, times, length]) =>
    program(`random_get of ${name}`, times, ({ call }) => ({ body: call("random_get", BUFFER, length) })),
  ),
  single("args_sizes_get", ANSWER, ANSWER),
  program("args_get of 1,024 empty arguments", 200, ({ call }) => ({ body: call("args_get", BUFFER, VECTOR) }), {
    args: Array<string>(TASK_LIMITS.arguments).fill(""),
  }),
  program("args_get of 64 KiB", 2_000, ({ call }) => ({ body: call("args_get", BUFFER, VECTOR) }), {
    args: ["x".repeat(TASK_LIMITS.argumentBytes - 1)],
  }),
  program("environ_get of 16,000 variables", 20, ({ call }) => ({ body: call("environ_get", BUFFER, VECTOR) }), {
    environment: Array<string>(16_000).fill("A=1"),
  }),
  single("fd_prestat_get", ROOT, ANSWER),
  single("fd_prestat_dir_name", ROOT, ANSWER, 1),
  single("fd_fdstat_get", 1, ANSWER),
  single("fd_fdstat_set_flags", 1, 0),
  single("fd_filestat_get", 1, ANSWER),
  single("fd_fdstat_set_rights", ROOT, -1, -1),
  single("fd_advise", 1, 0, 0, 0),
  single("fd_sync", 1),
  single("fd_close", 99),
  single("sock_shutdown", 1, 0),
  single("proc_raise", 1),
  program("fd_seek", 20_000, ({ call, open }) => ({
    setup: open("out/a", CREATE),
    body: call("fd_seek", FD, 0, 2, ANSWER),
  })),
  program("fd_tell", 20_000, ({ call, open }) => ({ setup: open("out/a", CREATE), body: call("fd_tell", FD, ANSWER) })),
  program("fd_filestat_set_times", 20_000, ({ call, open }) => ({
    setup: open("out/a", CREATE),
    body: call("fd_filestat_set_times", FD, -1, -1, 10),
  })),
  ...(
    [
      ["1 clock", 20_000, 1, 0, 0],
      ["4,096 clocks", 20, 4_096, 0, 0],
      ["4,096 streams", 20, 4_096, 2, 1],
      ["4,096 bad descriptors", 20, 4_096, 1, 99],
    ] as const
  ).map(([name, times, count, tag, fd]) =>
    program(
      `poll_oneoff of ${name}`,
      times,
      ({ call }) => ({ body: call("poll_oneoff", VECTOR, BUFFER, count, ANSWER) }),
      { setup: subscriptions(tag, fd) },
    ),
  ),
  readdir("one a call", 2_000, 32, "(i64.extend_i32_u (local.get $i))"),
  readdir("all in a call", 20, 400_000, "(i64.const 0)"),
  readdir("one byte from the start", 100, 1, "(i64.const 0)"),
  readdir("a cookie beyond them", 5_000, 400_000, "(i64.const -1)"),
  readdir("one byte of the last", 5_000, 1, "(i64.const 4001)"),
];

export const HOST_CALLS: readonly Program[] = [...OTHERS, ...CONTENTS, ...CHANGES, ...PATHS];

/** A whole task, whose price is all that it pays: its start, its run, the root of its memory, its results. */
export interface WholeTask {
  readonly name: string;
  readonly text: string;
  readonly input?: Uint8Array;
}

const whole = (name: string, times: number, write: (text: Text) => Source, pages?: number): WholeTask => ({
  name,
  text: textOf(times, write, pages),
});
const vectorOf = (length: number): string =>
  `(i32.store (i32.const ${VECTOR}) (i32.const ${BUFFER})) (i32.store (i32.const ${VECTOR + 4}) (i32.const ${length}))`;

export const WHOLE_TASKS: readonly WholeTask[] = [
  whole("an empty job", 1, () => ({ body: "" })),
  whole(
    "a store in each page of 256 MiB",
    4_096,
    () => ({
      body: "(i32.store (i32.mul (i32.sub (local.get $i) (i32.const 1)) (i32.const 65536)) (i32.const 1))",
    }),
    4_096,
  ),
  whole("16 MiB of standard output", 15, ({ call }) => ({
    body: `${vectorOf(MIB)}${call("fd_write", 1, VECTOR, 1, ANSWER)}`,
  })),
  whole("4,000 files of one byte", 4_000, ({ call, numbered }) => ({
    body: `${numbered("out/aaaaaaaa", "(local.get $i)", (at, length) => call("path_open", ROOT, 0, at, length, CREATE, -1, -1, 0, OPENED))}
      ${vectorOf(1)}${call("fd_write", FD, VECTOR, 1, ANSWER)}${call("fd_close", FD)}`,
  })),
  whole("4,000 files of 4 KiB", 3_800, ({ call, numbered }) => ({
    body: `${numbered("out/aaaaaaaa", "(local.get $i)", (at, length) => call("path_open", ROOT, 0, at, length, CREATE, -1, -1, 0, OPENED))}
      ${vectorOf(4_096)}${call("fd_write", FD, VECTOR, 1, ANSWER)}${call("fd_close", FD)}`,
  })),
  whole("4,000 empty directories", 4_000, ({ call, numbered }) => ({
    body: numbered("out/aaaaaaaa", "(local.get $i)", (at, length) => call("path_create_directory", ROOT, at, length)),
  })),
  whole("60 MiB left in /tmp", 60, ({ call, open }) => ({
    body: `${open("tmp/a", CREATE)}${vectorOf(MIB)}${call("fd_pwrite", FD, VECTOR, 1, "(i64.mul (i64.extend_i32_u (i32.sub (local.get $i) (i32.const 1))) (i64.const 1048576))", ANSWER)}`,
  })),
  { ...whole("256 MiB of input, not read", 1, () => ({ body: "" })), input: new Uint8Array(TASK_LIMITS.inputBytes) },
];
