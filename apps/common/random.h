#ifndef RANDOM_H
#define RANDOM_H

#include <stdint.h>

/*
 * Normal numbers that depend on nothing but (seed, stream, place in the stream): the counter generator Philox4x32-10
 * (Salmon, Moraes, Dror, Shaw 2011). So a position gets the same numbers whichever task prices it.
 */
struct normals {
  uint32_t key[2], counter[4];
  double spare;
  int has_spare;
};

struct normals open_normals(uint64_t seed, uint64_t stream);
double next_normal(struct normals *normals);

/* The stream of a name: 64-bit FNV-1a. */
uint64_t stream_of(const char *name);
/* The standard normal distribution function, and its inverse on (0, 1). */
double normal_cdf(double x);
double normal_quantile(double p);

#endif
