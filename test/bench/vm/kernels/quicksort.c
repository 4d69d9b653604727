#include "kernel.h"
enum { N = 65536 };
static unsigned list[N];

static void sort(unsigned *from, unsigned *to) {
  while (to - from > 16) {
    unsigned pivot = from[(to - from) / 2], *low = from, *high = to - 1;
    while (low <= high) {
      while (*low < pivot) low++;
      while (*high > pivot) high--;
      if (low <= high) {
        unsigned swap = *low;
        *low++ = *high;
        *high-- = swap;
      }
    }
    if (high - from < to - low) {
      sort(from, high + 1);
      from = low;
    } else {
      sort(low, to);
      to = high + 1;
    }
  }
  for (unsigned *i = from + 1; i < to; i++) {
    unsigned value = *i, *hole = i;
    for (; hole > from && hole[-1] > value; hole--) *hole = hole[-1];
    *hole = value;
  }
}

// Sorts random numbers.
KERNEL unsigned run(unsigned rounds) {
  unsigned result = 0, seed = 1;
  for (unsigned round = 0; round < rounds; round++) {
    for (int i = 0; i < N; i++) list[i] = next_random(&seed);
    sort(list, list + N);
    result ^= list[N / 2] + list[1];
  }
  return result;
}
