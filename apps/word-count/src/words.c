#include "words.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

enum { FIRST_CAPACITY = 1 << 14, CHUNK = 1 << 20 };

/* FNV-1a, with its bits mixed at the end since the table uses the low ones. */
uint32_t hash_of(const char *bytes, size_t length) {
  uint32_t hash = 0x811c9dc5u;
  for (size_t i = 0; i < length; i++) hash = (hash ^ (uint8_t)bytes[i]) * 0x01000193u;
  return hash ^ hash >> 15;
}

static struct word *place_of(const struct words *words, const char *bytes, size_t length, uint32_t hash) {
  for (size_t i = hash & (words->capacity - 1);; i = (i + 1) & (words->capacity - 1)) {
    struct word *word = &words->table[i];
    if (word->count == 0) return word;
    if (word->hash == hash && word->length == length && memcmp(word->bytes, bytes, length) == 0) return word;
  }
}

static void grow(struct words *words) {
  struct words old = *words;
  words->capacity = old.capacity ? 2 * old.capacity : FIRST_CAPACITY;
  words->table = allocate(words->capacity, sizeof *words->table);
  for (size_t i = 0; i < old.capacity; i++) {
    const struct word *word = &old.table[i];
    if (word->count > 0) *place_of(words, word->bytes, word->length, word->hash) = *word;
  }
  free(old.table);
}

static const char *keep(struct words *words, const char *bytes, size_t length) {
  if (length > words->chunk_left) {
    words->chunk_left = length > CHUNK ? length : CHUNK;
    words->chunk = allocate(words->chunk_left, 1);
  }
  char *kept = words->chunk;
  memcpy(kept, bytes, length);
  words->chunk += length;
  words->chunk_left -= length;
  return kept;
}

void count_word(struct words *words, const char *bytes, size_t length, uint64_t times) {
  if (2 * words->different >= words->capacity) grow(words);
  uint32_t hash = hash_of(bytes, length);
  struct word *word = place_of(words, bytes, length, hash);
  if (word->count == 0) {
    *word = (struct word){.bytes = keep(words, bytes, length), .length = (uint32_t)length, .hash = hash};
    words->different++;
  }
  word->count += times;
  words->total += times;
}

static int compare(const void *first, const void *second) {
  const struct word *a = first, *b = second;
  if (a->count != b->count) return a->count < b->count ? 1 : -1;
  uint32_t shorter = a->length < b->length ? a->length : b->length;
  int order = memcmp(a->bytes, b->bytes, shorter);
  return order ? order : (a->length > b->length) - (a->length < b->length);
}

struct word *sorted(struct words *words) {
  size_t count = 0;
  for (size_t i = 0; i < words->capacity; i++)
    if (words->table[i].count > 0) words->table[count++] = words->table[i];
  if (count > 0) qsort(words->table, count, sizeof *words->table, compare);
  return words->table;
}
