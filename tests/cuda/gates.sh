#!/bin/bash
# Is the plugin's code there for every device, within its registers, without spills, with the instructions it is made
# of? No GPU is needed.  tests/cuda/gates.sh BUILD [--all]
set -euo pipefail
cd "$(dirname "$0")/../.."

build=${1:?usage: gates.sh BUILD [--all]}
if [ ! -e "$build/libtq_cuda.so" ]; then
    echo "skipped: no libtq_cuda.so in $build (nvcc was not found, or TQ_CUDA is OFF)"
    exit 77
fi
if ! command -v python3 >/dev/null; then
    echo "skipped: no python3"
    exit 77
fi
exec python3 tests/cuda/gates.py "$@"
