#ifndef BOOK_H
#define BOOK_H

#include <stddef.h>

enum { NAME_BYTES = 33, MAX_POSITIONS = 10000, MAX_FIXINGS = 366, MAX_BOOK_BYTES = 4 << 20 };

/* One line of the book. Money in one currency, rates continuously compounded a year, maturity in years. */
struct position {
  char id[NAME_BYTES], underlying[NAME_BYTES];
  double sign; /* 1 for a call, -1 for a put */
  int asian;
  double spot, strike, rate, dividend, volatility, maturity, quantity;
  int fixings; /* Asian: equally spaced, the last at maturity */
  int asset;   /* number of its underlying */
};

struct book {
  struct position *positions;
  int count;
  double *asset_volatility; /* of each underlying: the mean of its positions' */
  const char **asset_name;
  int assets;
};

/* Reads a book from CSV with a line of names; ends the program with the line and the reason where it is malformed. */
struct book read_book(char *csv, size_t length, const char *name);

#endif
