// The world of a rolec job for AssemblyScript: arguments, environment, files below /in and /out, standard streams.
// Calls end the job with exit code 1 and a line on standard error where they fail.

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "args_sizes_get")
declare function args_sizes_get(count: usize, size: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "args_get")
declare function args_get(pointers: usize, bytes: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "environ_sizes_get")
declare function environ_sizes_get(count: usize, size: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "environ_get")
declare function environ_get(pointers: usize, bytes: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "path_open")
declare function path_open(
  fd: i32,
  lookup: i32,
  path: usize,
  length: usize,
  flags: i32,
  rights: u64,
  inheriting: u64,
  fdFlags: i32,
  opened: usize,
): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "path_create_directory")
declare function path_create_directory(fd: i32, path: usize, length: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_filestat_get")
declare function fd_filestat_get(fd: i32, stat: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_readdir")
declare function fd_readdir(fd: i32, buffer: usize, size: usize, cookie: u64, used: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_read")
declare function fd_read(fd: i32, vectors: usize, count: i32, done: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_write")
declare function fd_write(fd: i32, vectors: usize, count: i32, done: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_close")
declare function fd_close(fd: i32): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "proc_exit")
declare function proc_exit(code: i32): void;

const ROOT: i32 = 3;
const CREATE: i32 = 1;
const DIRECTORY: i32 = 2;
const TRUNCATE: i32 = 8;
const FD_READ: u64 = 1 << 1;
const FD_WRITE: u64 = 1 << 6;
const FD_READDIR: u64 = 1 << 14;
const FD_FILESTAT_GET: u64 = 1 << 21;
const EXIST: i32 = 20;
const DIRENT: usize = 24;

/** Numbers that calls answer with, a filestat, and a vector: no call needs two at a time. */
const SCRATCH: usize = memory.data(64, 8);

/** Ends the job with an exit code. */
export function exit(code: i32): void {
  proc_exit(code);
}

function writeAll(fd: i32, bytes: usize, size: usize): i32 {
  while (size > 0) {
    store<usize>(SCRATCH, bytes);
    store<usize>(SCRATCH, size, 4);
    const error = fd_write(fd, SCRATCH, 1, SCRATCH + 8);
    if (error) return error;
    const done = load<usize>(SCRATCH, 8);
    bytes += done;
    size -= done;
  }
  return 0;
}

function say(fd: i32, text: string): void {
  const bytes = String.UTF8.encode(text);
  writeAll(fd, changetype<usize>(bytes), <usize>bytes.byteLength);
}

/** Writes a line on standard output. */
export function print(text: string): void {
  say(1, text + "\n");
}

/** Writes a line on standard error. */
export function printError(text: string): void {
  say(2, text + "\n");
}

function check(error: i32, what: string): void {
  if (error == 0) return;
  printError(what + ": errno " + error.toString());
  exit(1);
}

/** What the compiler calls where a program fails: give it `--use abort=assembly/rolec/abort`. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const where = file === null ? "" : file + ":" + line.toString() + ":" + column.toString() + ": ";
  printError(where + (message === null ? "abort" : message));
  exit(1);
}

function strings(count: i32, size: i32, isEnvironment: bool): string[] {
  const pointers = new ArrayBuffer(4 * count);
  const bytes = new ArrayBuffer(size);
  const at = changetype<usize>(pointers);
  const error = isEnvironment
    ? environ_get(at, changetype<usize>(bytes))
    : args_get(at, changetype<usize>(bytes));
  check(error, "the texts of the job");
  const out: string[] = [];
  for (let i = 0; i < count; i++) {
    const start = load<usize>(at + 4 * i);
    const end = i + 1 < count ? load<usize>(at + 4 * (i + 1)) : changetype<usize>(bytes) + size;
    out.push(String.UTF8.decodeUnsafe(start, end - start - 1));
  }
  return out;
}

/** Gives the arguments, without the program's name. */
export function args(): string[] {
  check(args_sizes_get(SCRATCH, SCRATCH + 4), "arguments");
  return strings(load<i32>(SCRATCH), load<i32>(SCRATCH, 4), false).slice(1);
}

/** Gives a variable of the environment, e.g. IEXEC_BOT_TASK_INDEX; null where there is none. */
export function env(name: string): string | null {
  check(environ_sizes_get(SCRATCH, SCRATCH + 4), "environment");
  const all = strings(load<i32>(SCRATCH), load<i32>(SCRATCH, 4), true);
  for (let i = 0; i < all.length; i++) if (all[i].startsWith(name + "=")) return all[i].substring(name.length + 1);
  return null;
}

function relative(path: string): string {
  return path == "/" ? "." : path.startsWith("/") ? path.substring(1) : path;
}

function open(path: string, flags: i32, rights: u64): i32 {
  const name = String.UTF8.encode(relative(path));
  const error = path_open(ROOT, 1, changetype<usize>(name), name.byteLength, flags, rights, 0, 0, SCRATCH);
  check(error, path);
  return load<i32>(SCRATCH);
}

/** Reads a whole file, e.g. `/in/data.csv`. */
export function readFile(path: string): Uint8Array {
  const fd = open(path, 0, FD_READ | FD_FILESTAT_GET);
  check(fd_filestat_get(fd, SCRATCH), path);
  const out = new Uint8Array(<i32>load<u64>(SCRATCH, 32));
  let at: usize = 0;
  while (at < <usize>out.length) {
    store<usize>(SCRATCH, out.dataStart + at);
    store<usize>(SCRATCH, <usize>out.length - at, 4);
    check(fd_read(fd, SCRATCH, 1, SCRATCH + 8), path);
    const done = load<usize>(SCRATCH, 8);
    if (done == 0) break;
    at += done;
  }
  fd_close(fd);
  return out;
}

/** Reads a whole file of UTF-8 text. */
export function readText(path: string): string {
  const bytes = readFile(path);
  return String.UTF8.decodeUnsafe(bytes.dataStart, bytes.length);
}

function write(path: string, bytes: usize, size: usize): void {
  const fd = open(path, CREATE | TRUNCATE, FD_WRITE);
  check(writeAll(fd, bytes, size), path);
  fd_close(fd);
}

/** Writes a whole file, e.g. `/out/result.bin`. */
export function writeFile(path: string, bytes: Uint8Array): void {
  write(path, bytes.dataStart, <usize>bytes.length);
}

/** Writes a whole file of UTF-8 text. */
export function writeText(path: string, text: string): void {
  const bytes = String.UTF8.encode(text);
  write(path, changetype<usize>(bytes), <usize>bytes.byteLength);
}

/** Makes a directory below `/out`; one that is there stays. */
export function makeDirectory(path: string): void {
  const name = String.UTF8.encode(relative(path));
  const error = path_create_directory(ROOT, changetype<usize>(name), name.byteLength);
  if (error != EXIST) check(error, path);
}

/** Lists the names in a directory, in the order of their bytes. */
export function list(path: string): string[] {
  const fd = open(path, DIRECTORY, FD_READDIR);
  const buffer = new ArrayBuffer(4096);
  const start = changetype<usize>(buffer);
  const out: string[] = [];
  let cookie: u64 = 0;
  let isLast = false;
  while (!isLast) {
    check(fd_readdir(fd, start, buffer.byteLength, cookie, SCRATCH), path);
    const used = load<usize>(SCRATCH);
    isLast = used < <usize>buffer.byteLength;
    let at: usize = 0;
    while (at + DIRENT <= used) {
      const size = load<u32>(start + at, 16);
      if (at + DIRENT + size > used) break;
      const name = String.UTF8.decodeUnsafe(start + at + DIRENT, size);
      if (name != "." && name != "..") out.push(name);
      cookie = load<u64>(start + at);
      at += DIRENT + size;
    }
  }
  fd_close(fd);
  return out;
}
