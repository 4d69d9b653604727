/*
 * Prices a book of options by Monte Carlo and computes its value at risk (README.md). A WASI command: the book is a CSV
 * in /in, results go to /out. As one task of a bag it prices every n-th position only.
 */
#include <math.h>
#include <string.h>

#include "book.h"
#include "chart.h"
#include "job.h"
#include "price.h"
#include "risk.h"
#include "text.h"

const char PROGRAM[] = "option-pricing";

struct options {
  double paths;
  const char *file;
  struct bag bag;
  struct setting setting;
};

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
  options.bag = read_bag(tasks);
  return options;
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
    add_field(text, position->strike, 4), add_field(text, position->maturity, 4), add_field(text, position->quantity, 4);
    add_field(text, estimate->price, 6), add_field(text, estimate->error, 8);
    add_field(text, estimate->price - 1.96 * estimate->error, 6), add_field(text, estimate->price + 1.96 * estimate->error, 6);
    add_field(text, estimate->delta, 6), add_field(text, estimate->vega, 6);
    add_field(text, estimate->price * position->quantity, 2);
    add_field(text, results[i].closed_form, 6), add_field(text, estimate->paths, 0);
    add(text, "\n");
  }
}

static void write_risk(struct text *text, const char *scope, const struct risk *risk, const struct setting *setting) {
  add(text, scope);
  add_field(text, risk->positions, 0), add_field(text, risk->value, 2);
  add_field(text, setting->horizon_days, 2), add_field(text, setting->confidence, 4), add_field(text, risk->count, 0);
  add_field(text, risk->mean, 2), add_field(text, risk->deviation, 2);
  add_field(text, risk->value_at_risk, 2), add_field(text, risk->shortfall, 2);
  add_field(text, risk->outcomes[0], 2), add_field(text, risk->outcomes[risk->count - 1], 2);
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
  as_string(text);
}

static void write_title(struct text *text, const struct options *options, int count, int total) {
  add(text, "Option book, ");
  if (options->bag.size > 1) {
    add(text, "task ");
    add_number(text, options->bag.index + 1, 0);
    add(text, " of ");
    add_number(text, options->bag.size, 0);
    add(text, ": ");
    add_number(text, count, 0);
    add(text, " of ");
  }
  add_number(text, total, 0);
  add(text, " positions");
  as_string(text);
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
  print(&text);
}

int main(int count, char **arguments) {
  struct options options = read_options(count, arguments);
  const char *in = environment("IEXEC_IN", "/in"), *folder = environment("IEXEC_OUT", "/out");
  const char *name = options.file ? options.file : find_input(in, ".csv");
  if (!name) name = input_name(1);
  if (!name) fail("no book: give a .csv as input file", NULL);
  size_t length;
  char *csv = read_file(in, name, MAX_BOOK_BYTES, &length);
  struct book book = read_book(csv, length, name);

  char *part = allocate((size_t)book.count, 1);
  struct result *results = allocate((size_t)book.count, sizeof *results);
  int priced = 0;
  for (int i = options.bag.index; i < book.count; i += options.bag.size) {
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
