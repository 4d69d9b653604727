#ifndef JOB_H
#define JOB_H

#include <stddef.h>
#include <stdint.h>

/* What a job is given: arguments, iExec's environment and the files of /in. Each function ends the program, with the
 * reason on standard error, where what it reads is malformed. */

/* A variable of the environment; `absent` where it is not set or empty. */
const char *environment(const char *name, const char *absent);

/* Reads all of a text as a finite number; answers 0 where it is none. */
int read_number(const char *text, double *number);
/* The number that an argument gives, within [least, most], and a whole one if asked. */
double number_between(const char *name, const char *text, double least, double most, int whole);
/* A whole number of at most 15 digits. */
uint64_t read_seed(const char *text);

/* Place of this task, from 0, among the tasks that share the work. */
struct bag {
  int index, size;
};
/* Reads it from the environment. `tasks`, unless 0, is the count over several deals that share the work. */
struct bag read_bag(int tasks);

/*
 * An argument that a bag sweeps: one number for every task, `A:B` from A in the first task to B in the last, or a list
 * `A,B,…` with a number for each task.
 */
double number_of_task(const char *name, const char *text, struct bag bag, double least, double most, int whole);

int ends_in(const char *name, const char *ending);
/* The i-th input file's name, from 1; NULL behind the last. */
const char *input_name(int i);
/* The first input whose name has the ending, else the first file in the folder by name that has; NULL without one. */
const char *find_input(const char *folder, const char *ending);
/* Reads a file of at most `most` bytes and puts a zero behind it. */
char *read_file(const char *folder, const char *name, size_t most, size_t *length);

#endif
