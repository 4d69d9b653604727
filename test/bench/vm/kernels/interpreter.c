#include "kernel.h"
enum { PUSH, ADD, SUB, XOR, SHIFT, LOAD, STORE, JUMP_IF, DUP, HALT };

// A program for a stack machine: loops over a memory of 256 words and mixes it.
static const int program[] = {PUSH, 0,   STORE, 0,  LOAD, 0, DUP, PUSH, 2654435, XOR, PUSH, 3, SHIFT, LOAD, 1, ADD,
                              STORE, 1,   PUSH, 1, ADD, DUP, STORE, 0, LOAD, 2, SUB, JUMP_IF, 4, HALT};
static unsigned memory[256], stack[64];

// Interprets bytecode: one switch in a loop.
KERNEL unsigned run(unsigned rounds) {
  memory[1] = 1;
  memory[2] = rounds;
  unsigned *top = stack;
  for (const int *at = program;;) {
    switch (*at++) {
      case PUSH: *top++ = *at++; break;
      case ADD: top--; top[-1] += *top; break;
      case SUB: top--; top[-1] -= *top; break;
      case XOR: top--; top[-1] ^= *top; break;
      case SHIFT: top--; top[-1] = top[-1] << *top | top[-1] >> (32 - *top); break;
      case LOAD: *top++ = memory[*at++]; break;
      case STORE: memory[*at++] = *--top; break;
      case JUMP_IF: at = *--top ? program + *at : at + 1; break;
      case DUP: *top = top[-1]; top++; break;
      case HALT: return memory[1];
    }
  }
}
