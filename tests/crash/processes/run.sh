#!/bin/bash
# One writer and eight readers in processes that are killed at random (processes.c): through SQL with a write-ahead log
# and with a rollback journal, through the library, through both, and in threads of one process.
#   run.sh BUILD [--points N] [--seed S] [--kills PER_SECOND] [MODE...]
# N snapshots are checked, in all modes together.
set -euo pipefail
build=$(cd "$1" && pwd)
shift
points=20000 seed=1 kills=30 modes=()
while [ $# -gt 0 ]; do
    case $1 in
        --points) points=$2; shift 2 ;;
        --seed) seed=$2; shift 2 ;;
        --kills) kills=$2; shift 2 ;;
        *) modes+=("$1"); shift ;;
    esac
done
[ ${#modes[@]} -gt 0 ] || modes=(wal delete library mixed threads)
cd "$(dirname "$0")/../../.."

# In memory if that is possible: it is the processes that are to be fast, not the disk.
base=${TMPDIR:-/tmp}
[ -w /dev/shm ] && [ "$(df --output=avail -k /dev/shm | tail -1)" -gt 1500000 ] && base=/dev/shm
work=$(mktemp -d "$base/tq_processes_XXXXXX")
trap 'rm -rf "$work"' EXIT
sanitize=() linked=$(ldd "$build/libtq.so")
case $linked in
    *libtsan*) sanitize=(-fsanitize=thread) modes=(threads) ;;
    *libasan*) sanitize=(-fsanitize=address,undefined) ;;
esac
"${CC:-cc}" -std=c17 -O2 -g -Wall -Wextra -D_GNU_SOURCE "${sanitize[@]}" -I. tests/crash/processes/processes.c \
    -o "$work/processes" -L"$build" -Wl,-rpath,"$build" -ltq -lsqlite3 -lpthread

checks=0 bad=0 killed=0
for mode in "${modes[@]}"; do
    mkdir "$work/$mode"
    "$work/processes" drive "$work/$mode" "$mode" $((points / ${#modes[@]})) "$seed" "$kills" > "$work/out" || true
    read -r of_mode kills_of_mode bad_of_mode < <(tail -1 "$work/out")
    head -n -1 "$work/out"
    checks=$((checks + of_mode)) killed=$((killed + kills_of_mode)) bad=$((bad + bad_of_mode))
    rm -rf "${work:?}/$mode"
done
echo "processes: $checks points, $bad bad, $killed kills"
[ "$bad" -eq 0 ]
