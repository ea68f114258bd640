/* Rows that are resident, read back word by word: put in pieces of any size, moved by reserve, cleared, put again; the
 * memory they take; what is refused. Needs a device: without one it is skipped.
 *
 *   cuda_sets            all of it
 *   cuda_sets device     only the name of the device
 *   cuda_sets few        a few formats, for tools that make everything slow
 *   cuda_sets time GIB   and so many GiB of records on their way to the device, timed */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <chrono>
#include <vector>

#include "kernels/cuda/internal.h"

static int failures;

#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("%s:%d: %s: ", __FILE__, __LINE__, #condition);                                                     \
            printf(__VA_ARGS__), printf("\n");                                                                         \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)

static uint64_t random_state = 88172645463325252ull;
static uint64_t next_random() {
    random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
    return random_state * 2685821657736338717ull >> 16;
}

/* A row as the host has it. */
struct HostRow {
    bool present;
    std::vector<uint8_t> record;
    uint16_t first_error, second[2];
};

struct Model {
    struct tq_cuda_codec codec;
    std::vector<HostRow> rows; /* of the capacity */
    struct tq_cuda_set *set;
};

static uint32_t float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

static HostRow random_row(const struct tq_cuda_codec &c) {
    HostRow row = {};
    row.present = true;
    row.record.resize(c.record_stride);
    for (uint32_t p = 0; p < c.bits; p++)
        for (uint32_t j = 0; j < c.dim; j++)
            if (next_random() & 1) row.record[p * c.plane_bytes + j / 8] |= (uint8_t)(1 << j % 8);
    uint64_t kind = next_random() % 16;
    uint32_t scale = kind == 0 ? 0 : float_bits(1.0f + (float)(next_random() % 1000)),
             norm = kind == 0 ? 0 : float_bits(0.25f * (float)(1 + next_random() % 4000));
    uint16_t halves[2] = {(uint16_t)(next_random() % 0x7c00), (uint16_t)(kind == 1 ? 0x7c00 : next_random() % 0x7c00)};
    uint8_t *tail = row.record.data() + c.bits * c.plane_bytes;
    memcpy(tail, &scale, 4), memcpy(tail + 4, &norm, 4), memcpy(tail + 8, halves, 4);
    row.first_error = (uint16_t)(kind == 0 || kind == 2 ? 0x7c00 : next_random() % 0x7c00);
    row.second[0] = (uint16_t)next_random(), row.second[1] = (uint16_t)next_random();
    return row;
}

/* ---- What must be on the device, in the plainest way ---- */

static uint32_t plane_word(const Model &m, const HostRow &row, uint32_t p, uint32_t w) {
    uint32_t word = 0;
    for (uint32_t i = 0; i < 32 && 32 * w + i < m.codec.dim; i++) {
        uint32_t j = 32 * w + i;
        word |= (uint32_t)(row.record[p * m.codec.plane_bytes + j / 8] >> j % 8 & 1) << i;
    }
    return word;
}

static void expect_row(const Model &m, const HostRow &row, uint32_t *words) {
    uint32_t slabs = tq_cuda_slabs(m.codec.dim), at = 0, bits = m.codec.bits, tail[3];
    for (uint32_t s = 0; s < slabs; s++) {
        for (uint32_t p = 0; p + 1 < bits; p += 2)
            for (uint32_t t = 0; t < 4; t++)
                for (uint32_t plane = p; plane < p + 2; plane++)
                    for (uint32_t i = 0; i < 2; i++) words[at++] = plane_word(m, row, plane, 8 * s + 2 * t + i);
        for (uint32_t w = 0; w < 8 && bits % 2 != 0; w++) words[at++] = plane_word(m, row, bits - 1, 8 * s + w);
    }
    memcpy(tail, row.record.data() + bits * m.codec.plane_bytes, sizeof tail);
    for (uint32_t word : tail) words[at++] = word;
    words[at++] = row.first_error;
    words[at++] = row.second[0] | (uint32_t)row.second[1] << 16;
}

template <class T> static std::vector<T> read_back(const T *device, size_t count) {
    std::vector<T> host(count);
    cudaError_t error = count == 0 ? cudaSuccess
                                   : cudaMemcpy(host.data(), device, count * sizeof(T), cudaMemcpyDefault);
    CHECK(error == cudaSuccess, "%s", cudaGetErrorString(error));
    return host;
}

