#include "svg.h"

#include <math.h>

const char INK[] = "#1f2933", FAINT[] = "#7b8794", GRID[] = "#e4e7eb", BLUE[] = "#3c78d8", PALE[] = "#a9c5f2",
           RED[] = "#d64545", PALE_RED[] = "#f0a8a8", GREEN[] = "#2f9e77", WHITE[] = "#ffffff";

struct text *out;

void open_svg(struct text *svg, double width, double height, const char *title, const char *subtitle) {
  out = svg;
  add(out, "<svg xmlns=\"http://www.w3.org/2000/svg\"");
  attribute("width", width), attribute("height", height);
  add(out, " viewBox=\"0 0 ");
  add_number(out, width, 0);
  add(out, " ");
  add_number(out, height, 0);
  add(out, "\" font-family=\"system-ui, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif\">\n");
  rectangle(0, 0, width, height, WHITE, 0);
  words(MARGIN, 44, 20, INK, "start", 1, title);
  words(MARGIN, 66, 12.5, FAINT, "start", 0, subtitle);
}

void close_svg(void) { add(out, "</svg>\n"); }

void attribute(const char *name, double number) {
  add(out, " ");
  add(out, name);
  add(out, "=\"");
  add_number(out, number, 1);
  add(out, "\"");
}

void fill(const char *colour) {
  add(out, " fill=\"");
  add(out, colour);
  add(out, "\"");
}

void rectangle(double x, double y, double width, double height, const char *colour, double radius) {
  add(out, "<rect");
  attribute("x", x), attribute("y", y), attribute("width", fmax(width, 0)), attribute("height", fmax(height, 0));
  if (radius > 0) attribute("rx", radius);
  fill(colour);
  add(out, "/>\n");
}

void line(double x1, double y1, double x2, double y2, const char *colour, double width) {
  add(out, "<line");
  attribute("x1", x1), attribute("y1", y1), attribute("x2", x2), attribute("y2", y2);
  add(out, " stroke=\"");
  add(out, colour);
  add(out, "\"");
  attribute("stroke-width", width);
  add(out, "/>\n");
}

void label(double x, double y, double size, const char *colour, const char *anchor, int bold) {
  add(out, "<text");
  attribute("x", x), attribute("y", y), attribute("font-size", size);
  fill(colour);
  add(out, " text-anchor=\"");
  add(out, anchor);
  add(out, bold ? "\" font-weight=\"600\">" : "\">");
}

void close_label(void) { add(out, "</text>\n"); }

void words(double x, double y, double size, const char *colour, const char *anchor, int bold, const char *content) {
  label(x, y, size, colour, anchor, bold);
  add(out, content);
  close_label();
}

double round_up(double size) {
  if (!(size > 1e-9)) return 1;
  double power = 1e-9;
  while (power * 10 <= size) power *= 10;
  return size <= power ? power : size <= 2 * power ? 2 * power : size <= 5 * power ? 5 * power : 10 * power;
}

int decimals_of(double size) { return size >= 10 ? 0 : size >= 1 ? 1 : size >= 0.1 ? 2 : size >= 0.01 ? 3 : 4; }

double frame_x(const struct frame *frame, double x) {
  return frame->left + (x - frame->x_from) / (frame->x_to - frame->x_from) * (frame->right - frame->left);
}

double frame_y(const struct frame *frame, double y) {
  return frame->bottom - (y - frame->y_from) / (frame->y_to - frame->y_from) * (frame->bottom - frame->top);
}

static double tick_of(double from, double to, double pixels, double apart) {
  return round_up((to - from) / fmax(floor(pixels / apart), 2));
}

/* Adds a mark of an axis. */
static void add_mark(double number, double tick, int power) {
  if (power) add(out, "10<tspan font-size=\"8\" dy=\"-4\">");
  add_shortest(out, number, decimals_of(tick));
  if (power) add(out, "</tspan>");
  close_label();
}

void draw_frame(const struct frame *frame, const char *x_name, const char *y_name, int powers) {
  double tick = tick_of(frame->x_from, frame->x_to, frame->right - frame->left, 80);
  if (powers & POWERS_X) tick = fmax(tick, 1);
  for (double i = ceil(frame->x_from / tick - 1e-9); i * tick <= frame->x_to + 1e-9 * tick; i++) {
    double x = frame_x(frame, i * tick);
    line(x, frame->top, x, frame->bottom, GRID, 1);
    label(x, frame->bottom + 16, 10.5, FAINT, "middle", 0);
    add_mark(i * tick, tick, powers & POWERS_X);
  }
  tick = tick_of(frame->y_from, frame->y_to, frame->bottom - frame->top, 32);
  if (powers & POWERS_Y) tick = fmax(tick, 1);
  for (double i = ceil(frame->y_from / tick - 1e-9); i * tick <= frame->y_to + 1e-9 * tick; i++) {
    double y = frame_y(frame, i * tick);
    line(frame->left, y, frame->right, y, GRID, 1);
    label(frame->left - 7, y + 3.5, 10.5, FAINT, "end", 0);
    add_mark(i * tick, tick, powers & POWERS_Y);
  }
  line(frame->left, frame->bottom, frame->right, frame->bottom, FAINT, 1);
  words((frame->left + frame->right) / 2, frame->bottom + 33, 11.5, FAINT, "middle", 0, x_name);
  words(frame->left, frame->top - 9, 11.5, FAINT, "start", 0, y_name);
}

void curve(const struct frame *frame, const double *x, const double *y, int count, const char *colour, double width) {
  add(out, "<polyline fill=\"none\" stroke-linejoin=\"round\" stroke=\"");
  add(out, colour);
  add(out, "\"");
  attribute("stroke-width", width);
  add(out, " points=\"");
  for (int i = 0; i < count; i++) {
    if (!isfinite(x[i]) || !isfinite(y[i])) continue;
    add_shortest(out, frame_x(frame, fmin(fmax(x[i], frame->x_from), frame->x_to)), 1);
    add(out, ",");
    add_shortest(out, frame_y(frame, fmin(fmax(y[i], frame->y_from), frame->y_to)), 1);
    add(out, " ");
  }
  add(out, "\"/>\n");
}
