#include "series.h"

#include <math.h>

/* Part of the drag below which a swing of the lift is sound that still goes through the channel; and the least number of
 * periods that give a frequency. */
static const double LEAST_SWING = 0.01;
enum { LEAST_PERIODS = 3 };

static void gather(struct statistics *s, const struct series *series, int from, int to) {
  double drag = 0, lift = 0, squares = 0;
  s->drag_least = s->drag_most = series->drag[from];
  s->lift_least = s->lift_most = series->lift[from];
  for (int i = from; i < to; i++) {
    drag += series->drag[i];
    lift += series->lift[i];
    s->drag_least = fmin(s->drag_least, series->drag[i]), s->drag_most = fmax(s->drag_most, series->drag[i]);
    s->lift_least = fmin(s->lift_least, series->lift[i]), s->lift_most = fmax(s->lift_most, series->lift[i]);
  }
  s->drag_mean = drag / (to - from);
  s->lift_mean = lift / (to - from);
  for (int i = from; i < to; i++) squares += (series->lift[i] - s->lift_mean) * (series->lift[i] - s->lift_mean);
  s->lift_deviation = sqrt(squares / (to - from));
}

struct statistics evaluate(const struct series *series, double from) {
  struct statistics s = {.from = from};
  int first = 0;
  while (first < series->count - 2 && series->time[first] < from) first++;
  gather(&s, series, first, series->count);
  double swing = s.lift_most - s.lift_least, middle = 0.5 * (s.lift_most + s.lift_least);
  if (swing < fmax(LEAST_SWING * fabs(s.drag_mean), 1e-3)) return s;

  /* Passages upwards through the middle; between two the lift must have been well below it. */
  int armed = 0, count = 0, begin = 0, end = 0;
  double earliest = 0, latest = 0;
  for (int i = first + 1; i < series->count; i++) {
    double before = series->lift[i - 1] - middle, now = series->lift[i] - middle;
    if (now < -0.2 * swing) armed = 1;
    if (!armed || before >= 0 || now < 0) continue;
    double time = series->time[i - 1] + (series->time[i] - series->time[i - 1]) * before / (before - now);
    if (count++ == 0) earliest = time, begin = i;
    latest = time, end = i;
    armed = 0;
  }
  if (count < LEAST_PERIODS + 1) return s;
  gather(&s, series, begin, end);
  s.periods = count - 1;
  s.strouhal = s.periods / (latest - earliest);
  return s;
}
