#include "kernel.h"
enum { N = 128 };
static double a[N][N], b[N][N], c[N][N];

// Multiplies two matrices of doubles.
KERNEL unsigned run(unsigned rounds) {
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      a[i][j] = i * 0.5 + j;
      b[i][j] = i - j * 0.25;
    }
  for (unsigned round = 0; round < rounds; round++) {
    for (int i = 0; i < N; i++)
      for (int j = 0; j < N; j++) {
        double sum = 0;
        for (int k = 0; k < N; k++) sum += a[i][k] * b[k][j];
        c[i][j] = sum;
      }
    a[0][round % N] = c[N - 1][round % N] * 1e-9;
  }
  double total = 0;
  for (int i = 0; i < N; i++) total += c[i][i];
  return (unsigned)(long long)(total * 1e-3);
}
