#include "shape.h"

#include <math.h>
#include <string.h>

#include "text.h"

enum { MAX_SIDE = 4096 };

void turn_shape(struct shape *shape, double degrees) {
  double radians = degrees * 3.14159265358979323846 / 180;
  shape->angle = degrees;
  shape->cosine = cos(radians);
  shape->sine = sin(radians);
}

struct shape named_shape(const char *name) {
  struct shape shape = {.name = name, .cosine = 1};
  if (strcmp(name, "cylinder") == 0) shape.kind = CYLINDER;
  else if (strcmp(name, "square") == 0) shape.kind = SQUARE;
  else if (strncmp(name, "naca", 4) == 0 && strlen(name) == 8 && strspn(name + 4, "0123456789") == 4) {
    shape.kind = NACA;
    shape.camber = (name[4] - '0') / 100.0;
    shape.camber_at = (name[5] - '0') / 10.0;
    shape.thickness = ((name[6] - '0') * 10 + (name[7] - '0')) / 100.0;
    if (shape.thickness < 0.04) fail("--shape: a profile must be at least 4 % thick, got ", name, NULL);
    if ((shape.camber > 0) != (shape.camber_at > 0)) fail("--shape: camber needs its place, and only then, got ", name, NULL);
  } else fail("--shape must be cylinder, square, naca and four digits, or mask, got ", *name ? name : "nothing", NULL);
  return shape;
}

/* What is left of a mask's file. */
struct reader {
  const unsigned char *at, *end;
  const char *file;
};

static void skip_space(struct reader *reader) {
  for (; reader->at < reader->end; reader->at++) {
    if (*reader->at == '#')
      while (reader->at < reader->end && *reader->at != '\n') reader->at++;
    else if (!memchr(" \t\r\n\v\f", *reader->at, 6)) return;
  }
}

static int read_whole(struct reader *reader, int most, const char *what) {
  skip_space(reader);
  int number = 0, digits = 0;
  for (; reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9'; reader->at++, digits++) {
    number = 10 * number + (*reader->at - '0');
    if (number > most) fail(reader->file, ": ", what, " is too large", NULL);
  }
  if (digits == 0) fail(reader->file, ": ", what, " is missing", NULL);
  return number;
}

static _Noreturn void fail_short(const struct reader *reader) { fail(reader->file, ": ends before the last pixel", NULL); }

static int raw_byte(struct reader *reader) {
  if (reader->at == reader->end) fail_short(reader);
  return *reader->at++;
}

/* One pixel of a plain bitmap: digits need no space between. */
static int plain_bit(struct reader *reader) {
  skip_space(reader);
  if (reader->at == reader->end) fail_short(reader);
  if (*reader->at != '0' && *reader->at != '1') fail(reader->file, ": a pixel is neither 0 nor 1", NULL);
  return *reader->at++ == '1';
}

static void read_netpbm(struct shape *shape, struct reader *reader) {
  int format = reader->at[1] - '0', bitmap = format == 1 || format == 4, raw = format >= 4;
  reader->at += 2;
  shape->width = read_whole(reader, MAX_SIDE, "the width");
  shape->height = read_whole(reader, MAX_SIDE, "the height");
  if (shape->width == 0 || shape->height == 0) fail(reader->file, ": has no pixels", NULL);
  int most = bitmap ? 1 : read_whole(reader, 65535, "the largest grey");
  if (most == 0) fail(reader->file, ": the largest grey is 0", NULL);
  if (raw) raw_byte(reader);
  shape->mask = allocate((size_t)shape->width, (size_t)shape->height);
  for (int y = 0; y < shape->height; y++) {
    int byte = 0;
    for (int x = 0; x < shape->width; x++) {
      int solid;
      if (format == 1) solid = plain_bit(reader);
      else if (format == 4) {
        if (x % 8 == 0) byte = raw_byte(reader);
        solid = byte >> (7 - x % 8) & 1;
      } else {
        int grey = !raw ? read_whole(reader, most, "a grey") : raw_byte(reader);
        if (raw && most > 255) grey = grey << 8 | raw_byte(reader);
        solid = 2 * grey < most;
      }
      shape->mask[y * shape->width + x] = (uint8_t)solid;
    }
  }
}