static void check_facts(const Model &m, const char *when) {
    const struct tq_cuda_resident &r = m.set->resident;
    auto present = read_back(r.present, r.groups), unusable = read_back(r.unusable, r.groups);
    auto norms = read_back(r.norms, r.groups);
    for (uint64_t group = 0; group < r.groups; group++) {
        uint64_t there = 0, bad = 0;
        float least = INFINITY, most = 0;
        for (uint32_t i = 0; i < 64; i++) {
            const HostRow &row = m.rows[group * 64 + i];
            if (!row.present) continue;
            float tail[2];
            uint16_t error;
            memcpy(tail, row.record.data() + m.codec.bits * m.codec.plane_bytes, sizeof tail);
            memcpy(&error, row.record.data() + m.codec.bits * m.codec.plane_bytes + 10, sizeof error);
            there |= 1ull << i;
            if (tail[0] == 0 || row.first_error == 0x7c00 || error == 0x7c00) bad |= 1ull << i;
            least = fminf(least, tail[1]), most = fmaxf(most, tail[1]);
        }
        CHECK(present[group] == there, "%s: group %llu present %llx, not %llx", when, (unsigned long long)group,
              (unsigned long long)present[group], (unsigned long long)there);
        CHECK(unusable[group] == bad, "%s: group %llu unusable %llx, not %llx", when, (unsigned long long)group,
              (unsigned long long)unusable[group], (unsigned long long)bad);
        CHECK(norms[group].x == least && norms[group].y == most, "%s: group %llu norms %g to %g, not %g to %g", when,
              (unsigned long long)group, norms[group].x, norms[group].y, least, most);
    }
}

/* Words of rows that are there; those of groups that were never put are of no meaning, but those that a partly full
 * group lacks are zeros. */
static void check_words(const Model &m, const char *when) {
    const struct tq_cuda_resident &r = m.set->resident;
    auto rows = read_back(r.rows, r.groups * 64 * r.row_words), signs = read_back(r.signs, r.slabs * r.groups * 512);
    std::vector<uint32_t> words(r.row_words);
    uint64_t wrong = 0;
    for (uint64_t row = 0; row < m.rows.size(); row++) {
        bool full = m.rows[row / 64 * 64].present, present = m.rows[row].present;
        if (!full) continue; /* nothing, or cleared */
        std::fill(words.begin(), words.end(), 0);
        if (present) expect_row(m, m.rows[row], words.data());
        wrong += memcmp(words.data(), &rows[row * r.row_words], r.row_words * 4) != 0;
        for (uint32_t w = 0; w < 8 * r.slabs; w++) {
            uint64_t in = row % 64, tile = in / 16, g = in % 8, t = w % 8 / 2, high = in / 8 % 2;
            uint64_t at = (w / 8 * r.groups + row / 64) * 512 + tile * 128 + (4 * g + t) * 4 + 2 * high + w % 2;
            wrong += signs[at] != (present ? plane_word(m, m.rows[row], 0, w) : 0);
        }
    }
    CHECK(wrong == 0, "%s: %llu rows or words of signs differ", when, (unsigned long long)wrong);
}

static void check_set(const Model &m, const char *when) {
    struct tq_cuda_why why = {};
    CHECK(tq_cuda_set_finish(m.set, &why) == TQ_CUDA_OK, "%s: %s", when, why.text);
    check_facts(m, when);
    check_words(m, when);
}

/* ---- What is done to a set ---- */

static void put(Model &m, uint64_t group, size_t count) {
    struct tq_cuda_why why = {};
    for (size_t done = 0; done < count;) {
        struct tq_cuda_rows stage;
        size_t room = 0;
        enum tq_cuda_status status = tq_cuda_set_stage(m.set, &stage, &room, &why);
        CHECK(status == TQ_CUDA_OK && room >= 64 && room % 64 == 0, "room %zu: %s", room, why.text);
        if (status != TQ_CUDA_OK) return;
        size_t now = count - done < room ? count - done : room, begin = group * 64 + done;
        for (size_t i = 0; i < (now + 63) / 64 * 64; i++) m.rows[begin + i].present = false;
        for (size_t i = 0; i < now; i++) {
            HostRow row = random_row(m.codec);
            memcpy(stage.records + i * m.codec.record_stride, row.record.data(), m.codec.record_stride);
            stage.first_error[i] = row.first_error;
            stage.second[2 * i] = row.second[0], stage.second[2 * i + 1] = row.second[1];
            m.rows[begin + i] = row;
        }
        status = tq_cuda_set_put(m.set, begin / 64, now, &why);
        CHECK(status == TQ_CUDA_OK, "%s", why.text);
        done += now;
    }
}

