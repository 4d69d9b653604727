/** Numbers of errors in WASI preview 1. */
export const ERRNO = {
  success: 0,
  badf: 8,
  exist: 20,
  fault: 21,
  ilseq: 25,
  inval: 28,
  isdir: 31,
  loop: 32,
  mfile: 33,
  nametoolong: 37,
  noent: 44,
  nomem: 48,
  nospc: 51,
  nosys: 52,
  notdir: 54,
  notempty: 55,
  notsock: 57,
  overflow: 61,
  perm: 63,
  rofs: 69,
  spipe: 70,
  xdev: 75,
  notcapable: 76,
} as const;

/** Kinds of files. */
export const FILETYPE = { characterDevice: 2, directory: 3, regularFile: 4, symbolicLink: 7 } as const;

/** Flags of path_open, of descriptors, of path lookups, of setting times. */
export const OFLAG = { create: 1, directory: 2, exclusive: 4, truncate: 8 } as const;
export const FDFLAG = { append: 1, dsync: 2, nonblock: 4, rsync: 8, sync: 16 } as const;
export const FDFLAGS = 31;
export const LOOKUP = { follow: 1 } as const;
export const FSTFLAG = { accessed: 1, accessedNow: 2, modified: 4, modifiedNow: 8 } as const;

/** Rights of descriptors, by their bit. */
export const RIGHT = {
  fdDatasync: 1n << 0n,
  fdRead: 1n << 1n,
  fdSeek: 1n << 2n,
  fdFdstatSetFlags: 1n << 3n,
  fdSync: 1n << 4n,
  fdTell: 1n << 5n,
  fdWrite: 1n << 6n,
  fdAdvise: 1n << 7n,
  fdAllocate: 1n << 8n,
  pathCreateDirectory: 1n << 9n,
  pathCreateFile: 1n << 10n,
  pathLinkSource: 1n << 11n,
  pathLinkTarget: 1n << 12n,
  pathOpen: 1n << 13n,
  fdReaddir: 1n << 14n,
  pathReadlink: 1n << 15n,
  pathRenameSource: 1n << 16n,
  pathRenameTarget: 1n << 17n,
  pathFilestatGet: 1n << 18n,
  pathFilestatSetSize: 1n << 19n,
  pathFilestatSetTimes: 1n << 20n,
  fdFilestatGet: 1n << 21n,
  fdFilestatSetSize: 1n << 22n,
  fdFilestatSetTimes: 1n << 23n,
  pathSymlink: 1n << 24n,
  pathRemoveDirectory: 1n << 25n,
  pathUnlinkFile: 1n << 26n,
  pollFdReadwrite: 1n << 27n,
} as const;

/** Rights that change a file: none of a file that is read only. */
export const CHANGING_RIGHTS = RIGHT.fdWrite | RIGHT.fdAllocate | RIGHT.fdFilestatSetSize | RIGHT.fdFilestatSetTimes;
/** Rights that a regular file can have. */
export const FILE_RIGHTS =
  CHANGING_RIGHTS |
  RIGHT.fdDatasync |
  RIGHT.fdRead |
  RIGHT.fdSeek |
  RIGHT.fdFdstatSetFlags |
  RIGHT.fdSync |
  RIGHT.fdTell |
  RIGHT.fdAdvise |
  RIGHT.fdFilestatGet |
  RIGHT.pollFdReadwrite;
/** Rights that a directory can have. */
export const DIRECTORY_RIGHTS =
  RIGHT.fdDatasync |
  RIGHT.fdFdstatSetFlags |
  RIGHT.fdSync |
  RIGHT.fdReaddir |
  RIGHT.fdFilestatGet |
  RIGHT.fdFilestatSetTimes |
  RIGHT.pathCreateDirectory |
  RIGHT.pathCreateFile |
  RIGHT.pathLinkSource |
  RIGHT.pathLinkTarget |
  RIGHT.pathOpen |
  RIGHT.pathReadlink |
  RIGHT.pathRenameSource |
  RIGHT.pathRenameTarget |
  RIGHT.pathFilestatGet |
  RIGHT.pathFilestatSetSize |
  RIGHT.pathFilestatSetTimes |
  RIGHT.pathSymlink |
  RIGHT.pathRemoveDirectory |
  RIGHT.pathUnlinkFile;

/** The functions of preview 1 with their types: i is i32, I is i64; parameters, then results. */
export const WASI_SIGNATURES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    args_get: "ii>i",
    args_sizes_get: "ii>i",
    environ_get: "ii>i",
    environ_sizes_get: "ii>i",
    clock_res_get: "ii>i",
    clock_time_get: "iIi>i",
    fd_advise: "iIIi>i",
    fd_allocate: "iII>i",
    fd_close: "i>i",
    fd_datasync: "i>i",
    fd_fdstat_get: "ii>i",
    fd_fdstat_set_flags: "ii>i",
    fd_fdstat_set_rights: "iII>i",
    fd_filestat_get: "ii>i",
    fd_filestat_set_size: "iI>i",
    fd_filestat_set_times: "iIIi>i",
    fd_pread: "iiiIi>i",
    fd_prestat_get: "ii>i",
    fd_prestat_dir_name: "iii>i",
    fd_pwrite: "iiiIi>i",
    fd_read: "iiii>i",
    fd_readdir: "iiiIi>i",
    fd_renumber: "ii>i",
    fd_seek: "iIii>i",
    fd_sync: "i>i",
    fd_tell: "ii>i",
    fd_write: "iiii>i",
    path_create_directory: "iii>i",
    path_filestat_get: "iiiii>i",
    path_filestat_set_times: "iiiiIIi>i",
    path_link: "iiiiiii>i",
    path_open: "iiiiiIIii>i",
    path_readlink: "iiiiii>i",
    path_remove_directory: "iii>i",
    path_rename: "iiiiii>i",
    path_symlink: "iiiii>i",
    path_unlink_file: "iii>i",
    poll_oneoff: "iiii>i",
    proc_exit: "i>",
    proc_raise: "i>i",
    sched_yield: ">i",
    random_get: "ii>i",
    sock_accept: "iii>i",
    sock_recv: "iiiiii>i",
    sock_send: "iiiii>i",
    sock_shutdown: "ii>i",
  }),
);
