#!/bin/sh
# Builds kernel.wasm with Debian 12's clang and lld (version 14). Usage: build.sh [output]
set -eu
cd "$(dirname "$0")"
# Memory is shared, so that the threads of a miner search one dataset; each gets a stack of its own (kernel.ts).
"${CLANG:-clang}" --target=wasm32-unknown-unknown -std=c11 -O3 -nostdlib -ffreestanding -fno-builtin \
  -mbulk-memory -matomics -msimd128 -mmutable-globals -Wall -Wextra -Werror \
  kernel.c -o "${1:-kernel.wasm}" \
  -Wl,--no-entry -Wl,--strip-all -Wl,--import-memory -Wl,--shared-memory -Wl,--max-memory=4294967296 \
  -Wl,--stack-first -Wl,-z,stack-size=65536 -Wl,--export=__stack_pointer -Wl,--export=__heap_base
