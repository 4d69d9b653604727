#ifndef WORDS_H
#define WORDS_H

#include <stddef.h>
#include <stdint.h>

struct word {
  const char *bytes;
  uint32_t length, hash;
  uint64_t count; /* 0: the place in the table is free */
};

/* Different words and how often each was counted. */
struct words {
  struct word *table;
  size_t capacity, different;
  uint64_t total;
  char *chunk; /* that takes the bytes of new words */
  size_t chunk_left;
};

uint32_t hash_of(const char *bytes, size_t length);
void count_word(struct words *words, const char *bytes, size_t length, uint64_t times);
/* The words, the most frequent first, equal ones in the order of their characters. Empties the table. */
struct word *sorted(struct words *words);

#endif
