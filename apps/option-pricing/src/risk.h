#ifndef RISK_H
#define RISK_H

#include <stdint.h>

#include "book.h"

struct setting {
  uint64_t seed;
  int scenarios;
  double horizon_days, confidence, correlation;
};

/* Profit and loss of some positions over the horizon, from worst to best, and what follows from it. */
struct risk {
  int positions;
  double value, mean, deviation, value_at_risk, shortfall;
  double *outcomes;
  int count;
};

/*
 * Simulates the markets of all scenarios and revalues the whole book in each. `part[i]` tells whether position i counts
 * for `slice`; `whole` counts all. Scenarios depend on the seed and the underlyings' names alone, so that slices add up.
 */
void simulate(const struct book *book, const char *part, const struct setting *setting, struct risk *slice,
              struct risk *whole);

#endif
