/*
 * Prices a book of options by Monte Carlo and computes its value at risk (README.md). A WASI command: the book is a CSV
 * in /in, results go to /out. As one task of a bag it prices every n-th position only.
 */
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "book.h"
#include "chart.h"
#include "price.h"
#include "risk.h"
#include "text.h"

struct options {
  double paths;
  const char *file;
  int index, size; /* this task and the tasks of the bag */
  struct setting setting;
};

static const char *environment(const char *name, const char *absent) {
  const char *value = getenv(name);
  return value && *value ? value : absent;
}

static double number_between(const char *name, const char *text, double least, double most, int whole) {
  double number;
  if (!read_number(text, &number)) fail(name, " must be a finite number, got ", *text ? text : "nothing", NULL);
  if (whole && number != floor(number)) fail(name, " must be a whole number, got ", text, NULL);
  if (number >= least && number <= most) return number;
  struct text range = {0};
  add_number(&range, least, least == floor(least) ? 0 : 2);
  add(&range, " to ");
  add_number(&range, most, most == floor(most) ? 0 : 4);
  add_bytes(&range, "", 1);
  fail(name, " must be from ", range.bytes, ", got ", text, NULL);
}

static uint64_t read_seed(const char *text) {
  uint64_t seed = 0;
  if (!*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 15)
    fail("--seed must be a whole number of at most 15 digits, got ", *text ? text : "nothing", NULL);
  for (; *text; text++) seed = 10 * seed + (uint64_t)(*text - '0');
  return seed;
}

static struct options read_options(int count, char **arguments) {
  struct options options = {.paths = 1000000,
                            .setting = {.seed = 1, .scenarios = 5000, .horizon_days = 10, .confidence = 0.99, .correlation = 0.3}};
  int tasks = 0;
  for (int i = 1; i < count; i += 2) {
    const char *name = arguments[i], *value = i + 1 < count ? arguments[i + 1] : "";
    if (strcmp(name, "--paths") == 0) options.paths = number_between(name, value, 100, 1e9, 1);
    else if (strcmp(name, "--seed") == 0) options.setting.seed = read_seed(value);
    else if (strcmp(name, "--horizon") == 0) options.setting.horizon_days = number_between(name, value, 0.01, 252, 0);
    else if (strcmp(name, "--confidence") == 0) options.setting.confidence = number_between(name, value, 0.5, 0.9999, 0);
    else if (strcmp(name, "--scenarios") == 0) options.setting.scenarios = (int)number_between(name, value, 100, 1e6, 1);
    else if (strcmp(name, "--correlation") == 0) options.setting.correlation = number_between(name, value, 0, 1, 0);
    else if (strcmp(name, "--tasks") == 0) tasks = (int)number_between(name, value, 1, 1e6, 1);
    else if (strcmp(name, "--file") == 0) options.file = value;
    else
      fail("unknown argument ", name,
           "; known: --paths --seed --horizon --confidence --scenarios --correlation --tasks --file", NULL);
  }
  double first = number_between("IEXEC_BOT_FIRST_INDEX", environment("IEXEC_BOT_FIRST_INDEX", "0"), 0, 1e9, 1);
  double index = number_between("IEXEC_BOT_TASK_INDEX", environment("IEXEC_BOT_TASK_INDEX", "0"), 0, 1e9, 1);
  double size = number_between("IEXEC_BOT_SIZE", environment("IEXEC_BOT_SIZE", "1"), 1, 1e9, 1);
  /* A request may be met by several deals: --tasks counts the tasks of all, and then their indexes need no base. */
  if (tasks == 0) index -= first;
  else size = tasks;
  if (index < 0 || index >= size) fail("the index of the task is not within the bag", NULL);
  options.index = (int)index;
  options.size = (int)size;
  return options;
}

static int ends_in_csv(const char *name) {
  size_t length = strlen(name);
  return length > 4 && strcmp(name + length - 4, ".csv") == 0;
}

/* The book: the file asked for, else an input whose name ends in .csv, else the first input, else any .csv in /in. */
static const char *find_book(const char *folder, const char *asked) {
  static char found[256];
  if (asked) return asked;
  for (int i = 1; i <= 256; i++) {
    struct text name = {0};
    add(&name, "IEXEC_INPUT_FILE_NAME_");
    add_number(&name, i, 0);
    add_bytes(&name, "", 1);
    const char *file = environment(name.bytes, NULL);
    free(name.bytes);
    if (!file) break;
    if (ends_in_csv(file)) return file;
  }
  const char *first = environment("IEXEC_INPUT_FILE_NAME_1", NULL);
  if (first) return first;
  DIR *directory = opendir(folder);
  for (struct dirent *entry; directory && (entry = readdir(directory));)
    if (ends_in_csv(entry->d_name) && strlen(entry->d_name) < sizeof found && (!*found || strcmp(entry->d_name, found) < 0))
      strcpy(found, entry->d_name);
  if (directory) closedir(directory);
  if (!*found) fail("no book: give a .csv as input file", NULL);
  return found;
}

static char *read_file(const char *folder, const char *name, size_t *length) {
  struct text path = {0};
  add(&path, folder);
  add(&path, "/");
  add(&path, name);
  add_bytes(&path, "", 1);
  int file = open(path.bytes, O_RDONLY);
  if (file < 0) fail("cannot read ", path.bytes, NULL);
  size_t capacity = 65536;
  char *bytes = allocate(capacity + 1, 1);
  *length = 0;
  for (ssize_t got; (got = read(file, bytes + *length, capacity - *length)) != 0;) {
    if (got < 0) fail("cannot read ", path.bytes, NULL);
    *length += (size_t)got;
    if (*length > MAX_BOOK_BYTES) fail(name, ": is larger than 4 MiB", NULL);
    if (*length < capacity) continue;
    bytes = realloc(bytes, 2 * capacity + 1);
    if (!bytes) fail("not enough memory", NULL);
    capacity *= 2;
  }
  close(file);
  free(path.bytes);
  bytes[*length] = 0;
  return bytes;
}