static void reserve(Model &m, uint64_t groups) {
    struct tq_cuda_why why = {};
    uint64_t generation = m.set->generation, before = m.set->resident.groups;
    CHECK(tq_cuda_set_reserve(m.set, groups, &why) == TQ_CUDA_OK, "%s", why.text);
    CHECK((m.set->generation == generation) == (before == groups), "generation");
    m.rows.resize(groups * 64);
}

static void clear(Model &m, uint64_t group, uint64_t groups) {
    struct tq_cuda_why why = {};
    CHECK(tq_cuda_set_clear(m.set, group, groups, &why) == TQ_CUDA_OK, "%s", why.text);
    for (uint64_t i = group * 64; i < (group + groups) * 64; i++) m.rows[i].present = false;
}

static struct tq_cuda_codec make_codec(uint32_t dim, uint32_t code_bits, bool qjl, bool packed) {
    struct tq_cuda_codec c = {};
    c.dim = dim, c.code_bits = code_bits, c.qjl = qjl, c.bits = code_bits + (qjl ? 1 : 0), c.packed = packed;
    c.scan_planes = code_bits > 1 ? 2 : 1;
    c.plane_bytes = (dim + 7) / 8;
    uint32_t bytes = c.bits * c.plane_bytes + 12, unit = packed ? 4 : bytes <= 32 ? 32 : 64;
    c.record_stride = (bytes + unit - 1) / unit * unit;
    return c;
}

static void check_format(struct tq_cuda *cuda, uint32_t dim, uint32_t code_bits, bool qjl, bool packed) {
    struct tq_cuda_why why = {};
    Model m = {};
    int before = failures;
    m.codec = make_codec(dim, code_bits, qjl, packed);
    CHECK(tq_cuda_set_open(cuda, &m.codec, &m.set, &why) == TQ_CUDA_OK, "%s", why.text);
    if (m.set == nullptr) return;
    reserve(m, 3);
    check_set(m, "empty");
    put(m, 0, 1), put(m, 1, 63);
    check_set(m, "1 and 63 rows");
    put(m, 0, 64), put(m, 1, 65);
    check_set(m, "64 and 65 rows");
    reserve(m, 40);
    check_set(m, "larger");
    put(m, 3, 37 * 64 - 1 - next_random() % 64);
    check_set(m, "many rows");
    clear(m, 2, 5);
    check_set(m, "cleared");
    put(m, 4, 130);
    check_set(m, "put again");
    reserve(m, 6);
    check_set(m, "smaller");
    reserve(m, 0);
    reserve(m, 2);
    check_set(m, "from nothing");
    put(m, 1, 17);
    check_set(m, "17 rows");
    tq_cuda_set_close(m.set);
    if (failures > before) printf("  with dim %u, %u bits, qjl %d, packed %d\n", dim, code_bits, qjl, packed);
}

