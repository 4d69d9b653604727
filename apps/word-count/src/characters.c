#include "unicode.h"

int is_part(uint32_t character) {
  int low = 0, high = PART_COUNT - 1;
  while (low <= high) {
    int middle = (low + high) / 2;
    if (character < PARTS[middle].from) high = middle - 1;
    else if (character > PARTS[middle].to) low = middle + 1;
    else return 1;
  }
  return 0;
}

uint32_t lower_of(uint32_t character) {
  int low = 0, high = LOWER_COUNT - 1;
  while (low <= high) {
    int middle = (low + high) / 2;
    const struct lower *run = &LOWER[middle];
    if (character < run->from) high = middle - 1;
    else if (character > run->to) low = middle + 1;
    else return (character - run->from) % (uint32_t)run->step ? character : character + (uint32_t)run->delta;
  }
  return character;
}

int decode(const uint8_t *bytes, size_t length, uint32_t *character) {
  static const uint32_t LEAST[] = {0, 0, 0x80, 0x800, 0x10000};
  if (length == 0) return 0;
  uint32_t first = bytes[0];
  int count = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf8 ? 4 : 0;
  if (count == 0 || (size_t)count > length) return 0;
  uint32_t value = count == 1 ? first : first & (0x7fu >> count);
  for (int i = 1; i < count; i++) {
    if ((bytes[i] & 0xc0) != 0x80) return 0;
    value = value << 6 | (bytes[i] & 0x3f);
  }
  if (value < LEAST[count] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return 0;
  *character = value;
  return count;
}

int encode(uint32_t character, char *bytes) {
  if (character < 0x80) {
    bytes[0] = (char)character;
    return 1;
  }
  int count = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
  for (int i = count - 1; i > 0; i--, character >>= 6) bytes[i] = (char)(0x80 | (character & 0x3f));
  bytes[0] = (char)((0xf00u >> count & 0xff) | character);
  return count;
}
