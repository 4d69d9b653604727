#ifndef PICTURE_H
#define PICTURE_H

#include "flow.h"
#include "png.h"
#include "series.h"

enum field { VORTICITY, SPEED };

/* What a picture shows: the field in units of speed and L, and the colours' limits. */
struct scene {
  const struct setting *setting;
  const struct shape *shape;
  const struct flow *flow;
  enum field field;
  double limit;
};

/* Draws the field with the obstacle in grey, and sets the scene's limit so that the colours show most of it. */
struct image draw_field(struct scene *scene);
/* Draws the field with axes and colours, and drag and lift over time below. */
void draw_chart(struct text *svg, const struct scene *scene, const struct text *png, const struct series *series,
                const struct statistics *statistics, const char *title, const char *subtitle);

#endif
