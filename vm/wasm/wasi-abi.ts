/** Numbers of errors in WASI preview 1. */
export const ERRNO = {
  success: 0,
  badf: 8,
  exist: 20,
  fault: 21,
  ilseq: 25,
  inval: 28,
  isdir: 31,
  mfile: 33,
  nametoolong: 37,
  noent: 44,
  nosys: 52,
  notdir: 54,
  notempty: 55,
  overflow: 61,
  perm: 63,
  rofs: 69,
  spipe: 70,
  notcapable: 76,
} as const;

/** Kinds of files. */
export const FILETYPE = { characterDevice: 2, directory: 3, regularFile: 4 } as const;

/** Flags of path_open. */
export const OFLAG = { create: 1, directory: 2, exclusive: 4, truncate: 8 } as const;
export const FDFLAG = { append: 1, dsync: 2, nonblock: 4, rsync: 8, sync: 16 } as const;
export const RIGHT = { fdRead: 1n << 1n, fdWrite: 1n << 6n } as const;
/** All the rights of preview 1: 30 bits. */
export const ALL_RIGHTS = (1n << 30n) - 1n;

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
