#!/bin/sh
# Builds an app with Debian's clang, lld, wasi-libc and libclang-rt-*-dev-wasm32:
#   common/build.sh <app> <-O2 or -Os> <bytes of memory at most> [<output>]
# Without strength reduction loops keep constant offsets in their loads and stores, which cost nothing.
set -eu
cd "$(dirname "$0")/.."
output="${4:-$1/$1.wasm}"
objects="$(mktemp -d)"
trap 'rm -rf "$objects"' EXIT
target="--target=wasm32-wasi --sysroot=${WASI_SYSROOT:-/usr}"
for file in common/*.c "$1"/src/*.c; do
  "${CLANG:-clang}" $target \
    -std=c11 "$2" -mllvm -disable-lsr -fno-exceptions -ffp-contract=off -ffunction-sections -fdata-sections \
    -Wall -Wextra -Werror -Icommon \
    -c "$file" -o "$objects/$(echo "$file" | tr / -).o"
done
# Linked by themselves, without -O: with it clang has binaryen's wasm-opt, where that is installed, change what lld made.
"${CLANG:-clang}" $target "$objects"/*.o -o "$output" \
  -Wl,--gc-sections -Wl,--strip-all -Wl,-z,stack-size=65536 -Wl,--max-memory="$3"
wc -c "$output"
