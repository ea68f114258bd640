#!/bin/bash
# Change bytes of a database and its folder and ask (tests/crash/flip.py).
# flip.sh BUILD [--points N | --full] [--seconds S] [--seed S] [--save DIR]
set -euo pipefail
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
shift
work=$(mktemp -d "${TMPDIR:-/tmp}/tq_flip_XXXXXX")
trap 'rm -rf "$work"' EXIT
flags=(-std=c17 -O2 -D_GNU_SOURCE -I.)
if ldd "$build/libtq.so" | grep -q 'libasan\|libclang_rt'; then flags+=(-fsanitize=address,undefined); fi
if ldd "$build/libtq.so" | grep -q libtsan; then
    echo "flip.sh: threads are not what it is about"
    exit 77
fi
"${CC:-cc}" "${flags[@]}" tests/crash/flip_work.c "$build/libtq.so" "-Wl,-rpath,$build" -lsqlite3 -o "$work/flip_work"
python3 tests/crash/flip.py "$work/flip_work" "$@"
