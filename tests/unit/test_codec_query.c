/* Prepared queries: the estimates that codec.h documents, from the bits of records alone, and their error. */
#include "tests/unit/test_codec.h"

enum { PAIRS = 60, DIM_LARGE = 65536 };

struct estimates {
    double first, second, full;
};

static int plane_bit(const struct tq_format *f, const uint8_t *record, uint32_t plane, uint32_t j) {
    return record[(size_t)plane * f->plane_bytes + j / 8] >> (j % 8) & 1;
}

/* What scan returns: the sum over groups of the look-up entry of the row's nibble. */
static int64_t look_up(const struct tq_query *q, const struct tq_format *f, const uint8_t *record, uint32_t plane) {
    int64_t sum = 0;
    for (uint32_t g = 0; g < tq_layout_groups(f->dim); g++) {
        unsigned nibble = 0;
        for (uint32_t i = 0; i < 4 && 4 * g + i < f->dim; i++)
            nibble |= (unsigned)plane_bit(f, record, plane, 4 * g + i) << i;
        sum += q->lut[16 * g + nibble];
    }
    return sum;
}

static struct estimates estimate(const struct tq_codec *codec, const struct tq_query *q, const struct tq_row *row) {
    const struct tq_format *f = &codec->format;
    struct tq_record_tail tail = read_tail(f, row->record);
    struct estimates e = {0};
    uint8_t *indices = tq_alloc(f->dim), *sketch = tq_alloc(f->dim);
    tq_unpack(f, row->record, indices, sketch);
    double root = sqrt(f->dim), e1 = (double)tq_f32_from_f16(row->first_error);
    double dot1 = 2.0 * (double)look_up(q, f, row->record, 0) - q->plane_abs_sum;
    e.first = q->plane_step * dot1 * sqrt(1.0 + e1 * e1) / root;
    if (row->second.inverse != 0) {
        double dot2 = 2.0 * (double)look_up(q, f, row->record, 1) - q->plane_abs_sum;
        e.second = q->plane_step * (2.0 * dot1 + dot2) * (TQ_SECOND_ONE / row->second.inverse) / root;
    }
    int64_t code = 0, sketch_sum = 0;
    for (uint32_t j = 0; j < f->dim; j++) {
        code += (int64_t)q->code.query[j] * q->code.centroids[indices[j]];
        if (f->qjl) sketch_sum += sketch[j] != 0 ? q->code.sketch_query[j] : -q->code.sketch_query[j];
    }
    assert_true(code > INT32_MIN && code <= INT32_MAX && sketch_sum > INT32_MIN && sketch_sum <= INT32_MAX);
    double gamma = (double)tq_f32_from_f16(tail.gamma) / root;
    e.full = (double)tail.scale * ((double)code * q->code_step + gamma * (double)sketch_sum * q->sketch_step);
    tq_free(indices);
    tq_free(sketch);
    return e;
}

/* By Cauchy-Schwarz an estimate errs by at most tan(angle) * sqrt(1 - cos^2) before anything is rounded. */
static void check_pair(const struct tq_codec *codec, const struct tq_query *q, const struct tq_row *row, double cosine,
                       struct estimates *square) {
    struct estimates e = estimate(codec, q, row);
    struct tq_record_tail tail = read_tail(&codec->format, row->record);
    double sine = sqrt(fmax(0.0, 1.0 - cosine * cosine)), half_ulp = 0x1p-10;
    double e1 = (double)tq_f32_from_f16(row->first_error), e2 = (double)row->second.error / row->second.inverse;
    double full = (double)tq_f32_from_f16(tail.error);
    double rounding = q->plane_error * sqrt(1.0 + e1 * e1) + half_ulp * fabs(e.first);
    assert_true(fabs(e.first - cosine) <= e1 * sine + rounding + 1e-6);
    if (row->second.inverse != 0) {
        rounding = q->plane_error * sqrt(1.0 + e2 * e2) + half_ulp * fabs(e.second);
        assert_true(fabs(e.second - cosine) <= e2 * sine + rounding + 1e-6);
    }
    double sketch = (double)tail.scale * (double)tq_f32_from_f16(tail.gamma);
    assert_true(fabs(e.full - cosine) <= full * sine + q->code_error * (sqrt(1.0 + full * full) + sketch) + 1e-6);
    square->first += pow(e.first - cosine, 2) / (1.0 - cosine * cosine + 1e-12);
    square->second += pow(e.second - cosine, 2) / (1.0 - cosine * cosine + 1e-12);
    square->full += pow(e.full - cosine, 2) / (1.0 - cosine * cosine + 1e-12);
}

