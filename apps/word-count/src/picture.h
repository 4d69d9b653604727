#ifndef PICTURE_H
#define PICTURE_H

#include "text.h"
#include "words.h"

/* Draws the most frequent words as bars, and frequency over rank, both logarithms. */
void draw_chart(struct text *svg, const struct word *list, size_t different, uint64_t total, int bars, const char *title,
                const char *subtitle);

#endif
