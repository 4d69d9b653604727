#include "kernel.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// Prints the result of `run` and the nanoseconds of processor time that each of several runs takes.
int main(int argc, char **argv) {
  unsigned rounds = (unsigned)atoi(argv[1]);
  int times = argc > 2 ? atoi(argv[2]) : 1;
  for (int i = 0; i < times; i++) {
    struct timespec from, to;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    unsigned result = run(rounds);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    printf("%u %lld\n", result, (to.tv_sec - from.tv_sec) * 1000000000LL + (to.tv_nsec - from.tv_nsec));
  }
  return 0;
}
