#!/bin/bash
# The real plugin where there is no NVIDIA device: it can be opened, says why it can do nothing, and exports its entry
# alone; and the library knows nothing of CUDA.  tests/cuda/absent.sh BUILD
set -euo pipefail
cd "$(dirname "$0")/../.."

build=${1:?usage: absent.sh BUILD}
plugin=$build/libtq_cuda.so
failed=0
fail() {
    echo "absent: $1"
    failed=1
}

needs=$(readelf -d "$build/libtq.so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
if grep -qi 'cuda\|nvidia' <<<"$needs"; then fail "libtq.so needs a library of CUDA: $needs"; fi
symbols=$(nm -D "$build/libtq.so" | awk '{print $NF}')
if grep -E '^_*cu(da|)[A-Z]' <<<"$symbols"; then fail "libtq.so has these symbols of CUDA"; fi

if [ ! -e "$plugin" ]; then
    if [ $failed -ne 0 ]; then exit 1; fi
    echo "skipped: no libtq_cuda.so in $build (nvcc was not found, or TQ_CUDA is OFF)"
    exit 77
fi
exported=$(nm -D --defined-only "$plugin" | awk '{print $NF}')
if [ "$exported" != tq_cuda_plugin ]; then fail "libtq_cuda.so exports: $exported"; fi
needs=$(readelf -d "$plugin" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
if grep -qi 'cuda\|nvidia\|stdc++' <<<"$needs"; then fail "libtq_cuda.so needs more than a C library: $needs"; fi

work=$(mktemp -d "${TMPDIR:-/tmp}/tq_absent_XXXXXX")
trap 'rm -rf "$work"' EXIT
cat >"$work/absent.c" <<'C'
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include "kernels/cuda/plugin.h"
int main(int argc, char **argv) {
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (library == NULL) return puts(dlerror()), 1;
    tq_cuda_entry *entry;
    *(void **)&entry = dlsym(library, TQ_CUDA_ENTRY);
    if (entry == NULL || entry(TQ_CUDA_ABI + 1) != NULL || entry(0) != NULL) return puts("another version"), 1;
    const struct tq_cuda_ops *ops = entry(TQ_CUDA_ABI);
    if (ops == NULL || ops->abi != TQ_CUDA_ABI || ops->bytes != sizeof *ops) return puts("not this version"), 1;
    struct tq_cuda_why why = {"nothing was said"};
    struct tq_cuda *cuda = (struct tq_cuda *)&why;
    if (ops->open(0, &cuda, NULL) != TQ_CUDA_ABSENT) return puts("a device was found"), 1;
    if (ops->open(0, &cuda, &why) != TQ_CUDA_ABSENT) return puts("a device was found, then"), 1;
    if (cuda != (struct tq_cuda *)&why) return puts("an output was touched"), 1;
    puts(why.text);
    return strstr(why.text, "NVIDIA driver") == NULL || strlen(why.text) < 30;
}
C
"${CC:-cc}" -std=c17 -D_GNU_SOURCE -Wall -Wextra -Werror -I. "$work/absent.c" -o "$work/absent" -ldl
# Where there are devices, they are hidden from it.
if ! text=$(CUDA_VISIBLE_DEVICES='' "$work/absent" "$plugin"); then fail "$text"; fi
echo "$text"
exit $failed
