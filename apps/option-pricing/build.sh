#!/bin/sh
# Builds option-pricing.wasm, or the file named (README.md).
exec "$(dirname "$0")/../common/build.sh" option-pricing -O2 67108864 "$@"
