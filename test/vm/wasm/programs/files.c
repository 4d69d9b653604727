// Exercises the file calls: reads /in, makes a tree in /out, renames, removes, lists, and reports on standard output.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void list(const char *path) {
  DIR *dir = opendir(path);
  if (!dir) {
    printf("%s: %s\n", path, strerror(errno));
    return;
  }
  printf("%s:", path);
  for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) printf(" %s", entry->d_name);
  printf("\n");
  closedir(dir);
}

int main(int argc, char **argv) {
  for (int i = 0; i < argc; i++) printf("arg %d %s\n", i, argv[i]);
  printf("task %s, file %s\n", getenv("IEXEC_TASK_ID"), getenv("IEXEC_INPUT_FILE_NAME_1"));
  printf("stdin %d\n", getchar());
  char line[64];
  FILE *in = fopen("/in/book.csv", "r");
  while (fgets(line, sizeof line, in)) printf("line %s", line);
  fseek(in, 2, SEEK_SET);
  printf("seek %c tell %ld\n", fgetc(in), ftell(in));
  fclose(in);
  printf("write to /in: %s\n", fopen("/in/book.csv", "r+") ? "ok" : strerror(errno));
  printf("new in /: %s\n", fopen("/x", "w") ? "ok" : strerror(errno));
  printf("escape: %s\n", fopen("../../etc/passwd", "r") ? "ok" : strerror(errno));
  mkdir("/out/b", 0777);
  mkdir("out/a", 0777);
  mkdir("/out/empty", 0777);
  for (int i = 0; i < 300; i++) {
    char name[32];
    snprintf(name, sizeof name, "/out/a/f%d", i);
    FILE *out = fopen(name, "w");
    fprintf(out, "%d\n", i);
    fclose(out);
    if (i >= 3) unlink(name);
  }
  rename("/out/a/f0", "/out/b/moved");
  rename("/out/a", "/out/c");
  printf("rename into itself: %d %s\n", rename("/out/c", "/out/c/d"), strerror(errno));
  printf("rmdir full: %d %s\n", rmdir("/out/c"), strerror(errno));
  FILE *log = fopen("/out/log", "w");
  fputs("0123456789", log);
  fflush(log);
  ftruncate(fileno(log), 4);
  fclose(log);
  log = fopen("/out/log", "a");
  fputs("end", log);
  fclose(log);
  FILE *hidden = fopen("/out/.hidden", "w+");
  fputs("x", hidden);
  fseek(hidden, 5, SEEK_SET);
  fputs("y", hidden);
  rewind(hidden);
  printf("gap %zu\n", fread(line, 1, sizeof line, hidden));
  fclose(hidden);
  struct stat info;
  stat("/out/log", &info);
  printf("log %lld %d\n", (long long)info.st_size, S_ISREG(info.st_mode));
  symlink("c/f1", "/out/link");
  char target[16] = {0};
  printf("link %zd %s", readlink("/out/link", target, sizeof target), target);
  FILE *linked = fopen("/out/link", "r");
  printf(" to %c\n", fgetc(linked));
  fclose(linked);
  printf("absolute link: %d %s\n", symlink("/in", "/out/up"), strerror(errno));
  symlink("../in/book.csv", "/out/in");
  printf("link to /in: %s\n", fopen("/out/in", "r+") ? "ok" : strerror(errno));
  printf("hard link %d, of /in %d\n", link("/out/log", "/out/log2"), link("/in/book.csv", "/out/book"));
  struct timespec times[2] = {{5, 0}, {6, 7}};
  utimensat(AT_FDCWD, "/out/log", times, 0);
  stat("/out/log2", &info);
  printf("time %lld.%ld, links %d\n", (long long)info.st_mtim.tv_sec, info.st_mtim.tv_nsec, (int)info.st_nlink);
  list("/");
  list("/out");
  list("/out/c");
  list("/nowhere");
  printf("time %lld\n", (long long)time(0));
  struct timespec nap = {2, 0};
  nanosleep(&nap, 0);
  printf("time %lld\n", (long long)time(0));
  unsigned char bytes[4];
  getentropy(bytes, 4);
  printf("random %02x%02x%02x%02x\n", bytes[0], bytes[1], bytes[2], bytes[3]);
  fprintf(stderr, "done\n");
  return 0;
}
