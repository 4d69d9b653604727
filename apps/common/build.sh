#!/bin/sh
# Builds an app (common/build.sh <app> <bytes of memory at most> [output]) with Debian's clang, lld, wasi-libc and
# libclang-rt-*-dev-wasm32. Without strength reduction loops keep constant offsets in loads and stores, which cost nothing.
set -eu
cd "$(dirname "$0")/.."
"${CLANG:-clang}" --target=wasm32-wasi --sysroot="${WASI_SYSROOT:-/usr}" \
  -std=c11 -O2 -mllvm -disable-lsr -fno-exceptions -ffp-contract=off -ffunction-sections -fdata-sections \
  -Wall -Wextra -Werror -Icommon \
  common/*.c "$1"/src/*.c -o "${3:-$1/$1.wasm}" \
  -Wl,--gc-sections -Wl,--strip-all -Wl,-z,stack-size=65536 -Wl,--max-memory="$2"
wc -c "${3:-$1/$1.wasm}"
