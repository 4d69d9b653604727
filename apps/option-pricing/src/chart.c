#include "chart.h"

#include <math.h>
#include <string.h>

#include "svg.h"

enum { WIDTH = 1000, ROW = 24, TOP = 132, MAX_ROWS = 60, BINS = 41, PLOT = 190 };
static const double BAR_FROM = 300, BAR_TO = 560, ZOOM_FROM = 744, ZOOM_TO = 952;

/* Half of the 95 % interval in hundredths of a per cent of the price. */
static double points(const struct result *result) {
  return 1.96 * result->estimate.error / fmax(result->estimate.price, 1e-9) * 1e4;
}

static void draw_row(const struct result *result, double y, double highest, double widest) {
  const struct position *position = result->position;
  const struct estimate *estimate = &result->estimate;
  double middle = y + ROW / 2.0, baseline = middle + 4;
  words(MARGIN, baseline, 12, INK, "start", 1, position->id);
  label(122, baseline, 11.5, FAINT, "start", 0);
  add(out, position->asian ? "asian " : "");
  add(out, position->sign > 0 ? "call " : "put ");
  add_number(out, position->strike, position->strike == floor(position->strike) ? 0 : 2);
  add(out, " · ");
  add_number(out, position->maturity, 2);
  add(out, " y");
  close_label();

  double scale = (BAR_TO - BAR_FROM) / highest, end = BAR_FROM + estimate->price * scale;
  double low = fmax(estimate->price - 1.96 * estimate->error, 0) * scale, high = (estimate->price + 1.96 * estimate->error) * scale;
  rectangle(BAR_FROM, middle - 6, end - BAR_FROM, 12, position->sign > 0 ? BLUE : GREEN, 2);
  line(BAR_FROM + low, middle, BAR_FROM + high, middle, INK, 1);
  line(BAR_FROM + low, middle - 4, BAR_FROM + low, middle + 4, INK, 1);
  line(BAR_FROM + high, middle - 4, BAR_FROM + high, middle + 4, INK, 1);
  label(ZOOM_FROM - 24, baseline, 12, INK, "end", 0);
  add_number(out, estimate->price, 4);
  add(out, "<tspan dx=\"5\" fill=\"");
  add(out, FAINT);
  add(out, "\">± ");
  add_number(out, 1.96 * estimate->error, 4);
  add(out, "</tspan>");
  close_label();

  double centre = (ZOOM_FROM + ZOOM_TO) / 2, zoom = (ZOOM_TO - ZOOM_FROM) / 2 / widest, half = points(result) * zoom;
  line(centre - half, middle, centre + half, middle, position->sign > 0 ? BLUE : GREEN, 2.5);
  line(centre - half, middle - 4, centre - half, middle + 4, position->sign > 0 ? BLUE : GREEN, 1.5);
  line(centre + half, middle - 4, centre + half, middle + 4, position->sign > 0 ? BLUE : GREEN, 1.5);
  if (position->asian) return;
  double x = (result->closed_form / fmax(estimate->price, 1e-9) - 1) * 1e4 * zoom;
  if (fabs(x) > (ZOOM_TO - ZOOM_FROM) / 2) return;
  add(out, "<circle");
  attribute("cx", centre + x), attribute("cy", middle), attribute("r", 3.2);
  fill(WHITE);
  add(out, " stroke=\"");
  add(out, INK);
  add(out, "\" stroke-width=\"1.3\"/>\n");
}

static void draw_axes(double y, double bottom, double highest, double widest) {
  words(MARGIN, y - 24, 13, INK, "start", 1, "Price of one option");
  words(ZOOM_FROM - 24, y - 24, 11.5, FAINT, "end", 0, "price ± 95 %");
  words((ZOOM_FROM + ZOOM_TO) / 2, y - 24, 11.5, FAINT, "middle", 0, "95 % interval, 0.01 % of price");
  for (int i = 0; i <= 4; i++) {
    double x = BAR_FROM + (BAR_TO - BAR_FROM) * i / 4;
    line(x, y, x, bottom, GRID, 1);
    label(x, y - 7, 10.5, FAINT, "middle", 0);
    add_number(out, highest * i / 4, decimals_of(highest / 4));
    close_label();
  }
  for (int i = -2; i <= 2; i++) {
    double x = (ZOOM_FROM + ZOOM_TO) / 2 + (ZOOM_TO - ZOOM_FROM) / 4 * i;
    line(x, y, x, bottom, i == 0 ? PALE : GRID, 1);
    label(x, y - 7, 10.5, FAINT, "middle", 0);
    if (i > 0) add(out, "+");
    add_number(out, widest * i / 2, decimals_of(widest / 2));
    close_label();
  }
}

