#ifndef MERGE_H
#define MERGE_H

#include "job.h"
#include "words.h"

/*
 * Adds up partial results: CSV files with lines `word,count`. Of a bag each task takes the words whose hash falls to it.
 * Names like counts-3-of-8.csv must be those of a whole bag. Ends the program where a file is malformed or missing.
 */
void merge(const char *folder, const char *const *names, int count, struct bag bag, struct words *words);

#endif
