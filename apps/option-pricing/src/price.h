#ifndef PRICE_H
#define PRICE_H

#include <stdint.h>

#include "book.h"

struct estimate {
  double price, error; /* of one option, and its standard error */
  double delta, vega;  /* for a change of 1 of the spot, and of the volatility (1.00 = 100 points) */
  double paths;
};

/* Prices a position by Monte Carlo with `draws` normal numbers or a little more. Time grows with draws alone. */
struct estimate price(const struct position *position, uint64_t seed, double draws);

/* The moments of what the option pays on, as multiples of the spot `horizon` years from now: mean, variance of its log. */
struct moments {
  double mean, variance, discount;
};
struct moments moments_after(const struct position *position, double horizon);
/* The closed form: Black and Scholes, and for averages Levy's lognormal with the same two moments. */
double closed_form(const struct position *position, const struct moments *moments, double spot);

#endif
