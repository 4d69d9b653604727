#ifndef SCAN_H
#define SCAN_H

#include <stdint.h>

#include "words.h"

/* A text file of /in. */
struct file {
  const char *name;
  uint64_t size;
};

/*
 * Counts the words that begin in the bytes [from, to) of a file: one that goes on behind `to` belongs here, one that began
 * before `from` does not. So shares that follow each other count each word once. Ends the program where the file is no
 * UTF-8. `least` is the least number of characters of a word that is counted.
 */
void scan(const char *folder, const struct file *file, uint64_t from, uint64_t to, int least, struct words *words);

#endif
