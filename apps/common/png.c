#include "png.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "svg.h"

static const uint8_t DIVERGING_STOPS[] = {18, 52, 120, 52, 120, 200, 150, 196, 236, 250, 250, 250,
                                          246, 178, 150, 214, 80, 70, 120, 16, 40};
static const uint8_t SEQUENTIAL_STOPS[] = {20, 24, 72, 38, 70, 140, 30, 118, 152, 40, 160, 136,
                                           120, 196, 96, 208, 220, 80, 254, 240, 130};
const struct colours DIVERGING = {7, DIVERGING_STOPS}, SEQUENTIAL = {7, SEQUENTIAL_STOPS};

struct image new_image(int width, int height) {
  return (struct image){.pixels = allocate((size_t)width, (size_t)height), .width = width, .height = height};
}

static void colour_at(struct colours map, double at, uint8_t *colour) {
  double place = fmin(fmax(at, 0), 1) * (map.count - 1);
  int stop = (int)place < map.count - 1 ? (int)place : map.count - 2;
  for (int i = 0; i < 3; i++) {
    double low = map.stops[3 * stop + i], high = map.stops[3 * stop + 3 + i];
    colour[i] = (uint8_t)(int)(low + (high - low) * (place - stop) + 0.5);
  }
}

void set_colours(struct image *image, struct colours map, int from, int count) {
  for (int i = 0; i < count; i++) colour_at(map, i / (count - 1.0), &image->palette[3 * (from + i)]);
}

/* Deflate (RFC 1951) with the fixed code, and matches with the last place that began with the same three bytes. */
enum { HASH_BITS = 13, LEAST_MATCH = 3, MOST_MATCH = 258, WINDOW = 32768 };

struct bits {
  struct text *text;
  uint32_t word;
  int count;
};

static void add_bits(struct bits *bits, uint32_t value, int count) {
  bits->word |= value << bits->count;
  for (bits->count += count; bits->count >= 8; bits->count -= 8, bits->word >>= 8) {
    char byte = (char)(bits->word & 255);
    add_bytes(bits->text, &byte, 1);
  }
}

/* Codes begin with their highest bit, numbers with their lowest. */
static void add_code(struct bits *bits, uint32_t code, int count) {
  uint32_t reversed = 0;
  for (int i = 0; i < count; i++) reversed |= (code >> i & 1) << (count - 1 - i);
  add_bits(bits, reversed, count);
}

static void add_symbol(struct bits *bits, uint32_t symbol) {
  if (symbol < 144) add_code(bits, 0x30 + symbol, 8);
  else if (symbol < 256) add_code(bits, 0x190 + symbol - 144, 9);
  else if (symbol < 280) add_code(bits, symbol - 256, 7);
  else add_code(bits, 0xc0 + symbol - 280, 8);
}

/* Lengths and distances are a class, whose size doubles every `per` classes, and the place in it. */
static int class_of(uint32_t value, int per, uint32_t *place, int *extra) {
  if (value < 2 * (uint32_t)per) {
    *place = 0, *extra = 0;
    return (int)value;
  }
  int bits = 0;
  while (value >> bits >= 2 * (uint32_t)per) bits++;
  *extra = bits;
  *place = value & ((1u << bits) - 1);
  return per * bits + (int)(value >> bits);
}

static void add_match(struct bits *bits, uint32_t length, uint32_t distance) {
  uint32_t place = 0;
  int extra = 0, class = length == MOST_MATCH ? 28 : class_of(length - LEAST_MATCH, 4, &place, &extra);
  add_symbol(bits, 257 + (uint32_t)class);
  add_bits(bits, place, extra);
  class = class_of(distance - 1, 2, &place, &extra);
  add_code(bits, (uint32_t)class, 5);
  add_bits(bits, place, extra);
}

static void deflate(struct text *text, const uint8_t *data, size_t length) {
  struct bits bits = {.text = text};
  uint32_t *last = allocate(1u << HASH_BITS, sizeof *last); /* place + 1 */
  add_bits(&bits, 3, 3); /* the last block, in the fixed code */
  for (size_t at = 0; at < length;) {
    size_t match = 0, from = 0;
    if (length - at >= LEAST_MATCH) {
      uint32_t three = (uint32_t)data[at] << 16 | (uint32_t)data[at + 1] << 8 | data[at + 2];
      uint32_t *slot = &last[three * 2654435761u >> (32 - HASH_BITS)];
      from = *slot;
      *slot = (uint32_t)at + 1;
      size_t most = length - at < MOST_MATCH ? length - at : MOST_MATCH;
      if (from-- > 0 && at - from <= WINDOW)
        while (match < most && data[from + match] == data[at + match]) match++;
    }
    if (match >= LEAST_MATCH) {
      add_match(&bits, (uint32_t)match, (uint32_t)(at - from));
      at += match;
    } else {
      add_symbol(&bits, data[at++]);
    }
  }
  add_symbol(&bits, 256);
  add_bits(&bits, 0, 7);
  free(last);
}

