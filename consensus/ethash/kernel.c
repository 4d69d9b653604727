/* The memory-hard part of Ethash, for WebAssembly (docs/spec.md section 7): cache, items of the dataset, hashimoto.
   Words are little-endian, as WebAssembly's are. No library, no allocation: the caller lays out the memory. */
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(#name))) name
#define UNROLL _Pragma("clang loop unroll(full)")

enum { WORDS = 16, PARENTS = 256, ACCESSES = 64, CACHE_ROUNDS = 3, LANES = 25, ROUNDS = 24 };

/* 64 bytes: an item of the cache or of the dataset. */
typedef struct {
  uint32_t words[WORDS];
} Item;

static const uint64_t ROUND_CONSTANTS[ROUNDS] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b,
    0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088,
    0x0000000080008009, 0x000000008000000a, 0x000000008000808b, 0x800000000000008b, 0x8000000000008089,
    0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008};

static inline uint64_t rotate(uint64_t value, int bits) {
  return bits == 0 ? value : (value << bits) | (value >> (64 - bits));
}

/* Keccak-f[1600] (FIPS 202): lane x + 5y. */
static void permute(uint64_t state[LANES]) {
  static const int OFFSETS[LANES] = {0,  1,  62, 28, 27, 36, 44, 6,  55, 20, 3,  10, 43,
                                     25, 39, 41, 45, 15, 21, 8,  18, 2,  61, 56, 14};
  uint64_t a[LANES], b[LANES], c[5];
  UNROLL for (int i = 0; i < LANES; i++) a[i] = state[i];
  for (int round = 0; round < ROUNDS; round++) {
    UNROLL for (int x = 0; x < 5; x++) c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
    UNROLL for (int x = 0; x < 5; x++) {
      const uint64_t d = c[(x + 4) % 5] ^ rotate(c[(x + 1) % 5], 1);
      UNROLL for (int y = 0; y < 5; y++)
        b[y + 5 * ((2 * x + 3 * y) % 5)] = rotate(a[x + 5 * y] ^ d, OFFSETS[x + 5 * y]);
    }
    UNROLL for (int y = 0; y < LANES; y += 5)
      UNROLL for (int x = 0; x < 5; x++) a[y + x] = b[y + x] ^ (~b[y + (x + 1) % 5] & b[y + (x + 2) % 5]);
    a[0] ^= ROUND_CONSTANTS[round];
  }
  UNROLL for (int i = 0; i < LANES; i++) state[i] = a[i];
}

/* Keccak with the original padding of a message of whole 8-byte words that fits one block of `rate` words. */
static void keccak(const void *message, int length, int rate, void *digest, int size) {
  const uint64_t *in = message;
  uint64_t *out = digest;
  uint64_t state[LANES];
  UNROLL for (int i = 0; i < LANES; i++) state[i] = 0;
  for (int i = 0; i < length; i++) state[i] = in[i];
  state[length] ^= 1;
  state[rate - 1] ^= 0x8000000000000000;
  permute(state);
  for (int i = 0; i < size; i++) out[i] = state[i];
}

/* 64 bytes of at most 64. */
static void keccak512(const void *message, int length, void *digest) { keccak(message, length, 9, digest, 8); }
/* 32 bytes of at most 128. */
static void keccak256(const void *message, int length, void *digest) { keccak(message, length, 17, digest, 4); }

static inline uint32_t fnv(uint32_t a, uint32_t b) { return (a * 0x01000193) ^ b; }

/* Fills a cache of `rows` items from a seed of 32 bytes: RandMemoHash (Lerner 2014), three rounds. */
void EXPORT(cache)(Item *items, uint32_t rows, const void *seed) {
  keccak512(seed, 4, &items[0]);
  for (uint32_t i = 1; i < rows; i++) keccak512(&items[i - 1], 8, &items[i]);
  for (int round = 0; round < CACHE_ROUNDS; round++)
    for (uint32_t i = 0; i < rows; i++) {
      const Item *before = &items[i == 0 ? rows - 1 : i - 1];
      const Item *other = &items[items[i].words[0] % rows];
      Item mixed;
      UNROLL for (int w = 0; w < WORDS; w++) mixed.words[w] = before->words[w] ^ other->words[w];
      keccak512(&mixed, 8, &items[i]);
    }
}

