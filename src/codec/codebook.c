/* Exact Lloyd-Max codebooks: the start of everything, computed the same on every machine (no libm but sqrt).
 * Knows nothing of vectors; works in z = t sqrt(d), where the density (1 - z^2/d)^((d-3)/2) is close to N(0,1).
 *
 *   Q   integral of the density beyond z, by Gauss-Legendre over a table of cells (beyond, not below: the outer
 *       cells of 8 bits hold 1e-6 of the mass and need all their digits)
 *   M   first moment beyond z, known in closed form
 *   c   centroids of the positive half; boundaries t are their midpoints, so that optimality reads
 *       G_i = c_i (Q(t_i) - Q(t_{i+1})) - (M(t_i) - M(t_{i+1})) = 0: a tridiagonal system for Newton, whose
 *       solution is unique because the density is log-concave (Fleischer 1964) */
#include <math.h>
#include <string.h>

#include "src/codec/codec.h"

enum { CELLS = 256, HALF_MAX = 128, NEWTON_STEPS_MAX = 200 };

struct density {
    double dim;              /* >= 3 */
    double limit;            /* the density beyond is below e^-50 of its mode, or 0 */
    double cells[CELLS + 1]; /* Q at limit * v (2 - v), v = i / CELLS: this spacing turns the square root that even
                              * dimensions have at t = 1 into a polynomial, which Gauss-Legendre integrates */
};

/* base^(half_steps / 2) */
static double half_power(double base, uint32_t half_steps) {
    double power = (half_steps & 1) != 0 ? sqrt(base) : 1.0;
    for (uint32_t n = half_steps >> 1; n != 0; n >>= 1) {
        if ((n & 1) != 0) power *= base;
        base *= base;
    }
    return power;
}

static double one_minus_square(const struct density *f, double z) {
    double w = 1.0 - z * z / f->dim;
    return w > 0.0 ? w : 0.0;
}

static double density_at(const struct density *f, double z) {
    return half_power(one_minus_square(f, z), (uint32_t)f->dim - 3);
}

/* M(z) */
static double moment_above(const struct density *f, double z) {
    return half_power(one_minus_square(f, z), (uint32_t)f->dim - 1) * f->dim / (f->dim - 1.0);
}

static double integral(const struct density *f, double v_from, double v_to) {
    static const double nodes[4] = {-0.86113631159405257522, -0.33998104358485626480, 0.33998104358485626480,
                                    0.86113631159405257522};
    static const double weights[4] = {0.34785484513745385737, 0.65214515486254614263, 0.65214515486254614263,
                                      0.34785484513745385737};
    double half = (v_to - v_from) * 0.5, middle = (v_to + v_from) * 0.5, sum = 0.0;
    for (int i = 0; i < 4; i++) {
        double v = middle + half * nodes[i];
        sum += weights[i] * density_at(f, f->limit * v * (2.0 - v)) * 2.0 * (1.0 - v);
    }
    return sum * half * f->limit;
}

static void density_init(struct density *f, uint32_t dim) {
    f->dim = dim;
    f->limit = sqrt(f->dim) < 10.0 ? sqrt(f->dim) : 10.0;
    f->cells[CELLS] = 0.0;
    for (int i = CELLS; i > 0; i--)
        f->cells[i - 1] = f->cells[i] + integral(f, (double)(i - 1) / CELLS, (double)i / CELLS);
}

/* Q(z) */
static double mass_above(const struct density *f, double z) {
    if (z >= f->limit) return 0.0;
    double v = 1.0 - sqrt(1.0 - z / f->limit);
    int cell = (int)(v * CELLS) + 1;
    return f->cells[cell] + integral(f, v, (double)cell / CELLS);
}

/* Boundaries t_1..t_count of the positive half, t_0 = 0: between centroids, and the end of the density. */
static void boundaries(const struct density *f, const double *c, int count, double *t) {
    t[0] = 0.0;
    for (int i = 1; i < count; i++) t[i] = (c[i - 1] + c[i]) * 0.5;
    t[count] = f->limit;
}

/* Quantiles of f^(1/3), the best point density of many points (Panter and Dite 1951), its exponent rounded to a
 * half. Half a point more than there are brings the outermost within 1 % at every width. */
static void start(const struct density *f, int count, double *c) {
    enum { STEPS = 4096 };
    uint32_t half_steps = ((uint32_t)f->dim - 3 + 1) / 3;
    double total = 0.0, sum = 0.0, h = f->limit / STEPS;
    for (int i = 0; i < STEPS; i++) total += half_power(one_minus_square(f, (i + 0.5) * h), half_steps);
    int next = 0;
    for (int i = 0; i < STEPS && next < count; i++) {
        double part = half_power(one_minus_square(f, (i + 0.5) * h), half_steps);
        for (; next < count && sum + part >= (next + 0.5) * total / (count + 0.5); next++)
            c[next] = (i + ((next + 0.5) * total / (count + 0.5) - sum) / part) * h;
        sum += part;
    }
}

