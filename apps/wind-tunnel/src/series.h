#ifndef SERIES_H
#define SERIES_H

/* Drag and lift over time: the coefficients 2 F / (density speed^2 L), at times in units of L / speed. */
struct series {
  double *time, *drag, *lift;
  int count;
};

struct statistics {
  double from; /* time at which they begin */
  double drag_mean, drag_least, drag_most, lift_mean, lift_deviation, lift_least, lift_most;
  double strouhal; /* frequency of the lift times L over speed; 0 if it does not oscillate */
  int periods;
};

/* Finds the statistics from a time on; of an oscillation, over whole periods. */
struct statistics evaluate(const struct series *series, double from);

#endif
