/* Rows of floats to records, bit for bit what src/codec/encode.c writes.
 *
 * A warp takes ROWS rows, 1 or 2, at a time. Sums of the fixed order belong to sixteen threads a row, so where rows are
 * added up each half warp has its own, or both do the same with one row. Rotations are in registers: of both rows at
 * once, sixteen threads a row, or, where registers are too few for that, of one after the other by all threads. In
 * between rows lie in shared memory, in "slots". */
#ifndef TQ_CUDA_QUANTIZE_CUH
#define TQ_CUDA_QUANTIZE_CUH

#include "kernels/cuda/quantize_codes.cuh"

/* What is known of a row: in shared memory, as registers are for the elements. */
struct Known {
    double inverse; /* 1 / norm: infinite for a row of zeros */
    double y_square;
    double square, dot; /* of the estimate, without QJL */
    float norm, stretch;
    int best;       /* which scale */
    uint16_t gamma; /* half */

    __device__ __forceinline__ bool zero() const { return inverse > 1e300; }
};

template <class Shape, int ROWS, Pace PACE> struct Encoder {
    using Row = typename Shape::Row;
    static constexpr int LANES = Shape::LANES;
    static constexpr bool BOTH = LANES == SUM_LANES; /* rows are rotated at once */
    static constexpr int TURNS = BOTH ? 1 : ROWS;    /* of rotating them */
    static_assert(!BOTH || ROWS == 2, "half a warp would be idle");
    static constexpr int STEP = Shape::GUARDED ? 4 : 8;

    const Quantize &q;
    const DeviceRows &out;
    Own own;
    Known *known;   /* [ROWS] */
    float *slots;   /* [ROWS][row_words] */
    uint8_t *stage; /* records: [ROWS][stage_bytes] */
    uint32_t row_words, stage_bytes;
    uint32_t side, part; /* the row that this thread adds up, and which of its sixteen lanes */

    /* Elements of this thread while rows are rotated. */
    template <class F> __device__ __forceinline__ void each(F &&body) const {
        if constexpr (Shape::PER > 0) {
#pragma unroll
            for (int i = 0; i < Shape::PER; i++) {
                if (i < Shape::WHOLE || (uint32_t)(LANES * i + own.lane) < own.dim) body(i);
            }
        } else {
            for (int i = 0; (uint32_t)(LANES * i + own.lane) < own.dim; i++) body(i);
        }
    }

    /* The same, absent elements too: for votes and shuffles, in which all threads take part. */
    template <class F> __device__ __forceinline__ void all(F &&body) const {
        if constexpr (Shape::PER > 0) {
#pragma unroll
            for (int i = 0; i < Shape::PER; i++)
                body(i, i < Shape::WHOLE || (uint32_t)(LANES * i + own.lane) < own.dim);
        } else {
            for (int i = 0; (uint32_t)(LANES * i) < own.dim; i++) body(i, (uint32_t)(LANES * i + own.lane) < own.dim);
        }
    }

    /* Where an element is while its row is not rotated; `row` is the thread's own where BOTH. */
    __device__ __forceinline__ float &slot(int row, int i) const {
        return slots[row * row_words + LANES * i + own.lane];
    }

    /* Whether this thread writes what its sixteen found. */
    __device__ __forceinline__ bool writes() const { return part == 0 && (ROWS > 1 || own.lane == 0); }

    /* A sum over a row whose elements came by all(): where threads have every other element of a lane, the lower half's
     * is right. */
    template <class T> __device__ __forceinline__ T total(T sum) const {
        sum = fold(sum);
        return BOTH ? sum : __shfl_sync(FULL_WARP, sum, 0);
    }
    /* The element after this one in its lane, which another thread has. */
    __device__ __forceinline__ float next(float element) const {
        return __shfl_xor_sync(FULL_WARP, element, SUM_LANES);
    }

    /* Elements that this thread adds up, STEP at a time: body(element, its place among the STEP); after(first) once the
     * STEP from 16 * first on are through. */
    template <class F, class G> __device__ __forceinline__ void sum_steps(F &&body, G &&after) const {
        const float *from = slots + side * row_words + part;
        int left = (int)own.dim - (int)part;
#pragma unroll 1
        for (int i = 0; SUM_LANES * i < (int)own.dim; i += STEP, from += SUM_LANES * STEP) {
#pragma unroll
            for (int n = 0; n < STEP; n++) {
                bool present = !Shape::GUARDED || SUM_LANES * (i + n) < left;
                body(present ? from[SUM_LANES * n] : 0.0f, n, present);
            }
            after(i);
        }
    }
    template <class F> __device__ __forceinline__ void sum_each(F &&body) const {
        sum_steps(
            [&](float y, int, bool present) {
                if (present) body(y);
            },
            [](int) {});
    }

    /* load(): rows to slots, rounded as they are kept. */
    template <bool HALVES> __device__ __forceinline__ double load_rows(const float *vector, bool &good) const {
        constexpr int EACH = Shape::PER * Shape::LANES / SUM_LANES; /* elements of a thread, unless guarded */
        constexpr int LOADS = Shape::GUARDED ? 8 : EACH % 24 == 0 ? 24 : EACH % 32 == 0 ? 32 : 8;
        float *to = slots + side * row_words + part;
        int left = (int)own.dim - (int)part;
        double square = 0.0;
#pragma unroll 1
        for (int i = 0; SUM_LANES * i < (int)own.dim; i += LOADS) {
            float x[LOADS];
#pragma unroll
            for (int n = 0; n < LOADS; n++) {
                if (!Shape::GUARDED || SUM_LANES * (i + n) < left) x[n] = __ldcs(vector + SUM_LANES * n);
            }
#pragma unroll
            for (int n = 0; n < LOADS; n++) {
                if (Shape::GUARDED && SUM_LANES * (i + n) >= left) continue;
                if (HALVES) {
                    good = good && fabsf(x[n]) <= 65504.0f;
                    x[n] = half_value(half_bits(x[n]));
                }
                square = __fma_rn((double)x[n], (double)x[n], square);
                to[SUM_LANES * n] = x[n];
            }
            vector += SUM_LANES * LOADS;
            to += SUM_LANES * LOADS;
        }
        return fold(square);
    }

    __device__ __forceinline__ void load(const float *vectors, uint64_t first, uint64_t count) const {
        bool present = first + side < count, good = true;
        uint64_t at = present ? first + side : count - 1;
        const float *vector = vectors + at * own.dim + part;
        double norm = sqrt(q.half_rows ? load_rows<true>(vector, good) : load_rows<false>(vector, good));
        good = good && norm <= (double)3.402823466e38f; /* false for NaN */
        bool all_good = __all_sync(ROWS == 1 ? FULL_WARP : 0xffffu << (SUM_LANES * side), good);
        if (!writes()) return;
        known[side].norm = (float)norm;
        known[side].inverse = 1.0 / norm;
        if (present && !all_good) atomicMin(out.refused, (uint32_t)at);
    }

    /* The rows after these on their way from memory while these are encoded. */
    __device__ __forceinline__ void fetch(const float *vectors, uint64_t first, uint64_t count) const {
#ifdef __CUDA_ARCH__
        if (first + side >= count) return;
        const float *vector = vectors + (first + side) * own.dim;
        for (uint32_t j = 32 * part; j < own.dim; j += 32 * SUM_LANES)
            asm volatile("prefetch.global.L2 [%0];" ::"l"(vector + j));
#endif
    }

    /* choose_indices(), and y y and the first scalars of measure_planes(): all sums over y that no scale changes. */
    template <int LINES> __device__ __forceinline__ int choose(uint64_t first_row, uint64_t count) const {
        float dot[TQ_CUDA_SCALES] = {}, norm[TQ_CUDA_SCALES] = {};
        double square = 0.0, first = 0.0;
        Coder<LINES> coders[TQ_CUDA_SCALES];
#pragma unroll
        for (int s = 0; s < TQ_CUDA_SCALES; s++) coders[s].load(q, s);
        sum_each([&](float y) {
            double value = fabsf(y); /* y has the sign of its code */
            square = __fma_rn(value, value, square);
            first += value;
#pragma unroll
            for (int s = 0; s < TQ_CUDA_SCALES; s++) {
                float c = coders[s].magnitude(q, y);
                dot[s] += c * fabsf(y);
                norm[s] += c * c;
            }
        });
        square = fold(square);
        first = fold(first);
        int best = 0;
        float best_dot = 0.0f, best_norm = 0.0f;
#pragma unroll
        for (int s = 0; s < TQ_CUDA_SCALES; s++) {
            float this_dot = fold(dot[s]), this_norm = fold(norm[s]);
            double d = this_dot, b = best_dot;
            bool tried = s < (int)q.scale_count;
            if (s > 0 && (!tried || d * d * (double)best_norm <= b * b * (double)this_norm)) continue;
            best_dot = this_dot;
            best_norm = this_norm;
            best = s;
        }
        if (!writes()) return best;
        uint16_t error = known[side].zero() ? (uint16_t)0x7c00 : tangent_up(q.slack, square, q.dim, first);
        if (first_row + side < count) out.first_error[first_row + side] = round_first_error(q, error);
        known[side].y_square = square;
        known[side].stretch = best_norm / best_dot;
        known[side].best = best;
        return best;
    }

    /* Sixteen bits of a plane of this thread's row. */
    __device__ __forceinline__ void put(uint32_t plane, int at, uint32_t bits) const {
        uint8_t *to = stage + side * stage_bytes + plane * q.plane_bytes + 2 * at;
        if (!Shape::GUARDED) {
            *(uint16_t *)to = (uint16_t)bits;
            return;
        }
        if (2 * at < (int)q.plane_bytes) to[0] = (uint8_t)bits;
        if (2 * at + 1 < (int)q.plane_bytes) to[1] = (uint8_t)(bits >> 8);
    }

    /* The rest of measure_planes(), and the planes of the code. Thread n of sixteen keeps the votes on the elements
     * 16 (16 k + n) .. + 15. */
    template <int LINES> __device__ __forceinline__ void measure(int best, uint64_t first_row, uint64_t count) const {
        constexpr int VOTES = LINES == 0 ? 8 : LINES + 1;
        double both = 0.0;
        uint32_t far = 0, kept[VOTES];
        Coder<LINES> coder;
        coder.load(q, best);
#pragma unroll
        for (int b = 0; b < VOTES; b++) kept[b] = 0;
        int turn = (int)part; /* the place among the STEP whose votes this thread keeps */
        sum_steps(
            [&](float y, int n, bool present) {
                auto code = coder.code(q, y);
                bool is_far = code.far(q);
                if (present) both = __fma_rn((double)fabsf(y), is_far ? 3.0 : 1.0, both);
                far += present && is_far;
#pragma unroll
                for (int b = 0; b < VOTES; b++) {
                    uint32_t votes = __ballot_sync(FULL_WARP, present && code.vote(q, b));
                    if (turn == n) kept[b] = votes;
                }
            },
            [&](int i) {
                turn -= STEP;
                bool last = SUM_LANES * (i + STEP) >= (int)own.dim;
                if ((i + STEP) % SUM_LANES != 0 && !last) return;
                int at = i / SUM_LANES * SUM_LANES + (int)part;
                turn = (int)part;
                if (SUM_LANES * at < (int)own.dim) {
                    int rest = (int)own.dim - SUM_LANES * at;
                    write_planes<LINES>(at, rest >= SUM_LANES ? 0xffffu : (1u << rest) - 1, kept);
                }
            });
        both = fold(both);
        far = fold(far);
        if (!writes() || first_row + side >= count) return;
        uint32_t second = 0;
        if (q.scan_planes > 1 && !known[side].zero())
            second = second_scalars(q, known[side].y_square, (double)(q.dim + 8 * far), both);
        out.second[first_row + side] = second;
    }

    /* The sixteen bits of each plane from votes on sixteen elements. */
    template <int LINES, int VOTES>
    __device__ __forceinline__ void write_planes(int at, uint32_t mask, const uint32_t (&kept)[VOTES]) const {
        uint32_t votes[VOTES], top = q.code_bits - 1;
#pragma unroll
        for (int b = 0; b < VOTES; b++) votes[b] = kept[b] >> (SUM_LANES * side);
        if constexpr (LINES == 0) {
#pragma unroll
            for (int b = 0; b < VOTES; b++) {
                if (b <= (int)top) put(top - b, at, votes[b] & mask);
            }
        } else {
            uint32_t mirrored = ~votes[0], ones = 0, twos = 0;
#pragma unroll
            for (int b = 1; b <= LINES; b++) {
                ones ^= votes[b];
                if (b % 2 == 0) twos ^= votes[b];
            }
            put(0, at, votes[0] & mask);
            if (top >= 1) put(top, at, (ones ^ mirrored) & mask);
            if (top >= 2) put(top - 1, at, (twos ^ mirrored) & mask);
            if (LINES > 3 && top >= 3) put(top - 2, at, (votes[LINES > 3 ? 4 : 0] ^ mirrored) & mask);
        }
    }

    /* measure_code() without QJL. */
    template <int LINES> __device__ __forceinline__ void measure_code(int best) const {
        double square = 0.0, dot = 0.0;
        Coder<LINES> coder;
        coder.load(q, best);
        sum_each([&](float y) {
            double c = coder.magnitude(q, y);
            square = __fma_rn(c, c, square);
            dot = __fma_rn((double)fabsf(y), c, dot);
        });
        square = fold(square);
        dot = fold(dot);
        if (!writes()) return;
        known[side].square = square;
        known[side].dot = dot;
    }

    /* r */
    template <int LINES> __device__ __forceinline__ void residual(Row &v, int row) const {
        Coder<LINES> coder;
        coder.load(q, known[row].best);
        float stretch = known[row].stretch;
        each([&](int i) {
            float y = slot(row, i);
            v[i] = stretch * y - coder.centroid(q, y);
        });
    }

    /* Votes on the sketch of LANES elements. */
    __device__ __forceinline__ void put_signs(int row, int i, uint32_t votes, uint32_t &kept) const {
        uint32_t plane = q.bits - 1;
        if constexpr (BOTH) {
            if (i % SUM_LANES == (int)part) kept = votes;
            if (i % SUM_LANES != SUM_LANES - 1 && i + 1 != Shape::PER) return;
            int at = i / SUM_LANES * SUM_LANES + (int)part;
            if (at <= i && SUM_LANES * at < (int)own.dim) put(plane, at, kept >> (SUM_LANES * side));
        } else {
            uint32_t at = 4 * i + (Shape::GUARDED ? own.lane : 0);
            uint8_t *to = stage + row * stage_bytes + plane * q.plane_bytes + at;
            if (Shape::GUARDED) {
                if (own.lane < 4 && at < q.plane_bytes) *to = (uint8_t)(votes >> (8 * own.lane));
            } else if (own.lane == 0) {
                *(uint32_t *)to = votes;
            }
        }
    }

    /* S r: its signs and gamma; then it changes places with y. */
    __device__ __forceinline__ void sketch(Row &v, int row) const {
        float sum = 0.0f;
        uint32_t kept = 0;
        all([&](int i, bool present) {
            float value = present ? v[i] : -0.5f, size = present ? fabsf(value) : 0.0f;
            put_signs(row, i, __ballot_sync(FULL_WARP, value >= 0.0f), kept);
            sum += size;
            if (!BOTH) sum += next(size);
            if (present) {
                v[i] = slot(row, i);
                slot(row, i) = value;
            }
        });
        sum = total(sum);
        if (own.lane == 0) known[row].gamma = half_bits((float)((double)sum / q.root));
        __syncwarp();
    }

    /* S y against S x_hat. */
    __device__ __forceinline__ void compare(Row &v, int row, double &exact_square, double &square, double &dot) const {
        float stretch = known[row].stretch, gamma = (float)((double)half_value(known[row].gamma) / q.root);
        exact_square = square = dot = 0.0;
        all([&](int i, bool present) {
            float exact = present ? v[i] : 0.0f, residual = present ? slot(row, i) : 0.0f;
            float part_code = stretch * exact - residual, estimate = part_code + (residual >= 0.0f ? gamma : -gamma);
            if (!present) estimate = 0.0f;
            double a = exact, b = estimate;
            exact_square = __fma_rn(a, a, exact_square);
            square = __fma_rn(b, b, square);
            dot = __fma_rn(a, b, dot);
            if (BOTH) return;
            a = next(exact);
            b = next(estimate);
            exact_square = __fma_rn(a, a, exact_square);
            square = __fma_rn(b, b, square);
            dot = __fma_rn(a, b, dot);
        });
        exact_square = total(exact_square);
        square = total(square);
        dot = total(dot);
    }

    /* The end of measure_code(); the record goes out to row `at`. */
    __device__ __forceinline__ void finish(int row, uint64_t at, bool present, double exact_square, double square,
                                           double dot) const {
        bool zero = known[row].zero(), usable = dot > 0.1 * sqrt(exact_square * square);
        Tail tail = {usable ? (float)(1.0 / dot) : 0.0f, known[row].norm, q.qjl ? known[row].gamma : (uint16_t)0,
                     usable ? tangent_up(q.slack, exact_square, square, dot) : (uint16_t)0x7c00};
        round_tail(q, tail);
        uint32_t words[3] = {__float_as_uint(tail.scale), __float_as_uint(tail.norm),
                             tail.gamma | (uint32_t)tail.error << 16};
        const uint32_t *staged = (const uint32_t *)(stage + row * stage_bytes);
        uint8_t *to = stage + row * stage_bytes + q.bits * q.plane_bytes;
        if (own.lane == 0) {
#pragma unroll
            for (int i = 0; i < 12; i++) to[i] = (uint8_t)(words[i / 4] >> (8 * (i % 4)));
        }
        __syncwarp();
        uint32_t *record = (uint32_t *)(out.records + at * q.record_stride);
        for (uint32_t i = own.lane; present && 4 * i < q.record_stride; i += LANES) record[i] = zero ? 0u : staged[i];
        __syncwarp();
    }

    /* What depends on how many thresholds there are to compare. */
    template <int COUNT> struct Lines { static constexpr int LINES = COUNT; };
    template <class F> __device__ __forceinline__ void by_lines(F &&body) const {
        if constexpr (Shape::PER == 0) {
            if (q.code_bits > 4) return body(Lines<0>());
        }
        if (q.code_bits == 4) return body(Lines<LINES_MOST>());
        body(Lines<3>());
    }

    template <int LINES> __device__ __forceinline__ void sums(uint64_t first, uint64_t count) const {
        int best = choose<LINES>(first, count);
        measure<LINES>(best, first, count);
        if (!q.qjl) measure_code<LINES>(best);
    }

    /* One loop over all rotations of all rows, so that there is one copy of the rotation: instructions must be few for
     * their cache. Steps: the rotation of each row; then, row after row, S r and S y. */
    __device__ __forceinline__ void encode(const float *vectors, uint64_t first, uint64_t step_rows, uint64_t count,
                                           Row &v) const {
        load(vectors, first, count);
        fetch(vectors, first + step_rows, count);
        int passes = q.qjl ? 2 : 1;
        __syncwarp();
#pragma unroll 1
        for (int step = 0; step < TURNS * (1 + passes); step++) {
            bool sketching = step >= TURNS;
            int turn = sketching ? (step - TURNS) / passes : step, pass = sketching ? (step - TURNS) % passes : 0;
            int row = BOTH ? (int)side : turn;
            if (PACE != FREE) __syncthreads();
            if (!sketching) {
                double inverse = known[row].inverse;
                each([&](int i) { v[i] = (float)((double)slot(row, i) * inverse); });
            } else {
                if (step == TURNS) by_lines([&](auto lines) { sums<decltype(lines)::LINES>(first, count); });
                __syncwarp();
                if (q.qjl && pass == 0) by_lines([&](auto lines) { residual<decltype(lines)::LINES>(v, row); });
            }
            if (!sketching || q.qjl) Shape::template rotate<PACE>(sketching ? q.sketch : q.rotation, v, own);
            if (!sketching) {
                each([&](int i) { slot(row, i) = v[i]; });
                __syncwarp();
                continue;
            }
            if (q.qjl && pass == 0) {
                sketch(v, row);
                continue;
            }
            double exact_square, square, dot;
            if (q.qjl) {
                compare(v, row, exact_square, square, dot);
            } else {
                exact_square = known[row].y_square;
                square = known[row].square;
                dot = known[row].dot;
            }
            finish(row, first + row, first + row < count, exact_square, square, dot);
        }
        __syncwarp();
    }
};

#endif
