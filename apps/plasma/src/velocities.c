#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "job.h"
#include "particles.h"
#include "random.h"
#include "text.h"

enum { MAX_LINES = 10000 };

/* The binary digits of a number behind the point in turned order: evenly spread for any run of numbers. */
static double turned(uint32_t number) {
  number = number >> 16 | number << 16;
  number = (number & 0x00ff00ffu) << 8 | (number >> 8 & 0x00ff00ffu);
  number = (number & 0x0f0f0f0fu) << 4 | (number >> 4 & 0x0f0f0f0fu);
  number = (number & 0x33333333u) << 2 | (number >> 2 & 0x33333333u);
  number = (number & 0x55555555u) << 1 | (number >> 1 & 0x55555555u);
  return ((double)(int64_t)number + 0.5) * 0x1p-32;
}

/* Both particles of a place take mirrored velocities: the beams', or the same beam's. */
double *beams(const struct setting *setting, int count) {
  double *velocities = allocate((size_t)setting->particles, sizeof *velocities);
  for (int i = 0; i < setting->particles; i++) {
    double thermal = setting->thermal > 0 ? setting->thermal * normal_quantile(turned((uint32_t)i / 2)) : 0;
    double velocity = (count == 2 ? 1 : 0) + thermal;
    velocities[i] = i % 2 == 0 ? velocity : -velocity;
  }
  return velocities;
}

static _Noreturn void fail_line(const char *file, int line, const char *reason) {
  struct text number = {0};
  add_number(&number, line, 0);
  fail(file, ":", as_string(&number), ": ", reason, NULL);
}

struct table {
  double *velocity, *density, *below; /* below: integral of the density up to each velocity */
  int count;
};

static struct table read_table(char *csv, const char *file) {
  struct table table = {.velocity = allocate(MAX_LINES, sizeof(double)), .density = allocate(MAX_LINES, sizeof(double)),
                        .below = allocate(MAX_LINES, sizeof(double))};
  int number = 0, named = 0;
  if (strncmp(csv, "\xef\xbb\xbf", 3) == 0) csv += 3; /* spreadsheets begin UTF-8 with a mark */
  for (char *line = csv, *next; line; line = next) {
    number++;
    next = strchr(line, '\n');
    if (next) *next++ = 0;
    line[strcspn(line, "\r")] = 0;
    if (!*line) continue;
    if (!named) {
      if (strcmp(line, "velocity,density") != 0) fail_line(file, number, "the first line must be velocity,density");
      named = 1;
      continue;
    }
    char *comma = strchr(line, ',');
    if (!comma) fail_line(file, number, "a line has a velocity and a density");
    *comma = 0;
    double velocity, density;
    if (!read_number(line, &velocity) || fabs(velocity) > 1000) fail_line(file, number, "velocity must be from -1000 to 1000");
    if (!read_number(comma + 1, &density) || density < 0 || density > 1e9)
      fail_line(file, number, "density must be from 0 to 1000000000");
    int i = table.count;
    if (i == MAX_LINES) fail_line(file, number, "more than 10000 velocities");
    if (i > 0 && velocity <= table.velocity[i - 1]) fail_line(file, number, "velocities must rise");
    table.velocity[i] = velocity, table.density[i] = density;
    if (i > 0)
      table.below[i] = table.below[i - 1] + 0.5 * (density + table.density[i - 1]) * (velocity - table.velocity[i - 1]);
    table.count++;
  }
  if (table.count < 2) fail(file, ": has fewer than two velocities", NULL);
  if (!(table.below[table.count - 1] > 0)) fail(file, ": the density is zero everywhere", NULL);
  return table;
}

/* The velocity below which a part of all particles is; the density is a line between those of the table. */
static double quantile(const struct table *table, double part) {
  double sought = part * table->below[table->count - 1];
  int low = 0, high = table->count - 1;
  while (high - low > 1) {
    int middle = (low + high) / 2;
    if (table->below[middle] <= sought) low = middle;
    else high = middle;
  }
  double width = table->velocity[high] - table->velocity[low], area = sought - table->below[low];
  double from = table->density[low], slope = (table->density[high] - from) / width;
  double root = sqrt(fmax(from * from + 2 * slope * area, 0));
  return table->velocity[low] + (from + root > 0 ? 2 * area / (from + root) : 0);
}

double *distribution(const struct setting *setting, char *csv, const char *file, double *fastest) {
  struct table table = read_table(csv, file);
  double *velocities = allocate((size_t)setting->particles, sizeof *velocities);
  for (int i = 0; i < setting->particles; i++) velocities[i] = quantile(&table, turned((uint32_t)i));
  *fastest = fmax(fabs(table.velocity[0]), fabs(table.velocity[table.count - 1]));
  return velocities;
}
