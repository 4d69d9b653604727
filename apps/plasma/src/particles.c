#include "particles.h"

#include <math.h>
#include <string.h>

#include "text.h"

static const double TWO_PI = 6.28318530717958647693;
/* Added to a small number this leaves the nearest whole number in the last bits, for a fifth of what a conversion costs. */
static const double TO_WHOLE = 6755399441055744.0;

double length_of(const struct setting *setting) { return TWO_PI * setting->waves / setting->wavenumber; }

/* The cell that holds a place, and the part of it left of the place. */
static inline int cell_of(double place, double *part) {
  double shifted = place - 0.5 + TO_WHOLE;
  int64_t bits;
  memcpy(&bits, &shifted, sizeof bits);
  *part = place - (shifted - TO_WHOLE);
  return (int)bits;
}

static inline double wrap(double place, double cells, double per_cell) {
  return place - cells * floor(place * per_cell);
}

/* Adds a particle's charge to the two points next to it. The array begins with a point left of the first. */
static inline void deposit(double *charge, double place) {
  double part;
  int cell = cell_of(place, &part) + 1;
  charge[cell] += 1 - part;
  charge[cell + 1] += part;
}

/* Gauss's law between the points, then the mean of both sides of each: the field that the charges' own sum is zero in. */
static void solve(struct plasma *plasma) {
  int cells = plasma->setting->cells;
  double width = length_of(plasma->setting) / cells, weight = (double)cells / plasma->setting->particles;
  double *charge = plasma->charge, *field = plasma->field, right = 0, sum = 0;
  charge[1] += charge[cells + 1], charge[cells] += charge[0];
  for (int j = 1; j <= cells; j++) {
    double left = right;
    right += (1 - weight * charge[j]) * width;
    field[j] = 0.5 * (left + right);
    sum += field[j];
  }
  for (int j = 1; j <= cells; j++) field[j] -= sum / cells;
  field[0] = field[cells], field[cells + 1] = field[1];
  memset(charge, 0, (size_t)(cells + 2) * sizeof *charge);
}

struct plasma open_plasma(const struct setting *setting, const double *velocities) {
  int cells = setting->cells, particles = setting->particles;
  struct plasma plasma = {.setting = setting};
  plasma.place = allocate((size_t)particles, sizeof(double)), plasma.speed = allocate((size_t)particles, sizeof(double));
  plasma.kind = allocate((size_t)particles, 1);
  plasma.charge = allocate((size_t)cells + 2, sizeof(double)), plasma.field = allocate((size_t)cells + 2, sizeof(double));
  plasma.sine = allocate((size_t)cells, sizeof(double)), plasma.cosine = allocate((size_t)cells, sizeof(double));
  for (int j = 0; j < cells; j++) {
    plasma.sine[j] = sin(TWO_PI * setting->waves * j / cells);
    plasma.cosine[j] = cos(TWO_PI * setting->waves * j / cells);
  }
  double phase = TWO_PI * setting->waves / cells, width = length_of(setting) / cells;
  for (int i = 0; i < particles; i++) {
    /* Two neighbours in the list share a place, so that each of two beams fills the box evenly. */
    double place = (i / 2 + 0.5) * cells / ((particles + 1) / 2);
    place = wrap(place - setting->amplitude * sin(phase * place) / phase, cells, 1.0 / cells);
    plasma.place[i] = place;
    plasma.speed[i] = velocities[i] * setting->step / width;
    plasma.kind[i] = velocities[i] > 0;
    deposit(plasma.charge, place);
  }
  solve(&plasma);
  double kick = -0.5 * setting->step * setting->step / width;
  for (int i = 0; i < particles; i++) {
    double part;
    int cell = cell_of(plasma.place[i], &part) + 1;
    plasma.speed[i] -= kick * (plasma.field[cell] + part * (plasma.field[cell + 1] - plasma.field[cell]));
  }
  return plasma;
}

/* Moves each particle by the field (leapfrog), and sums speeds and their squares at the time of the field. */
static void push(struct plasma *plasma, double *speeds, double *squares) {
  int particles = plasma->setting->particles, cells = plasma->setting->cells;
  double width = length_of(plasma->setting) / cells, step = plasma->setting->step, kick = -step * step / width;
  double *field = plasma->field, sum = 0, square = 0, per_cell = 1.0 / cells;
  for (int j = 0; j < cells + 2; j++) field[j] *= kick;
  for (int i = 0; i < particles; i++) {
    double part, place = plasma->place[i], before = plasma->speed[i];
    int cell = cell_of(place, &part) + 1;
    double speed = before + field[cell] + part * (field[cell + 1] - field[cell]), both = before + speed;
    sum += both;
    square += both * both;
    place = wrap(place + speed, cells, per_cell);
    plasma->speed[i] = speed;
    plasma->place[i] = place;
    deposit(plasma->charge, place);
  }
  *speeds = 0.5 * sum;
  *squares = 0.25 * square;
}

struct sample advance(struct plasma *plasma, int steps) {
  const struct setting *setting = plasma->setting;
  int cells = setting->cells;
  double width = length_of(setting) / cells, unit = width / setting->step, mass = length_of(setting) / setting->particles;
  struct sample sample = {.time = steps * setting->step};
  for (int j = 0; j < cells; j++) {
    double field = plasma->field[j + 1];
    sample.field_energy += 0.5 * field * field * width;
    sample.mode_sine += 2 * field * plasma->sine[j] / cells;
    sample.mode_cosine += 2 * field * plasma->cosine[j] / cells;
  }
  double speeds, squares;
  push(plasma, &speeds, &squares);
  sample.kinetic_energy = 0.5 * mass * unit * unit * squares;
  sample.momentum = mass * unit * speeds;
  solve(plasma);
  return sample;
}