static void check_format(uint32_t dim, uint32_t bits, int qjl) {
    struct tq_codec *codec = open_codec(dim, bits, qjl);
    struct tq_encoder *encoder = NULL;
    assert_int_equal(tq_encoder_open(codec, &encoder), TQ_OK);
    float *x = tq_alloc_array(dim, sizeof *x), *q = tq_alloc_array(dim, sizeof *q);
    void *memory = tq_alloc(tq_query_bytes(codec));
    struct estimates square = {0};
    for (uint64_t i = 0; i < PAIRS; i++) {
        struct tq_row row;
        struct tq_query query;
        random_vector(x, dim, 11, i);
        random_vector(q, dim, 12, i);
        float mix = (float)(i % 4); /* from unrelated to near */
        for (uint32_t j = 0; j < dim; j++) q[j] = (q[j] + mix * x[j]) * 1e-3f;
        assert_int_equal(tq_encode(encoder, x, &row), TQ_OK);
        assert_int_equal(tq_query_prepare(codec, q, memory, &query), TQ_OK);
        check_pair(codec, &query, &row, cosine_f32(q, x, dim), &square);
    }
    double d = codec->codebook.distortion * (qjl ? 0.3634 : 1.0), scale = dim / (double)PAIRS;
    if (dim >= 100) { /* the errors' size, not only their bound: D / (1 - D) / d, pi/2 - 1 for signs */
        assert_true(square.full * scale < 1.6 * d / (1.0 - d) + 1e-4);
        assert_true(square.full * scale > 0.4 * d / (1.0 - d));
        assert_true(square.first * scale < 0.95 && square.first * scale > 0.3);
        assert_true(codec->format.scan_planes < 2 || square.second * scale < 0.25);
    }
    tq_encoder_close(encoder);
    tq_codec_close(codec);
    tq_free(x);
    tq_free(q);
    tq_free(memory);
}

static void estimates_are_within_their_bounds(void **state) {
    (void)state;
    static const uint32_t dims[] = {1, 2, 3, 5, 7, 8, 33, 100, 128, 384};
    for (size_t k = 0; k < TQ_COUNT(dims); k++)
        for (uint32_t bits = 1; bits <= 9; bits++)
            for (int qjl = bits == 9; qjl <= (bits > 1); qjl++) check_format(dims[k], bits, qjl);
}

static void estimate_of_a_vector_by_itself_is_exact(void **state) {
    (void)state;
    struct tq_codec *codec = open_codec(100, 4, 1);
    struct tq_encoder *encoder = NULL;
    assert_int_equal(tq_encoder_open(codec, &encoder), TQ_OK);
    static _Alignas(64) float x[100];
    void *memory = tq_alloc(tq_query_bytes(codec));
    for (uint64_t i = 0; i < 50; i++) {
        struct tq_row row;
        struct tq_query query;
        random_vector(x, 100, 13, i);
        assert_int_equal(tq_encode(encoder, x, &row), TQ_OK);
        assert_int_equal(tq_query_prepare(codec, x, memory, &query), TQ_OK);
        assert_true(fabs(estimate(codec, &query, &row).full - 1.0) < 5e-4);
    }
    tq_free(memory);
    tq_encoder_close(encoder);
    tq_codec_close(codec);
}