/* 128 bytes: what hashimoto reads at once. */
typedef struct {
  Item halves[2];
} Page;

/* Computes one page of the dataset from the cache: both items at once, so that one's reads wait with the other's. */
static void page_of(const Item *items, uint32_t rows, uint32_t page, Page *out) {
  Item mix[2];
  UNROLL for (uint32_t half = 0; half < 2; half++) {
    const uint32_t index = 2 * page + half;
    mix[half] = items[index % rows];
    mix[half].words[0] ^= index;
    keccak512(&mix[half], 8, &mix[half]);
  }
  for (uint32_t parent = 0; parent < PARENTS; parent++) {
    const Item *with[2];
    UNROLL for (uint32_t half = 0; half < 2; half++)
      with[half] = &items[fnv((2 * page + half) ^ parent, mix[half].words[parent % WORDS]) % rows];
    UNROLL for (int half = 0; half < 2; half++)
      UNROLL for (int w = 0; w < WORDS; w++) mix[half].words[w] = fnv(mix[half].words[w], with[half]->words[w]);
  }
  UNROLL for (int half = 0; half < 2; half++) keccak512(&mix[half], 8, &out->halves[half]);
}

/* Computes `count` pages of the dataset from page `first` on. */
void EXPORT(dataset)(const Item *items, uint32_t rows, Page *out, uint32_t first, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) page_of(items, rows, first + i, &out[i]);
}

/* What a hash yields: the mix and the result. */
typedef struct {
  uint64_t mix[4];
  uint64_t result[4];
} Answer;

/*
 * Hashes a seal (32 bytes) with a nonce over a dataset of `pages` of 128 bytes; where `full` is null, they are made from
 * the cache as they are needed.
 */
void EXPORT(hash)(const Item *items, uint32_t rows, const Page *full, uint32_t pages, const uint64_t *seal, uint64_t nonce,
                  Answer *answer) {
  struct {
    Item seed;
    uint64_t mix[4];
  } end;
  uint64_t start[5] = {seal[0], seal[1], seal[2], seal[3], nonce};
  keccak512(start, 5, &end.seed);
  Item mix[2] = {end.seed, end.seed};
  for (uint32_t access = 0; access < ACCESSES; access++) {
    const uint32_t chosen = mix[(access / WORDS) % 2].words[access % WORDS];
    const uint32_t page = fnv(access ^ end.seed.words[0], chosen) % pages;
    Page made;
    const Page *with = full ? &full[page] : &made;
    if (!full) page_of(items, rows, page, &made);
    UNROLL for (int half = 0; half < 2; half++)
      UNROLL for (int w = 0; w < WORDS; w++) mix[half].words[w] = fnv(mix[half].words[w], with->halves[half].words[w]);
  }
  uint32_t *short_mix = (uint32_t *)end.mix;
  UNROLL for (int i = 0; i < 8; i++) {
    const uint32_t *w = &mix[i / 4].words[4 * (i % 4)];
    short_mix[i] = fnv(fnv(fnv(w[0], w[1]), w[2]), w[3]);
  }
  UNROLL for (int i = 0; i < 4; i++) answer->mix[i] = end.mix[i];
  keccak256(&end, 12, answer->result);
}

/* Tells whether a result is at most a target: both are big-endian numbers of 256 bits. */
static int is_at_most(const uint64_t *result, const uint64_t *target) {
  for (int i = 0; i < 4; i++) {
    const uint64_t a = __builtin_bswap64(result[i]), b = __builtin_bswap64(target[i]);
    if (a != b) return a < b;
  }
  return 1;
}

/* Tries `count` nonces from `nonce` on; gives how many were tried before the one that `answer` is for, or `count`. */
uint32_t EXPORT(search)(const Item *items, uint32_t rows, const Page *full, uint32_t pages, const uint64_t *seal,
                        const uint64_t *target, uint64_t nonce, uint32_t count, Answer *answer) {
  for (uint32_t i = 0; i < count; i++) {
    hash(items, rows, full, pages, seal, nonce + i, answer);
    if (is_at_most(answer->result, target)) return i;
  }
  return count;
}
