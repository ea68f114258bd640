#!/bin/bash
# Kill a writer at many points and check what it leaves (tests/crash/kill.py). Own build: the shim is preloaded, and
# neither sanitizers nor the library's other parts belong here.  kill.sh [BUILD [--full]]
set -euo pipefail
cd "$(dirname "$0")/../.."
shift || true

work=$(mktemp -d "${TMPDIR:-/tmp}/tq_crash_XXXXXX")
trap 'rm -rf "$work"' EXIT
cc=${CC:-cc}
flags=(-std=c17 -O1 -D_GNU_SOURCE -I.)
"$cc" "${flags[@]}" -shared -fPIC tests/crash/shim.c -o "$work/shim.so" -ldl
"$cc" "${flags[@]}" tests/crash/crash_work.c storage/*.c src/base/*.c -o "$work/crash_work" \
    -llmdb -lsqlite3 -lcmocka -lpthread -lm
TMPDIR=$work python3 tests/crash/kill.py "$work/crash_work" "$work/shim.so" "$@"
