/* Codebooks, rotations and encoding against theory and against double precision. */
#include "tests/unit/test_codec.h"

static const uint32_t dims[] = {1, 2, 3, 5, 7, 8, 33, 100, 128, 384};

static void codebook_matches_published_distortion(void **state) {
    (void)state;
    static const double normal[8] = {.3633802276, .1174818478, .0345477608, .0095010080,
                                     .0025046684, .0006442397, .0001634782, .0000411851};
    static const struct {
        uint32_t dim;
        double distortion[4];
    } exact[] = {
        {64, {.35839, .11453, .03339, .00913}},
        {100, {.36019, .11559, .03380, .00926}},
        {200, {.36179, .11653, .03418, .00938}},
        {768, {.36297, .11723, .03445, .00947}},
    };
    struct tq_codebook codebook;
    for (size_t i = 0; i < TQ_COUNT(exact); i++) {
        for (uint32_t b = 1; b <= 4; b++) {
            tq_codebook_init(&codebook, exact[i].dim, b);
            assert_true(fabs(codebook.distortion / exact[i].distortion[b - 1] - 1.0) < 1e-3);
        }
    }
    for (uint32_t b = 1; b <= 5; b++) { /* the correction of finite dimension is about -2.5 / dim */
        tq_codebook_init(&codebook, 16384, b);
        assert_true(fabs(codebook.distortion / normal[b - 1] - 1.0) < 3e-4 + 0.002 * (b == 5));
    }
    for (uint32_t b = 6; b <= 8; b++) { /* beside it, rounding of centroids to 16 bits */
        tq_codebook_init(&codebook, 1024, b);
        assert_true(fabs(codebook.distortion / normal[b - 1] - 1.0) < 0.02);
    }
}

/* Thresholds are midpoints of the unrounded centroids, so they show all digits. */
static void codebook_converges_to_the_normal_one(void **state) {
    (void)state;
    static const double four_bits[8] = {0.12839503, 0.38804830, 0.65675912, 0.94234046,
                                        1.25623120, 1.61804639, 2.06901723, 2.73258957};
    struct tq_codebook codebook;
    tq_codebook_init(&codebook, 65536, 4);
    for (int i = 1; i < 8; i++) {
        double midpoint = (four_bits[i - 1] + four_bits[i]) / 2.0;
        assert_true(fabs((double)codebook.thresholds[7 + i] * 256.0 / midpoint - 1.0) < 1e-4);
    }
    tq_codebook_init(&codebook, 65536, 1);
    assert_true(fabs((double)codebook.centroids[1] * 256.0 / 0.79788456 - 1.0) < 0.004);
    tq_codebook_init(&codebook, 3, 2); /* uniform on [-1, 1] */
    assert_true(fabs((double)codebook.thresholds[2] - 0.5) < 1e-7);
}

static void codebook_integers_are_exact_and_in_range(void **state) {
    (void)state;
    static const uint32_t sizes[] = {1, 2, 3, 4, 5, 17, 100, 1000, 1536, 65536};
    for (size_t k = 0; k < TQ_COUNT(sizes); k++) {
        for (uint32_t b = 1; b <= 8; b++) {
            struct tq_codebook c;
            tq_codebook_init(&c, sizes[k], b);
            int n = 1 << b;
            for (int i = 0; i < n; i++) {
                assert_true((double)c.centroids[i] == (double)c.integers[i] * (double)c.step);
                assert_int_equal(c.integers[i], -c.integers[n - 1 - i]);
                assert_true(i == 0 || c.integers[i] >= c.integers[i - 1] + (sizes[k] < 65536));
                assert_true(i == 0 || i == n - 1 || c.thresholds[i] > c.thresholds[i - 1]);
            }
            assert_true(c.thresholds[n / 2 - 1] == 0.0f);
            assert_true(c.integers[n - 1] * sqrt((double)sizes[k]) <= 65535.0);
        }
    }
}

