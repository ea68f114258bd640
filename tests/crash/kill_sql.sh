#!/bin/bash
# The same through SQL (tests/crash/sql_work.c), with the build's own extension, which must be one without sanitizers:
# the shims are preloaded.  kill_sql.sh BUILD [--full] [--seed N]
set -euo pipefail
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
shift
if ldd "$build/tq.so" | grep -q 'lib[at]san'; then
    echo "kill_sql.sh: a build with sanitizers cannot be preloaded"
    exit 77
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/tq_crash_XXXXXX")
trap 'rm -rf "$work"' EXIT
cc=${CC:-cc}
flags=(-std=c17 -O2 -D_GNU_SOURCE -I.)
for shim in shim disk; do "$cc" "${flags[@]}" -shared -fPIC "tests/crash/$shim.c" -o "$work/$shim.so" -ldl; done
"$cc" "${flags[@]}" tests/crash/sql_{work,model}.c "$build/libtq_inside.a" -o "$work/sql_work" \
    -llmdb -lsqlite3 -lgomp -lpthread -lm
TMPDIR=$work python3 tests/crash/kill.py "$work/sql_work" "$work/shim.so" --sql "$build/tq.so" "$work/disk.so" "$@"
