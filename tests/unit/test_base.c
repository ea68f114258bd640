/* The ground floor: half precision against the compiler's, allocation, random numbers, formats, messages. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/alloc.h"
#include "src/base/f16.h"
#include "src/base/format.h"
#include "src/base/rng.h"

static float float_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* By definition: sign, 5 bits of exponent, 10 of fraction. */
static double half_by_definition(uint32_t half) {
    int exponent = (int)(half >> 10 & 31), fraction = (int)(half & 1023);
    double value = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    if (exponent == 31) value = fraction == 0 ? INFINITY : NAN;
    return (half & 0x8000) != 0 ? -value : value;
}

static void half_reads_all_values(void **state) {
    (void)state;
    for (uint32_t half = 0; half < 65536; half++) {
        double exact = half_by_definition(half);
        float value = tq_f32_from_f16((uint16_t)half);
        if (isnan(exact)) {
            assert_true(isnan(value));
            continue;
        }
        assert_true((double)value == exact && (signbit(value) != 0) == (half >= 0x8000));
        assert_int_equal(tq_f16_from_f32(value), half);
    }
}

static void check_rounding(float value) {
    uint16_t half = tq_f16_from_f32(value);
    double x = fabs((double)value), got = fabs((double)tq_f32_from_f16(half));
    assert_int_equal(half >> 15, signbit(value) != 0);
    if (x >= 65520.0) { /* half way between the largest half and the next there would be */
        assert_true(isinf(got));
        return;
    }
    uint16_t magnitude = half & 0x7fff;
    double above = half_by_definition(magnitude + 1u),
           below = magnitude > 0 ? half_by_definition(magnitude - 1u) : -1.0;
    if (isinf(above)) above = 65536.0;
    assert_true(fabs(got - x) <= fabs(above - x) && fabs(got - x) <= fabs(below - x));
    if (fabs(got - x) == fabs(above - x) || fabs(got - x) == fabs(below - x)) assert_int_equal(half & 1, 0);
}

static void half_rounds_to_nearest_even(void **state) {
    (void)state;
    for (uint32_t half = 0; half < 0x7bff; half++) { /* midpoints and their neighbours */
        float low = tq_f32_from_f16((uint16_t)half), high = tq_f32_from_f16((uint16_t)(half + 1));
        float middle = (low + high) * 0.5f;
        check_rounding(middle);
        check_rounding(-middle);
        check_rounding(nextafterf(middle, 0.0f));
        check_rounding(nextafterf(middle, 1e9f));
    }
    for (uint64_t i = 0; i < 300000; i++) {
        uint32_t bits = (uint32_t)tq_rng_at(1, 2, i);
        if ((bits & 0x7f800000u) != 0x7f800000u) check_rounding(float_from_bits(bits));
        check_rounding(float_from_bits((bits & 0x8fffffffu) | 0x30000000u)); /* the range of halves */
    }
    check_rounding(65504.0f);
    check_rounding(65519.996f);
    check_rounding(65520.0f);
    assert_int_equal(tq_f16_from_f32(NAN) & 0x7c00, 0x7c00);
    assert_true(isnan(tq_f32_from_f16(tq_f16_from_f32(NAN))));
    assert_int_equal(tq_f16_from_f32(-INFINITY), 0xfc00);
}

#if defined(__FLT16_MANT_DIG__) && defined(__F16C__)
static void half_matches_the_compiler(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 1000000; i++) {
        float value = float_from_bits((uint32_t)tq_rng_at(3, 2, i));
        _Float16 theirs = (_Float16)value;
        uint16_t bits;
        memcpy(&bits, &theirs, sizeof bits);
        if (!isnan(value)) assert_int_equal(tq_f16_from_f32(value), bits);
    }
}
#endif

static void half_rounds_up(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 300000; i++) {
        float value = float_from_bits((uint32_t)tq_rng_at(1, 3, i) & 0x7fffffffu);
        if (isnan(value)) continue;
        uint16_t up = tq_f16_up(value);
        assert_true(tq_f32_from_f16(up) >= value);
        assert_true(up == 0 || tq_f32_from_f16((uint16_t)(up - 1)) < value);
    }
    assert_int_equal(tq_f16_up(0.0f), 0);
    assert_int_equal(tq_f16_up(1e-30f), 1);
    assert_int_equal(tq_f16_up(65504.0f), 0x7bff);
    assert_int_equal(tq_f16_up(65505.0f), 0x7c00);
    assert_int_equal(tq_f16_up(INFINITY), 0x7c00);
}