static void rotation_is_orthogonal_and_inverts(void **state) {
    (void)state;
    static const uint32_t sizes[] = {1, 2, 3, 5, 6, 7, 8, 12, 33, 96, 100, 127, 384, 1000, 1536};
    struct tq_kernels kernels;
    tq_kernels_select(tq_cpu_isa(), &kernels);
    for (size_t k = 0; k < TQ_COUNT(sizes); k++) {
        uint32_t dim = sizes[k];
        struct tq_rotation rotation;
        assert_int_equal(tq_rotation_init(&rotation, dim, 9, TQ_STREAM_ROTATION), TQ_OK);
        float *x = tq_alloc_array(dim, sizeof *x), *y = tq_alloc_array(dim, sizeof *y);
        float *back = tq_alloc_array(dim, sizeof *back), *scratch = tq_alloc_array(dim, sizeof *scratch);
        double *exact = tq_alloc_array(dim, sizeof *exact);
        for (uint64_t i = 0; i < 20; i++) {
            random_vector(x, dim, 1, i);
            for (uint32_t j = 0; j < dim; j++) exact[j] = (double)x[j];
            double square = dot_double(exact, exact, dim), error = 0.0, loss = 0.0, rotated_square = 0.0;
            kernels.rotate(&rotation, x, y);
            rotate_double(&rotation, exact);
            tq_rotation_inverse(&rotation, &kernels, y, back, scratch);
            for (uint32_t j = 0; j < dim; j++) {
                error += pow(exact[j] - (double)y[j], 2);
                loss += pow((double)back[j] - (double)x[j], 2);
                rotated_square += exact[j] * exact[j];
            }
            assert_true(fabs(rotated_square / square - 1.0) < 1e-12);
            assert_true(sqrt(error / square) < tq_rotation_slack(&rotation));
            assert_true(sqrt(loss / square) < 2.0 * tq_rotation_slack(&rotation));
        }
        tq_rotation_clear(&rotation);
        tq_free(x);
        tq_free(y);
        tq_free(back);
        tq_free(scratch);
        tq_free(exact);
    }
}

/* Every axis must be spread: an axis that slips through the rounds would make a useless code. */
static void rotation_spreads_every_axis(void **state) {
    (void)state;
    static const uint32_t sizes[] = {64, 96, 100, 127, 129, 384, 1000, 1536};
    static _Alignas(64) float x[1536], y[1536];
    struct tq_kernels kernels;
    tq_kernels_select(tq_cpu_isa(), &kernels);
    for (size_t k = 0; k < TQ_COUNT(sizes); k++) {
        uint32_t dim = sizes[k];
        struct tq_rotation rotation;
        assert_int_equal(tq_rotation_init(&rotation, dim, 11, TQ_STREAM_ROTATION), TQ_OK);
        for (uint32_t axis = 0; axis < dim; axis++) {
            memset(x, 0, sizeof x);
            x[axis] = 1.0f;
            kernels.rotate(&rotation, x, y);
            double sum = 0.0;
            for (uint32_t j = 0; j < dim; j++) sum += fabs((double)y[j]);
            assert_true(sum / sqrt(dim) > 0.62); /* cosine with the signs: .798 on average */
        }
        tq_rotation_clear(&rotation);
    }
}

/* tan of the angle between two double vectors */
static double tangent(const double *a, const double *b, uint32_t dim) {
    double aa = dot_double(a, a, dim), bb = dot_double(b, b, dim), ab = dot_double(a, b, dim), square = 0.0;
    for (uint32_t j = 0; j < dim; j++) square += pow(b[j] * aa / ab - a[j], 2);
    (void)bb;
    return ab > 0.0 ? sqrt(square / aa) : INFINITY;
}

static void assert_bound(uint16_t stored, double true_tangent) {
    double bound = (double)tq_f32_from_f16(stored);
    assert_true(bound >= true_tangent);
    assert_true(bound <= true_tangent * 1.002 + 1e-3);
}

