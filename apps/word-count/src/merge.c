#include "merge.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "unicode.h"

enum { MOST_FILE_BYTES = 64 << 20, MOST_PARTS = 256 };
static const uint64_t MOST_COUNT = 1ull << 53;

static _Noreturn void fail_line(const char *file, int line, const char *reason) {
  struct text number = {0};
  add_number(&number, line, 0);
  fail(file, ":", as_string(&number), ": ", reason, NULL);
}

/* Reads `-<part>-of-<parts>.csv` at the end of a name; answers 0 where it has no such end. */
static int read_part(const char *name, long *part, long *parts) {
  const char *at = strstr(name, "-of-");
  if (!at || at == name) return 0;
  const char *from = at;
  while (from > name && from[-1] >= '0' && from[-1] <= '9') from--;
  char *end;
  *part = strtol(from, &end, 10);
  if (from == at || end != at || from == name || from[-1] != '-') return 0;
  *parts = strtol(at + 4, &end, 10);
  return end != at + 4 && strcmp(end, ".csv") == 0;
}

static void check_parts(const char *const *names, int count) {
  char seen[MOST_PARTS + 1] = {0};
  long parts = 0;
  int named = 0;
  for (int i = 0; i < count; i++) {
    long part, of;
    if (!read_part(names[i], &part, &of)) continue;
    if (named++ == 0) parts = of;
    if (of != parts) fail(names[i], ": is of another bag than the parts before it", NULL);
    if (parts < 1 || parts > MOST_PARTS || part < 1 || part > parts) fail(names[i], ": is no part of a bag of at most 256", NULL);
    if (seen[part]) fail(names[i], ": this part is there twice", NULL);
    seen[part] = 1;
  }
  for (long part = 1; named && part <= parts; part++) {
    struct text missing = {0};
    if (seen[part]) continue;
    add_number(&missing, (double)part, 0);
    add(&missing, " of ");
    add_number(&missing, (double)parts, 0);
    fail("part ", as_string(&missing), " is missing among the input files", NULL);
  }
}

static void check_word(const char *file, int line, const char *word, size_t length) {
  if (length == 0) fail_line(file, line, "the word is empty");
  if (length > 65536) fail_line(file, line, "the word is longer than 65536 bytes");
  for (size_t at = 0; at < length;) {
    uint32_t character;
    int bytes = decode((const uint8_t *)word + at, length - at, &character);
    if (bytes == 0) fail_line(file, line, "is no UTF-8");
    if (character != '\'' && !is_part(character)) fail_line(file, line, "the word has a character that no word has");
    at += (size_t)bytes;
  }
}

static uint64_t read_count(const char *file, int line, const char *text) {
  uint64_t count = 0;
  if (!*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 16)
    fail_line(file, line, "the count must be a whole number");
  for (; *text; text++) count = 10 * count + (uint64_t)(*text - '0');
  if (count == 0 || count > MOST_COUNT) fail_line(file, line, "the count must be from 1 to 2^53");
  return count;
}

static void merge_file(const char *folder, const char *name, struct bag bag, struct words *words) {
  size_t length;
  char *csv = read_file(folder, name, MOST_FILE_BYTES, &length);
  if (memchr(csv, 0, length)) fail(name, ": is not a text", NULL);
  int number = 0;
  for (char *line = csv, *next; line; line = next) {
    number++;
    next = strchr(line, '\n');
    if (next) *next++ = 0;
    line[strcspn(line, "\r")] = 0;
    if (number == 1) {
      if (strcmp(line, "word,count") != 0) fail_line(name, number, "the first line must be word,count");
      continue;
    }
    if (!*line) continue;
    char *comma = strrchr(line, ',');
    if (!comma) fail_line(name, number, "a line has a word and a count");
    *comma = 0;
    size_t bytes = (size_t)(comma - line);
    check_word(name, number, line, bytes);
    uint64_t count = read_count(name, number, comma + 1);
    if (hash_of(line, bytes) % (uint32_t)bag.size == (uint32_t)bag.index) count_word(words, line, bytes, count);
    if (words->total > MOST_COUNT) fail_line(name, number, "the sum of all counts is above 2^53");
  }
  free(csv);
}

void merge(const char *folder, const char *const *names, int count, struct bag bag, struct words *words) {
  check_parts(names, count);
  for (int i = 0; i < count; i++) merge_file(folder, names[i], bag, words);
}