/* Solve (lower, diagonal, upper) x = right in place of `right`; `diagonal` is used up. */
static void solve_tridiagonal(const double *lower, double *diagonal, const double *upper, double *right, int n) {
    for (int i = 1; i < n; i++) {
        double factor = lower[i] / diagonal[i - 1];
        diagonal[i] -= factor * upper[i - 1];
        right[i] -= factor * right[i - 1];
    }
    right[n - 1] /= diagonal[n - 1];
    for (int i = n - 2; i >= 0; i--) right[i] = (right[i] - upper[i] * right[i + 1]) / diagonal[i];
}

/* The step of Newton at c, to be subtracted. */
static void newton_step(const struct density *f, const double *c, int count, double *delta) {
    double t[HALF_MAX + 1], lower[HALF_MAX], diagonal[HALF_MAX], upper[HALF_MAX];
    boundaries(f, c, count, t);
    double mass_left = f->cells[0], moment_left = moment_above(f, 0.0), density_left = 0.0;
    for (int i = 0; i < count; i++) {
        bool last = i == count - 1;
        double mass_right = mass_above(f, t[i + 1]);
        double moment_right = last ? 0.0 : moment_above(f, t[i + 1]);
        double density_right = last ? 0.0 : density_at(f, t[i + 1]);
        double mass = mass_left - mass_right, moment = moment_left - moment_right;
        delta[i] = c[i] * mass - moment;
        lower[i] = -0.5 * (c[i] - t[i]) * density_left;
        upper[i] = -0.5 * (t[i + 1] - c[i]) * density_right;
        diagonal[i] = mass + lower[i] + upper[i];
        mass_left = mass_right;
        moment_left = moment_right;
        density_left = density_right;
    }
    solve_tridiagonal(lower, diagonal, upper, delta, count);
}

/* Move c by as much of the step as keeps its order. Returns the largest change. */
static double improve(const struct density *f, double *c, int count) {
    double delta[HALF_MAX], change = 0.0, part = 1.0;
    newton_step(f, c, count, delta);
    for (int i = 0; i < count; i++) {
        double gap = i == 0 ? c[0] : c[i] - c[i - 1];
        double loss = i == 0 ? delta[0] : delta[i] - delta[i - 1];
        if (loss > 0.5 * gap) part = fmin(part, 0.5 * gap / loss);
    }
    for (int i = 0; i < count; i++) {
        c[i] -= part * delta[i];
        change = fmax(change, fabs(part * delta[i]));
    }
    return change;
}

/* The smallest float of 9 significant bits that is not below value: times 15 bits it is exact. */
static float round_up_9_bits(double value) {
    float rounded = (float)value;
    uint32_t bits;
    memcpy(&bits, &rounded, sizeof bits);
    if ((double)rounded < value) bits++;
    bits = (bits + 0x7fffu) & ~0x7fffu;
    memcpy(&rounded, &bits, sizeof rounded);
    return rounded;
}

/* Largest integer: rows of int16 whose norm times that of a query, 32767, stays below 2^31. */
static double integer_max(uint32_t dim) { return fmin(32767.0, floor(65535.0 / sqrt((double)dim))); }

static double distortion(const struct density *f, const struct tq_codebook *codebook, int count, double unit) {
    double second = 0.0, cross = 0.0, mass_left = f->cells[0], moment_left = moment_above(f, 0.0);
    for (int i = 0; i < count; i++) {
        bool last = i == count - 1;
        double t = last ? f->limit : (double)codebook->thresholds[count + i] * unit;
        double mass_right = mass_above(f, t), moment_right = last ? 0.0 : moment_above(f, t);
        double c = (double)codebook->centroids[count + i] * unit;
        second += c * c * (mass_left - mass_right);
        cross += c * (moment_left - moment_right);
        mass_left = mass_right;
        moment_left = moment_right;
    }
    return 1.0 + (second - 2.0 * cross) / f->cells[0];
}

void tq_codebook_init(struct tq_codebook *codebook, uint32_t dim, uint32_t code_bits) {
    TQ_ASSERT(dim >= 1 && code_bits >= 1 && code_bits <= 8);
    struct density f;
    double c[HALF_MAX], t[HALF_MAX + 1];
    int count = 1 << (code_bits - 1);
    density_init(&f, dim < 3 ? 3 : dim);
    start(&f, count, c);
    int steps = 0;
    while (steps++ < NEWTON_STEPS_MAX && improve(&f, c, count) > 1e-11) continue;
    boundaries(&f, c, count, t);

    double unit = sqrt(f.dim);
    memset(codebook, 0, sizeof *codebook);
    codebook->dim = dim;
    codebook->code_bits = code_bits;
    codebook->step = round_up_9_bits(c[count - 1] / unit / integer_max(dim));
    for (int i = 0; i < count; i++) {
        int16_t integer = (int16_t)(c[i] / unit / (double)codebook->step + 0.5);
        int up = count + i, down = count - 1 - i;
        codebook->integers[up] = integer;
        codebook->integers[down] = (int16_t)-integer;
        codebook->centroids[up] = (float)integer * codebook->step;
        codebook->centroids[down] = -codebook->centroids[up];
        if (i == 0) continue;
        codebook->thresholds[count + i - 1] = (float)(t[i] / unit);
        codebook->thresholds[count - i - 1] = -codebook->thresholds[count + i - 1];
    }
    codebook->distortion = distortion(&f, codebook, count, unit);
}
