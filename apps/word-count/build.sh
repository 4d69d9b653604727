#!/bin/sh
# Builds word-count.wasm, or the file named (README.md).
exec "$(dirname "$0")/../common/build.sh" word-count -Os 268435456 "$@"
