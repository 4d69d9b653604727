#include "picture.h"

#include <math.h>

#include "svg.h"
#include "unicode.h"

enum { WIDTH = 1000, ROW = 22, TOP = 126, BAR_FROM = 190, BAR_TO = 520, MOST_SHOWN = 20, POINTS = 240 };

/* A word, cut after some characters. */
static void add_cut(const struct word *word) {
  size_t at = 0;
  for (int shown = 0; at < word->length && shown < MOST_SHOWN; shown++) {
    uint32_t character;
    int bytes = decode((const uint8_t *)word->bytes + at, word->length - at, &character);
    at += bytes ? (size_t)bytes : 1;
  }
  add_bytes(out, word->bytes, at);
  if (at < word->length) add(out, "…");
}

static void draw_bars(const struct word *list, int bars, uint64_t total, double bottom) {
  double highest = 4 * round_up((double)list[0].count / 4), scale = (BAR_TO - BAR_FROM) / highest;
  words(MARGIN, TOP - 26, 13, INK, "start", 1, "Most frequent words");
  words(BAR_TO, TOP - 26, 11.5, FAINT, "end", 0, "times counted · part of all words");
  line(BAR_FROM, TOP, BAR_FROM, bottom, FAINT, 1);
  for (int i = 0; i <= 4; i++) {
    double x = BAR_FROM + (BAR_TO - BAR_FROM) * i / 4.0;
    if (i > 0) line(x, TOP, x, bottom, GRID, 1);
    label(x, TOP - 7, 10.5, FAINT, "middle", 0);
    if (highest >= 8) add_grouped(out, highest * i / 4);
    else add_shortest(out, highest * i / 4, 2);
    close_label();
  }
  for (int i = 0; i < bars; i++) {
    double y = TOP + 6 + ROW * i, baseline = y + ROW / 2.0 + 4;
    label(BAR_FROM - 10, baseline, 12.5, INK, "end", 1);
    add_cut(&list[i]);
    close_label();
    double width = (double)list[i].count * scale;
    rectangle(BAR_FROM, y + 4, width, ROW - 8, BLUE, 2);
    label(BAR_FROM + width + 6, baseline, 11, FAINT, "start", 0);
    add_grouped(out, (double)list[i].count);
    add(out, " · ");
    add_number(out, 100 * (double)list[i].count / (double)total, 2);
    add(out, " %");
    close_label();
  }
}

static void draw_ranks(const struct word *list, size_t different, struct frame frame) {
  double x[POINTS], y[POINTS], last = log10((double)different), high = log10((double)list[0].count);
  int count = 0;
  size_t before = 0;
  for (int i = 0; i < POINTS; i++) {
    size_t rank = (size_t)floor(pow(10, last * i / (POINTS - 1)) + 0.5);
    if (rank == before || rank > different) continue;
    before = rank;
    x[count] = log10((double)rank), y[count++] = log10((double)list[rank - 1].count);
  }
  frame.x_to = fmax(ceil(last), 1), frame.y_to = fmax(ceil(high + 0.01), 1);
  draw_frame(&frame, "rank", "times counted, over rank", POWERS_X | POWERS_Y);
  curve(&frame, x, y, count, BLUE, 2);
  /* Zipf's law: the count falls as one over the rank. */
  double ends[] = {0, high}, levels[] = {high, 0};
  curve(&frame, ends, levels, 2, RED, 1.2);
  words(frame.right, frame.top - 9, 11.5, RED, "end", 1, "Zipf's law: 1 / rank");
}

void draw_chart(struct text *svg, const struct word *list, size_t different, uint64_t total, int bars, const char *title,
                const char *subtitle) {
  if ((size_t)bars > different) bars = (int)different;
  double bottom = TOP + 12 + ROW * (bars < 1 ? 1 : bars), height = fmax(bottom, TOP + 320) + 60;
  open_svg(svg, WIDTH, height, title, subtitle);
  if (different == 0) words(MARGIN, TOP + 16, 12, FAINT, "start", 0, "no words here");
  else {
    draw_bars(list, bars, total, bottom);
    draw_ranks(list, different, (struct frame){690, TOP, WIDTH - MARGIN, TOP + 280, 0, 1, 0, 1});
  }
  close_svg();
}
