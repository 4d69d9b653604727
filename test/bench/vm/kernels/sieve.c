#include "kernel.h"
enum { N = 1 << 20 };
static unsigned char composite[N];

// The sieve of Eratosthenes over a megabyte.
KERNEL unsigned run(unsigned rounds) {
  unsigned primes = 0;
  for (unsigned round = 0; round < rounds; round++) {
    __builtin_memset(composite, 0, N);
    for (unsigned i = 2; i * i < N; i++)
      if (!composite[i])
        for (unsigned j = i * i; j < N; j += i) composite[j] = 1;
    for (unsigned i = 2; i < N; i++) primes += !composite[i];
  }
  return primes;
}
