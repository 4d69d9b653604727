#ifndef THEORY_H
#define THEORY_H

#include "particles.h"

/* Growth rate of two cold equal beams at 1 and -1 in units of omega_p, which all their electrons make; 0 if stable. */
double two_stream_growth(double wavenumber);
/* Frequency of Langmuir waves by Bohm and Gross, omega^2 = 1 + 3 k^2 v^2. */
double bohm_gross(double wavenumber, double thermal);
/* Frequency and damping (below 0) of Langmuir waves: the root of Landau's dispersion relation for a Maxwellian. */
void landau(double wavenumber, double thermal, double *frequency, double *growth);

/* What the run shows: the growth rate if the wave grows tenfold, else frequency and change of its swings. */
struct fit {
  int grows, points; /* points: of the logarithm, or peaks; fewer than 3: nothing could be fitted */
  double frequency, growth;
  double from, until, level; /* the line that was fitted: natural logarithm of the amplitude at `from` */
};
struct fit fit_wave(const struct sample *samples, int count);

#endif
