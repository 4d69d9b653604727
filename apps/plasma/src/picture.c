#include "picture.h"

#include <math.h>
#include <stdlib.h>

#include "svg.h"

enum { WIDTH = 1000, PANEL_WIDTH = 288, PANEL_HEIGHT = 200, SHADES = 16, MOST_POINTS = 1200, GAP = 24 };

struct portrait new_portrait(double fastest) {
  struct portrait portrait = {.fastest = fastest,
                              .image = new_image(PANEL_COLUMNS * PANEL_WIDTH, PANELS / PANEL_COLUMNS * PANEL_HEIGHT)};
  /* A colour for each pair of densities: white without any, blue and red, dark where both are. */
  for (int blue = 0; blue < SHADES; blue++)
    for (int red = 0; red < SHADES; red++) {
      double b = sqrt(blue / (SHADES - 1.0)), r = sqrt(red / (SHADES - 1.0));
      uint8_t *colour = &portrait.image.palette[3 * (SHADES * blue + red)];
      colour[0] = (uint8_t)(int)(255 * (1 - 0.85 * b) * (1 - 0.14 * r));
      colour[1] = (uint8_t)(int)(255 * (1 - 0.60 * b) * (1 - 0.80 * r));
      colour[2] = (uint8_t)(int)(255 * (1 - 0.18 * b) * (1 - 0.72 * r));
    }
  return portrait;
}

void take_portrait(struct portrait *portrait, const struct plasma *plasma, int panel, double time) {
  const struct setting *setting = plasma->setting;
  static int density[2][PANEL_HEIGHT][PANEL_WIDTH];
  double across = (double)PANEL_WIDTH / setting->cells, unit = length_of(setting) / setting->cells / setting->step;
  double up = PANEL_HEIGHT / (2 * portrait->fastest);
  portrait->times[panel] = time;
  for (int kind = 0; kind < 2; kind++)
    for (int y = 0; y < PANEL_HEIGHT; y++)
      for (int x = 0; x < PANEL_WIDTH; x++) density[kind][y][x] = 0;
  for (int i = 0; i < setting->particles; i++) {
    double y = (portrait->fastest - plasma->speed[i] * unit) * up, x = plasma->place[i] * across;
    if (y >= 0 && y < PANEL_HEIGHT && x < PANEL_WIDTH) density[plasma->kind[i]][(int)y][(int)x]++;
  }
  /* Half of the particles on a line would put this many on each pixel; a few make a pixel dark. */
  double full = fmax(2, 0.04 * setting->particles / PANEL_WIDTH);
  for (int y = 0; y < PANEL_HEIGHT; y++)
    for (int x = 0; x < PANEL_WIDTH; x++) {
      int shade[2];
      for (int kind = 0; kind < 2; kind++) shade[kind] = (int)ceil(fmin(density[kind][y][x] / full, 1) * (SHADES - 1));
      int row = panel / PANEL_COLUMNS * PANEL_HEIGHT + y, column = panel % PANEL_COLUMNS * PANEL_WIDTH + x;
      portrait->image.pixels[row * portrait->image.width + column] = (uint8_t)(SHADES * shade[1] + shade[0]);
    }
}

struct points {
  double *x, *y;
  int count;
};

static struct points points_of(int count) {
  return (struct points){.x = allocate((size_t)count, sizeof(double)), .y = allocate((size_t)count, sizeof(double))};
}

static void draw_amplitude(const struct report *report, struct frame frame) {
  struct points points = points_of(report->count);
  double low = 99, high = -99;
  for (int i = 0; i < report->count; i++) {
    const struct sample *sample = &report->samples[i];
    double size = report->fit->grows ? hypot(sample->mode_sine, sample->mode_cosine) : fabs(sample->mode_sine);
    points.x[i] = sample->time, points.y[i] = log10(fmax(size, 1e-30));
    low = fmin(low, points.y[i]), high = fmax(high, points.y[i]);
  }
  frame.y_to = ceil(high + 0.1);
  frame.y_from = fmax(floor(low), frame.y_to - (report->fit->grows ? 8 : 4));
  draw_frame(&frame, "time, 1 / ωₚ", "amplitude of the wave's field, m U ωₚ / e", POWERS_Y);
  curve(&frame, points.x, points.y, report->count, BLUE, 1.4);
  const struct fit *fit = report->fit;
  if (fit->points < 3) return;
  double ends[] = {fit->from, fit->until};
  double levels[] = {fit->level / log(10), (fit->level + fit->growth * (fit->until - fit->from)) / log(10)};
  curve(&frame, ends, levels, 2, RED, 2.5);
  label(frame.right, frame.top - 9, 11.5, RED, "end", 1);
  add(out, "fit: γ = ");
  add_number(out, fit->growth, 4);
  add(out, " ωₚ");
  close_label();
}

