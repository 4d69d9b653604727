#include "price.h"

#include <math.h>

#include "random.h"

static double black(double sign, double forward, double strike, double variance) {
  if (variance < 1e-18) return fmax(sign * (forward - strike), 0);
  double deviation = sqrt(variance);
  double d1 = log(forward / strike) / deviation + 0.5 * deviation;
  return sign * (forward * normal_cdf(sign * d1) - strike * normal_cdf(sign * (d1 - deviation)));
}

/* Sums over antithetic pairs: each is the mean of a path and of its mirror. */
struct sums {
  double price, squares, delta, vega;
};

static struct estimate conclude(struct sums sums, double pairs, double discount, double control) {
  double mean = sums.price / pairs, variance = (sums.squares - pairs * mean * mean) / (pairs - 1);
  return (struct estimate){.price = discount * (mean + control),
                           .error = discount * sqrt(fmax(variance, 0) / pairs),
                           .delta = discount * sums.delta / pairs,
                           .vega = discount * sums.vega / pairs,
                           .paths = 2 * pairs};
}

static inline void pay(struct sums *pair, double sign, double strike, double level, double slope) {
  double gain = sign * (level - strike);
  if (gain <= 0) return;
  pair->price += 0.5 * gain;
  pair->delta += 0.5 * sign * level;
  pair->vega += 0.5 * sign * slope;
}

static inline void gather(struct sums *sums, const struct sums *pair, double control) {
  double price = pair->price - control;
  sums->price += price;
  sums->squares += price * price;
  sums->delta += pair->delta;
  sums->vega += pair->vega;
}

/* Terminal prices from one normal number each; delta and vega by differentiating along the path. */
static struct estimate price_european(const struct position *p, struct normals *normals, long long pairs) {
  double years = p->maturity, root = sqrt(years), volatility = p->volatility;
  double middle = p->spot * exp((p->rate - p->dividend - 0.5 * volatility * volatility) * years);
  struct sums sums = {0};
  for (long long i = 0; i < pairs; i++) {
    double z = next_normal(normals), growth = exp(volatility * root * z);
    double up = middle * growth, down = middle / growth;
    struct sums pair = {0};
    pay(&pair, p->sign, p->strike, up, up * (root * z - volatility * years));
    pay(&pair, p->sign, p->strike, down, down * (-root * z - volatility * years));
    gather(&sums, &pair, 0);
  }
  struct estimate estimate = conclude(sums, (double)pairs, exp(-p->rate * years), 0);
  estimate.delta /= p->spot;
  return estimate;
}

/*
 * The arithmetic average over the fixings. Control variate (Kemna and Vorst 1990): the option on the geometric average
 * of the same path, whose price is known; what is left to simulate is a few per cent of the deviation.
 */
static struct estimate price_asian(const struct position *p, struct normals *normals, long long pairs) {
  int n = p->fixings;
  double step = p->maturity / n, root = sqrt(step), volatility = p->volatility;
  double trend = p->rate - p->dividend - 0.5 * volatility * volatility, drift = exp(trend * step);
  double middle = p->spot * exp(trend * step * (n + 1) / 2);
  struct sums sums = {0};
  for (long long i = 0; i < pairs; i++) {
    double up = p->spot, down = p->spot, motion = 0, motions = 0;
    double up_sum = 0, down_sum = 0, up_slope = 0, down_slope = 0;
    for (int k = 1; k <= n; k++) {
      double z = root * next_normal(normals), growth = exp(volatility * z), decay = volatility * step * k;
      motion += z;
      motions += motion;
      up *= drift * growth;
      down *= drift / growth;
      up_sum += up;
      down_sum += down;
      up_slope += up * (motion - decay);
      down_slope += down * (-motion - decay);
    }
    double growth = exp(volatility * motions / n);
    struct sums pair = {0}, geometric = {0};
    pay(&pair, p->sign, p->strike, up_sum / n, up_slope / n);
    pay(&pair, p->sign, p->strike, down_sum / n, down_slope / n);
    pay(&geometric, p->sign, p->strike, middle * growth, 0);
    pay(&geometric, p->sign, p->strike, middle / growth, 0);
    gather(&sums, &pair, geometric.price);
  }
  double variance = volatility * volatility * step * (n + 1) * (2 * n + 1) / (6.0 * n);
  double control = black(p->sign, middle * exp(0.5 * variance), p->strike, variance);
  struct estimate estimate = conclude(sums, (double)pairs, exp(-p->rate * p->maturity), control);
  estimate.delta /= p->spot;
  return estimate;
}

struct estimate price(const struct position *position, uint64_t seed, double draws) {
  struct normals normals = open_normals(seed, stream_of(position->id));
  long long pairs = (long long)ceil(draws / (2.0 * position->fixings));
  if (pairs < 50) pairs = 50;
  return position->asian ? price_asian(position, &normals, pairs) : price_european(position, &normals, pairs);
}

struct moments moments_after(const struct position *p, double horizon) {
  double left = fmax(p->maturity - horizon, 0), carry = p->rate - p->dividend, variance = p->volatility * p->volatility;
  struct moments moments = {.discount = exp(-p->rate * left)};
  if (!p->asian) {
    moments.mean = exp(carry * left);
    moments.variance = variance * left;
    return moments;
  }
  /* E[S_i S_j] = exp(carry (i + j) + variance min(i, j)), so that one pass gives the second moment. */
  double first = 0, second = 0, earlier = 0;
  for (int k = 1; k <= p->fixings; k++) {
    double time = fmax(p->maturity * k / p->fixings - horizon, 0);
    double growth = exp(carry * time), joint = exp((carry + variance) * time);
    first += growth;
    second += growth * (joint + 2 * earlier);
    earlier += joint;
  }
  moments.mean = first / p->fixings;
  moments.variance = fmax(log(second / (first * first)), 0);
  return moments;
}

double closed_form(const struct position *position, const struct moments *moments, double spot) {
  return moments->discount * black(position->sign, spot * moments->mean, position->strike, moments->variance);
}
