#!/bin/sh
# tqlite beside its peers, one core, same data, same run.
#
#   bench/peers/run.sh BASE.npy QUERY.npy [option of peers.py ...]
#
# Needs Python 3 with venv, and a build in build/ (or TQ_LIB=.../libtq.so). Peers come from PyPI into
# build/peers-venv (TQ_PEERS_VENV). Results: bench/results/peers-*.{csv,md,svg} (--out FOLDER).
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
venv=${TQ_PEERS_VENV:-$root/build/peers-venv}
lib=${TQ_LIB:-$root/build/libtq.so}
core=${TQ_PEERS_CORE:-$(($(nproc) - 1))}

[ -f "$lib" ] || { echo "$lib is missing: cmake -S . -B build && cmake --build build, or set TQ_LIB" >&2; exit 1; }
if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv" || { echo "python3 -m venv failed (Debian: apt install python3-venv)" >&2; exit 1; }
fi
"$venv/bin/python" -c 'import faiss, turbovec, numpy' 2>/dev/null ||
    "$venv/bin/pip" install --quiet numpy faiss-cpu turbovec
# Graphs: left out with a word where there is no wheel and no compiler.
for module in hnswlib usearch; do
    "$venv/bin/python" -c "import $module" 2>/dev/null || "$venv/bin/pip" install --quiet "$module" ||
        echo "$module could not be installed; it is left out" >&2
done

export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 RAYON_NUM_THREADS=1
exec taskset -c "$core" "$venv/bin/python" "$root/bench/peers/peers.py" --lib "$lib" --root "$root" "$@"
