#include "kernel.h"
typedef float Floats __attribute__((vector_size(16)));
enum { VECTORS = 1024 };
static Floats x[VECTORS], y[VECTORS];

// Sums of multiples of vectors, each followed by an inner product: four floats in one operation.
KERNEL unsigned run(unsigned rounds) {
  for (int i = 0; i < VECTORS; i++)
    for (int lane = 0; lane < 4; lane++) {
      x[i][lane] = (float)((i * 5 + lane) % 17) * 0.125f;
      y[i][lane] = (float)((i * 3 + lane) % 13) * 0.25f;
    }
  float total = 0;
  for (unsigned round = 0; round < rounds; round++) {
    const float a = round % 2 ? 0.5f : -0.25f;
    const Floats factor = {a, a, a, a};
    Floats sum = {0, 0, 0, 0};
    for (int i = 0; i < VECTORS; i++) {
      y[i] = y[i] * 0.75f + x[i] * factor;
      sum += x[i] * y[i];
    }
    total = total * 0.5f + sum[0] + sum[1] + sum[2] + sum[3];
  }
  return (unsigned)(int)(total * 16.0f);
}