static double draw_prices(const struct result *results, int count, double y) {
  int rows = count < MAX_ROWS ? count : MAX_ROWS;
  double bottom = y + ROW * (rows > 0 ? rows : 1), highest = 0, widest = 0;
  for (int i = 0; i < rows; i++) {
    highest = fmax(highest, results[i].estimate.price);
    widest = fmax(widest, points(&results[i]));
  }
  highest = round_up(highest);
  widest = round_up(fmin(widest, 1e4));
  draw_axes(y, bottom, highest, widest);
  for (int i = 0; i < rows; i++) draw_row(&results[i], y + ROW * i, highest, widest);
  if (count == 0) words(MARGIN, y + 16, 12, FAINT, "start", 0, "this task has no position of its own");
  if (count > rows) {
    label(MARGIN, bottom + 16, 11.5, FAINT, "start", 0);
    add(out, "and ");
    add_number(out, count - rows, 0);
    add(out, " more positions in prices.csv");
    close_label();
    bottom += 20;
  }
  return bottom;
}

static void draw_marker(double x, double y, double height, const char *colour, const char *anchor, const char *name,
                        double amount, double level) {
  line(x, y + level, x, y + height, colour, 1.5);
  label(strcmp(anchor, "end") == 0 ? x - 4 : x + 4, y + level + 9, 11.5, colour, anchor, 1);
  add(out, name);
  add(out, " ");
  add_grouped(out, amount);
  close_label();
}

static void draw_losses(const struct risk *risk, const struct setting *setting, const char *name, double x, double y,
                        double width) {
  label(x, y, 13, INK, "start", 1);
  add(out, name);
  close_label();
  label(x, y + 17, 11.5, FAINT, "start", 0);
  add(out, "value ");
  add_grouped(out, risk->value);
  add(out, " · gain or loss in ");
  add_number(out, setting->horizon_days, setting->horizon_days == floor(setting->horizon_days) ? 0 : 2);
  add(out, setting->horizon_days == 1 ? " day" : " days");
  close_label();
  if (risk->positions == 0) return;

  /* The picture leaves out the most extreme thousandth of both sides, which would flatten the rest. */
  const double *outcome = risk->outcomes;
  int n = risk->count, cut = n / 1000;
  double low = fmin(outcome[cut], -1.05 * risk->shortfall), high = fmax(outcome[n - 1 - cut], 0), step = (high - low) / BINS;
  if (!(step > 0)) low -= 0.5, high += 0.5, step = (high - low) / BINS;
  int bins[BINS] = {0}, most = 1;
  for (int i = 0; i < n; i++) {
    double at = floor((outcome[i] - low) / step);
    if (at == BINS && outcome[i] <= high) at = BINS - 1;
    if (at >= 0 && at < BINS && ++bins[(int)at] > most) most = bins[(int)at];
  }
  double top = y + 34, bar = width / BINS, floor_line = top + PLOT;
  for (int i = 0; i < BINS; i++) {
    double height = (PLOT - 30.0) * bins[i] / most, from = low + step * i;
    const char *colour = from + step / 2 <= -risk->value_at_risk ? RED : from + step / 2 < 0 ? PALE_RED : PALE;
    if (bins[i] > 0) rectangle(x + bar * i, floor_line - height, bar - 1, height, colour, 1);
  }
  line(x, floor_line, x + width, floor_line, FAINT, 1);
  double tick = round_up((high - low) / 5);
  for (double at = ceil(low / tick) * tick; at <= high; at += tick) {
    double place = x + (at - low) / (high - low) * width;
    line(place, floor_line, place, floor_line + 4, FAINT, 1);
    label(place, floor_line + 17, 10.5, FAINT, "middle", 0);
    add_grouped(out, at);
    close_label();
  }
  double loss = x + (-risk->value_at_risk - low) / (high - low) * width;
  double tail = x + (-risk->shortfall - low) / (high - low) * width;
  draw_marker(loss, top, PLOT, RED, "start", "value at risk", risk->value_at_risk, 16);
  draw_marker(tail, top, PLOT, INK, "start", "expected shortfall", risk->shortfall, 0);
}

void draw_chart(struct text *svg, const struct result *results, int count, const struct setting *setting,
                const struct risk *slice, const struct risk *whole, const char *title, const char *subtitle) {
  int rows = count < 1 ? 1 : count < MAX_ROWS ? count : MAX_ROWS;
  double height = TOP + ROW * rows + (count > rows && count > 0 ? 20 : 0) + 48 + 34 + PLOT + 40;
  open_svg(svg, WIDTH, height, title, subtitle);
  rectangle(620, 34, 12, 10, BLUE, 2), words(638, 43, 11.5, FAINT, "start", 0, "call");
  rectangle(676, 34, 12, 10, GREEN, 2), words(694, 43, 11.5, FAINT, "start", 0, "put");
  words(728, 43, 11.5, FAINT, "start", 0, "○ exact Black-Scholes price (european)");

  double bottom = draw_prices(results, count, TOP) + 48;
  int both = slice->positions != whole->positions;
  double width = both ? (WIDTH - 3.0 * MARGIN) / 2 : WIDTH - 2.0 * MARGIN;
  if (both) draw_losses(slice, setting, "Positions of this task", MARGIN, bottom, width);
  draw_losses(whole, setting, "Whole book", both ? 2 * MARGIN + width : MARGIN, bottom, width);
  close_svg();
}