static void draw_energies(const struct report *report, struct frame frame) {
  struct points field = points_of(report->count), kinetic = points_of(report->count), total = points_of(report->count);
  const struct sample *first = &report->samples[0];
  double low = 0, high = 0;
  for (int i = 0; i < report->count; i++) {
    const struct sample *sample = &report->samples[i];
    field.x[i] = kinetic.x[i] = total.x[i] = sample->time;
    field.y[i] = 100 * sample->field_energy / (first->field_energy + first->kinetic_energy);
    kinetic.y[i] = 100 * (sample->kinetic_energy - first->kinetic_energy) / (first->field_energy + first->kinetic_energy);
    total.y[i] = field.y[i] + kinetic.y[i] - field.y[0];
    low = fmin(low, fmin(kinetic.y[i], total.y[i])), high = fmax(high, fmax(field.y[i], kinetic.y[i]));
  }
  double room = fmax(0.08 * (high - low), 1e-6);
  frame.y_from = low - room, frame.y_to = high + room;
  draw_frame(&frame, "time, 1 / ωₚ", "energy, % of all", 0);
  curve(&frame, field.x, field.y, report->count, BLUE, 1.4);
  curve(&frame, kinetic.x, kinetic.y, report->count, GREEN, 1.4);
  curve(&frame, total.x, total.y, report->count, INK, 1.4);
  double x = frame.right;
  words(x, frame.top - 9, 11.5, INK, "end", 1, "total, change");
  words(x - 96, frame.top - 9, 11.5, GREEN, "end", 1, "kinetic, change");
  words(x - 206, frame.top - 9, 11.5, BLUE, "end", 1, "field");
}

/* Each panel is the whole picture, moved, behind a window. */
static void draw_panel(const struct portrait *portrait, struct frame frame, int panel) {
  draw_frame(&frame, "place, U / ωₚ", "", 0);
  add(out, "<svg");
  attribute("x", frame.left), attribute("y", frame.top);
  attribute("width", frame.right - frame.left), attribute("height", frame.bottom - frame.top);
  add(out, " viewBox=\"");
  add_number(out, panel % PANEL_COLUMNS * PANEL_WIDTH, 0);
  add(out, " ");
  add_number(out, panel / PANEL_COLUMNS * PANEL_HEIGHT, 0);
  add(out, " ");
  add_number(out, PANEL_WIDTH, 0);
  add(out, " ");
  add_number(out, PANEL_HEIGHT, 0);
  add(out, "\" preserveAspectRatio=\"none\"><use href=\"#portrait\"/></svg>\n");
  label(frame.left, frame.top - 9, 11.5, FAINT, "start", 0);
  add(out, "velocity, U; at time ");
  add_shortest(out, portrait->times[panel], 2);
  close_label();
}

void draw_chart(struct text *svg, const struct report *report, const struct portrait *portrait, const struct text *png) {
  double left = MARGIN + 30, right = WIDTH - MARGIN, top = 128, plot = 190, until = report->samples[report->count - 1].time;
  double panels = top + plot + 96, wide = (right - left - 2 * (GAP + 24)) / 3, high = 190, below = 72;
  open_svg(svg, WIDTH, panels + 2 * high + below + 60, report->title, report->subtitle);
  double middle = (left + right) / 2;
  draw_amplitude(report, (struct frame){left, top, middle - 40, top + plot, 0, until, 0, 0});
  draw_energies(report, (struct frame){middle + 40, top, right, top + plot, 0, until, 0, 0});

  words(left - 30, panels - 36, 13, INK, "start", 1, "Electrons in the plane of place and velocity");
  label(right, panels - 36, 11.5, FAINT, "end", 0);
  add(out, "<tspan fill=\"#2666d1\">■</tspan> started to the right  <tspan fill=\"#db3347\">■</tspan> to the left; U is ");
  add(out, report->unit);
  close_label();
  add(out, "<defs><g id=\"portrait\">\n");
  draw_image(png, 0, 0, portrait->image.width, portrait->image.height);
  add(out, "</g></defs>\n");
  for (int panel = 0; panel < PANELS; panel++) {
    double x = left + panel % PANEL_COLUMNS * (wide + GAP + 24), y = panels + panel / PANEL_COLUMNS * (high + below);
    struct frame frame = {x, y, x + wide, y + high, 0, length_of(report->setting), -portrait->fastest, portrait->fastest};
    draw_panel(portrait, frame, panel);
  }
  close_svg();
}
