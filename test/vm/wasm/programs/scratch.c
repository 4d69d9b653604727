// What programs do with temporary files: in $TMPDIR, /dev/null and the other devices.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int copy(const char *from, const char *to) {
  FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
  char buffer[64];
  size_t n;
  while ((n = fread(buffer, 1, sizeof buffer, in)) > 0) fwrite(buffer, 1, n, out);
  fclose(in);
  return fclose(out);
}

int main(void) {
  char path[64];
  // mkstemp's way, which wasi-libc does not have: a name that nobody has yet.
  snprintf(path, sizeof path, "%s/job-%d", getenv("TMPDIR"), 1);
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  printf("new %d, again %d %s\n", fd >= 0, open(path, O_RDWR | O_CREAT | O_EXCL, 0600), strerror(errno));
  // tmpfile's way: a file without a name lives as long as it is open.
  FILE *file = fdopen(fd, "w+");
  printf("unlink %d\n", unlink(path));
  fputs("kept", file);
  rewind(file);
  char word[8] = "";
  printf("read %s %s\n", fgets(word, sizeof word, file), access(path, F_OK) ? "gone" : "there");
  fclose(file);

  file = fopen("/tmp/result", "w");
  fputs("result\n", file);
  fclose(file);
  int moved = rename("/tmp/result", "/out/result");
  printf("rename %d %s\n", moved, strerror(errno));
  if (moved != 0) copy("/tmp/result", "/out/result"), unlink("/tmp/result");

  file = fopen("/dev/null", "r+");
  printf("null: put %d, flush %d, get %d\n", fputs("away", file) >= 0, fflush(file), fgetc(file));
  struct stat status;
  printf("null: stat %d, device %d, tty %d\n", fstat(fileno(file), &status), S_ISCHR(status.st_mode) != 0, isatty(fileno(file)));
  fclose(file);
  file = fopen("/dev/null", "w");
  printf("null: opened to write %d\n", file != NULL);
  unsigned char random[4];
  file = fopen("/dev/urandom", "rb");
  setvbuf(file, NULL, _IONBF, 0);
  printf("random %zu\n", fread(random, 1, 4, file));
  fflush(stdout);
  file = fopen("/dev/stdout", "w");
  fputs("by /dev/stdout\n", file);
  fclose(file);
  file = fopen("/dev/stdin", "r");
  printf("stdin %d\n", fgetc(file));

  // Until there is no room; a program can go on from that.
  static char block[1 << 20];
  fd = open("/tmp/full", O_WRONLY | O_CREAT, 0600);
  int blocks = 0;
  while (write(fd, block, sizeof block) == sizeof block) blocks++;
  printf("full after %d MiB: %s\n", blocks, strerror(errno));
  close(fd);
  printf("unlink %d\n", unlink("/tmp/full"));
  return 0;
}
