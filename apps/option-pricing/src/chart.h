#ifndef CHART_H
#define CHART_H

#include "price.h"
#include "risk.h"
#include "text.h"

struct result {
  const struct position *position;
  struct estimate estimate;
  double closed_form;
};

/* Draws what a task found as SVG: its prices with their 95 % intervals, and the losses and gains to expect. */
void draw_chart(struct text *svg, const struct result *results, int count, const struct setting *setting,
                const struct risk *slice, const struct risk *whole, const char *title, const char *subtitle);

#endif
