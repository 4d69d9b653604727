#include "text.h"

#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *allocate(size_t count, size_t size) {
  void *memory = calloc(count ? count : 1, size);
  if (!memory) fail("not enough memory", NULL);
  return memory;
}

void add_bytes(struct text *text, const char *bytes, size_t length) {
  if (text->length + length > text->capacity) {
    size_t capacity = 2 * (text->length + length) + 4096;
    char *grown = realloc(text->bytes, capacity);
    if (!grown) fail("not enough memory", NULL);
    text->bytes = grown;
    text->capacity = capacity;
  }
  memcpy(text->bytes + text->length, bytes, length);
  text->length += length;
}

void add(struct text *text, const char *words) { add_bytes(text, words, strlen(words)); }

static void add_integer(struct text *text, long long number, int digits, int grouped) {
  char reversed[32];
  int length = 0;
  for (int count = 0; number > 0 || count < digits; count++, number /= 10) {
    if (grouped && count > 0 && count % 3 == 0) reversed[length++] = ',';
    reversed[length++] = (char)('0' + number % 10);
  }
  while (length > 0) add_bytes(text, &reversed[--length], 1);
}

void add_number(struct text *text, double number, int decimals) {
  static const double POWERS[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
  if (!(fabs(number) < 1e15)) fail("the results are too large to be written", NULL);
  double size = fabs(number), whole = floor(size);
  double part = floor((size - whole) * POWERS[decimals] + 0.5);
  if (part >= POWERS[decimals]) {
    whole += 1;
    part = 0;
  }
  if (number < 0 && (whole > 0 || part > 0)) add(text, "-");
  add_integer(text, (long long)whole, 1, 0);
  if (decimals == 0) return;
  add(text, ".");
  add_integer(text, (long long)part, decimals, 0);
}

void add_grouped(struct text *text, double number) {
  if (!(fabs(number) < 1e15)) fail("the results are too large to be written", NULL);
  long long whole = (long long)floor(fabs(number) + 0.5);
  if (number < 0 && whole > 0) add(text, "-");
  add_integer(text, whole, 1, 1);
}

void add_field(struct text *text, double number, int decimals) {
  add(text, ",");
  add_number(text, number, decimals);
}

void add_shortest(struct text *text, double number, int decimals) {
  size_t from = text->length;
  add_number(text, number, decimals);
  if (!memchr(text->bytes + from, '.', text->length - from)) return;
  while (text->bytes[text->length - 1] == '0') text->length--;
  if (text->bytes[text->length - 1] == '.') text->length--;
}

const char *as_string(struct text *text) {
  add_bytes(text, "", 1);
  return text->bytes;
}

static int write_all(int file, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t written = write(file, bytes, length);
    if (written <= 0) return 0;
    bytes += written;
    length -= (size_t)written;
  }
  return 1;
}

void print(struct text *text) {
  if (!write_all(1, text->bytes, text->length)) fail("cannot write to standard output", NULL);
  text->length = 0;
}

void save(struct text *text, const char *folder, const char *name) {
  char path[512];
  if (strlen(folder) + strlen(name) + 2 > sizeof path) fail("IEXEC_OUT is too long", NULL);
  strcpy(path, folder);
  strcat(path, "/");
  strcat(path, name);
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file < 0 || !write_all(file, text->bytes, text->length)) fail("cannot write ", path, NULL);
  close(file);
  text->length = 0;
}

void fail(const char *reason, ...) {
  va_list parts;
  write_all(2, PROGRAM, strlen(PROGRAM));
  write_all(2, ": ", 2);
  va_start(parts, reason);
  for (const char *part = reason; part; part = va_arg(parts, const char *)) write_all(2, part, strlen(part));
  va_end(parts);
  write_all(2, "\n", 1);
  _Exit(2);
}