static void check_ranges(const struct tq_codec *codec, const float *vector, void *memory, double plane_error_max) {
    struct tq_query q;
    uint32_t dim = codec->format.dim;
    assert_int_equal(tq_query_prepare(codec, vector, memory, &q), TQ_OK);
    int64_t plane_sum = 0, code = 0, sketch = 0;
    for (uint32_t j = 0; j < tq_layout_padded_dim(dim); j++) {
        assert_true(abs(q.plane_query[j]) <= 31);
        assert_true(j < dim || (q.plane_query[j] == 0 && q.code.query[j] == 0));
        plane_sum += abs(q.plane_query[j]);
        code += (int64_t)q.code.query[j] * q.code.query[j];
        sketch += (int64_t)q.code.sketch_query[j] * q.code.sketch_query[j];
    }
    assert_int_equal(plane_sum, q.plane_abs_sum);
    assert_true(plane_sum <= 65535 && code <= 32767ll * 32767 && sketch <= 32767ll * 32767);
    assert_true(code > 32000ll * 32000 && sketch > 32000ll * 32000);
    assert_true(q.plane_error <= plane_error_max && q.code_error < 0.01);
    for (uint32_t g = 0; g < tq_layout_groups(dim); g++) {
        for (uint32_t p = 0; p < 16; p++) {
            int sum = 0;
            for (uint32_t i = 0; i < 4; i++) {
                int value = q.plane_query[4 * g + i];
                if ((value > 0) == ((p >> i & 1) != 0)) sum += abs(value);
            }
            assert_int_equal(q.lut[16 * g + p], sum);
        }
    }
}

static void integers_stay_in_range(void **state) {
    (void)state;
    static const uint32_t dims[] = {1, 3, 100, 1536, 20000, DIM_LARGE};
    float *x = tq_alloc_array(DIM_LARGE, sizeof *x);
    for (size_t k = 0; k < TQ_COUNT(dims); k++) {
        struct tq_codec *codec = open_codec(dims[k], 4, 1);
        void *memory = tq_alloc(tq_query_bytes(codec));
        double error = dims[k] > 5000 ? 0.4 : 0.05;
        random_vector(x, dims[k], 14, k);
        check_ranges(codec, x, memory, error);
        for (uint32_t j = 0; j < dims[k]; j++) x[j] *= 1e-40f;
        check_ranges(codec, x, memory, error);
        memset(x, 0, dims[k] * sizeof *x);
        x[dims[k] / 2] = -3e38f;
        check_ranges(codec, x, memory, 0.5);
        tq_free(memory);
        tq_codec_close(codec);
    }
    tq_free(x);
}

static void zero_and_bad_queries(void **state) {
    (void)state;
    struct tq_codec *codec = open_codec(50, 4, 1);
    void *memory = tq_alloc(tq_query_bytes(codec));
    float x[50] = {0};
    struct tq_query q;
    assert_int_equal(tq_query_prepare(codec, x, memory, &q), TQ_OK);
    assert_true(q.norm == 0.0 && q.plane_abs_sum == 0 && q.code.query[3] == 0 && q.lut[5] == 0);
    assert_true(q.exact != x && memcmp(q.exact, x, sizeof x) == 0);
    x[17] = -INFINITY;
    q.norm = -1.0;
    assert_int_equal(tq_query_prepare(codec, x, memory, &q), TQ_MISUSE);
    assert_string_equal(tq_message(), "query element 17 is infinite; it must be finite");
    x[3] = NAN;
    assert_int_equal(tq_query_prepare(codec, x, memory, &q), TQ_MISUSE);
    assert_string_equal(tq_message(), "query element 3 is nan; it must be finite");
    assert_true(q.norm == -1.0);
    tq_free(memory);
    tq_codec_close(codec);
}

static void open_survives_lack_of_memory(void **state) {
    (void)state;
    struct tq_index_options options = tq_index_defaults(100);
    struct tq_format format;
    struct tq_kernels kernels;
    assert_int_equal(tq_format_init(&format, &options), TQ_OK);
    tq_kernels_select(0, &kernels);
    for (long n = 1; n <= 5; n++) {
        struct tq_codec *codec = NULL;
        tq_alloc_fail_after(n);
        assert_int_equal(tq_codec_open(&format, &kernels, &codec), TQ_NOMEM);
        assert_null(codec);
    }
    tq_alloc_fail_after(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(estimates_are_within_their_bounds),
        cmocka_unit_test(estimate_of_a_vector_by_itself_is_exact),
        cmocka_unit_test(integers_stay_in_range),
        cmocka_unit_test(zero_and_bad_queries),
        cmocka_unit_test(open_survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
