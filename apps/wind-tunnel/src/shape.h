#ifndef SHAPE_H
#define SHAPE_H

#include <stddef.h>
#include <stdint.h>

/* An obstacle around the origin. Lengths in units of the reference length L: a cylinder's diameter, a square's side, a
 * profile's chord, a mask's height. The flow goes along x, y goes up. */
struct shape {
  enum { CYLINDER, SQUARE, NACA, MASK } kind;
  const char *name;
  double angle;                        /* of attack: degrees, nose up */
  double camber, camber_at, thickness; /* NACA: parts of the chord */
  uint8_t *mask;                       /* 1 where solid; rows from the top, cut to what is solid */
  int width, height;
  double cosine, sine;
};

/* Reads cylinder, square or naca with four digits; ends the program for another name. */
struct shape named_shape(const char *name);
/* Reads a mask: PBM or PGM (plain or raw), or text of # and dots; ends the program where it is malformed. */
struct shape mask_shape(const char *bytes, size_t length, const char *file);
void turn_shape(struct shape *shape, double degrees);

int inside(const struct shape *shape, double x, double y);
/* Half the size of a square around the origin in which all of the obstacle lies. */
double reach(const struct shape *shape);

#endif
