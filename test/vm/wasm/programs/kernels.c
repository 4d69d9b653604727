// Computes with everything that a compiler emits: integers, floats, recursion, calls by pointer, memory.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

static uint64_t seed = 88172645463325252ull;
static double uniform(void) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (double)(seed >> 11) / 9007199254740992.0;
}

int main(void) {
  printf("fib %d\n", fib(27));
  enum { N = 20000, M = 48 };
  int *numbers = malloc(N * sizeof *numbers);
  for (int i = 0; i < N; i++) numbers[i] = (int)(uniform() * 1000000);
  qsort(numbers, N, sizeof *numbers, compare);
  uint32_t check = 0;
  for (int i = 0; i < N; i++) check = check * 31 + (uint32_t)numbers[i];
  printf("sorted %u %d %d\n", check, numbers[0], numbers[N - 1]);
  static double a[M][M], b[M][M], c[M][M];
  for (int i = 0; i < M; i++)
    for (int j = 0; j < M; j++) a[i][j] = uniform(), b[i][j] = uniform();
  for (int i = 0; i < M; i++)
    for (int j = 0; j < M; j++)
      for (int k = 0; k < M; k++) c[i][j] += a[i][k] * b[k][j];
  printf("product %.17g\n", c[5][7]);
  double sum = 0;
  for (int i = 0; i < 20000; i++) {
    double z = sqrt(-2 * log(uniform() + 1e-300)) * cos(6.283185307179586 * uniform());
    sum += fmax(exp(0.2 * z) - 1, 0);
  }
  printf("option %.17g\n", sum / 20000);
  printf("special %g %g %g %d %d\n", NAN, -INFINITY, copysign(NAN, -1.0), (int)1e30f, (int)lround(2.5));
  char text[200];
  memset(text, 'x', sizeof text - 1);
  text[199] = 0;
  memmove(text + 3, text, 100);
  snprintf(text + 100, 50, "%lld %llx", (long long)-1234567890123, 0xdeadbeefcafeull);
  printf("%zu %s\n", strlen(text), text + 90);
  double nan = sum - sum;
  nan = nan / nan;
  union { double d; uint64_t u; } bits = {.d = nan * -1.0};
  printf("bits %llx\n", (unsigned long long)bits.u);
  return 7;
}