/* Misuse, and more than there is: the set stays as it was. */
static void check_refusals(struct tq_cuda *cuda) {
    struct tq_cuda_why why = {};
    Model m = {};
    struct tq_cuda_codec bad[] = {make_codec(0, 3, true, false), make_codec(4097, 3, true, false),
                                  make_codec(768, 5, true, false), make_codec(768, 3, true, false)};
    bad[3].record_stride = 100;
    for (const auto &codec : bad) {
        CHECK(tq_cuda_set_open(cuda, &codec, &m.set, &why) == TQ_CUDA_UNSUPPORTED && m.set == nullptr, "dim %u",
              codec.dim);
        CHECK(why.text[0] != 0, "no text");
    }
    m.codec = make_codec(768, 3, true, false);
    CHECK(tq_cuda_set_open(cuda, &m.codec, &m.set, &why) == TQ_CUDA_OK, "%s", why.text);
    reserve(m, 2);
    put(m, 0, 100);
    struct tq_cuda_description d;
    CHECK(tq_cuda_describe(cuda, &d, &why) == TQ_CUDA_OK, "%s", why.text);
    uint64_t group = tq_cuda_set_bytes(m.set, 1 << 20) >> 20, most = d.memory / group + 1;
    CHECK(tq_cuda_set_reserve(m.set, most, &why) == TQ_CUDA_MEMORY, "%s", why.text);
    printf("  %s\n", why.text);
    CHECK(tq_cuda_set_reserve(m.set, 1ull << 40, &why) == TQ_CUDA_UNSUPPORTED, "%s", why.text);
    CHECK(tq_cuda_set_put(m.set, 0, 64, &why) == TQ_CUDA_UNSUPPORTED, "put without a stage");
    CHECK(tq_cuda_set_clear(m.set, 1, 2, &why) == TQ_CUDA_UNSUPPORTED, "clear beyond");
    CHECK(tq_cuda_set_clear(m.set, ~0ull, 2, &why) == TQ_CUDA_UNSUPPORTED, "clear beyond");
    struct tq_cuda_rows stage;
    size_t room;
    CHECK(tq_cuda_set_stage(m.set, &stage, &room, nullptr) == TQ_CUDA_OK, "stage");
    CHECK(tq_cuda_set_put(m.set, 1, 65, &why) == TQ_CUDA_UNSUPPORTED, "put beyond");
    CHECK(tq_cuda_set_put(m.set, 0, room + 1, nullptr) == TQ_CUDA_UNSUPPORTED, "more than was staged");
    check_set(m, "after refusals");
    tq_cuda_set_close(m.set);
}

static uint64_t free_bytes(struct tq_cuda *cuda) {
    struct tq_cuda_description d = {};
    CHECK(tq_cuda_describe(cuda, &d, nullptr) == TQ_CUDA_OK, "describe");
    return d.free;
}

static void check_memory(struct tq_cuda *cuda) {
    struct tq_cuda_why why = {};
    for (uint64_t groups : {20000ull, 33333ull}) {
        Model m = {};
        m.codec = make_codec(768, 3, true, false);
        uint64_t before = free_bytes(cuda);
        CHECK(tq_cuda_set_open(cuda, &m.codec, &m.set, &why) == TQ_CUDA_OK, "%s", why.text);
        CHECK(tq_cuda_set_reserve(m.set, groups, &why) == TQ_CUDA_OK, "%s", why.text);
        uint64_t taken = before - free_bytes(cuda), told = tq_cuda_set_bytes(m.set, groups);
        CHECK(taken <= told + (4 << 20) && told <= taken + (4 << 20), "%llu bytes taken, %llu told",
              (unsigned long long)taken, (unsigned long long)told);
        tq_cuda_set_close(m.set);
        uint64_t after = free_bytes(cuda);
        CHECK(after + (4 << 20) >= before, "%llu bytes are not given back", (unsigned long long)(before - after));
    }
}

static void time_put(struct tq_cuda *cuda, double gib) {
    struct tq_cuda_why why = {};
    struct tq_cuda_codec codec = make_codec(768, 3, true, false);
    struct tq_cuda_set *set = nullptr;
    uint64_t rows = (uint64_t)(gib * (1 << 30)) / codec.record_stride, groups = (rows + 63) / 64;
    CHECK(tq_cuda_set_open(cuda, &codec, &set, &why) == TQ_CUDA_OK, "%s", why.text);
    CHECK(tq_cuda_set_reserve(set, groups, &why) == TQ_CUDA_OK, "%s", why.text);
    for (int pass = 0; pass < 3; pass++) {
        auto begin = std::chrono::steady_clock::now();
        uint64_t done = 0;
        while (done < rows) {
            struct tq_cuda_rows stage;
            size_t room = 0;
            if (tq_cuda_set_stage(set, &stage, &room, &why) != TQ_CUDA_OK) break;
            if (pass == 0) memset(stage.records, 0x55, room * codec.record_stride);
            if (room > rows - done) room = rows - done;
            if (tq_cuda_set_put(set, done / 64, room, &why) != TQ_CUDA_OK) break;
            done += room;
        }
        CHECK(tq_cuda_set_finish(set, &why) == TQ_CUDA_OK && done == rows, "%s", why.text);
        double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        printf("  %llu rows, %.2f GiB: %.1f ms, %.1f GB/s\n", (unsigned long long)rows, gib, s * 1e3,
               (double)(rows * (codec.record_stride + 6)) / s * 1e-9);
    }
    tq_cuda_set_close(set);
}

