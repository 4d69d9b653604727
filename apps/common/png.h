#ifndef PNG_H
#define PNG_H

#include <stdint.h>

#include "text.h"

/* A picture of one byte a pixel, the number of a colour; rows from the top. */
struct image {
  uint8_t *pixels;
  int width, height;
  uint8_t palette[768]; /* red, green, blue of each colour */
};

/* A colour map: colours at equal distances from 0 to 1, three bytes each. */
struct colours {
  int count;
  const uint8_t *stops;
};
/* Blue over white to red, for what has a sign; dark blue over green to yellow, for sizes. */
extern const struct colours DIVERGING, SEQUENTIAL;

struct image new_image(int width, int height);
/* Sets the colours `from` to `from + count - 1` of a palette to the map's. */
void set_colours(struct image *image, struct colours map, int from, int count);

/* Adds the picture as PNG (W3C, third edition), with a palette. */
void add_png(struct text *text, const struct image *image);
/* Draws a PNG into SVG, which holds it whole. */
void draw_image(const struct text *png, double x, double y, double width, double height);
/* Draws the map as a horizontal bar with its name above and a scale below. */
void draw_colours(struct colours map, double x, double y, double width, double from, double to, const char *name);

#endif
