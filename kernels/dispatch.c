/* Which implementation serves an operation: the only place that names instruction sets side by side. */
#include <string.h>

#include "kernels/impl.h"
#include "src/base/base.h"

struct row {
    const char *name;
    unsigned isa; /* all of it is needed */
    const struct tq_rotate_impl *rotate;
    const struct tq_pack_impl *pack;
    const struct tq_quantize_impl *quantize;
    const struct tq_scan_impl *scan;
    const struct tq_gate_impl *gate;
    const struct tq_tile_impl *tile;
    const struct tq_refine_impl *refine;
    const struct tq_dot_impl *dot;
};

/* Best first; the last row is complete and always allowed. A new instruction set is a row here, and any of
 * its families may be NULL. */
static const struct row rows[] = {
#if defined(__x86_64__)
    {"amx", TQ_ISA_AMX, .tile = &tq_tile_amx},
    {"avx512vbmi", TQ_ISA_AVX512VBMI, .scan = &tq_scan_avx512vbmi},
    {"avx512vnni", TQ_ISA_AVX512VNNI, .tile = &tq_tile_avx512vnni},
    {"avx512", TQ_ISA_AVX512 | TQ_ISA_AVX2, &tq_rotate_avx512, &tq_pack_avx512, &tq_quantize_avx512, &tq_scan_avx512,
     &tq_gate_avx512, NULL, &tq_refine_avx512, &tq_dot_avx512},
    {"avx2", TQ_ISA_AVX2, &tq_rotate_avx2, &tq_pack_avx2, &tq_quantize_avx2, &tq_scan_avx2, &tq_gate_avx2, NULL,
     &tq_refine_avx2, &tq_dot_avx2},
    {"ssse3", TQ_ISA_SSSE3, &tq_rotate_ssse3, &tq_pack_ssse3, &tq_quantize_ssse3, &tq_scan_ssse3, &tq_gate_ssse3, NULL,
     &tq_refine_ssse3, &tq_dot_ssse3},
#elif defined(__aarch64__)
    {"neon", TQ_ISA_NEON, &tq_rotate_neon, &tq_pack_neon, &tq_quantize_neon, &tq_scan_neon, &tq_gate_neon, NULL,
     &tq_refine_neon, &tq_dot_neon},
#endif
    {"scalar", TQ_ISA_SCALAR, &tq_rotate_scalar, &tq_pack_scalar, &tq_quantize_scalar, &tq_scan_scalar, &tq_gate_scalar,
     &tq_tile_scalar, &tq_refine_scalar, &tq_dot_scalar},
};

/* Every operation, behind the family that has it. */
#define OPERATIONS(each)                                                                                               \
    each(rotate, rotate) each(rotate, hadamard) each(quantize, quantize) each(quantize, sketch)                        \
        each(quantize, sketch_dot) each(pack, pack) each(pack, transpose) each(scan, scan) each(scan, select)          \
            each(gate, gate) each(tile, unpack) each(tile, multiply) each(tile, reach) each(refine, sign_dots)         \
                each(refine, refine) each(refine, score) each(dot, dot_f32) each(dot, dot_f16) each(quantize, to_f16)

/* Overwrite what this family does better than the weaker rows applied before. */
#define TAKE(family, op)                                                                                               \
    if (row->family != NULL && row->family->op != NULL) kernels->op = row->family->op;

static void take_row(const struct row *row, struct tq_kernels *kernels) {
    kernels->name = row->name;
    kernels->isa |= row->isa;
    OPERATIONS(TAKE)
}

#define HAS(family, op) row->family != NULL && row->family->op != NULL,

static bool row_has(const struct row *row, size_t operation) {
    const bool has[] = {OPERATIONS(HAS)};
    return has[operation];
}

#define NAME(family, op) #op,

const char *tq_kernels_operation(unsigned isa_mask, size_t i, const char **row_name) {
    static const char *const names[] = {OPERATIONS(NAME)};
    if (i >= TQ_COUNT(names)) return NULL;
    const struct row *row = rows;
    while ((row->isa & ~isa_mask) != 0 || !row_has(row, i)) row++; /* the last one has everything */
    *row_name = row->name;
    return names[i];
}

void tq_kernels_select(unsigned isa_mask, struct tq_kernels *kernels) {
    *kernels = (struct tq_kernels){0};
    for (size_t i = TQ_COUNT(rows); i-- > 0;) {
        if ((rows[i].isa & ~isa_mask) == 0) take_row(&rows[i], kernels);
    }
}

/* Names are known on every machine, so that a message can tell a set that the CPU lacks from one that is none; the
 * rows are not. */
enum { TQ_ISA_UP_TO_AVX512 = TQ_ISA_SSSE3 | TQ_ISA_AVX2 | TQ_ISA_AVX512 };

static const struct {
    const char *name;
    unsigned isa_mask;
} sets[] = {
    {"scalar", TQ_ISA_SCALAR},
    {"neon", TQ_ISA_NEON},
    {"ssse3", TQ_ISA_SSSE3},
    {"avx2", TQ_ISA_SSSE3 | TQ_ISA_AVX2},
    {"avx512", TQ_ISA_UP_TO_AVX512},
    {"avx512vnni", TQ_ISA_UP_TO_AVX512 | TQ_ISA_AVX512VNNI},
    {"avx512vbmi", TQ_ISA_UP_TO_AVX512 | TQ_ISA_AVX512VNNI | TQ_ISA_AVX512VBMI},
    {"amx", TQ_ISA_UP_TO_AVX512 | TQ_ISA_AVX512VNNI | TQ_ISA_AVX512VBMI | TQ_ISA_AMX},
};

const char *tq_isa_name(size_t i) { return i < TQ_COUNT(sets) ? sets[i].name : NULL; }

bool tq_isa_from_name(const char *name, unsigned *isa_mask) {
    for (size_t i = 0; i < TQ_COUNT(sets); i++) {
        if (strcmp(name, sets[i].name) != 0) continue;
        *isa_mask = sets[i].isa_mask;
        return true;
    }
    return false;
}

bool tq_isa_is_built(const char *name) {
    for (size_t i = 0; i < TQ_COUNT(rows); i++)
        if (strcmp(rows[i].name, name) == 0) return true;
    return false;
}
