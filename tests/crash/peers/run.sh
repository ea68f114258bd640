#!/bin/bash
# What a kill, a flipped byte or a shortened file leaves of tqlite's tables and of its peers' indexes: see peers.py.
#   tests/crash/peers/run.sh [option of peers.py ...]         about 15 minutes
# Needs Python 3 with venv, gcc, and a build in build/ (TQ_LIB=.../libtq.so). Peers come from PyPI into build/peers-venv
# (TQ_PEERS_VENV); one that cannot be had is left out, and named. Result: bench/results/reliability-peers.md.
set -euo pipefail
root=$(cd "$(dirname "$0")/../../.." && pwd)
here=$root/tests/crash/peers
venv=${TQ_PEERS_VENV:-$root/build/peers-venv}
library=${TQ_LIB:-$root/build/libtq.so}

if [ ! -e "$library" ]; then
    echo "$library is missing: cmake -S . -B build && cmake --build build, or set TQ_LIB" >&2
    exit 1
fi
if [ ! -x "$venv/bin/python" ]; then python3 -m venv "$venv"; fi
for peer in numpy:numpy apsw:apsw faiss:faiss-cpu hnswlib:hnswlib usearch:usearch turbovec:turbovec lancedb:lancedb \
    sqlite_vec:sqlite-vec sqlite_vector:sqliteai-vector; do
    if ! "$venv/bin/python" -c "import importlib.util as u, sys; sys.exit(u.find_spec('${peer%:*}') is None)"; then
        "$venv/bin/pip" install --quiet "${peer#*:}" || echo "${peer#*:} could not be installed; it is left out" >&2
    fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
gcc -D_GNU_SOURCE -O1 -o "$work/stop_at" "$here/stop_at.c"
"$venv/bin/python" "$here/peers.py" --library "$library" --stop "$work/stop_at" \
    --out "$root/bench/results/reliability-peers.md" "$@"
