#ifndef UNICODE_H
#define UNICODE_H

#include <stddef.h>
#include <stdint.h>

/* Characters that words are made of, in rising order. */
struct part {
  uint32_t from, to;
};
extern const struct part PARTS[];
extern const int PART_COUNT;

/* Capital letters at each `step`, and what turns them small. */
struct lower {
  uint32_t from, to;
  int step, delta;
};
extern const struct lower LOWER[];
extern const int LOWER_COUNT;

enum { SOFT_HYPHEN = 0xad, NON_JOINER = 0x200c, JOINER = 0x200d, CAPITAL_SIGMA = 0x3a3, SIGMA = 0x3c3, FINAL_SIGMA = 0x3c2 };

int is_part(uint32_t character);
uint32_t lower_of(uint32_t character);

/* Reads a character of UTF-8; answers its bytes, or 0 where they are malformed or cut off. */
int decode(const uint8_t *bytes, size_t length, uint32_t *character);
/* Writes one; answers its bytes. */
int encode(uint32_t character, char *bytes);

#endif
