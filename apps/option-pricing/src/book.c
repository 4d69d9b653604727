#include "book.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "job.h"
#include "text.h"

enum column { ID, UNDERLYING, TYPE, STYLE, SPOT, STRIKE, RATE, DIVIDEND, VOLATILITY, MATURITY, QUANTITY, FIXINGS, COLUMNS };
enum { MAX_FIELDS = 64 };

static const struct {
  const char *name;
  int required;
  double least, most; /* of a number: both 0 for a text */
} COLUMN[COLUMNS] = {
    [ID] = {"id", 1, 0, 0},
    [UNDERLYING] = {"underlying", 0, 0, 0},
    [TYPE] = {"type", 1, 0, 0},
    [STYLE] = {"style", 0, 0, 0},
    [SPOT] = {"spot", 1, 1e-4, 1e7},
    [STRIKE] = {"strike", 1, 1e-4, 1e7},
    [RATE] = {"rate", 1, -1, 1},
    [DIVIDEND] = {"dividend", 0, -1, 1},
    [VOLATILITY] = {"volatility", 1, 1e-3, 5},
    [MATURITY] = {"maturity", 1, 1e-4, 30},
    [QUANTITY] = {"quantity", 1, -1e7, 1e7},
    [FIXINGS] = {"fixings", 0, 1, MAX_FIXINGS},
};

static const char *file_name;

static _Noreturn void fail_line(int line, const char *column, const char *reason, const char *got) {
  struct text number = {0};
  add_number(&number, line, 0);
  add_bytes(&number, "", 1);
  fail(file_name, ":", number.bytes, ": ", column, *column ? ": " : "", reason, *got ? ", got " : "", got, NULL);
}

/* Cuts a line into fields, in place: separated by commas, without the space around, with optional double quotes. */
static int split(char *line, char **fields, int number) {
  int count = 0;
  for (;;) {
    if (count == MAX_FIELDS) fail_line(number, "", "too many columns", "");
    while (*line == ' ' || *line == '\t') line++;
    char *field = line, *end = line;
    if (*line == '"') {
      for (line++; *line && !(*line == '"' && line[1] != '"'); line++) {
        if (*line == '"') line++;
        *end++ = *line;
      }
      if (*line != '"') fail_line(number, "", "a quote is not closed", "");
      line++;
      while (*line == ' ' || *line == '\t') line++;
      if (*line && *line != ',') fail_line(number, "", "text after a closed quote", "");
    } else {
      while (*line && *line != ',') line++;
      end = line;
      while (end > field && (end[-1] == ' ' || end[-1] == '\t')) end--;
    }
    int more = *line == ',';
    *end = 0;
    fields[count++] = field;
    if (!more) return count;
    line++;
  }
}

/* Names go into CSV and SVG as they are. */
static void copy_name(char *to, const char *from, int line, const char *column) {
  size_t length = strlen(from);
  if (length == 0) fail_line(line, column, "is empty", "");
  if (length >= NAME_BYTES) fail_line(line, column, "is longer than 32 characters", from);
  for (const char *c = from; *c; c++)
    if (*c <= ' ' || *c > '~' || strchr("\"',<>&", *c)) fail_line(line, column, "has a forbidden character", from);
  memcpy(to, from, length + 1);
}

static void read_header(int at[COLUMNS], char **fields, int count, int line) {
  for (int column = 0; column < COLUMNS; column++) {
    at[column] = -1;
    for (int i = 0; i < count; i++) {
      if (strcasecmp(fields[i], COLUMN[column].name) != 0) continue;
      if (at[column] >= 0) fail_line(line, COLUMN[column].name, "stands twice in the line of names", "");
      at[column] = i;
    }
    if (COLUMN[column].required && at[column] < 0)
      fail_line(line, COLUMN[column].name, "the line of names lacks this column", "");
  }
}

static double number_of(char **fields, const int at[COLUMNS], enum column column, double absent, int line) {
  double number;
  if (at[column] < 0 || (!COLUMN[column].required && !*fields[at[column]])) return absent;
  const char *field = fields[at[column]];
  if (!read_number(field, &number)) fail_line(line, COLUMN[column].name, "must be a finite number", *field ? field : "nothing");
  if (number < COLUMN[column].least || number > COLUMN[column].most) {
    struct text reason = {0};
    add(&reason, "must be from ");
    add_number(&reason, COLUMN[column].least, COLUMN[column].least == floor(COLUMN[column].least) ? 0 : 4);
    add(&reason, " to ");
    add_number(&reason, COLUMN[column].most, 0);
    add_bytes(&reason, "", 1);
    fail_line(line, COLUMN[column].name, reason.bytes, field);
  }
  return number;
}