/* What the stored bits mean, in double: y, x_hat and the plane signs from the record alone. */
static void check_row(const struct tq_codec *codec, const float *x, const struct tq_row *row) {
    const struct tq_format *f = &codec->format;
    uint32_t dim = f->dim;
    struct tq_record_tail tail = read_tail(f, row->record);
    uint8_t *indices = tq_alloc(dim), *sketch = tq_alloc(dim);
    double *y = tq_alloc_array(dim, sizeof *y), *estimate = tq_alloc_array(dim, sizeof *y);
    double *signs = tq_alloc_array(dim, sizeof *y);
    tq_unpack(f, row->record, indices, sketch);
    for (uint32_t j = 0; j < dim; j++) y[j] = (double)x[j];
    double norm = sqrt(dot_double(y, y, dim));
    for (uint32_t j = 0; j < dim; j++) y[j] /= norm;
    rotate_double(&codec->rotation, y);
    double gamma = (double)tq_f32_from_f16(tail.gamma) / sqrt(dim);
    for (uint32_t j = 0; j < dim; j++) estimate[j] = sketch[j] != 0 ? gamma : -gamma;
    if (f->qjl) rotate_back_double(&codec->sketch, estimate);
    for (uint32_t j = 0; j < dim; j++)
        estimate[j] = (f->qjl ? estimate[j] : 0.0) + (double)codec->codebook.centroids[indices[j]];
    assert_true(tail.scale > 0.0f);
    assert_true(fabs((double)tail.scale * dot_double(y, estimate, dim) - 1.0) < 1e-5);
    assert_true(fabs((double)tail.norm / norm - 1.0) < 1e-7 || norm < 1e-37);
    assert_bound(tail.error, tangent(y, estimate, dim));
    for (uint32_t j = 0; j < dim; j++) signs[j] = indices[j] >> (f->code_bits - 1) != 0 ? 1.0 : -1.0;
    assert_bound(row->first_error, tangent(y, signs, dim));
    if (f->scan_planes == 2) {
        for (uint32_t j = 0; j < dim; j++) signs[j] = 2.0 * (indices[j] >> (f->code_bits - 2)) - 3.0;
        double inverse = dot_double(y, signs, dim) / sqrt(dim);
        if (row->second.inverse == 0) {
            assert_true(inverse < 1.0 / 15);
            assert_int_equal(row->second.error, 65535);
        } else {
            double stored = row->second.inverse / TQ_SECOND_ONE;
            double error = row->second.error / (double)row->second.inverse;
            assert_true(fabs(stored / inverse - 1.0) < 5e-4);
            assert_true(error >= tangent(y, signs, dim) && error < 1.01 * tangent(y, signs, dim) + 2e-3);
        }
    }
    tq_free(indices);
    tq_free(sketch);
    tq_free(y);
    tq_free(estimate);
    tq_free(signs);
}

/* Mean 1 - cos^2 of decoded vectors. Also: decoding is what check_row says the record means. */
static double round_trip(uint32_t dim, uint32_t bits, int qjl, uint64_t count) {
    struct tq_codec *codec = open_codec(dim, bits, qjl);
    struct tq_encoder *encoder = NULL;
    assert_int_equal(tq_encoder_open(codec, &encoder), TQ_OK);
    float *x = tq_alloc_array(dim, sizeof *x), *back = tq_alloc_array(dim, sizeof *x);
    float *scratch = tq_alloc_array(4 * (size_t)dim, sizeof *scratch);
    double loss = 0.0;
    for (uint64_t i = 0; i < count; i++) {
        struct tq_row row;
        random_vector(x, dim, 2, i);
        assert_int_equal(tq_encode(encoder, x, &row), TQ_OK);
        assert_ptr_equal(row.exact, x);
        check_row(codec, x, &row);
        tq_decode(codec, row.record, back, scratch);
        double cosine = cosine_f32(x, back, dim), along = 0.0, square = 0.0;
        for (uint32_t j = 0; j < dim; j++) {
            along += (double)x[j] * (double)back[j];
            square += (double)x[j] * (double)x[j];
        }
        assert_true(fabs(along / square - 1.0) < 1e-5); /* exact for q = x */
        loss += 1.0 - cosine * cosine;
        double error = (double)tq_f32_from_f16(read_tail(&codec->format, row.record).error);
        assert_true(1.0 / sqrt(1.0 + error * error) <= cosine + 1e-6);
    }
    double distortion = codec->codebook.distortion * (qjl ? 0.3634 : 1.0);
    tq_encoder_close(encoder);
    tq_codec_close(codec);
    tq_free(x);
    tq_free(back);
    tq_free(scratch);
    return loss / (double)count / distortion;
}

