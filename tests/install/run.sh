#!/bin/bash
# Install a build into a temporary prefix, build the examples against it as users do, by CMake and by
# pkg-config, and run them. What is installed must be enough: the source tree is not on any path.
#   tests/install/run.sh <build folder> [compiler]
set -euo pipefail

build=$(cd "$1" && pwd)
cc=${2:-cc}
root=$(cd "$(dirname "$0")/../.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

cmake --install "$build" --prefix "$tmp/first" >/dev/null
mv "$tmp/first" "$tmp/prefix" # an installed tree can be moved
mkdir "$tmp/src"
cp "$root"/examples/* "$tmp/src/"
(cd "$tmp/prefix" && find . \( -type f -o -type l \) | sort)

check() { # <folder of programs> <name of the stores>
    "$1/search" "$tmp/$2-search"
    "$1/service" "$tmp/$2-service"
    "$1/import" "$tmp/$2-npy" "$root/tests/data/query.f16.npy" | grep -qx "1000 rows of 100 dimensions, from npy"
    failed=$("$1/import" "$tmp/$2-none" "$tmp/none.npy" 2>&1) && return 1 # its message comes through libtq.so
    [ "$failed" = "open: $tmp/none.npy: No such file or directory" ]
    hdf5=$("$1/import" "$tmp/$2-hdf5" "$root/tests/data/tiny.hdf5" 2>&1) || true
    case "$hdf5" in
    "50 rows of 8 dimensions, from hdf5" | *"this build cannot read hdf5: it was made without HDF5") ;;
    *) echo "$hdf5" >&2 && return 1 ;;
    esac
}

echo "== find_package(tq)"
cmake -S "$tmp/src" -B "$tmp/cmake" -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$tmp/prefix" >/dev/null
cmake --build "$tmp/cmake" >/dev/null
check "$tmp/cmake" cmake

echo "== pkg-config tq"
libdir=$(dirname "$(find "$tmp/prefix" -name libtq.so)")
export PKG_CONFIG_PATH=$libdir/pkgconfig
mkdir "$tmp/pc"
for name in search:tq service:tq import:tq_io; do
    # shellcheck disable=SC2046 # words are wanted
    "$cc" -std=gnu17 -Wall -Wextra -Werror "$tmp/src/${name%:*}.c" -o "$tmp/pc/${name%:*}" \
        $(pkg-config --cflags --libs "${name#*:}") -lm -lpthread
done
# Programs that search need nothing of what files of vectors need.
[ "$(pkg-config --libs tq | grep -c tq_io)" = 0 ]
LD_LIBRARY_PATH=$libdir check "$tmp/pc" pc

version=$(pkg-config --modversion tq)
grep -q "^#define TQ_VERSION \"$version\"" "$root/src/tq.h"

# The extension, where its entry point is part of this build.
if command -v sqlite3 >/dev/null && nm -D --defined-only "$libdir/libtq.so" | grep ' T sqlite3_tq_init'; then
    echo "== sqlite3 .load"
    query="SELECT count(*) FROM pragma_module_list WHERE name = 'tq';"
    test "$(sqlite3 -bail :memory: -cmd ".load $libdir/tq" "$query")" = 1
fi
echo "install: ok"
