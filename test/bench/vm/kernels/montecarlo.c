#include "kernel.h"

// Integrates by random points: a pricing-like path of additions, multiplications and square roots.
KERNEL unsigned run(unsigned rounds) {
  unsigned seed = 42;
  double total = 0;
  for (unsigned round = 0; round < rounds; round++) {
    double price = 1;
    for (int step = 0; step < 16; step++) {
      double u = next_random(&seed) * (1.0 / 4294967296.0), v = next_random(&seed) * (1.0 / 4294967296.0);
      price *= 1 + 0.01 * (u + v - 1) + 0.0001 * __builtin_sqrt(u);
    }
    if (price > 1) total += price - 1;
  }
  return (unsigned)(long long)(total * 1e3);
}
