#include "scan.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "text.h"
#include "unicode.h"

/* Back from the share's first byte: three bytes of a cut character, and the two characters that tell whether a word goes on. */
enum { LOOK_BACK = 12, BUFFER = 1 << 16, LONGEST = 4, MOST_WORD_BYTES = 1 << 16 };

struct source {
  const char *folder, *name;
  int file;
  uint64_t position; /* of `at` in the file */
  uint8_t buffer[BUFFER];
  size_t at, end;
};

static _Noreturn void fail_at(const struct source *source, const char *reason) {
  struct text number = {0};
  add_number(&number, (double)source->position, 0);
  fail(source->name, ": ", reason, " at byte ", as_string(&number), NULL);
}

static void open_source(struct source *source, uint64_t from) {
  struct text path = {0};
  add(&path, source->folder);
  add(&path, "/");
  add(&path, source->name);
  source->file = open(as_string(&path), O_RDONLY);
  if (source->file < 0 || lseek(source->file, (off_t)from, SEEK_SET) < 0) fail("cannot read ", path.bytes, NULL);
  source->position = from;
  source->at = source->end = 0;
}

/* Reads on until a whole character lies ahead, if there is one. */
static void fill_buffer(struct source *source) {
  memmove(source->buffer, source->buffer + source->at, source->end - source->at);
  source->end -= source->at;
  source->at = 0;
  while (source->end < LONGEST) {
    ssize_t got = read(source->file, source->buffer + source->end, BUFFER - source->end);
    if (got < 0) fail("cannot read ", source->name, NULL);
    if (got == 0) return;
    source->end += (size_t)got;
  }
}

/* What stands between words, and what a word is made of so far. */
struct state {
  char word[MOST_WORD_BYTES + 2 * LONGEST];
  size_t length;
  int within, apostrophe; /* a word is open; its last character was one, which counts if the word goes on */
  int solid, characters;  /* it has more than joiners; its length */
  int sigma;              /* its last character was a capital sigma */
};

static void append(struct state *state, const struct source *source, uint32_t character, uint32_t small) {
  if (character == SOFT_HYPHEN) return;
  if (character != NON_JOINER && character != JOINER) state->solid = 1, state->characters++;
  state->sigma = character == CAPITAL_SIGMA;
  if (small < 0x80) state->word[state->length++] = (char)small;
  else state->length += (size_t)encode(small, state->word + state->length);
  if (state->length > MOST_WORD_BYTES) fail_at(source, "a word of more than 65536 bytes");
}

static void finish(struct state *state, int least, struct words *words) {
  /* A sigma at the end of a word is written otherwise; both take two bytes. */
  if (state->sigma && state->characters > 1) encode(FINAL_SIGMA, state->word + state->length - 2);
  if (state->solid && state->characters >= least) count_word(words, state->word, state->length, 1);
  state->length = 0;
  state->within = state->apostrophe = state->solid = state->characters = state->sigma = 0;
}

static int is_apostrophe(uint32_t character) { return character == '\'' || character == 0x2019; }

/* The next character, 0 at the end. Within the share malformed bytes end the program, before it they part words. */
static int next(struct source *source, uint64_t from, uint32_t *character) {
  if (source->end - source->at < LONGEST) fill_buffer(source);
  if (source->at == source->end) return 0;
  int bytes = 1;
  *character = source->buffer[source->at];
  if (*character >= 0x80) bytes = decode(source->buffer + source->at, source->end - source->at, character);
  if (bytes == 0 && source->position >= from) fail_at(source, "is no UTF-8");
  if (*character == 0) fail_at(source, "is not a text: a zero");
  if (bytes == 0) *character = ' ', bytes = 1;
  source->at += (size_t)bytes;
  source->position += (size_t)bytes;
  return 1;
}

/* What a character is within a word, in lower case; 0 if it is no part of one. Those of two bytes are looked up once. */
static uint32_t small_of(uint32_t character) {
  enum { KNOWN = 0x800 };
  static uint16_t known[KNOWN];
  if (!known['a'])
    for (uint32_t each = 0; each < KNOWN; each++) known[each] = is_part(each) ? (uint16_t)lower_of(each) : 0;
  if (character < KNOWN) return known[character];
  return is_part(character) ? lower_of(character) : 0;
}

void scan(const char *folder, const struct file *file, uint64_t from, uint64_t to, int least, struct words *words) {
  static struct source source;
  source.folder = folder, source.name = file->name;
  uint64_t begin = from > LOOK_BACK ? from - LOOK_BACK : 0;
  if (from >= to) return;
  open_source(&source, begin);
  fill_buffer(&source);
  while (begin > 0 && source.at < LONGEST - 1 && source.at < source.end && (source.buffer[source.at] & 0xc0) == 0x80)
    source.at++, source.position++;

  static struct state state;
  int counted = 0; /* the open word began in the share */
  for (;;) {
    uint64_t position = source.position;
    uint32_t character;
    if (position >= to && !state.within) break;
    if (!next(&source, from, &character)) break;
    uint32_t small = small_of(character);
    if (small) {
      if (!state.within) {
        if (position >= to) break;
        state.within = 1;
        counted = position >= from;
      }
      if (counted && state.apostrophe) state.word[state.length++] = '\'';
      state.apostrophe = 0;
      if (counted) append(&state, &source, character, small);
    } else if (state.within && !state.apostrophe && is_apostrophe(character)) {
      state.apostrophe = 1;
    } else if (state.within) {
      finish(&state, least, words);
      if (position >= to) break;
    }
  }
  finish(&state, least, words);
  close(source.file);
}
