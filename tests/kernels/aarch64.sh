#!/bin/bash
# The kernels for AArch64, built by a cross compiler and checked under qemu. Own build: of the rest of the library
# nothing is needed, and its libraries are not there for AArch64.  tests/kernels/aarch64.sh [BUILD]
set -euo pipefail
cd "$(dirname "$0")/../.."

skip() {
    echo "skipped: $1"
    exit 77
}
find_command() { # the first that is there; else the package to install
    local package=$1 command
    shift
    for command in "$@"; do
        if command -v "$command"; then return; fi
    done
    skip "none of $* (apt-get install $package)" >&2
}

cc=$(find_command gcc-aarch64-linux-gnu aarch64-linux-gnu-gcc)
qemu=$(find_command qemu-user-static qemu-aarch64-static qemu-aarch64)
work=$(mktemp -d "${TMPDIR:-/tmp}/tq_aarch64_XXXXXX")
trap 'rm -rf "$work"' EXIT
echo 'int main(void) { return 0; }' >"$work/empty.c"
"$cc" -static "$work/empty.c" -o "$work/empty" 2>"$work/empty.log" ||
    skip "$cc makes no static programs (apt-get install libc6-dev-arm64-cross)"

# As in CMakeLists.txt, -ffp-contract=off above all: gcc fuses products and sums of vectors here by default.
flags=(-std=c17 -D_GNU_SOURCE -I. -O3 -g -ffp-contract=off
    -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wvla -Werror)
sources=(kernels/*.c kernels/*/*_scalar.c kernels/*/*_neon.c src/base/*.c tests/kernels/check_kernels.c)
"$cc" "${flags[@]}" "${sources[@]}" -static -o "$work/check_kernels" -lm
"$qemu" "$work/check_kernels" | tee "$work/report"
grep -q '^scan  *neon  *against scalar' "$work/report"