/* Against D of the codebook, times 1 - 2/pi with the sketch; the scale search takes 3 to 20 % off. */
static void round_trips_match_theory(void **state) {
    (void)state;
    for (size_t k = 0; k < TQ_COUNT(dims); k++) {
        for (uint32_t bits = 1; bits <= 9; bits++) {
            for (int qjl = bits == 9; qjl <= (bits > 1); qjl++) {
                double ratio = round_trip(dims[k], bits, qjl, dims[k] > 200 ? 10 : 40);
                assert_true(ratio < (dims[k] < 33 ? 1.6 : 1.1));
                assert_true(dims[k] < 33 || ratio > (bits < 6 ? 0.7 : 0.4));
            }
        }
    }
}

static void scale_search_never_lowers_the_cosine(void **state) {
    (void)state;
    static _Alignas(64) float x[100], u[100], y[100];
    for (uint32_t bits = 2; bits <= 6; bits++) {
        struct tq_codec *codec = open_codec(100, bits, 0);
        struct tq_encoder *encoder = NULL;
        assert_int_equal(tq_encoder_open(codec, &encoder), TQ_OK);
        struct tq_quantizer quantizer = {100, bits, codec->codebook.thresholds, codec->codebook.centroids};
        int better = 0;
        for (uint64_t i = 0; i < 200; i++) {
            struct tq_row row;
            struct tq_quantized_sums sums;
            uint8_t indices[100];
            random_vector(x, 100, 3, i);
            assert_int_equal(tq_encode(encoder, x, &row), TQ_OK);
            for (int j = 0; j < 100; j++) u[j] = x[j] / row.norm;
            codec->kernels.rotate(&codec->rotation, u, y);
            codec->kernels.quantize(&quantizer, y, 1.0f, indices, &sums);
            double plain = (double)sums.dot / sqrt((double)sums.norm);
            double error = (double)tq_f32_from_f16(read_tail(&codec->format, row.record).error);
            double lower = 1.0 / sqrt(1.0 + error * error);
            assert_true(lower >= plain - 2e-3 * (1.0 - plain) - 1e-5);
            better += lower > plain;
        }
        assert_true(better > 40);
        tq_encoder_close(encoder);
        tq_codec_close(codec);
    }
}

static void extreme_norms_keep_their_direction(void **state) {
    (void)state;
    static const float sizes[] = {1e30f, 1e-30f, 3e37f, 1e-38f, 1e-42f};
    struct tq_codec *codec = open_codec(100, 4, 1);
    struct tq_encoder *encoder = NULL;
    assert_int_equal(tq_encoder_open(codec, &encoder), TQ_OK);
    static _Alignas(64) float x[100], back[100], scratch[400];
    for (size_t k = 0; k < TQ_COUNT(sizes); k++) {
        struct tq_row row;
        random_vector(x, 100, 4, k);
        for (int j = 0; j < 100; j++) x[j] = x[j] * 0x1p-17f * sizes[k];
        assert_int_equal(tq_encode(encoder, x, &row), TQ_OK);
        check_row(codec, x, &row);
        tq_decode(codec, row.record, back, scratch);
        assert_true(cosine_f32(x, back, 100) > 0.98);
    }
    tq_encoder_close(encoder);
    tq_codec_close(codec);
}

