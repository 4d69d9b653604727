/*
 * Counts the words of texts, and merges counts (README.md). A WASI command: the texts are all files in /in, or one of
 * them; results go to /out. Each task of a bag counts the words that begin in its share of the bytes.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "job.h"
#include "merge.h"
#include "picture.h"
#include "scan.h"
#include "text.h"

const char PROGRAM[] = "word-count";

enum { MAX_FILES = 257, MAX_RESULT_BYTES = 15 << 20 };

struct options {
  const char *file;
  int reduce, least, bars;
  struct bag bag;
};

static struct options read_options(int count, char **arguments) {
  struct options options = {.least = 1, .bars = 30};
  int tasks = 0;
  for (int i = 1; i < count; i += 2) {
    const char *name = arguments[i], *value = i + 1 < count ? arguments[i + 1] : "";
    if (strcmp(name, "--mode") == 0) {
      options.reduce = strcmp(value, "reduce") == 0;
      if (!options.reduce && strcmp(value, "map") != 0) fail("--mode must be map or reduce, got ", *value ? value : "nothing", NULL);
    } else if (strcmp(name, "--file") == 0) options.file = value;
    else if (strcmp(name, "--letters") == 0) options.least = (int)number_between(name, value, 1, 100, 1);
    else if (strcmp(name, "--bars") == 0) options.bars = (int)number_between(name, value, 1, 200, 1);
    else if (strcmp(name, "--tasks") == 0) tasks = (int)number_between(name, value, 1, 1e6, 1);
    else fail("unknown argument ", name, "; known: --mode --file --letters --bars --tasks", NULL);
  }
  if (options.reduce && options.least > 1) fail("--letters is for --mode map", NULL);
  options.bag = read_bag(tasks);
  return options;
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

/* All files of the folder in the order of their names, or the one asked for. */
static int list_files(const char *folder, const char *asked, struct file *files) {
  int count = 0;
  DIR *directory = opendir(folder);
  if (!directory) fail("cannot read ", folder, NULL);
  for (struct dirent *entry; (entry = readdir(directory));) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (asked && strcmp(asked, entry->d_name) != 0) continue;
    if (count == MAX_FILES) fail("more than 257 input files", NULL);
    struct text path = {0}, name = {0};
    struct stat status;
    add(&path, folder), add(&path, "/"), add(&path, entry->d_name);
    add(&name, entry->d_name);
    if (stat(as_string(&path), &status) != 0) fail("cannot read ", path.bytes, NULL);
    files[count++] = (struct file){.name = as_string(&name), .size = (uint64_t)status.st_size};
  }
  closedir(directory);
  if (count == 0 && asked) fail("no input file ", asked, NULL);
  if (count == 0) fail("no text: give an input file or a dataset", NULL);
  qsort(files, (size_t)count, sizeof *files, by_name);
  return count;
}

/* The bytes of all files, one after the other, from the first of this task to the first of the next. */
struct share {
  uint64_t from, to, all;
};

static struct share map(const char *folder, const struct options *options, const struct file *files, int count,
                        struct words *words) {
  struct share share = {0};
  for (int i = 0; i < count; i++) share.all += files[i].size;
  uint64_t index = (uint64_t)options->bag.index, size = (uint64_t)options->bag.size, begin = 0;
  share.from = share.all * index / size;
  share.to = share.all * (index + 1) / size;
  for (int i = 0; i < count; begin += files[i++].size) {
    uint64_t from = share.from > begin ? share.from - begin : 0, to = share.to > begin ? share.to - begin : 0;
    scan(folder, &files[i], from, to < files[i].size ? to : files[i].size, options->least, words);
  }
  return share;
}

static void reduce(const char *folder, const struct options *options, const struct file *files, int count,
                   struct words *words) {
  const char **names = allocate((size_t)count, sizeof *names);
  for (int i = 0; i < count; i++) {
    if (!ends_in(files[i].name, ".csv")) fail(files[i].name, ": only .csv files are merged", NULL);
    names[i] = files[i].name;
  }
  merge(folder, names, count, options->bag, words);
  free(names);
}

static void write_counts(struct text *text, const struct word *list, size_t count) {
  add(text, "word,count\n");
  for (size_t i = 0; i < count; i++) {
    add_bytes(text, list[i].bytes, list[i].length);
    add_field(text, (double)list[i].count, 0);
    add(text, "\n");
    if (text->length > MAX_RESULT_BYTES)
      fail("more different words than a task's result holds (15 MiB): use more tasks", NULL);
  }
}

static void write_title(struct text *text, const struct options *options) {
  add(text, options->reduce ? "Words, merged" : "Words");
  if (options->bag.size == 1) return;
  add(text, ", task ");
  add_number(text, options->bag.index + 1, 0);
  add(text, " of ");
  add_number(text, options->bag.size, 0);
}

static void write_subtitle(struct text *text, const struct options *options, const struct words *words, int files,
                           struct share share) {
  add_grouped(text, (double)words->total);
  add(text, " words, ");
  add_grouped(text, (double)words->different);
  add(text, " different, in ");
  if (!options->reduce) {
    add_grouped(text, (double)(share.to - share.from));
    if (options->bag.size > 1) {
      add(text, " of ");
      add_grouped(text, (double)share.all);
    }
    add(text, " bytes of ");
  }
  add_grouped(text, files);
  add(text, files == 1 ? " file" : " files");
}

int main(int count, char **arguments) {
  static struct file files[MAX_FILES];
  struct options options = read_options(count, arguments);
  const char *in = environment("IEXEC_IN", "/in"), *folder = environment("IEXEC_OUT", "/out");
  int number = list_files(in, options.file, files);
  struct words words = {0};
  struct share share = {0};
  if (options.reduce) reduce(in, &options, files, number, &words);
  else share = map(in, &options, files, number, &words);
  const struct word *list = sorted(&words);

  struct text text = {0}, title = {0}, subtitle = {0}, name = {0};
  write_title(&title, &options);
  write_subtitle(&subtitle, &options, &words, number, share);
  /* The name tells the merging task whether all parts are there. */
  add(&name, "counts");
  if (options.bag.size > 1) {
    add(&name, "-");
    add_number(&name, options.bag.index + 1, 0);
    add(&name, "-of-");
    add_number(&name, options.bag.size, 0);
  }
  add(&name, ".csv");
  write_counts(&text, list, words.different);
  save(&text, folder, as_string(&name));
  draw_chart(&text, list, words.different, words.total, options.bars, as_string(&title), as_string(&subtitle));
  save(&text, folder, "chart.svg");
  add(&text, title.bytes);
  add(&text, ": ");
  add(&text, subtitle.bytes);
  add(&text, "\n");
  print(&text);
  return 0;
}