static const char *text_of(char **fields, const int at[COLUMNS], enum column column, const char *absent) {
  return at[column] < 0 || !*fields[at[column]] ? absent : fields[at[column]];
}

static void read_position(struct position *position, char **fields, const int at[COLUMNS], int line) {
  copy_name(position->id, fields[at[ID]], line, "id");
  copy_name(position->underlying, text_of(fields, at, UNDERLYING, position->id), line, "underlying");
  const char *type = fields[at[TYPE]], *style = text_of(fields, at, STYLE, "european");
  if (strcasecmp(type, "call") != 0 && strcasecmp(type, "put") != 0)
    fail_line(line, "type", "must be call or put", *type ? type : "nothing");
  position->sign = strcasecmp(type, "call") == 0 ? 1 : -1;
  position->asian = strcasecmp(style, "asian") == 0;
  if (!position->asian && strcasecmp(style, "european") != 0)
    fail_line(line, "style", "must be european or asian, others are not supported", style);
  position->spot = number_of(fields, at, SPOT, 0, line);
  position->strike = number_of(fields, at, STRIKE, 0, line);
  position->rate = number_of(fields, at, RATE, 0, line);
  position->dividend = number_of(fields, at, DIVIDEND, 0, line);
  position->volatility = number_of(fields, at, VOLATILITY, 0, line);
  position->maturity = number_of(fields, at, MATURITY, 0, line);
  position->quantity = number_of(fields, at, QUANTITY, 0, line);
  double fixings = number_of(fields, at, FIXINGS, 12, line);
  if (fixings != floor(fixings)) fail_line(line, "fixings", "must be a whole number", fields[at[FIXINGS]]);
  position->fixings = position->asian ? (int)fixings : 1;
}

/* Numbers the underlyings; positions on the same one must agree on its price. */
static void find_asset(struct book *book, int *members, struct position *position, int line) {
  int asset = 0;
  while (asset < book->assets && strcmp(book->asset_name[asset], position->underlying) != 0) asset++;
  if (asset == book->assets) {
    book->asset_name[book->assets++] = position->underlying;
  } else {
    for (struct position *other = book->positions; other < position; other++)
      if (other->asset == asset && other->spot != position->spot)
        fail_line(line, "spot", "differs from that of another position on the same underlying", position->underlying);
  }
  position->asset = asset;
  members[asset]++;
  book->asset_volatility[asset] += position->volatility;
}

static int count_lines(const char *csv, size_t length) {
  int lines = 1;
  for (size_t i = 0; i < length; i++) lines += csv[i] == '\n';
  return lines;
}

struct book read_book(char *csv, size_t length, const char *name) {
  file_name = name;
  if (memchr(csv, 0, length)) fail(name, ": is not a text", NULL);
  int lines = count_lines(csv, length);
  struct book book = {.positions = allocate((size_t)(lines < MAX_POSITIONS ? lines : MAX_POSITIONS), sizeof *book.positions)};
  book.asset_volatility = allocate((size_t)lines, sizeof *book.asset_volatility);
  book.asset_name = allocate((size_t)lines, sizeof *book.asset_name);
  int *members = allocate((size_t)lines, sizeof *members);
  int at[COLUMNS], columns = 0, number = 0;
  char *fields[MAX_FIELDS];
  if (length >= 3 && memcmp(csv, "\xef\xbb\xbf", 3) == 0) csv += 3; /* spreadsheets begin UTF-8 with a mark */
  for (char *line = csv, *next; line; line = next) {
    number++;
    next = strchr(line, '\n');
    if (next) *next++ = 0;
    size_t end = strlen(line);
    if (end > 0 && line[end - 1] == '\r') line[--end] = 0;
    if (strspn(line, " \t,") == end) continue;
    int count = split(line, fields, number);
    if (columns == 0) {
      read_header(at, fields, columns = count, number);
      continue;
    }
    if (count != columns) fail_line(number, "", "has another number of columns than the line of names", "");
    if (book.count == MAX_POSITIONS) fail_line(number, "", "the book has more than 10000 positions", "");
    struct position *position = &book.positions[book.count];
    read_position(position, fields, at, number);
    for (int i = 0; i < book.count; i++)
      if (strcmp(book.positions[i].id, position->id) == 0) fail_line(number, "id", "stands twice in the book", position->id);
    find_asset(&book, members, position, number);
    book.count++;
  }
  if (columns == 0) fail(name, ": is empty", NULL);
  if (book.count == 0) fail(name, ": the book has no positions", NULL);
  for (int asset = 0; asset < book.assets; asset++) book.asset_volatility[asset] /= members[asset];
  free(members);
  return book;
}
