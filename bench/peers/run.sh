#!/bin/sh
# tqlite beside its peers, one core, same data, same run.
#
#   bench/peers/run.sh BASE.npy QUERY.npy [option of peers.py ...]
#   bench/peers/run.sh --sql BASE.npy QUERY.npy [option of through_sql.py ...]
#
# Needs Python 3 with venv, and a build in build/ (or TQ_LIB=.../libtq.so, which is the SQLite extension too). Peers
# come from PyPI into build/peers-venv (TQ_PEERS_VENV). Results: bench/results/peers-*.{csv,md,svg} (--out FOLDER).
# TQ_PEERS_CORE is the core used, the last one by default.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
venv=${TQ_PEERS_VENV:-$root/build/peers-venv}
lib=${TQ_LIB:-$root/build/libtq.so}
core=${TQ_PEERS_CORE:-$(($(nproc) - 1))}

[ $# -ge 2 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2; }
[ -f "$lib" ] || { echo "$lib is missing: cmake -S . -B build && cmake --build build, or set TQ_LIB" >&2; exit 1; }
if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv" || { echo "python3 -m venv failed (Debian: apt install python3-venv)" >&2; exit 1; }
fi

# have MODULE PACKAGE: installs what is missing; false where there is no wheel and no compiler.
have() {
    "$venv/bin/python" -c "import importlib.util as u, sys; sys.exit(u.find_spec('$1') is None)" ||
        "$venv/bin/pip" install --quiet "$2"
}
have numpy numpy
have faiss faiss-cpu
for peer in turbovec:turbovec scann:scann hnswlib:hnswlib usearch:usearch rabitqlib:rabitqlib svs:scalable-vs \
    zvec:zvec tqdb:tqdb apsw:apsw sqlite_vec:sqlite-vec sqlite_vector:sqliteai-vector vectorlite_py:vectorlite-py; do
    have "${peer%:*}" "${peer#*:}" || echo "${peer#*:} could not be installed; it is left out" >&2
done

export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 RAYON_NUM_THREADS=1 TF_CPP_MIN_LOG_LEVEL=2
if [ "$1" = --sql ]; then
    shift
    exec taskset -c "$core" "$venv/bin/python" "$root/bench/peers/through_sql.py" --lib "$lib" --root "$root" "$@"
fi
exec taskset -c "$core" "$venv/bin/python" "$root/bench/peers/peers.py" --lib "$lib" --root "$root" "$@"