static void add_word(struct text *text, uint32_t word) {
  char bytes[] = {(char)(word >> 24), (char)(word >> 16), (char)(word >> 8), (char)word};
  add_bytes(text, bytes, 4);
}

static uint32_t crc_of(const uint8_t *data, size_t length) {
  static uint32_t table[256];
  for (uint32_t i = 0; i < 256 && !table[255]; i++) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xedb88320u : 0);
    table[i] = value;
  }
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i < length; i++) crc = table[(crc ^ data[i]) & 255] ^ crc >> 8;
  return ~crc;
}

static uint32_t adler_of(const uint8_t *data, size_t length) {
  uint32_t a = 1, b = 0;
  for (size_t i = 0; i < length; i++) {
    a += data[i];
    b += a;
    if (i % 4096 != 4095) continue; /* fewer than the 5552 bytes after which b could overflow */
    a %= 65521;
    b %= 65521;
  }
  a %= 65521;
  b %= 65521;
  return b << 16 | a;
}

static void add_chunk(struct text *text, const char *type, const void *data, size_t length) {
  add_word(text, (uint32_t)length);
  size_t from = text->length;
  add(text, type);
  add_bytes(text, data, length);
  add_word(text, crc_of((const uint8_t *)text->bytes + from, length + 4));
}

void add_png(struct text *text, const struct image *image) {
  size_t row = (size_t)image->width + 1, length = row * (size_t)image->height;
  uint8_t *rows = allocate(length, 1); /* each row begins with its filter, 0 for none */
  for (int y = 0; y < image->height; y++)
    memcpy(rows + row * (size_t)y + 1, image->pixels + (size_t)image->width * (size_t)y, (size_t)image->width);
  struct text body = {0}, head = {0};
  add_bytes(&body, "\x78\x01", 2);
  deflate(&body, rows, length);
  add_word(&body, adler_of(rows, length));
  add_word(&head, (uint32_t)image->width);
  add_word(&head, (uint32_t)image->height);
  add_bytes(&head, "\x08\x03\0\0\0", 5); /* 8 bits, a palette */
  add_bytes(text, "\x89PNG\r\n\x1a\n", 8);
  add_chunk(text, "IHDR", head.bytes, head.length);
  add_chunk(text, "PLTE", image->palette, sizeof image->palette);
  add_chunk(text, "IDAT", body.bytes, body.length);
  add_chunk(text, "IEND", "", 0);
  free(rows);
  free(body.bytes);
  free(head.bytes);
}

static void add_base64(struct text *text, const uint8_t *data, size_t length) {
  static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < length; i += 3) {
    uint32_t word = (uint32_t)data[i] << 16;
    if (i + 1 < length) word |= (uint32_t)data[i + 1] << 8;
    if (i + 2 < length) word |= data[i + 2];
    char four[] = {DIGITS[word >> 18], DIGITS[word >> 12 & 63], DIGITS[word >> 6 & 63], DIGITS[word & 63]};
    if (i + 2 >= length) four[3] = '=';
    if (i + 1 >= length) four[2] = '=';
    add_bytes(text, four, 4);
  }
}

void draw_image(const struct text *png, double x, double y, double width, double height) {
  add(out, "<image");
  attribute("x", x), attribute("y", y), attribute("width", width), attribute("height", height);
  add(out, " preserveAspectRatio=\"none\" href=\"data:image/png;base64,");
  add_base64(out, (const uint8_t *)png->bytes, png->length);
  add(out, "\"/>\n");
}

void draw_colours(struct colours map, double x, double y, double width, double from, double to, const char *name) {
  struct image bar = new_image(256, 1);
  for (int i = 0; i < 256; i++) bar.pixels[i] = (uint8_t)i;
  set_colours(&bar, map, 0, 256);
  words(x, y - 6, 11.5, FAINT, "start", 0, name);
  struct text png = {0};
  add_png(&png, &bar);
  draw_image(&png, x, y, width, 10);
  for (int i = 0; i <= 4; i++) {
    double place = x + width * i / 4;
    line(place, y + 10, place, y + 13, FAINT, 1);
    label(place, y + 24, 10.5, FAINT, "middle", 0);
    add_shortest(out, from + (to - from) * i / 4, decimals_of((to - from) / 4) + 1);
    close_label();
  }
  free(bar.pixels);
  free(png.bytes);
}
