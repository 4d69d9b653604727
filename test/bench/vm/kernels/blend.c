#include "kernel.h"
typedef unsigned short Shorts __attribute__((vector_size(16)));
enum { VECTORS = 1024 };
static Shorts from[VECTORS], to[VECTORS];

// Blends two pictures by a weight that changes, eight channels in one operation, and sums up what differs.
KERNEL unsigned run(unsigned rounds) {
  unsigned state = 1;
  for (int i = 0; i < VECTORS; i++)
    for (int lane = 0; lane < 8; lane++) {
      from[i][lane] = next_random(&state) >> 24;
      to[i][lane] = next_random(&state) >> 24;
    }
  unsigned total = 0;
  for (unsigned round = 0; round < rounds; round++) {
    const unsigned short weight = round % 255;
    Shorts differences = {0};
    for (int i = 0; i < VECTORS; i++) {
      const Shorts mixed = (from[i] * weight + to[i] * (unsigned short)(255 - weight) + 127) >> 8;
      const Shorts isLarger = (Shorts)(mixed > to[i]);
      differences += ((mixed - to[i]) & isLarger) | ((to[i] - mixed) & ~isLarger);
      to[i] = mixed ^ (from[i] & 3);
    }
    for (int lane = 0; lane < 8; lane++) total = total * 31 + differences[lane];
  }
  return total;
}
