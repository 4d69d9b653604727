// A kernel gives a number that depends on all it computed, so that no compiler leaves it out.
#ifdef __wasm__
#define KERNEL __attribute__((export_name("run")))
#else
#define KERNEL
#endif
unsigned run(unsigned rounds);

// Numerical Recipes' 32-bit generator.
static inline unsigned next_random(unsigned *state) { return *state = *state * 1664525u + 1013904223u; }
