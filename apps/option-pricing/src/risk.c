#include "risk.h"

#include <math.h>
#include <stdlib.h>

#include "price.h"
#include "random.h"
#include "text.h"

static const double TRADING_DAYS = 252;
/* Stream of the factor that moves all markets; names are printable, so no underlying has it. */
static const char MARKET[] = "\x01market";

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void conclude(struct risk *risk, double confidence) {
  int n = risk->count;
  double sum = 0, squares = 0, tail_sum = 0;
  qsort(risk->outcomes, (size_t)n, sizeof *risk->outcomes, compare);
  for (int i = 0; i < n; i++) sum += risk->outcomes[i];
  risk->mean = sum / n;
  for (int i = 0; i < n; i++) squares += (risk->outcomes[i] - risk->mean) * (risk->outcomes[i] - risk->mean);
  risk->deviation = sqrt(squares / (n - 1));
  /* The tail holds the worst (1 - confidence) of the scenarios; the least bad of them is the value at risk. */
  int tail = (int)((1 - confidence) * n + 1e-9);
  if (tail < 1) tail = 1;
  for (int i = 0; i < tail; i++) tail_sum += risk->outcomes[i];
  risk->value_at_risk = -risk->outcomes[tail - 1];
  risk->shortfall = -tail_sum / tail;
}

/* Adds what a position gains in each scenario; `slice` is NULL if it belongs to another task. */
static void revalue(const struct position *position, const double *move, double years, struct risk *whole,
                    struct risk *slice) {
  struct moments now = moments_after(position, 0), then = moments_after(position, years);
  double value = closed_form(position, &now, position->spot);
  struct risk *risks[] = {whole, slice};
  for (int r = 0; r < 2; r++) {
    if (!risks[r]) continue;
    risks[r]->positions++;
    risks[r]->value += position->quantity * value;
  }
  for (int i = 0; i < whole->count; i++) {
    double gain = position->quantity * (closed_form(position, &then, position->spot * move[i]) - value);
    whole->outcomes[i] += gain;
    if (slice) slice->outcomes[i] += gain;
  }
}

void simulate(const struct book *book, const char *part, const struct setting *setting, struct risk *slice,
              struct risk *whole) {
  int n = setting->scenarios;
  double years = setting->horizon_days / TRADING_DAYS, root = sqrt(years);
  double common = sqrt(setting->correlation), own = sqrt(1 - setting->correlation);
  double *market = allocate((size_t)n, sizeof *market);
  double *move = allocate((size_t)n, sizeof *move);
  *slice = (struct risk){.outcomes = allocate((size_t)n, sizeof(double)), .count = n};
  *whole = (struct risk){.outcomes = allocate((size_t)n, sizeof(double)), .count = n};

  struct normals normals = open_normals(setting->seed, stream_of(MARKET));
  for (int i = 0; i < n; i++) market[i] = next_normal(&normals);
  for (int asset = 0; asset < book->assets; asset++) {
    double deviation = book->asset_volatility[asset] * root;
    normals = open_normals(setting->seed, stream_of(book->asset_name[asset]) ^ stream_of(MARKET));
    for (int i = 0; i < n; i++)
      move[i] = exp(deviation * (common * market[i] + own * next_normal(&normals)) - 0.5 * deviation * deviation);
    for (int k = 0; k < book->count; k++)
      if (book->positions[k].asset == asset) revalue(&book->positions[k], move, years, whole, part[k] ? slice : NULL);
  }
  conclude(slice, setting->confidence);
  conclude(whole, setting->confidence);
  free(move);
  free(market);
}
