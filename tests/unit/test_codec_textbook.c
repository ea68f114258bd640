/* The paper's theorems, on the estimators as it prints them: distortion (1), unbiasedness and variance (2). */
#include "tests/unit/test_codec.h"

struct moments {
    double bias, variance; /* of estimates of <q, x>, both unit vectors, over Pi, S and the vectors */
};

static struct tq_textbook *open_textbook(struct tq_textbook_options options) {
    struct tq_textbook *textbook = NULL;
    assert_int_equal(tq_textbook_open(&options, &textbook), TQ_OK);
    return textbook;
}

static double mse(uint32_t dim, uint32_t bits, bool structured, uint64_t count) {
    struct tq_textbook *t = open_textbook(
        (struct tq_textbook_options){.dim = dim, .bits = bits, .structured = structured, .seed = 3});
    float *x = tq_alloc_array(dim, sizeof *x), *back = tq_alloc_array(dim, sizeof *back);
    void *code = tq_alloc(tq_textbook_code_bytes(t));
    double loss = 0.0;
    for (uint64_t i = 0; i < count; i++) {
        double square = 0.0, error = 0.0;
        random_vector(x, dim, 31, i);
        tq_textbook_encode(t, x, code);
        tq_textbook_decode(t, code, back);
        for (uint32_t j = 0; j < dim; j++) {
            square += (double)x[j] * (double)x[j];
            error += pow((double)x[j] - (double)back[j], 2);
        }
        loss += error / square;
    }
    tq_textbook_close(t);
    tq_free(x);
    tq_free(back);
    tq_free(code);
    return loss / (double)count;
}

static void mse_is_the_distortion_of_the_codebook(void **state) {
    (void)state;
    static const double exact[] = {.3602, .1156, .0338, .00926};
    for (uint32_t bits = 1; bits <= 4; bits++) {
        double dense = mse(100, bits, false, 3000), structured = mse(100, bits, true, 3000);
        assert_true(fabs(dense / exact[bits - 1] - 1.0) < 0.01);
        assert_true(fabs(structured / exact[bits - 1] - 1.0) < 0.01);
        assert_true(dense < sqrt(3.0) * 3.14159265 / 2.0 * pow(4.0, -(double)bits)); /* Theorem 1 */
    }
}

/* Many draws of S with few pairs each: one S alone is off by 1 / sqrt(2 d sketch_dim). */
static struct moments measure(struct tq_textbook_options options, uint64_t draws, double mix) {
    enum { PAIRS = 40, DIM = 64 };
    static _Alignas(64) float x[DIM], q[DIM], rotated[3 * DIM];
    double sum = 0.0, square = 0.0, truth = 0.0;
    options.dim = DIM;
    options.structured = true;
    for (uint64_t draw = 0; draw < draws; draw++) {
        options.seed = draw;
        struct tq_textbook *t = open_textbook(options);
        void *code = tq_alloc(tq_textbook_code_bytes(t));
        for (uint64_t i = 0; i < PAIRS; i++) {
            random_vector(x, DIM, 32, draw * PAIRS + i);
            random_vector(q, DIM, 33, draw * PAIRS + i);
            for (int j = 0; j < DIM; j++) q[j] = (float)mix * x[j] + q[j];
            double nx = 0.0, nq = 0.0;
            for (int j = 0; j < DIM; j++) {
                nx += (double)x[j] * (double)x[j];
                nq += (double)q[j] * (double)q[j];
            }
            tq_textbook_encode(t, x, code);
            tq_textbook_rotate(t, q, rotated);
            double error = tq_textbook_dot(t, rotated, code) / sqrt(nx * nq) - cosine_f32(x, q, DIM);
            sum += error;
            square += error * error;
            truth += cosine_f32(x, q, DIM);
        }
        tq_textbook_close(t);
        tq_free(code);
    }
    double n = (double)(draws * PAIRS);
    return (struct moments){sum / truth, square / n - (sum / n) * (sum / n)};
}

static void prod_is_unbiased_within_theorem_2(void **state) {
    (void)state;
    for (uint32_t bits = 1; bits <= 4; bits++) {
        struct moments m = measure((struct tq_textbook_options){.bits = bits, .prod = true}, bits < 3 ? 2000 : 500,
                                   2.0);
        double theorem = sqrt(3.0) * 9.8696044 * pow(4.0, -(double)bits) / 64.0;
        assert_true(fabs(m.bias) < 1e-3);
        assert_true(m.variance < theorem);
        assert_true(m.variance > 0.15 * theorem);
    }
}

