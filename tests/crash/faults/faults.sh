#!/bin/bash
# Faults at every call (faults.h): build the program with the library of a build folder, and run one of its tests.
#   faults.sh BUILD TEST[,TEST...] [--points N] [--seed S] [--save DIR] ...
#       TEST: kill, errors, memory, api-errors, api-memory; fault_main.c has the options
# or, on file systems that are really full, as root:
#   faults.sh BUILD full [--points N] [--seed S] [--save DIR]
# The last line is `TEST: P points, B bad`.
set -euo pipefail
build=$(cd "$1" && pwd)
test=$2
shift 2
cd "$(dirname "$0")/../../.."
if [ ! -e "$build/libtq_inside.a" ]; then
    echo "faults.sh: $build has no libtq_inside.a: configure it with -DTQ_TESTS=ON"
    exit 77
fi
if ldd "$build/libtq.so" | grep -q 'lib[at]san'; then
    echo "faults.sh: a build with sanitizers has a malloc() of its own"
    exit 77
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/tq_faults_XXXXXX")
mounted=()
finish() {
    local status=$?
    for place in ${mounted[@]+"${mounted[@]}"}; do umount "$place" || true; done
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT

"${CC:-cc}" -std=c17 -O2 -g -D_GNU_SOURCE -I. tests/crash/faults/*.c tests/crash/sql_model.c "$build/libtq_inside.a" \
    -o "$work/faults" -llmdb -lsqlite3 -lgomp -lpthread -lm
folder=$work
if [ -w /dev/shm ]; then folder=/dev/shm; fi
if [ "$test" != full ]; then
    "$work/faults" "$test" --folder "$folder" "$@"
    exit
fi

if [ "$(id -u)" != 0 ]; then
    echo "faults.sh: only root can mount a file system to fill it"
    exit 77
fi
mkdir "$work/tmpfs" "$work/ext4"
mount -t tmpfs -o size=400m tmpfs "$work/tmpfs" && mounted+=("$work/tmpfs")
truncate -s 500M "$work/image"
if mkfs.ext4 -q -b 4096 -m 0 "$work/image" 2>/dev/null && mount -o loop "$work/image" "$work/ext4" 2>/dev/null; then
    mounted+=("$work/ext4")
else
    echo "ext4: skipped, no loop device can be mounted here"
fi
if [ ${#mounted[@]} = 0 ]; then
    echo "faults.sh: no file system can be mounted here"
    exit 77
fi
points=0
bad=0
for place in "${mounted[@]}"; do
    "$work/faults" full --folder "$place" "$@" | tee "$work/out" || true
    read -r p b < <(sed -n 's/^full: \([0-9]*\) points, \([0-9]*\) bad$/\1 \2/p' "$work/out") || b=1
    points=$((points + ${p:-0}))
    bad=$((bad + ${b:-1}))
done
echo "full: $points points, $bad bad"
[ "$bad" = 0 ]
