/*
 * Flow of air or water round an obstacle in a channel, by the lattice Boltzmann method (README.md). A WASI command: a
 * mask in /in may be the obstacle, results go to /out. A bag of tasks sweeps the Reynolds number or the angle.
 */
#include <math.h>
#include <string.h>

#include "flow.h"
#include "job.h"
#include "picture.h"
#include "series.h"
#include "shape.h"
#include "text.h"

const char PROGRAM[] = "wind-tunnel";

enum { MAX_NODES = 1000000, MAX_STEPS = 2000000, MAX_MASK_BYTES = 33 << 20, MAX_LINES = 4000 };

struct options {
  const char *shape, *file, *reynolds, *angle;
  double time, from;
  enum field field;
  struct bag bag;
  struct setting setting;
};

static struct options read_options(int count, char **arguments) {
  struct options options = {.reynolds = "100", .angle = "0", .time = 26, .from = -1,
                            .setting = {.speed = 0.15, .resolution = 8, .length = 9, .height = 4.1, .x = 2, .y = 2, .channel = 1}};
  struct setting *setting = &options.setting;
  int tasks = 0;
  for (int i = 1; i < count; i += 2) {
    const char *name = arguments[i], *value = i + 1 < count ? arguments[i + 1] : "";
    if (strcmp(name, "--shape") == 0) options.shape = value;
    else if (strcmp(name, "--file") == 0) options.file = value;
    else if (strcmp(name, "--reynolds") == 0) options.reynolds = value;
    else if (strcmp(name, "--angle") == 0) options.angle = value;
    else if (strcmp(name, "--resolution") == 0) setting->resolution = number_between(name, value, 4, 200, 1);
    else if (strcmp(name, "--speed") == 0) setting->speed = number_between(name, value, 0.005, 0.15, 0);
    else if (strcmp(name, "--length") == 0) setting->length = number_between(name, value, 4, 100, 0);
    else if (strcmp(name, "--height") == 0) setting->height = number_between(name, value, 1.5, 100, 0);
    else if (strcmp(name, "--x") == 0) setting->x = number_between(name, value, 0, 100, 0);
    else if (strcmp(name, "--y") == 0) setting->y = number_between(name, value, 0, 100, 0);
    else if (strcmp(name, "--time") == 0) options.time = number_between(name, value, 1, 1000, 0);
    else if (strcmp(name, "--from") == 0) options.from = number_between(name, value, 0, 1000, 0);
    else if (strcmp(name, "--tasks") == 0) tasks = (int)number_between(name, value, 1, 1e6, 1);
    else if (strcmp(name, "--walls") == 0) {
      setting->channel = strcmp(value, "channel") == 0;
      if (!setting->channel && strcmp(value, "slip") != 0) fail("--walls must be channel or slip, got ", *value ? value : "nothing", NULL);
    } else if (strcmp(name, "--field") == 0) {
      options.field = strcmp(value, "speed") == 0 ? SPEED : VORTICITY;
      if (options.field == VORTICITY && strcmp(value, "vorticity") != 0)
        fail("--field must be vorticity or speed, got ", *value ? value : "nothing", NULL);
    } else
      fail("unknown argument ", name,
           "; known: --shape --file --reynolds --angle --resolution --speed --length --height --x --y --walls --time --from"
           " --field --tasks", NULL);
  }
  options.bag = read_bag(tasks);
  setting->reynolds = number_of_task("--reynolds", options.reynolds, options.bag, 0.1, 100000, 0);
  if (options.from < 0) options.from = 0.5 * options.time;
  if (options.from >= options.time) fail("--from must be less than --time", NULL);
  if (setting->length * setting->height * setting->resolution * setting->resolution > MAX_NODES)
    fail("the channel has more than 1000000 cells: choose a lower --resolution or a smaller channel", NULL);
  if (options.time * setting->resolution / setting->speed > MAX_STEPS)
    fail("more than 2000000 steps: choose a shorter --time or a higher --speed", NULL);
  return options;
}

static struct shape read_shape(const struct options *options) {
  static const char *const ENDINGS[] = {".pbm", ".pgm", ".txt"};
  const char *in = environment("IEXEC_IN", "/in"), *file = options->file;
  int asked = options->shape && strcmp(options->shape, "mask") == 0;
  struct shape shape;
  if (options->file && options->shape && !asked) fail("--file is for --shape mask", NULL);
  for (int i = 0; i < 3 && !file && (asked || !options->shape); i++) file = find_input(in, ENDINGS[i]);
  if (asked && !file) fail("no mask: give a .pbm, .pgm or .txt as input file", NULL);
  if (file) {
    size_t length;
    char *bytes = read_file(in, file, MAX_MASK_BYTES, &length);
    shape = mask_shape(bytes, length, file);
  } else shape = named_shape(options->shape ? options->shape : "cylinder");
  turn_shape(&shape, number_of_task("--angle", options->angle, options->bag, -180, 180, 0));
  return shape;
}