static void mse_is_biased_by_its_distortion(void **state) {
    (void)state;
    struct moments m = measure((struct tq_textbook_options){.bits = 1}, 200, 2.0);
    assert_true(fabs(m.bias + .3584) < 0.01);
}

/* The constant of Gaussian rows is approximate here: a bias of 0.4 % at dim 64 that shrinks as 1 / dim. */
static void rademacher_is_nearly_unbiased(void **state) {
    (void)state;
    struct moments m = measure((struct tq_textbook_options){.bits = 3, .prod = true, .matrix = TQ_SKETCH_RADEMACHER},
                               400, 2.0);
    assert_true(fabs(m.bias) < 6e-3);
    assert_true(m.variance < sqrt(3.0) * 9.8696044 / 64.0 / 64.0);
}

static void fewer_sketch_rows_cost_variance_not_bias(void **state) {
    (void)state;
    struct tq_textbook_options options = {.bits = 3, .prod = true, .sketch_dim = 16};
    struct moments few = measure(options, 1000, 2.0);
    options.sketch_dim = 128;
    struct moments many = measure(options, 150, 2.0);
    assert_true(fabs(few.bias) < 2e-3 && fabs(many.bias) < 2e-3);
    assert_true(few.variance / many.variance > 5.0 && few.variance / many.variance < 11.0); /* 128 / 16 */
}

/* Decoding and the inner product in the rotated space are the same estimator. */
static void decoding_agrees_with_dot(void **state) {
    (void)state;
    enum { DIM = 48 };
    for (int kind = 0; kind < 4; kind++) {
        struct tq_textbook *t = open_textbook((struct tq_textbook_options){
            .dim = DIM, .bits = 3, .prod = kind >= 2, .structured = kind % 2 == 1, .sketch_dim = 20, .seed = 5});
        _Alignas(64) float x[DIM], q[DIM], back[DIM], rotated[DIM + 20];
        void *code = tq_alloc(tq_textbook_code_bytes(t));
        random_vector(x, DIM, 34, 1);
        random_vector(q, DIM, 35, 1);
        tq_textbook_encode(t, x, code);
        tq_textbook_decode(t, code, back);
        tq_textbook_rotate(t, q, rotated);
        double dot = 0.0, scale = 0.0, estimate = tq_textbook_dot(t, rotated, code);
        for (int j = 0; j < DIM; j++) {
            dot += (double)q[j] * (double)back[j];
            scale += fabs((double)q[j] * (double)back[j]);
        }
        assert_true(fabs(dot - estimate) < 1e-5 * scale);
        tq_textbook_close(t);
        tq_free(code);
    }
}

static void refusals(void **state) {
    (void)state;
    struct tq_textbook *t = NULL;
    struct tq_textbook_options options = {.dim = 4097, .bits = 2};
    assert_int_equal(tq_textbook_open(&options, &t), TQ_MISUSE);
    options = (struct tq_textbook_options){.dim = 8, .bits = 9};
    assert_int_equal(tq_textbook_open(&options, &t), TQ_MISUSE);
    options = (struct tq_textbook_options){.dim = 8, .bits = 2, .prod = true, .sketch_dim = 5000};
    assert_int_equal(tq_textbook_open(&options, &t), TQ_MISUSE);
    assert_null(t);
    options.sketch_dim = 0;
    for (long n = 1; n <= 4; n++) {
        tq_alloc_fail_after(n);
        assert_int_equal(tq_textbook_open(&options, &t), TQ_NOMEM);
        assert_null(t);
    }
    tq_alloc_fail_after(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mse_is_the_distortion_of_the_codebook),
        cmocka_unit_test(prod_is_unbiased_within_theorem_2),
        cmocka_unit_test(mse_is_biased_by_its_distortion),
        cmocka_unit_test(rademacher_is_nearly_unbiased),
        cmocka_unit_test(fewer_sketch_rows_cost_variance_not_bias),
        cmocka_unit_test(decoding_agrees_with_dot),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
