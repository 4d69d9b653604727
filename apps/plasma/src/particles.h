#ifndef PARTICLES_H
#define PARTICLES_H

#include <stddef.h>
#include <stdint.h>

/*
 * Electrons before ions at rest, in one dimension and a periodic box. Units: times in 1 / omega_p, velocities in a unit U
 * that the set-up names, lengths in U / omega_p, masses and charges of the electron, the mean density 1.
 */
struct setting {
  double wavenumber;     /* of the wave that is started */
  double amplitude;      /* of its density, as part of the mean */
  double thermal;        /* deviation of the velocities, of each beam */
  double step;           /* of time */
  int waves;             /* wavelengths in the box */
  int cells, particles;
};

struct plasma {
  const struct setting *setting;
  double *place, *speed;     /* in cells, and cells a step; speeds are half a step behind */
  uint8_t *kind;             /* 1 if its velocity was positive at the start */
  double *charge, *field;    /* at the cells' points, one more at each end */
  double *sine, *cosine;     /* of the wave, at the points */
};

/* What is measured at a time; energies are those of the whole box. */
struct sample {
  double time, field_energy, kinetic_energy, momentum, mode_sine, mode_cosine;
};

double length_of(const struct setting *setting);
/* Puts particles with the velocities given, of which the wave takes the `particles` first, and makes their field. */
struct plasma open_plasma(const struct setting *setting, const double *velocities);
/* Measures, and advances by one step. */
struct sample advance(struct plasma *plasma, int steps);

/* The velocities of two beams at 1 and -1, or of one at rest, each with a Maxwellian of the setting's deviation. */
double *beams(const struct setting *setting, int count);
/* Those of a distribution given as a table `velocity,density`; ends the program where it is malformed. */
double *distribution(const struct setting *setting, char *csv, const char *file, double *fastest);

#endif