static void allocation_is_aligned_and_checked(void **state) {
    (void)state;
    for (size_t size = 0; size < 200; size += 33) {
        char *memory = tq_alloc_zero(size);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % TQ_ALIGN, 0);
        for (size_t i = 0; i < size; i++) assert_int_equal(memory[i], 0);
        tq_free(memory);
    }
    assert_null(tq_alloc_array(SIZE_MAX / 4, 5));
    assert_non_null(strstr(tq_message(), "out of memory"));
    assert_null(tq_alloc_array(SIZE_MAX, SIZE_MAX));
    assert_null(tq_alloc(SIZE_MAX));
    tq_free(NULL);
}

static void realloc_keeps_the_beginning(void **state) {
    (void)state;
    char *memory = tq_alloc(100);
    memset(memory, 7, 100);
    memory = tq_realloc(memory, 100, 5000);
    for (int i = 0; i < 100; i++) assert_int_equal(memory[i], 7);
    assert_null(tq_realloc(memory, 5000, SIZE_MAX));
    assert_int_equal(memory[99], 7);
    memory = tq_realloc(memory, 5000, 10);
    assert_int_equal(memory[9], 7);
    tq_free(memory);
    memory = tq_realloc(NULL, 0, 10);
    assert_non_null(memory);
    tq_free(memory);
}

static void allocation_fails_on_demand_once(void **state) {
    (void)state;
    tq_alloc_fail_after(2);
    void *first = tq_alloc(1), *second = tq_alloc(1), *third = tq_alloc(1);
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    tq_free(first);
    tq_free(third);
    tq_alloc_fail_after(0);
}

static void random_numbers_are_a_function_of_their_place(void **state) {
    (void)state;
    /* Written down once: every store depends on them. */
    assert_true(tq_rng_at(0, 0, 0) == 0x346dbc0b5711d830ull);
    assert_true(tq_rng_at(0x7471, 5, 123456789) == 0x1c2d06b8a37c8768ull);
    assert_true(tq_rng_at(1, 0, 0) != tq_rng_at(0, 1, 0) && tq_rng_at(0, 0, 1) != tq_rng_at(0, 1, 0));
    int ones = 0, hits[7] = {0};
    for (uint64_t i = 0; i < 70000; i++) {
        ones += (int)(tq_rng_at(4, 4, i) >> 63);
        uint32_t below = tq_rng_below(4, 5, i, 7);
        assert_true(below < 7);
        hits[below]++;
    }
    assert_true(ones > 34500 && ones < 35500);
    for (int i = 0; i < 7; i++) assert_true(hits[i] > 9600 && hits[i] < 10400);
    assert_int_equal(tq_rng_below(4, 5, 6, 1), 0);
}

static void assert_format_refused(struct tq_index_options options, const char *message) {
    struct tq_format format = {.dim = 77};
    assert_int_equal(tq_format_init(&format, &options), TQ_MISUSE);
    assert_non_null(strstr(tq_message(), message));
    assert_int_equal(format.dim, 77);
}

static void short_floats_are_near(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 300000; i++) {
        float value = float_from_bits((uint32_t)tq_rng_at(1, 4, i) & 0x7fffffffu);
        if (isnan(value) || isinf(value)) continue;
        double norm = (double)tq_norm_unpack(tq_norm_pack(value)), exact = (double)value;
        if (exact > 1e-35 && exact < 3e38) assert_true(fabs(norm - exact) <= 0x1p-9 * exact);
        assert_true(!isinf(norm) && (norm > 0) == (exact > 0));
        float scale = 0.5f + (float)(i + 1) / 3000;
        assert_true(fabsf(tq_scale_unpack(tq_scale_pack(scale)) - scale) <= 0x1p-14f * scale);
    }
    for (uint32_t i = 0; i <= UINT16_MAX; i++) { /* once rounded, always the same */
        if (i < 0x7f800000u >> 15) assert_int_equal(tq_norm_pack(tq_norm_unpack((uint16_t)i)), i);
        assert_int_equal(tq_scale_pack(tq_scale_unpack((uint16_t)i)), i);
    }
    assert_true(tq_scale_pack(0.0f) == 0 && tq_scale_pack(-1.0f) == 0 && tq_scale_pack(128.0f) == 0);
    assert_true(tq_scale_pack(0.25f) == 0 && tq_scale_pack(INFINITY) == 0 && tq_norm_pack(0.0f) == 0);
}

static void first_errors_round_up(void **state) {
    (void)state;
    for (uint32_t half = 0; half <= 0x7c00; half++) {
        uint8_t packed = tq_first_error_pack((uint16_t)half);
        uint16_t up = tq_first_error_unpack(packed);
        assert_true(up >= half && tq_first_error_pack(up) == packed);
        if (packed > 0) assert_true(tq_first_error_unpack((uint8_t)(packed - 1)) < half);
    }
}

