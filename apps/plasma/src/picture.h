#ifndef PICTURE_H
#define PICTURE_H

#include "particles.h"
#include "png.h"
#include "theory.h"

enum { PANELS = 6, PANEL_COLUMNS = 3 };

/* All electrons in the plane of place and velocity, at PANELS times: one panel below the other, three in a row. */
struct portrait {
  struct image image;
  double fastest; /* velocity at a panel's upper edge */
  double times[PANELS];
};
struct portrait new_portrait(double fastest);
void take_portrait(struct portrait *portrait, const struct plasma *plasma, int panel, double time);
/* What the pictures and their axes need to say. */
struct report {
  const char *title, *subtitle, *unit; /* unit: of velocities */
  const struct setting *setting;
  const struct sample *samples;
  int count;
  const struct fit *fit;
};
void draw_chart(struct text *svg, const struct report *report, const struct portrait *portrait, const struct text *png);

#endif
