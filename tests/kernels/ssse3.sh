#!/bin/bash
# Do the kernels run on a CPU without AVX? check_kernels under qemu, as a CPU whose best is SSSE3: an instruction
# beyond it is an illegal one there.  tests/kernels/ssse3.sh BUILD
set -euo pipefail

skip() {
    echo "skipped: $1"
    exit 77
}
build=$1
[ "$(uname -m)" = x86_64 ] || skip "only x86-64 has these kernels"
if grep -q '^TQ_SANITIZE:[A-Z]*=.' "$build/CMakeCache.txt"; then skip "qemu cannot run sanitized programs"; fi
qemu=$(command -v qemu-x86_64-static || command -v qemu-x86_64) ||
    skip "neither qemu-x86_64-static nor qemu-x86_64 (apt-get install qemu-user-static)"

work=$(mktemp -d "${TMPDIR:-/tmp}/tq_ssse3_XXXXXX")
trap 'rm -rf "$work"' EXIT
"$qemu" -cpu Conroe "$build/tests/check_kernels" | tee "$work/report"
grep -q '^scan  *ssse3  *against scalar' "$work/report"
grep -q '^avx2 skipped' "$work/report"
