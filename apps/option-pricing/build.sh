#!/bin/sh
# Builds option-pricing.wasm with Debian's clang, lld, wasi-libc and libclang-rt-*-dev-wasm32 (README.md).
set -eu
cd "$(dirname "$0")"
"${CLANG:-clang}" --target=wasm32-wasi --sysroot="${WASI_SYSROOT:-/usr}" \
  -std=c11 -O2 -fno-exceptions -ffp-contract=off -ffunction-sections -fdata-sections \
  -Wall -Wextra -Werror \
  src/*.c -o option-pricing.wasm \
  -Wl,--gc-sections -Wl,--strip-all -Wl,-z,stack-size=65536 -Wl,--max-memory=67108864
wc -c option-pricing.wasm