static void zero_vector_has_no_code(void **state) {
    (void)state;
    struct tq_codec *codec = open_codec(33, 4, 1);
    struct tq_encoder *encoder = NULL;
    assert_int_equal(tq_encoder_open(codec, &encoder), TQ_OK);
    static _Alignas(64) float x[33], back[33] = {1.0f}, scratch[132];
    struct tq_row row;
    random_vector(x, 33, 5, 0);
    assert_int_equal(tq_encode(encoder, x, &row), TQ_OK);
    memset(x, 0, sizeof x);
    x[4] = -0.0f;
    assert_int_equal(tq_encode(encoder, x, &row), TQ_OK);
    for (uint32_t i = 0; i < codec->format.record_stride; i++) assert_int_equal(row.record[i], 0);
    assert_int_equal(row.first_error, 0x7c00);
    assert_int_equal(row.second.inverse, 0);
    assert_int_equal(row.second.error, 0);
    assert_true(row.norm == 0.0f);
    tq_decode(codec, row.record, back, scratch);
    for (int j = 0; j < 33; j++) assert_true(back[j] == 0.0f);
    tq_encoder_close(encoder);
    tq_codec_close(codec);
}

static void assert_refused(struct tq_encoder *encoder, const float *x, const char *message) {
    struct tq_row row = {.norm = -1.0f};
    assert_int_equal(tq_encode(encoder, x, &row), TQ_MISUSE);
    assert_string_equal(tq_message(), message);
    assert_true(row.norm == -1.0f);
}

static void refusals_name_the_element(void **state) {
    (void)state;
    struct tq_encoder *encoder = NULL;
    float x[40] = {0};
    struct tq_codec *codec = open_codec(40, 4, 1);
    assert_int_equal(tq_encoder_open(codec, &encoder), TQ_OK);
    x[17] = NAN;
    x[30] = INFINITY;
    assert_refused(encoder, x, "vector element 17 is nan; it must be finite");
    x[17] = 70000.0f;
    assert_refused(encoder, x, "vector element 30 is infinite; it must be finite");
    x[30] = x[31] = 3e38f;
    assert_refused(encoder, x, "the norm of the vector is 4.24264e+38; it must be at most 3.40282e+38");
    tq_encoder_close(encoder);
    tq_codec_close(codec);
    codec = open_codec_isa(40, 4, 1, TQ_ROWS_F16, ~0u);
    assert_int_equal(tq_encoder_open(codec, &encoder), TQ_OK);
    assert_refused(encoder, x, "vector element 17 is 70000; half precision ends at 65504");
    x[17] = -65504.0f;
    x[30] = x[31] = 0.1f;
    struct tq_row row;
    assert_int_equal(tq_encode(encoder, x, &row), TQ_OK);
    uint16_t half[40];
    memcpy(half, row.exact, sizeof half);
    assert_int_equal(half[17], 0xfbff);
    for (int j = 0; j < 40; j++) x[j] = tq_f32_from_f16(half[j]);
    check_row(codec, x, &row); /* the code is that of the rounded row */
    tq_encoder_close(encoder);
    tq_codec_close(codec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codebook_matches_published_distortion),
        cmocka_unit_test(codebook_converges_to_the_normal_one),
        cmocka_unit_test(codebook_integers_are_exact_and_in_range),
        cmocka_unit_test(rotation_is_orthogonal_and_inverts),
        cmocka_unit_test(rotation_spreads_every_axis),
        cmocka_unit_test(round_trips_match_theory),
        cmocka_unit_test(scale_search_never_lowers_the_cosine),
        cmocka_unit_test(extreme_norms_keep_their_direction),
        cmocka_unit_test(zero_vector_has_no_code),
        cmocka_unit_test(refusals_name_the_element),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
