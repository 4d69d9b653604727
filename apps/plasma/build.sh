#!/bin/sh
# Builds plasma.wasm, or the file named (README.md).
exec "$(dirname "$0")/../common/build.sh" plasma -Os 134217728 "$@"
