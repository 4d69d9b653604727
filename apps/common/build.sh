#!/bin/sh
# Builds an app with Debian's clang, lld, wasi-libc and libclang-rt-*-dev-wasm32:
#   common/build.sh <app> <-O2 or -Os> <bytes of memory at most> [<output>]
# Without strength reduction loops keep constant offsets in their loads and stores, which cost nothing.
set -eu
cd "$(dirname "$0")/.."
output="${4:-$1/$1.wasm}"
"${CLANG:-clang}" --target=wasm32-wasi --sysroot="${WASI_SYSROOT:-/usr}" \
  -std=c11 "$2" -mllvm -disable-lsr -fno-exceptions -ffp-contract=off -ffunction-sections -fdata-sections \
  -Wall -Wextra -Werror -Icommon \
  common/*.c "$1"/src/*.c -o "$output" \
  -Wl,--gc-sections -Wl,--strip-all -Wl,-z,stack-size=65536 -Wl,--max-memory="$3"
wc -c "$output"
