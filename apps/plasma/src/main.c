/*
 * Waves in a plasma, by particles in cells in one dimension (README.md). A WASI command: a distribution of velocities in
 * /in may be the start, results go to /out. A bag of tasks sweeps wavenumber, temperature or amplitude.
 */
#include <math.h>
#include <string.h>

#include "job.h"
#include "particles.h"
#include "picture.h"
#include "text.h"
#include "theory.h"

const char PROGRAM[] = "plasma";

enum { MAX_PARTICLES = 2000000, MAX_STEPS = 200000, MAX_TABLE_BYTES = 1 << 20, MAX_LINES = 5000 };
enum mode { LANGMUIR, TWO_STREAM, DISTRIBUTION };
static const char *const MODES[] = {"langmuir", "two-stream", "distribution"};

struct options {
  enum mode mode;
  const char *file;
  double time;
  struct bag bag;
  struct setting setting;
};

static int is_particles(double number) { return number == floor(number) && fmod(number, 2) == 0; }

static struct options read_options(int count, char **arguments) {
  struct options options = {.mode = TWO_STREAM, .time = 50, .setting = {.step = 0.1, .waves = 1, .cells = 64, .particles = 16000}};
  struct setting *setting = &options.setting;
  const char *wavenumber = NULL, *thermal = NULL, *amplitude = NULL;
  int tasks = 0;
  for (int i = 1; i < count; i += 2) {
    const char *name = arguments[i], *value = i + 1 < count ? arguments[i + 1] : "";
    if (strcmp(name, "--mode") == 0) {
      int mode = 0;
      while (mode < 3 && strcmp(value, MODES[mode]) != 0) mode++;
      if (mode == 3) fail("--mode must be langmuir, two-stream or distribution, got ", *value ? value : "nothing", NULL);
      options.mode = (enum mode)mode;
    } else if (strcmp(name, "--wavenumber") == 0) wavenumber = value;
    else if (strcmp(name, "--thermal") == 0) thermal = value;
    else if (strcmp(name, "--amplitude") == 0) amplitude = value;
    else if (strcmp(name, "--file") == 0) options.file = value;
    else if (strcmp(name, "--step") == 0) setting->step = number_between(name, value, 0.001, 0.5, 0);
    else if (strcmp(name, "--time") == 0) options.time = number_between(name, value, 1, 10000, 0);
    else if (strcmp(name, "--waves") == 0) setting->waves = (int)number_between(name, value, 1, 64, 1);
    else if (strcmp(name, "--cells") == 0) setting->cells = (int)number_between(name, value, 8, 4096, 1);
    else if (strcmp(name, "--particles") == 0) setting->particles = (int)number_between(name, value, 100, MAX_PARTICLES, 1);
    else if (strcmp(name, "--tasks") == 0) tasks = (int)number_between(name, value, 1, 1e6, 1);
    else
      fail("unknown argument ", name,
           "; known: --mode --wavenumber --thermal --amplitude --file --step --time --waves --cells --particles --tasks", NULL);
  }
  if (!is_particles(setting->particles)) fail("--particles must be even", NULL);
  options.bag = read_bag(tasks);
  /* Without a number given: the wave of two beams that grows fastest, sqrt(3/8), and a Langmuir wave without damping. */
  setting->wavenumber = wavenumber ? number_of_task("--wavenumber", wavenumber, options.bag, 0.001, 100, 0)
                        : options.mode == LANGMUIR ? 0.2 : sqrt(3.0 / 8);
  setting->thermal = thermal ? number_of_task("--thermal", thermal, options.bag, 0, 10, 0) : options.mode == LANGMUIR;
  setting->amplitude = amplitude ? number_of_task("--amplitude", amplitude, options.bag, 0, 0.9, 0)
                       : options.mode == LANGMUIR ? 0.02 : 0.0002;
  if (setting->cells < 8 * setting->waves) fail("--cells must be at least 8 for each of the --waves", NULL);
  if (options.time / setting->step > MAX_STEPS) fail("more than 200000 steps: choose a shorter --time or a longer --step", NULL);
  if (options.time < 10 * setting->step) fail("fewer than 10 steps: choose a longer --time", NULL);
  if (options.file && options.mode != DISTRIBUTION) fail("--file is for --mode distribution", NULL);
  if (thermal && options.mode == DISTRIBUTION) fail("--thermal is not for --mode distribution", NULL);
  return options;
}

