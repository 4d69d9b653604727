#include "random.h"

#include <math.h>

struct normals open_normals(uint64_t seed, uint64_t stream) {
  return (struct normals){.key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
                          .counter = {0, 0, (uint32_t)stream, (uint32_t)(stream >> 32)}};
}

static inline void philox(struct normals *normals, uint32_t out[4]) {
  uint32_t a = normals->counter[0], b = normals->counter[1], c = normals->counter[2], d = normals->counter[3];
  uint32_t k0 = normals->key[0], k1 = normals->key[1];
  for (int round = 0; round < 10; round++) {
    uint64_t p = (uint64_t)0xD2511F53u * a, q = (uint64_t)0xCD9E8D57u * c;
    a = (uint32_t)(q >> 32) ^ b ^ k0;
    c = (uint32_t)(p >> 32) ^ d ^ k1;
    b = (uint32_t)q;
    d = (uint32_t)p;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  if (++normals->counter[0] == 0) normals->counter[1]++;
  out[0] = a, out[1] = b, out[2] = c, out[3] = d;
}

/* 52 bits and a half: inside (0, 1), and symmetric around 1/2. The signed conversion is the fast one in WebAssembly. */
static inline double uniform(uint32_t high, uint32_t low) {
  int64_t bits = (int64_t)(((uint64_t)high << 32 | low) >> 12);
  return ((double)bits + 0.5) * 0x1p-52;
}

double next_normal(struct normals *normals) {
  if (normals->has_spare) {
    normals->has_spare = 0;
    return normals->spare;
  }
  uint32_t word[4];
  philox(normals, word);
  normals->spare = normal_quantile(uniform(word[2], word[3]));
  normals->has_spare = 1;
  return normal_quantile(uniform(word[0], word[1]));
}

uint64_t stream_of(const char *name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (; *name; name++) hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
  return hash;
}

double normal_cdf(double x) { return 0.5 * erfc(-x * 0.70710678118654752440); }

/* Wichura's AS241 (PPND16), accurate to 1e-16. */
double normal_quantile(double p) {
  double q = p - 0.5;
  if (fabs(q) <= 0.425) {
    double r = 0.180625 - q * q;
    double top = ((((((2509.0809287301226727 * r + 33430.575583588128105) * r + 67265.770927008700853) * r +
                     45921.953931549871457) * r + 13731.693765509461125) * r + 1971.5909503065514427) * r +
                  133.14166789178437745) * r + 3.387132872796366608;
    double bottom = ((((((5226.495278852854561 * r + 28729.085735721942674) * r + 39307.89580009271061) * r +
                        21213.794301586595867) * r + 5394.1960214247511077) * r + 687.1870074920579083) * r +
                     42.313330701600911252) * r + 1;
    return q * top / bottom;
  }
  double r = sqrt(-log(q < 0 ? p : 1 - p));
  double x;
  if (r <= 5) {
    r -= 1.6;
    double top = ((((((7.7454501427834140764e-4 * r + 0.0227238449892691845833) * r + 0.24178072517745061177) * r +
                     1.27045825245236838258) * r + 3.64784832476320460504) * r + 5.7694972214606914055) * r +
                  4.6303378461565452959) * r + 1.42343711074968357734;
    double bottom = ((((((1.05075007164441684324e-9 * r + 5.475938084995344946e-4) * r + 0.0151986665636164571966) * r +
                        0.14810397642748007459) * r + 0.68976733498510000455) * r + 1.6763848301838038494) * r +
                     2.05319162663775882187) * r + 1;
    x = top / bottom;
  } else {
    r -= 5;
    double top = ((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r + 0.0012426609473880784386) * r +
                     0.026532189526576123093) * r + 0.29656057182850489123) * r + 1.7848265399172913358) * r +
                  5.4637849111641143699) * r + 6.6579046435011037772;
    double bottom = ((((((2.04426310338993978564e-15 * r + 1.4215117583164458887e-7) * r + 1.8463183175100546818e-5) * r +
                        7.868691311456132591e-4) * r + 0.0148753612908506148525) * r + 0.13692988092273580531) * r +
                     0.59983220655588793769) * r + 1;
    x = top / bottom;
  }
  return q < 0 ? -x : x;
}
