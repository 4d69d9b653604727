#include "theory.h"

#include <complex.h>
#include <math.h>

static const double ROOT_PI = 1.77245385090551602730;

/*
 * Each beam has half of the density: 1 = 1/2 / (w - k)^2 + 1/2 / (w + k)^2, so that w^2 is a root of
 * s^2 - (2 k^2 + 1) s + k^4 - k^2; the smaller one is negative for k < 1.
 */
double two_stream_growth(double wavenumber) {
  double square = wavenumber * wavenumber, root = square + 0.5 - 0.5 * sqrt(8 * square + 1);
  return root < 0 ? sqrt(-root) : 0;
}

double bohm_gross(double wavenumber, double thermal) { return sqrt(1 + 3 * wavenumber * wavenumber * thermal * thermal); }

static double complex exponential(double complex z) {
  return exp(creal(z)) * (cos(cimag(z)) + I * sin(cimag(z)));
}

/* The plasma dispersion function of Fried and Conte, by its series or, where that loses digits, the asymptotic one. */
static double complex dispersion(double complex z) {
  double complex square = z * z, sum = 0, term, pole = I * ROOT_PI * exponential(-square);
  if (hypot(creal(z), cimag(z)) < 4.5) {
    term = -2 * z;
    for (int n = 0; n < 120; n++) {
      sum += term;
      term *= -2 * square / (2 * n + 3);
    }
    return pole + sum;
  }
  term = -1 / z;
  for (int n = 0; n < 15; n++) {
    sum += term;
    term *= (2 * n + 1) / (2 * square);
  }
  return pole + sum;
}

static double complex relation(double complex frequency, double k) {
  double complex z = frequency / (sqrt(2) * k);
  return 1 + (1 + z * dispersion(z)) / (k * k);
}

void landau(double wavenumber, double thermal, double *frequency, double *growth) {
  double k = wavenumber * thermal;
  *frequency = 1, *growth = 0;
  if (k < 1e-3) return;
  double complex root = sqrt(1 + 3 * k * k) - I * 0.3 * k * k;
  for (int round = 0; round < 60; round++) {
    double complex value = relation(root, k), slope = (relation(root + 1e-5, k) - relation(root - 1e-5, k)) / 2e-5;
    root -= value / slope;
  }
  *frequency = fabs(creal(root)), *growth = cimag(root);
}

/* A line through points by least squares. */
struct line {
  double count, x, y, xx, xy;
};

static void take(struct line *line, double x, double y) {
  line->count++;
  line->x += x, line->y += y, line->xx += x * x, line->xy += x * y;
}

static double slope_of(const struct line *line) {
  return (line->count * line->xy - line->x * line->y) / (line->count * line->xx - line->x * line->x);
}

static double amplitude(const struct sample *sample) { return hypot(sample->mode_sine, sample->mode_cosine); }

static struct fit fit_growth(const struct sample *samples, int peak) {
  /* Before the first of these the other roots still count, behind the last the wave traps particles. */
  double least = fmax(8 * amplitude(&samples[0]), 0.005 * amplitude(&samples[peak])), most = 0.2 * amplitude(&samples[peak]);
  struct line line = {0};
  struct fit fit = {.grows = 1};
  for (int i = peak; i >= 0; i--) {
    double now = amplitude(&samples[i]);
    if (now > most && line.count == 0) continue;
    if (now < least || now > most) break;
    take(&line, samples[i].time, log(now));
    if (line.count == 1) fit.until = samples[i].time;
    fit.from = samples[i].time;
  }
  fit.points = (int)line.count;
  if (fit.points < 3) return fit;
  fit.growth = slope_of(&line);
  fit.level = (line.y - fit.growth * line.x) / line.count + fit.growth * fit.from;
  return fit;
}

/* The wave stands: its swings pass zero twice a period, and their peaks show how it is damped. */
static struct fit fit_swings(const struct sample *samples, int count) {
  enum { MOST_PEAKS = 1000 };
  struct line zeros = {0}, peaks = {0};
  struct fit fit = {0};
  double first = 0;
  int passed = 0;
  for (int i = 1; i < count - 1 && peaks.count < MOST_PEAKS; i++) {
    double before = samples[i - 1].mode_sine, now = samples[i].mode_sine, after = samples[i + 1].mode_sine;
    if ((before < 0) != (now < 0)) {
      double part = before / (before - now);
      take(&zeros, passed++, samples[i - 1].time + part * (samples[i].time - samples[i - 1].time));
    }
    if (passed == 0 || fabs(now) < fabs(before) || fabs(now) <= fabs(after) || (before < 0) != (after < 0)) continue;
    /* The parabola through three points. */
    double bend = before - 2 * now + after, shift = 0.5 * (before - after) / bend, peak = fabs(now - 0.25 * (before - after) * shift);
    if (first == 0) first = peak, fit.from = samples[i].time;
    if (peak < 0.05 * first) break; /* what follows is more and more the noise of the particles */
    take(&peaks, samples[i].time + shift * (samples[1].time - samples[0].time), log(peak));
    fit.until = samples[i].time;
  }
  fit.points = (int)fmin(peaks.count, zeros.count);
  if (fit.points < 3) return fit;
  fit.frequency = 3.14159265358979323846 / slope_of(&zeros);
  fit.growth = slope_of(&peaks);
  fit.level = (peaks.y - fit.growth * peaks.x) / peaks.count + fit.growth * fit.from;
  return fit;
}

struct fit fit_wave(const struct sample *samples, int count) {
  /* The first peak of a wave that grew tenfold; behind it particles are trapped, and waves merge. */
  double start = amplitude(&samples[0]);
  int peak = 0;
  for (int i = 1; i < count; i++) {
    double now = amplitude(&samples[i]), most = amplitude(&samples[peak]);
    if (now > most) peak = i;
    else if (most > 10 * start && now < 0.7 * most) break;
  }
  return amplitude(&samples[peak]) > 10 * start ? fit_growth(samples, peak) : fit_swings(samples, count);
}