static double *start(struct options *options, double *fastest) {
  const struct setting *setting = &options->setting;
  double swing = 1.5 * setting->amplitude / setting->wavenumber;
  if (options->mode != DISTRIBUTION) {
    double beam = options->mode == TWO_STREAM ? 2.4 : 0;
    *fastest = fmax(beam + 4 * setting->thermal, swing);
    if (!(*fastest > 0)) *fastest = 1;
    return beams(setting, options->mode == TWO_STREAM ? 2 : 1);
  }
  const char *in = environment("IEXEC_IN", "/in"), *file = options->file ? options->file : find_input(in, ".csv");
  if (!file) fail("no distribution: give a .csv as input file", NULL);
  size_t length;
  char *csv = read_file(in, file, MAX_TABLE_BYTES, &length);
  if (memchr(csv, 0, length)) fail(file, ": is not a text", NULL);
  double *velocities = distribution(setting, csv, file, fastest);
  *fastest = fmax(1.2 * *fastest, swing);
  return velocities;
}

static void write_energies(struct text *text, const struct sample *samples, int count) {
  int every = (count + MAX_LINES - 1) / MAX_LINES;
  add(text, "time,field_energy,kinetic_energy,total_energy,momentum,wave_sine,wave_cosine\n");
  for (int i = 0; i < count; i += every) {
    const struct sample *s = &samples[i];
    add_number(text, s->time, 4);
    add_field(text, s->field_energy, 9), add_field(text, s->kinetic_energy, 9);
    add_field(text, s->field_energy + s->kinetic_energy, 9), add_field(text, s->momentum, 9);
    add_field(text, s->mode_sine, 9), add_field(text, s->mode_cosine, 9);
    add(text, "\n");
  }
}

static void maybe(struct text *text, int known, double number) {
  add(text, ",");
  if (known) add_number(text, number, 6);
}

static double drift(const struct sample *samples, int count) {
  double first = samples[0].field_energy + samples[0].kinetic_energy, most = 0;
  for (int i = 0; i < count; i++)
    most = fmax(most, fabs(samples[i].field_energy + samples[i].kinetic_energy - first));
  return first > 0 ? most / first : 0;
}

static void write_summary(struct text *text, const struct options *options, const struct fit *fit, double error) {
  const struct setting *setting = &options->setting;
  double frequency, growth;
  landau(setting->wavenumber, setting->thermal, &frequency, &growth);
  int wave = options->mode == LANGMUIR, beam = options->mode == TWO_STREAM && setting->thermal == 0;
  add(text, "mode,wavenumber,thermal,amplitude,waves,cells,particles,step,time,growth,growth_theory,frequency,"
            "frequency_bohm_gross,frequency_landau,fit_from,fit_until,energy_drift\n");
  add(text, MODES[options->mode]);
  add_field(text, setting->wavenumber, 6), add_field(text, setting->thermal, 6), add_field(text, setting->amplitude, 6);
  add_field(text, setting->waves, 0), add_field(text, setting->cells, 0), add_field(text, setting->particles, 0);
  add_field(text, setting->step, 4), add_field(text, options->time, 4);
  maybe(text, fit->points >= 3, fit->growth);
  maybe(text, wave || beam, wave ? growth : two_stream_growth(setting->wavenumber));
  maybe(text, fit->points >= 3 && !fit->grows, fit->frequency);
  maybe(text, wave, bohm_gross(setting->wavenumber, setting->thermal));
  maybe(text, wave, frequency);
  maybe(text, fit->points >= 3, fit->from);
  maybe(text, fit->points >= 3, fit->until);
  add_field(text, error, 9);
  add(text, "\n");
}