static struct series simulate(struct flow *flow, const struct setting *setting, double until) {
  int steps = (int)ceil(until * setting->resolution / setting->speed);
  struct series series = {.time = allocate((size_t)steps, sizeof(double)), .drag = allocate((size_t)steps, sizeof(double)),
                          .lift = allocate((size_t)steps, sizeof(double)), .count = steps};
  double unit = 2 / (setting->speed * setting->speed * setting->resolution);
  for (int i = 0; i < steps; i++) {
    struct force force = advance(flow);
    series.time[i] = (i + 0.5) * setting->speed / setting->resolution;
    series.drag[i] = unit * force.x;
    series.lift[i] = unit * force.y;
    if (!(fabs(series.drag[i]) < 1e6 && fabs(series.lift[i]) < 1e6)) {
      struct text time = {0};
      add_number(&time, series.time[i], 2);
      fail("the flow became unstable at time ", as_string(&time),
           ": choose a higher --resolution, a lower --reynolds or another --speed", NULL);
    }
  }
  return series;
}

static void write_forces(struct text *text, const struct series *series) {
  int every = (series->count + MAX_LINES - 1) / MAX_LINES;
  add(text, "time,drag,lift\n");
  for (int i = every - 1; i < series->count; i += every) {
    add_number(text, series->time[i], 4);
    add_field(text, series->drag[i], 6), add_field(text, series->lift[i], 6);
    add(text, "\n");
  }
}

static void write_summary(struct text *text, const struct shape *shape, const struct setting *setting, double until,
                          const struct statistics *s) {
  add(text, "shape,angle,reynolds,walls,length,height,resolution,speed,from,until,drag_mean,drag_min,drag_max,"
            "lift_mean,lift_deviation,lift_min,lift_max,strouhal,periods\n");
  add(text, shape->name);
  add_field(text, shape->angle, 3), add_field(text, setting->reynolds, 3);
  add(text, setting->channel ? ",channel" : ",slip");
  add_field(text, setting->length, 3), add_field(text, setting->height, 3), add_field(text, setting->resolution, 0);
  add_field(text, setting->speed, 4), add_field(text, s->from, 2), add_field(text, until, 2);
  add_field(text, s->drag_mean, 5), add_field(text, s->drag_least, 5), add_field(text, s->drag_most, 5);
  add_field(text, s->lift_mean, 5), add_field(text, s->lift_deviation, 5);
  add_field(text, s->lift_least, 5), add_field(text, s->lift_most, 5);
  add(text, ",");
  if (s->strouhal > 0) add_number(text, s->strouhal, 5);
  add_field(text, s->periods, 0);
  add(text, "\n");
}

static void write_title(struct text *text, const struct shape *shape, const struct setting *setting) {
  add(text, "Flow round ");
  if (shape->kind == MASK) add(text, "a mask");
  else if (shape->kind == NACA) add(text, "the profile NACA "), add(text, shape->name + 4);
  else add(text, "a "), add(text, shape->name);
  if (shape->kind != CYLINDER && shape->angle != 0) {
    add(text, " at ");
    add_shortest(text, shape->angle, 2);
    add(text, "°");
  }
  add(text, ", Reynolds number ");
  add_shortest(text, setting->reynolds, 2);
}

static void write_subtitle(struct text *text, const struct setting *setting, const struct statistics *s) {
  add(text, "drag coefficient ");
  add_number(text, s->drag_mean, 3);
  add(text, " (most ");
  add_number(text, s->drag_most, 3);
  add(text, "), lift ");
  add_number(text, s->lift_mean, 3);
  if (s->strouhal > 0) {
    add(text, " ± ");
    add_number(text, 0.5 * (s->lift_most - s->lift_least), 3);
    add(text, ", Strouhal number ");
    add_number(text, s->strouhal, 4);
    add(text, " over ");
    add_number(text, s->periods, 0);
    add(text, " periods");
  }
  add(text, "; ");
  add_shortest(text, setting->length, 2);
  add(text, " x ");
  add_shortest(text, setting->height, 2);
  add(text, " L, ");
  add_shortest(text, setting->resolution, 0);
  add(text, " cells on L");
}

int main(int count, char **arguments) {
  struct options options = read_options(count, arguments);
  const char *folder = environment("IEXEC_OUT", "/out");
  struct shape shape = read_shape(&options);
  double size = reach(&shape);
  if (size > options.setting.height || size > options.setting.length) fail("the obstacle is larger than the channel", NULL);
  struct flow flow = open_flow(&options.setting, &shape);
  struct series series = simulate(&flow, &options.setting, options.time);
  struct statistics statistics = evaluate(&series, options.from);

  struct text text = {0}, title = {0}, subtitle = {0}, png = {0};
  write_forces(&text, &series);
  save(&text, folder, "forces.csv");
  write_summary(&text, &shape, &options.setting, options.time, &statistics);
  save(&text, folder, "summary.csv");
  struct scene scene = {.setting = &options.setting, .shape = &shape, .flow = &flow, .field = options.field};
  struct image image = draw_field(&scene);
  add_png(&png, &image);
  write_title(&title, &shape, &options.setting);
  write_subtitle(&subtitle, &options.setting, &statistics);
  draw_chart(&text, &scene, &png, &series, &statistics, as_string(&title), as_string(&subtitle));
  save(&text, folder, "chart.svg");
  save(&png, folder, "field.png");
  add(&text, title.bytes);
  add(&text, "\n");
  add(&text, subtitle.bytes);
  add(&text, "\n");
  print(&text);
  return 0;
}
