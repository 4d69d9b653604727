#include "kernel.h"

// The clang attribute keeps the compiler from turning one of the two calls into a loop.
__attribute__((noinline, optnone)) static unsigned fibonacci(unsigned n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

// Calls itself as often as it can.
KERNEL unsigned run(unsigned rounds) { return fibonacci(rounds); }
