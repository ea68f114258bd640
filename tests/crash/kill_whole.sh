#!/bin/bash
# Kill tq_backup(), tq_compact(), tq_pack() and tq_unpack() at their calls that change files, and look at what they
# leave (tests/crash/kill_whole.py). The build must be one without sanitizers.
#   kill_whole.sh BUILD [--points N] [--seed S] [--save FOLDER]
set -euo pipefail
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
shift
if ldd "$build/tq.so" | grep -q 'lib[alt]san'; then
    echo "kill_whole.sh: a build with sanitizers cannot be preloaded"
    exit 77
fi
if ! command -v sqlite3 > /dev/null; then
    echo "kill_whole.sh: there is no sqlite3 command here (apt-get install sqlite3)"
    exit 77
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/tq_crash_XXXXXX")
trap 'rm -rf "$work"' EXIT
"${CC:-cc}" -std=c17 -O1 -D_GNU_SOURCE -I. -shared -fPIC tests/crash/shim.c -o "$work/shim.so" -ldl
TMPDIR=$work python3 tests/crash/kill_whole.py "$build/tq.so" "$work/shim.so" "$@"
