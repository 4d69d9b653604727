#include "job.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

const char *environment(const char *name, const char *absent) {
  const char *value = getenv(name);
  return value && *value ? value : absent;
}

int read_number(const char *text, double *number) {
  char *end;
  /* strtod also takes hexadecimal numbers, infinities and NaN, which no spreadsheet writes. */
  if (!*text || strspn(text, "0123456789+-.eE") != strlen(text)) return 0;
  *number = strtod(text, &end);
  return *end == 0 && isfinite(*number);
}

double number_between(const char *name, const char *text, double least, double most, int whole) {
  double number;
  if (!read_number(text, &number)) fail(name, " must be a finite number, got ", *text ? text : "nothing", NULL);
  if (whole && number != floor(number)) fail(name, " must be a whole number, got ", text, NULL);
  if (number >= least && number <= most) return number;
  struct text range = {0};
  add_shortest(&range, least, 6);
  add(&range, " to ");
  add_shortest(&range, most, 6);
  fail(name, " must be from ", as_string(&range), ", got ", text, NULL);
}

uint64_t read_seed(const char *text) {
  uint64_t seed = 0;
  if (!*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 15)
    fail("--seed must be a whole number of at most 15 digits, got ", *text ? text : "nothing", NULL);
  for (; *text; text++) seed = 10 * seed + (uint64_t)(*text - '0');
  return seed;
}

struct bag read_bag(int tasks) {
  double first = number_between("IEXEC_BOT_FIRST_INDEX", environment("IEXEC_BOT_FIRST_INDEX", "0"), 0, 1e9, 1);
  double index = number_between("IEXEC_BOT_TASK_INDEX", environment("IEXEC_BOT_TASK_INDEX", "0"), 0, 1e9, 1);
  double size = number_between("IEXEC_BOT_SIZE", environment("IEXEC_BOT_SIZE", "1"), 1, 1e9, 1);
  /* A request may be met by several deals: --tasks counts the tasks of all, and then their indexes need no base. */
  if (tasks == 0) index -= first;
  else size = tasks;
  if (index < 0 || index >= size) fail("the index of the task is not within the bag", NULL);
  return (struct bag){.index = (int)index, .size = (int)size};
}

double number_of_task(const char *name, const char *text, struct bag bag, double least, double most, int whole) {
  char part[32];
  int separators = 0, ranges = 0;
  for (const char *c = text; *c; c++) {
    separators += *c == ',' || *c == ':';
    ranges += *c == ':';
  }
  if (separators == 0) return number_between(name, text, least, most, whole);
  if (ranges > 1 || (ranges == 1 && separators > 1)) fail(name, " must be a number, A:B or a list A,B,…, got ", text, NULL);
  if (ranges == 0 && separators + 1 != bag.size)
    fail(name, " must list one number for each task of the bag, got ", text, NULL);
  double number = 0, earlier = 0;
  for (int i = 0; i <= separators; i++) {
    size_t length = strcspn(text, ",:");
    if (length >= sizeof part) fail(name, " must be a finite number, got ", text, NULL);
    memcpy(part, text, length);
    part[length] = 0;
    text += length + 1;
    earlier = number;
    number = number_between(name, part, least, most, whole);
    if (ranges == 0 && i == bag.index) return number;
  }
  if (bag.size > 1) number = earlier + (number - earlier) * bag.index / (bag.size - 1);
  else number = earlier;
  return whole ? floor(number + 0.5) : number;
}

int ends_in(const char *name, const char *ending) {
  size_t length = strlen(name), end = strlen(ending);
  return length > end && strcmp(name + length - end, ending) == 0;
}

const char *input_name(int i) {
  struct text name = {0};
  add(&name, "IEXEC_INPUT_FILE_NAME_");
  add_number(&name, i, 0);
  const char *file = environment(as_string(&name), NULL);
  free(name.bytes);
  return file;
}

const char *find_input(const char *folder, const char *ending) {
  static char found[256];
  const char *name;
  for (int i = 1; (name = input_name(i)); i++)
    if (ends_in(name, ending)) return name;
  found[0] = 0;
  DIR *directory = opendir(folder);
  for (struct dirent *entry; directory && (entry = readdir(directory));)
    if (ends_in(entry->d_name, ending) && strlen(entry->d_name) < sizeof found &&
        (!*found || strcmp(entry->d_name, found) < 0))
      strcpy(found, entry->d_name);
  if (directory) closedir(directory);
  return *found ? found : NULL;
}

char *read_file(const char *folder, const char *name, size_t most, size_t *length) {
  struct text path = {0};
  add(&path, folder);
  add(&path, "/");
  add(&path, name);
  int file = open(as_string(&path), O_RDONLY);
  if (file < 0) fail("cannot read ", path.bytes, NULL);
  size_t capacity = 65536;
  char *bytes = allocate(capacity + 1, 1);
  *length = 0;
  for (ssize_t got; (got = read(file, bytes + *length, capacity - *length)) != 0;) {
    if (got < 0) fail("cannot read ", path.bytes, NULL);
    *length += (size_t)got;
    if (*length > most) {
      struct text size = {0};
      add_shortest(&size, (double)most / (1 << 20), 2);
      fail(name, ": is larger than ", as_string(&size), " MiB", NULL);
    }
    if (*length < capacity) continue;
    bytes = realloc(bytes, 2 * capacity + 1);
    if (!bytes) fail("not enough memory", NULL);
    capacity *= 2;
  }
  close(file);
  free(path.bytes);
  bytes[*length] = 0;
  return bytes;
}
