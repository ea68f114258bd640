#!/bin/sh
# All tables of this folder again, one after the other, on one core: about an hour, and half of one more the first time
# for the graphs. Wait for a quiet machine; every file says what the load was.
#
#   bench/results/rerun.sh BASE.npy QUERY.npy [NAME [METRIC]]
#
# TQ_BUILD  the build folder, build by default        TQ_CORE  the core used, the last one by default
set -eu
[ $# -ge 2 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2; }
root=$(cd "$(dirname "$0")/../.." && pwd)
base=$(realpath "$1") query=$(realpath "$2") name=${3:-glove-100} metric=${4:-cosine}
build=$(realpath "${TQ_BUILD:-$root/build}")
core=${TQ_CORE:-$(($(nproc) - 1))}
out=$root/bench/results
cd "$root"

# recall FILE QUERIES [option ...]: Markdown and CSV of one run
recall() {
    file=$1 queries=$2
    shift 2
    taskset -c "$core" "$build/recall" "$base" "$query" --metric "$metric" --queries "$queries" --csv "$out/$file.csv" \
        --truth "$build/truth-$name-$metric-$queries" "$@" >"$out/$file.md"
}

recall "recall-codes-$name" 1000 --formats all --textbook --cascade none
recall "recall-codes-all-queries-$name" 0 --formats 2,2q,3,3q,4,4q --cascade none
recall "recall-cascade-$name" 0 --formats none --cascade 4q,4 --rounds 1 --shuffle-base
taskset -c "$core" "$build/cases" "$base" "$query" --csv "$out/cases-$name.csv" >"$out/cases-$name.md"
export TQ_LIB="$build/libtq.so" TQ_PEERS_CORE="$core"
for table in codes exact by-k; do
    k=10
    [ "$table" != by-k ] || k=1,10,100,1000
    "$root/bench/peers/run.sh" "$base" "$query" --metric "$metric" --name "$name" --table "$table" --k "$k" \
        --keep "$build/peers-graphs"
done
"$root/bench/peers/run.sh" --sql "$base" "$query" --name "$name"
# sqlite-vec is there from the line before, if it could be had.
python=${TQ_PEERS_VENV:-$root/build/peers-venv}/bin/python
vec=$("$python" -c 'import sqlite_vec; print(sqlite_vec.loadable_path())') || vec=
taskset -c "$core" "$build/sql_cases" "$base" "$query" ${vec:+--vec "$vec"} >"$out/sql-cases-$name.md"
