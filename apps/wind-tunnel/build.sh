#!/bin/sh
# Builds wind-tunnel.wasm, or the file named (README.md).
exec "$(dirname "$0")/../common/build.sh" wind-tunnel -Os 268435456 "$@"