static __global__ void fail_device() { asm("trap;"); }

/* A device that fails: every call says so, closing works, and nothing of it can be opened again. */
static void check_lost(struct tq_cuda *cuda) {
    struct tq_cuda_why why = {};
    struct tq_cuda_codec codec = make_codec(768, 3, true, false);
    struct tq_cuda_set *set = nullptr, *other = nullptr;
    struct tq_cuda *again = nullptr;
    struct tq_cuda_rows stage;
    struct tq_cuda_description d;
    size_t room = 0;
    CHECK(tq_cuda_set_open(cuda, &codec, &set, &why) == TQ_CUDA_OK, "%s", why.text);
    CHECK(tq_cuda_set_reserve(set, 10, &why) == TQ_CUDA_OK, "%s", why.text);
    CHECK(tq_cuda_set_stage(set, &stage, &room, &why) == TQ_CUDA_OK, "%s", why.text);
    fail_device<<<1, 1>>>();
    CHECK(cudaDeviceSynchronize() != cudaSuccess, "the device goes on");
    CHECK(tq_cuda_set_put(set, 0, 64, &why) == TQ_CUDA_LOST, "%s", why.text);
    printf("  %s\n", why.text);
    CHECK(tq_cuda_set_reserve(set, 20, &why) == TQ_CUDA_LOST, "%s", why.text);
    CHECK(tq_cuda_set_open(cuda, &codec, &other, &why) == TQ_CUDA_LOST && other == nullptr, "%s", why.text);
    CHECK(tq_cuda_describe(cuda, &d, &why) == TQ_CUDA_LOST, "%s", why.text);
    CHECK(tq_cuda_open(0, &again, &why) == TQ_CUDA_LOST && again == nullptr, "%s", why.text);
    tq_cuda_set_close(set);
}

int main(int argc, char **argv) {
    struct tq_cuda *cuda = nullptr;
    struct tq_cuda_why why = {};
    enum tq_cuda_status status = tq_cuda_open(0, &cuda, &why);
    if (status == TQ_CUDA_ABSENT) {
        printf("skipped: %s\n", why.text);
        return 77;
    }
    CHECK(status == TQ_CUDA_OK, "%s", why.text);
    if (cuda == nullptr) return 1;
    if (argc > 1 && strcmp(argv[1], "device") == 0) {
        struct tq_cuda_description d = {};
        CHECK(tq_cuda_describe(cuda, &d, &why) == TQ_CUDA_OK, "%s", why.text);
        printf("%s\n", d.name);
        return failures != 0;
    }
    CHECK(tq_cuda_open(-1, &cuda, &why) == TQ_CUDA_ABSENT, "device -1");
    CHECK(tq_cuda_open(99, &cuda, &why) == TQ_CUDA_ABSENT, "device 99");
    printf("  %s\n", why.text);
    bool few = argc > 1 && strcmp(argv[1], "few") == 0;
    for (uint32_t dim : {7u, 257u, 768u, 1u, 32u, 100u, 200u, 255u, 256u, 1000u, 1536u, 4096u})
        for (uint32_t code_bits = 1; code_bits <= 4; code_bits++)
            if (few ? dim % 5 == 2 && code_bits == 3 : dim <= 257 || code_bits > 2) {
                check_format(cuda, dim, code_bits, true, code_bits == 4);
                check_format(cuda, dim, code_bits, false, code_bits == 3);
            }
    if (!few) {
        check_refusals(cuda);
        check_memory(cuda);
    }
    if (argc > 2 && strcmp(argv[1], "time") == 0) time_put(cuda, atof(argv[2]));
    if (!few) check_lost(cuda);
    tq_cuda_close(cuda);
    printf("%s\n", failures == 0 ? "ok" : "FAILED");
    return failures != 0;
}
