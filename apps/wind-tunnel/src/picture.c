#include "picture.h"

#include <math.h>
#include <stdlib.h>

#include "svg.h"

enum { PIXELS = 960, WIDTH = 1000, GREY = 255, COLOURS = 255, MOST_POINTS = 1500 };

static double *measure(const struct scene *scene) {
  const struct flow *flow = scene->flow;
  int width = flow->width, height = flow->height;
  double *u = allocate((size_t)width * (size_t)height, sizeof *u), *v = allocate((size_t)width * (size_t)height, sizeof *v);
  double *value = allocate((size_t)width * (size_t)height, sizeof *value);
  for (int x = 0; x < width; x++)
    for (int y = 0; y < height; y++) velocity_at(flow, x, y, &u[x * height + y], &v[x * height + y]);
  for (int x = 0; x < width; x++)
    for (int y = 0; y < height; y++) {
      int here = x * height + y;
      if (scene->field == SPEED) value[here] = sqrt(u[here] * u[here] + v[here] * v[here]) / scene->setting->speed;
      else {
        int left = x > 0, right = x < width - 1, down = y > 0, up = y < height - 1;
        double turn = (v[here + right * height] - v[here - left * height]) / (left + right) -
                      (u[here + up] - u[here - down]) / (down + up);
        value[here] = turn * scene->setting->resolution / scene->setting->speed;
      }
    }
  free(u);
  free(v);
  return value;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* A few extreme values at the obstacle would leave the rest pale. */
static double limit_of(const struct scene *scene, const double *value, int count) {
  enum { SAMPLES = 4096 };
  static double sample[SAMPLES];
  int stride = count / SAMPLES + 1, taken = 0;
  for (int i = 0; i < count && taken < SAMPLES; i += stride) sample[taken++] = fabs(value[i]);
  qsort(sample, (size_t)taken, sizeof *sample, compare);
  double high = sample[taken * (scene->field == SPEED ? 998 : 975) / 1000];
  double step = round_up(high / 8);
  return fmax(ceil(high / step) * step, 1e-3);
}

struct image draw_field(struct scene *scene) {
  const struct setting *setting = scene->setting;
  int speed = scene->field == SPEED, nx = scene->flow->width, ny = scene->flow->height;
  double *value = measure(scene);
  scene->limit = limit_of(scene, value, nx * ny);
  double scale = (double)PIXELS / nx, size = reach(scene->shape);
  struct image image = new_image(PIXELS, (int)fmax(floor(ny * scale + 0.5), 1));
  set_colours(&image, speed ? SEQUENTIAL : DIVERGING, 0, COLOURS);
  image.palette[3 * GREY] = 70, image.palette[3 * GREY + 1] = 78, image.palette[3 * GREY + 2] = 88;
  for (int row = 0; row < image.height; row++) {
    double y = (image.height - row - 0.5) / scale, up = fmin(fmax(y - 0.5, 0), ny - 1.001);
    int below = (int)up;
    double fy = up - below, above = y / setting->resolution - setting->y;
    for (int column = 0; column < image.width; column++) {
      double x = (column + 0.5) / scale, ahead = x / setting->resolution - setting->x;
      uint8_t *pixel = &image.pixels[row * image.width + column];
      *pixel = GREY;
      if (fabs(ahead) <= size && fabs(above) <= size && inside(scene->shape, ahead, above)) continue;
      double right = fmin(fmax(x - 0.5, 0), nx - 1.001);
      int left = (int)right;
      const double *at = value + left * ny + below;
      double fx = right - left;
      double mixed = (1 - fx) * ((1 - fy) * at[0] + fy * at[1]) + fx * ((1 - fy) * at[ny] + fy * at[ny + 1]);
      double part = speed ? mixed / scene->limit : 0.5 + 0.5 * mixed / scene->limit;
      *pixel = (uint8_t)(int)(fmin(fmax(part, 0), 1) * (COLOURS - 1) + 0.5);
    }
  }
  free(value);
  return image;
}

/* A coefficient over time, with its mean over the time that counts. */
static void draw_series(const struct series *series, const double *values, struct frame frame, const char *name,
                        const char *colour, double from, double mean) {
  static double x[MOST_POINTS], y[MOST_POINTS];
  int count = series->count < MOST_POINTS ? series->count : MOST_POINTS;
  double low = mean, high = mean;
  for (int i = 0; i < count; i++) {
    int at = (int)((long long)i * series->count / count);
    x[i] = series->time[at], y[i] = values[at];
    /* The start's blow of pressure is left out of the scale. */
    if (series->time[at] < 0.1 * series->time[series->count - 1]) continue;
    low = fmin(low, y[i]), high = fmax(high, y[i]);
  }
  double room = fmax(0.12 * (high - low), 0.01 * fmax(fabs(mean), 0.1));
  frame.y_from = low - room, frame.y_to = high + room;
  rectangle(frame_x(&frame, from), frame.top, frame.right - frame_x(&frame, from), frame.bottom - frame.top, "#f5f7fa", 0);
  draw_frame(&frame, "time, L / U", name, 0);
  curve(&frame, x, y, count, colour, 1.4);
  double level = frame_y(&frame, mean);
  line(frame_x(&frame, from), level, frame.right, level, INK, 1);
  label(frame.right, frame.top - 9, 11.5, INK, "end", 1);
  add(out, "mean ");
  add_number(out, mean, 3);
  close_label();
}

void draw_chart(struct text *svg, const struct scene *scene, const struct text *png, const struct series *series,
                const struct statistics *statistics, const char *title, const char *subtitle) {
  const struct setting *setting = scene->setting;
  double left = MARGIN + 34, right = WIDTH - MARGIN, top = 136;
  double bottom = top + (right - left) * setting->height / setting->length, below = bottom + 84, plot = 170;
  open_svg(svg, WIDTH, below + plot + 56, title, subtitle);

  struct frame frame = {left, top, right, bottom, 0, setting->length, 0, setting->height};
  draw_frame(&frame, "x, L", "y, L", 0);
  draw_image(png, left, top, right - left, bottom - top);
  int speed = scene->field == SPEED;
  draw_colours(speed ? SEQUENTIAL : DIVERGING, right - 260, 92, 260, speed ? 0 : -scene->limit, scene->limit,
               speed ? "speed, U" : "vorticity, U / L (red turns left, blue right)");
  label(left + 60, top - 9, 11.5, FAINT, "start", 0);
  add(out, "at time ");
  add_shortest(out, series->time[series->count - 1], 2);
  add(out, " L / U");
  close_label();

  double gap = 72, middle = (left + right) / 2, until = series->time[series->count - 1];
  struct frame drag = {left, below, middle - gap / 2, below + plot, 0, until, 0, 0};
  struct frame lift = {middle + gap / 2, below, right, below + plot, 0, until, 0, 0};
  draw_series(series, series->drag, drag, "drag coefficient (grey: the time that counts)", BLUE, statistics->from,
              statistics->drag_mean);
  draw_series(series, series->lift, lift, "lift coefficient", GREEN, statistics->from, statistics->lift_mean);
  close_svg();
}
