#!/bin/sh
# Builds kernel.wasm with Debian 12's clang and lld (version 14). Usage: build.sh [output]
set -eu
cd "$(dirname "$0")"
object="$(mktemp)"
trap 'rm -f "$object"' EXIT
clang="${CLANG:-clang}"
"$clang" --target=wasm32-unknown-unknown -std=c11 -O3 -ffreestanding -fno-builtin \
  -mbulk-memory -matomics -msimd128 -mmutable-globals -Wall -Wextra -Werror \
  -c kernel.c -o "$object"
# Linked by itself, without -O: with it clang has binaryen's wasm-opt, where that is installed, change what lld made.
# Memory is shared, so that the threads of a miner search one dataset; each gets a stack of its own (kernel.ts).
"$clang" --target=wasm32-unknown-unknown -nostdlib "$object" -o "${1:-kernel.wasm}" \
  -Wl,--no-entry -Wl,--strip-all -Wl,--import-memory -Wl,--shared-memory -Wl,--max-memory=4294967296 \
  -Wl,--stack-first -Wl,-z,stack-size=65536 -Wl,--export=__stack_pointer -Wl,--export=__heap_base
