#ifndef TEXT_H
#define TEXT_H

#include <stddef.h>

/* The app's name, which its errors begin with; each app defines it. */
extern const char PROGRAM[];

/* A text that grows. Numbers are written with a fixed count of decimals, which printf of wasi-libc does in 30 KB. */
struct text {
  char *bytes;
  size_t length, capacity;
};

void add(struct text *text, const char *words);
void add_bytes(struct text *text, const char *bytes, size_t length);
/* Adds a number with `decimals` digits (0 to 9) after the point; `number` is finite and below 1e15. */
void add_number(struct text *text, double number, int decimals);
/* As add_number without decimals, with a comma between thousands. */
void add_grouped(struct text *text, double number);
/* Adds a comma and a number: the next field of a line of CSV. */
void add_field(struct text *text, double number, int decimals);
/* As add_number, without zeros at the end. */
void add_shortest(struct text *text, double number, int decimals);
/* Ends the text with a zero byte, so that its bytes are a string of C. */
const char *as_string(struct text *text);
/* Writes the text to standard output, and empties it. */
void print(struct text *text);
/* Writes the text to a file of the folder for results, and empties it; ends the program where that fails. */
void save(struct text *text, const char *folder, const char *name);

/* Ends the program: `reason` to standard error and exit code 2. The parts are joined; the last one is NULL. */
_Noreturn void fail(const char *reason, ...) __attribute__((sentinel));
/* As malloc, filled with zeros; ends the program where memory is short. */
void *allocate(size_t count, size_t size);

#endif