static void read_art(struct shape *shape, struct reader *reader) {
  int width = 0, height = 0;
  for (const unsigned char *line = reader->at; line < reader->end; height++) {
    const unsigned char *stop = memchr(line, '\n', (size_t)(reader->end - line));
    if (!stop) stop = reader->end;
    if (stop - line > MAX_SIDE || height >= MAX_SIDE) fail(reader->file, ": is larger than 4096 x 4096", NULL);
    if (stop - line > width) width = (int)(stop - line);
    line = stop + 1;
  }
  shape->width = width;
  shape->height = height;
  shape->mask = allocate((size_t)width, (size_t)height);
  for (int x = 0, y = 0; reader->at < reader->end; reader->at++) {
    int c = *reader->at;
    if (c == '\n') x = 0, y++;
    else if (memchr("#@Xx1", c, 5)) shape->mask[y * width + x++] = 1;
    else if (memchr(". -_0\r", c, 6)) x++;
    else fail(reader->file, ": a mask of text has # where it is solid and . elsewhere", NULL);
  }
}

static void cut(struct shape *shape, const char *file) {
  int left = shape->width, right = -1, top = shape->height, bottom = -1;
  for (int y = 0; y < shape->height; y++)
    for (int x = 0; x < shape->width; x++) {
      if (!shape->mask[y * shape->width + x]) continue;
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < top) top = y;
      bottom = y;
    }
  if (right < 0) fail(file, ": nothing in the mask is solid", NULL);
  int width = right - left + 1, height = bottom - top + 1;
  for (int y = 0; y < height; y++)
    memmove(shape->mask + y * width, shape->mask + (top + y) * shape->width + left, (size_t)width);
  shape->width = width;
  shape->height = height;
}

struct shape mask_shape(const char *bytes, size_t length, const char *file) {
  struct shape shape = {.kind = MASK, .name = "mask", .cosine = 1};
  struct reader reader = {(const unsigned char *)bytes, (const unsigned char *)bytes + length, file};
  if (length == 0) fail(file, ": is empty", NULL);
  if (length > 2 && bytes[0] == 'P' && memchr("1245", bytes[1], 4)) read_netpbm(&shape, &reader);
  else if (bytes[0] == 'P') fail(file, ": of the Netpbm formats only P1, P2, P4 and P5 are read", NULL);
  else read_art(&shape, &reader);
  cut(&shape, file);
  if (shape.width > 8 * shape.height) fail(file, ": the obstacle is more than 8 times as wide as high", NULL);
  return shape;
}

/* The ordinates of Jacobs, Ward and Pinkerton (NACA report 460, 1933), with a closed trailing edge; the thickness is laid
 * off across the chord. */
static int in_profile(const struct shape *shape, double x, double y) {
  x += 0.5;
  if (x < 0 || x > 1) return 0;
  double half = 5 * shape->thickness *
                (0.2969 * sqrt(x) + x * (-0.1260 + x * (-0.3516 + x * (0.2843 - x * 0.1036))));
  double p = shape->camber_at, line = 0;
  if (p > 0 && x < p) line = shape->camber / (p * p) * x * (2 * p - x);
  else if (p > 0) line = shape->camber / ((1 - p) * (1 - p)) * (1 - 2 * p + x * (2 * p - x));
  return fabs(y - line) <= half;
}

int inside(const struct shape *shape, double x, double y) {
  double along = x * shape->cosine - y * shape->sine, across = x * shape->sine + y * shape->cosine;
  if (shape->kind == CYLINDER) return x * x + y * y <= 0.25;
  if (shape->kind == SQUARE) return fabs(along) <= 0.5 && fabs(across) <= 0.5;
  if (shape->kind == NACA) return in_profile(shape, along, across);
  double column = floor(along * shape->height + 0.5 * shape->width), row = floor((0.5 - across) * shape->height);
  if (column < 0 || row < 0 || column >= shape->width || row >= shape->height) return 0;
  return shape->mask[(int)row * shape->width + (int)column];
}

double reach(const struct shape *shape) {
  if (shape->kind == CYLINDER) return 0.5;
  double wide = shape->kind == MASK ? (double)shape->width / shape->height : 1;
  return 0.5 * sqrt(1 + wide * wide);
}