static void field(struct text *text, double number, int decimals) {
  add(text, ",");
  add_number(text, number, decimals);
}

static void write_prices(struct text *text, const struct result *results, int count) {
  add(text, "id,underlying,type,style,strike,maturity,quantity,price,std_error,ci95_low,ci95_high,delta,vega,value,closed_form,paths\n");
  for (int i = 0; i < count; i++) {
    const struct position *position = results[i].position;
    const struct estimate *estimate = &results[i].estimate;
    add(text, position->id);
    add(text, ",");
    add(text, position->underlying);
    add(text, position->sign > 0 ? ",call" : ",put");
    add(text, position->asian ? ",asian" : ",european");
    field(text, position->strike, 4), field(text, position->maturity, 4), field(text, position->quantity, 4);
    field(text, estimate->price, 6), field(text, estimate->error, 8);
    field(text, estimate->price - 1.96 * estimate->error, 6), field(text, estimate->price + 1.96 * estimate->error, 6);
    field(text, estimate->delta, 6), field(text, estimate->vega, 6);
    field(text, estimate->price * position->quantity, 2);
    field(text, results[i].closed_form, 6), field(text, estimate->paths, 0);
    add(text, "\n");
  }
}

static void write_risk(struct text *text, const char *scope, const struct risk *risk, const struct setting *setting) {
  add(text, scope);
  field(text, risk->positions, 0), field(text, risk->value, 2);
  field(text, setting->horizon_days, 2), field(text, setting->confidence, 4), field(text, risk->count, 0);
  field(text, risk->mean, 2), field(text, risk->deviation, 2);
  field(text, risk->value_at_risk, 2), field(text, risk->shortfall, 2);
  field(text, risk->outcomes[0], 2), field(text, risk->outcomes[risk->count - 1], 2);
  add(text, "\n");
}

static void write_subtitle(struct text *text, const struct options *options) {
  add_grouped(text, options->paths);
  add(text, " draws a position, ");
  add_grouped(text, options->setting.scenarios);
  add(text, " scenarios, seed ");
  add_number(text, (double)options->setting.seed, 0);
  add(text, ", ");
  add_number(text, options->setting.confidence * 100, options->setting.confidence * 100 == floor(options->setting.confidence * 100) ? 0 : 2);
  add(text, " % value at risk");
  add_bytes(text, "", 1);
}

static void write_title(struct text *text, const struct options *options, int count, int total) {
  add(text, "Option book, ");
  if (options->size > 1) {
    add(text, "task ");
    add_number(text, options->index + 1, 0);
    add(text, " of ");
    add_number(text, options->size, 0);
    add(text, ": ");
    add_number(text, count, 0);
    add(text, " of ");
  }
  add_number(text, total, 0);
  add(text, " positions");
  add_bytes(text, "", 1);
}

static void report(const struct text *title, const struct risk *slice, const struct risk *whole, const struct setting *setting) {
  struct text text = {0};
  add(&text, title->bytes);
  add(&text, "\nvalue ");
  add_grouped(&text, slice->value);
  add(&text, ", value at risk ");
  add_grouped(&text, slice->value_at_risk);
  add(&text, "; whole book: value ");
  add_grouped(&text, whole->value);
  add(&text, ", value at risk ");
  add_grouped(&text, whole->value_at_risk);
  add(&text, ", horizon in days ");
  add_number(&text, setting->horizon_days, 2);
  add(&text, "\n");
  if (write(1, text.bytes, text.length) < 0) fail("cannot write to standard output", NULL);
}

int main(int count, char **arguments) {
  struct options options = read_options(count, arguments);
  const char *in = environment("IEXEC_IN", "/in"), *folder = environment("IEXEC_OUT", "/out");
  const char *name = find_book(in, options.file);
  size_t length;
  char *csv = read_file(in, name, &length);
  struct book book = read_book(csv, length, name);

  char *part = allocate((size_t)book.count, 1);
  struct result *results = allocate((size_t)book.count, sizeof *results);
  int priced = 0;
  for (int i = options.index; i < book.count; i += options.size) {
    struct moments moments = moments_after(&book.positions[i], 0);
    part[i] = 1;
    results[priced++] = (struct result){.position = &book.positions[i],
                                        .estimate = price(&book.positions[i], options.setting.seed, options.paths),
                                        .closed_form = closed_form(&book.positions[i], &moments, book.positions[i].spot)};
  }
  struct risk slice, whole;
  simulate(&book, part, &options.setting, &slice, &whole);

  struct text text = {0}, title = {0}, subtitle = {0};
  write_prices(&text, results, priced);
  save(&text, folder, "prices.csv");
  add(&text, "scope,positions,value,horizon_days,confidence,scenarios,mean_pnl,stdev_pnl,var,expected_shortfall,worst,best\n");
  write_risk(&text, "slice", &slice, &options.setting);
  write_risk(&text, "book", &whole, &options.setting);
  save(&text, folder, "risk.csv");
  write_title(&title, &options, priced, book.count);
  write_subtitle(&subtitle, &options);
  draw_chart(&text, results, priced, &options.setting, &slice, &whole, title.bytes, subtitle.bytes);
  save(&text, folder, "chart.svg");
  report(&title, &slice, &whole, &options.setting);
  return 0;
}