static void write_title(struct text *text, const struct options *options) {
  static const char *const TITLES[] = {"Langmuir wave", "Two-stream instability", "Wave in a plasma"};
  add(text, TITLES[options->mode]);
  add(text, ", wavenumber ");
  add_shortest(text, options->setting.wavenumber, 4);
  add(text, " ωₚ / U");
}

static void write_subtitle(struct text *text, const struct options *options, const struct fit *fit, double error) {
  const struct setting *setting = &options->setting;
  if (fit->points < 3) add(text, "no growth rate or frequency could be fitted");
  else if (fit->grows) {
    add(text, "growth rate ");
    add_number(text, fit->growth, 4);
    add(text, " ωₚ");
    if (options->mode == TWO_STREAM) {
      add(text, ", cold beams in theory ");
      add_number(text, two_stream_growth(setting->wavenumber), 4);
    }
  } else {
    add(text, "frequency ");
    add_number(text, fit->frequency, 4);
    add(text, " ωₚ, change of its swings ");
    add_number(text, fit->growth, 4);
    if (options->mode == LANGMUIR) {
      double frequency, growth;
      landau(setting->wavenumber, setting->thermal, &frequency, &growth);
      add(text, "; Bohm and Gross ");
      add_number(text, bohm_gross(setting->wavenumber, setting->thermal), 4);
      add(text, ", Landau ");
      add_number(text, frequency, 4);
      add(text, " and ");
      add_number(text, growth, 4);
    }
  }
  add(text, "; ");
  add_grouped(text, setting->particles);
  add(text, " particles, ");
  add_grouped(text, setting->cells);
  add(text, " cells, energy holds to ");
  add_number(text, 100 * error, 4);
  add(text, " %");
}

int main(int count, char **arguments) {
  struct options options = read_options(count, arguments);
  const char *folder = environment("IEXEC_OUT", "/out");
  const struct setting *setting = &options.setting;
  double fastest;
  double *velocities = start(&options, &fastest);
  struct plasma plasma = open_plasma(setting, velocities);
  struct portrait portrait = new_portrait(fastest);
  int steps = (int)ceil(options.time / setting->step - 1e-9), panel = 0;
  struct sample *samples = allocate((size_t)steps + 1, sizeof *samples);
  for (int i = 0; i <= steps; i++) {
    if (i >= (long long)panel * steps / (PANELS - 1)) take_portrait(&portrait, &plasma, panel++, i * setting->step);
    samples[i] = advance(&plasma, i);
    if (!isfinite(samples[i].field_energy)) fail("the plasma became unstable: choose a shorter --step", NULL);
  }
  struct fit fit = fit_wave(samples, steps + 1);
  double error = drift(samples, steps + 1);

  static const char *const UNITS[] = {"the unit of --thermal (1: thermal speed)", "the speed of each beam", "the unit of the table"};
  struct text text = {0}, title = {0}, subtitle = {0}, png = {0};
  write_energies(&text, samples, steps + 1);
  save(&text, folder, "energies.csv");
  write_summary(&text, &options, &fit, error);
  save(&text, folder, "summary.csv");
  write_title(&title, &options);
  write_subtitle(&subtitle, &options, &fit, error);
  add_png(&png, &portrait.image);
  struct report report = {.title = as_string(&title), .subtitle = as_string(&subtitle), .unit = UNITS[options.mode],
                          .setting = setting, .samples = samples, .count = steps + 1, .fit = &fit};
  draw_chart(&text, &report, &portrait, &png);
  save(&text, folder, "chart.svg");
  save(&png, folder, "phase-space.png");
  add(&text, title.bytes);
  add(&text, "\n");
  add(&text, subtitle.bytes);
  add(&text, "\n");
  print(&text);
  return 0;
}
