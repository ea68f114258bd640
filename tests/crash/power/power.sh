#!/bin/bash
# Loss of power: record what workloads write, make the states that a disk may then be in, check each (power.c, model.h).
#
#   power.sh BUILD [--points N] [--seed S] [--workers W] [--only WORKLOAD[,MODE]] [--bad B] [--save FOLDER]
#                  [--program FOLDER]
#
# N different states in all, 400 by default; 100,000 take some 10 minutes with --workers 2. The last line is
# `power: P points, B bad`. A bad state is saved below FOLDER (by default $TMPDIR/tq_power_bad), with the command that
# looks at it again. --bad: after so many of one workload the next one comes. --program: build there and leave it.
set -euo pipefail
build=$(cd "$1" && pwd)
shift
points=400 seed=1 workers=1 only="" bad=3 save=${TMPDIR:-/tmp}/tq_power_bad program=""
while [ $# -gt 0 ]; do
    case "$1" in
    --points | --states) points=$2 ;;
    --seed) seed=$2 ;;
    --workers) workers=$2 ;;
    --only) only=$2 ;;
    --bad) bad=$2 ;;
    --save) save=$(realpath -m "$2") ;;
    --program) program=$(realpath -m "$2") ;;
    *)
        echo "power.sh: $1?" >&2
        exit 2
        ;;
    esac
    shift 2
done
cd "$(dirname "$0")/../../.."
if grep -q '^TQ_SANITIZE:[A-Z]*=.' "$build/CMakeCache.txt"; then
    echo "power.sh: a build with sanitizers cannot be preloaded"
    exit 77
fi
tmpfs=/tmp # in memory if possible: a state is a few MiB of writes
if [ -w /dev/shm ]; then tmpfs=/dev/shm; fi
work=$(mktemp -d "${TMPDIR:-$tmpfs}/tq_power_XXXXXX")
finish() {
    rm -rf "$work"
    rmdir --ignore-fail-on-non-empty "$save"
}
trap finish EXIT
if [ -z "$program" ]; then program=$work; fi
mkdir -p "$program" "$save"

# The build's own objects, so that what is tested is what was built; its compiler, for the same OpenMP.
cc=$(sed -n 's/^CMAKE_C_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")
openmp=""
if grep -q '^OpenMP_C_FLAGS:[A-Z]*=-fopenmp' "$build/CMakeCache.txt"; then openmp=-fopenmp; fi
flags=(-std=c17 -O2 -g -D_GNU_SOURCE -I.)
sources=()
for name in power image model place store_check sql_workload library_workload wrapped; do
    sources+=("tests/crash/power/$name.c")
done
"$cc" "${flags[@]}" -shared -fPIC tests/crash/power/recorder.c -o "$program/recorder.so" -ldl
wrapped=(-Wl,--wrap=tq_segment_flush_rows -Wl,--wrap=tq_segment_rows_max -Wl,--wrap=tq_plane_units_chunk)
"$cc" "${flags[@]}" $openmp "${sources[@]}" "${wrapped[@]}" "$build/libtq_inside.a" \
    -llmdb -lsqlite3 -lpthread -lm -ldl -o "$program/power"

# Tables with parts have more to check: fewer of their states cost as much.
declare -A share=([rows]=3 [parts]=1 [library]=4)
"$program/power" list >"$work/list"
total=0
while read -r workload _ name; do
    case "$workload,$name" in "$only"*) total=$((total + share[$workload])) ;; esac
done <"$work/list"

echo "seed $seed"
echo "workload mode            operations   states distinct  bad  time"
status=0
while read -r workload mode name; do
    case "$workload,$name" in "$only"*) ;; *) continue ;; esac
    mkdir -p "$work/root" "$work/place"
    TQ_RECORD_ROOT=$work/root TQ_RECORD_LOG=$work/log LD_PRELOAD=$program/recorder.so \
        "$program/power" work "$workload" "$mode" "$work/root" >"$work/marks"
    states=$(((points * share[$workload] + total - 1) / total))
    LD_PRELOAD=$program/recorder.so "$program/power" states "$workload" "$mode" "$work/log" "$work/place" "$save" \
        "$states" "$seed" "$workers" "$bad" | tee -a "$work/table" || status=1
    rm -rf "$work/root" "$work/place" "$work/log"
done <"$work/list"
awk '$4 + 0 == $4 && NF == 7 { points += $5; bad += $6 }
     END { printf "power: %d points, %d bad\n", points, bad }' "$work/table"
exit $status
