#ifndef SVG_H
#define SVG_H

#include "text.h"

/* Draws SVG into a text. Lengths are pixels; y goes down. */

enum { MARGIN = 32 };

extern const char INK[], FAINT[], GRID[], BLUE[], PALE[], RED[], PALE_RED[], GREEN[], WHITE[];

/* The text that is drawn into: what is added between label and close_label is the label's content. */
extern struct text *out;

/* Begins a picture on white with its title and a line below it. */
void open_svg(struct text *svg, double width, double height, const char *title, const char *subtitle);
void close_svg(void);

void attribute(const char *name, double number);
void fill(const char *colour);
void rectangle(double x, double y, double width, double height, const char *colour, double radius);
void line(double x1, double y1, double x2, double y2, const char *colour, double width);
/* Opens a text; `anchor` is start, middle or end. */
void label(double x, double y, double size, const char *colour, const char *anchor, int bold);
void close_label(void);
void words(double x, double y, double size, const char *colour, const char *anchor, int bold, const char *content);

/* The least of 1, 2 and 5 times a power of ten that is not below `size`. */
double round_up(double size);
/* Decimals that a scale with steps of `size` needs, with one to spare. */
int decimals_of(double size);

/* A plot's frame: the pixels of its corners, and what the axes show there. */
struct frame {
  double left, top, right, bottom;
  double x_from, x_to, y_from, y_to;
};
double frame_x(const struct frame *frame, double x);
double frame_y(const struct frame *frame, double y);
/* Axes that show the logarithm to base 10 of a number, and are marked with its powers. */
enum { POWERS_X = 1, POWERS_Y = 2 };
/* Draws grid, scales and names of the axes. */
void draw_frame(const struct frame *frame, const char *x_name, const char *y_name, int powers);
/* Draws a curve through points; those outside the frame are drawn at its edge, those that are not finite left out. */
void curve(const struct frame *frame, const double *x, const double *y, int count, const char *colour, double width);

#endif