static void formats_refuse_what_they_cannot(void **state) {
    (void)state;
    struct tq_index_options good = tq_index_defaults(100), o;
    o = good, o.dim = 0, assert_format_refused(o, "dim is 0; it must be 1 to 65536");
    o = good, o.dim = 65537, assert_format_refused(o, "dim is 65537");
    o = good, o.bits = 10, assert_format_refused(o, "bits is 10; it must be 1 to 9");
    o = good, o.bits = 1, o.qjl = 1, assert_format_refused(o, "qjl=1 needs bits of 2 to 9; bits is 1");
    o = good, o.bits = 9, o.qjl = 0, assert_format_refused(o, "bits is 9; without QJL");
    o = good, o.qjl = 2, assert_format_refused(o, "qjl is 2");
    o = good, o.qjl = -2, assert_format_refused(o, "qjl is -2");
    o = good, o.metric = (enum tq_metric)3, assert_format_refused(o, "metric is 3");
    o = good, o.rows = (enum tq_rows)3, assert_format_refused(o, "rows is 3");
}

static void formats_derive_sizes(void **state) {
    (void)state;
    struct tq_index_options options = tq_index_defaults(100);
    struct tq_format f;
    options.bits = 0;
    assert_int_equal(tq_format_init(&f, &options), TQ_OK);
    assert_true(f.bits == 4 && f.qjl && f.code_bits == 3 && f.scan_planes == 2);
    assert_true(f.plane_bytes == 13 && f.record_bytes == 64 && f.record_stride == 64);
    assert_true(f.block_bytes == 1600 && f.exact_bytes == 400);
    struct tq_index_options back = tq_format_options(&f);
    assert_true(back.dim == 100 && back.bits == 4 && back.qjl == 1 && back.seed == options.seed);
    options.bits = 1;
    assert_int_equal(tq_format_init(&f, &options), TQ_OK);
    assert_true(!f.qjl && f.code_bits == 1 && f.scan_planes == 1 && f.record_stride == 32);
    options.bits = 9;
    options.rows = TQ_ROWS_NONE;
    assert_int_equal(tq_format_init(&f, &options), TQ_OK);
    assert_true(f.code_bits == 8 && f.exact_bytes == 0 && f.record_bytes == 129 && f.record_stride == 132);
    assert_true(f.packed && f.stored_bytes == 8 * 13 + 6); /* scale, norm, gamma */
    options.bits = 4;
    options.qjl = 0;
    assert_int_equal(tq_format_init(&f, &options), TQ_OK);
    assert_true(f.stored_bytes == 3 * 13 + 4 && fabs(tq_format_code_bytes_row(&f) - 56.6875) < 1e-9);
    options.metric = TQ_L2; /* the norm, in full, has a plane of its own */
    assert_int_equal(tq_format_init(&f, &options), TQ_OK);
    assert_true(f.stored_bytes == 3 * 13 + 2 && fabs(tq_format_code_bytes_row(&f) - 58.6875) < 1e-9);
    for (uint32_t dim = 1; dim < 300; dim++) {
        options = tq_index_defaults(dim);
        assert_int_equal(tq_format_init(&f, &options), TQ_OK);
        assert_true(f.record_stride >= f.record_bytes && (f.record_stride == 32 || f.record_stride % 64 == 0));
    }
}

static void messages_and_names(void **state) {
    (void)state;
    assert_int_equal(tq_fail(TQ_BUSY, "%s %d", "x", 7), TQ_BUSY);
    assert_string_equal(tq_message(), "x 7");
    char text[900];
    memset(text, 'y', sizeof text);
    text[899] = 0;
    assert_int_equal(tq_fail(TQ_IO, "%s", text), TQ_IO);
    assert_int_equal(strlen(tq_message()), 511);
    assert_string_equal(tq_status_name(TQ_OK), "TQ_OK");
    assert_string_equal(tq_status_name(TQ_UNSUPPORTED), "TQ_UNSUPPORTED");
    assert_string_equal(tq_status_name((enum tq_status) - 12), "TQ_?");
    assert_string_equal(tq_status_name((enum tq_status)1), "TQ_?");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_reads_all_values),
        cmocka_unit_test(half_rounds_to_nearest_even),
#if defined(__FLT16_MANT_DIG__) && defined(__F16C__)
        cmocka_unit_test(half_matches_the_compiler),
#endif
        cmocka_unit_test(half_rounds_up),
        cmocka_unit_test(short_floats_are_near),
        cmocka_unit_test(first_errors_round_up),
        cmocka_unit_test(allocation_is_aligned_and_checked),
        cmocka_unit_test(realloc_keeps_the_beginning),
        cmocka_unit_test(allocation_fails_on_demand_once),
        cmocka_unit_test(random_numbers_are_a_function_of_their_place),
        cmocka_unit_test(formats_refuse_what_they_cannot),
        cmocka_unit_test(formats_derive_sizes),
        cmocka_unit_test(messages_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
