/* Rows that are resident: memory for them, and their way there through page-locked memory. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/transcode.cuh"

enum { STAGE_BUFFERS = 2, STAGE_BYTES = 8 << 20, STAGE_ALIGN = 256, GROUPS_MOST = 1 << 26, BLOCKS_EACH = 8 };
enum { PADDING_MOST = 64 /* bytes that records are padded to a multiple of */ };
/* A tile of the largest records fits into the shared memory that any block may have. */
static_assert(transcode_shared_bytes((TQ_CUDA_CODE_BITS_MOST + 1) * TQ_CUDA_SLABS_MOST * 32 + TAIL_BYTES +
                                     PADDING_MOST) +
                      sizeof(GroupFacts) <=
                  48 << 10,
              "a tile of records in shared memory");

/* One half is filled by the host while the device reads the other. */
struct tq_cuda_stage {
    struct {
        uint8_t *memory; /* records, then first errors, then second scalars */
        size_t rows;
        cudaEvent_t read; /* recorded when a put has been given to the stream */
    } buffers[STAGE_BUFFERS];
    uint32_t at;
    bool handed; /* buffers[at] is the caller's */
};

/* ---- Opening and closing ---- */

static enum tq_cuda_status check_codec(const struct tq_cuda_codec *c, struct tq_cuda_why *why) {
    const uint32_t dim_most = TQ_CUDA_SLABS_MOST * TQ_CUDA_SLAB_DIMS;
    if (c->dim < 1 || c->dim > dim_most)
        return tq_cuda_say(why, TQ_CUDA_UNSUPPORTED, "vectors of %u dimensions: the device takes 1 to %u", c->dim,
                           dim_most);
    if (c->code_bits < 1 || c->code_bits > TQ_CUDA_CODE_BITS_MOST)
        return tq_cuda_say(why, TQ_CUDA_UNSUPPORTED, "codes of %u bits without their sketch: the device takes 1 to %d",
                           c->code_bits, TQ_CUDA_CODE_BITS_MOST);
    uint32_t bytes = c->bits * c->plane_bytes + TAIL_BYTES;
    bool padded = c->record_stride >= bytes && c->record_stride < bytes + PADDING_MOST && c->record_stride % 4 == 0;
    if (c->bits != c->code_bits + (c->qjl ? 1 : 0) || c->plane_bytes != (c->dim + 7) / 8 || !padded)
        return tq_cuda_say(why, TQ_CUDA_UNSUPPORTED,
                           "records of %u bytes, %u planes of %u: not what dim %u, %u bits ask", c->record_stride,
                           c->bits, c->plane_bytes, c->dim, c->code_bits);
    return TQ_CUDA_OK;
}

static void fill_sizes(struct tq_cuda_set *set, const struct tq_cuda_codec *c) {
    struct tq_cuda_resident *r = &set->resident;
    r->dim = c->dim, r->bits = c->bits, r->code_bits = c->code_bits, r->scan_planes = c->scan_planes;
    r->slabs = tq_cuda_slabs(c->dim);
    r->row_words = tq_cuda_row_words(c->dim, c->bits);
    r->qjl = c->qjl, r->packed = c->packed;
    set->plane_bytes = c->plane_bytes, set->record_stride = c->record_stride;
}

static enum tq_cuda_status make_streams(struct tq_cuda_set *set, struct tq_cuda_why *why) {
    static const char doing[] = "making a stream for a set of rows";
    TQ_CUDA_TRY(cudaStreamCreateWithFlags(&set->stream, cudaStreamNonBlocking), why, doing);
    TQ_CUDA_TRY(cudaEventCreateWithFlags(&set->last_put, cudaEventDisableTiming), why, doing);
    for (auto &buffer : set->stage->buffers)
        TQ_CUDA_TRY(cudaEventCreateWithFlags(&buffer.read, cudaEventDisableTiming), why, doing);
    return TQ_CUDA_OK;
}

enum tq_cuda_status tq_cuda_set_open(struct tq_cuda *cuda, const struct tq_cuda_codec *codec, struct tq_cuda_set **set,
                                     struct tq_cuda_why *why) {
    tq_cuda_scope scope(cuda);
    TQ_CUDA_PASS(check_codec(codec, why));
    struct tq_cuda_set *made = (struct tq_cuda_set *)calloc(1, sizeof *made);
    struct tq_cuda_stage *stage = (struct tq_cuda_stage *)calloc(1, sizeof *stage);
    if (made == nullptr || stage == nullptr) {
        free(made);
        free(stage);
        return tq_cuda_say(why, TQ_CUDA_MEMORY, "no memory for %zu bytes", sizeof *made + sizeof *stage);
    }
    made->cuda = cuda;
    made->stage = stage;
    fill_sizes(made, codec);
    enum tq_cuda_status status = make_streams(made, why);
    if (status != TQ_CUDA_OK) {
        tq_cuda_set_close(made);
        return status;
    }
    *set = made;
    return TQ_CUDA_OK;
}

void tq_cuda_set_close(struct tq_cuda_set *set) {
    if (set == nullptr) return;
    tq_cuda_scope scope(set->cuda);
    if (set->stream != nullptr) (void)cudaStreamSynchronize(set->stream); /* it may be reading what is freed now */
    for (auto &buffer : set->stage->buffers) {
        if (buffer.memory != nullptr) (void)cudaFreeHost(buffer.memory);
        if (buffer.read != nullptr) (void)cudaEventDestroy(buffer.read);
    }
    (void)cudaFree((void *)set->resident.rows);
    (void)cudaFree((void *)set->resident.signs);
    (void)cudaFree((void *)set->resident.present);
    if (set->last_put != nullptr) (void)cudaEventDestroy(set->last_put);
    if (set->stream != nullptr) (void)cudaStreamDestroy(set->stream);
    (void)cudaGetLastError(); /* of a device that was lost */
    free(set->stage);
    free(set);
}

/* ---- Memory ---- */

/* The arrays of a set, each in equal parts: a part has `bytes` a group. */
enum { ARRAYS = 3 };
struct ArrayShape {
    uint64_t bytes;
    uint32_t parts;
};

/* Rows; signs, a part a slab; present, unusable and norms, 8 bytes a group each. */
static void shapes_of(const struct tq_cuda_resident *r, struct ArrayShape (&shapes)[ARRAYS]) {
    shapes[0] = {(uint64_t)TQ_CUDA_GROUP_ROWS * r->row_words * sizeof(uint32_t), 1};
    shapes[1] = {TQ_CUDA_GROUP_SIGNS * sizeof(uint32_t), r->slabs};
    shapes[2] = {sizeof(uint64_t), 3};
}

/* What an allocation takes: the driver gives large ones whole pages of 2 MiB, and packs small ones into such. */
static uint64_t allocated(uint64_t bytes) {
    const uint64_t unit = bytes < 1 << 20 ? 512 : 2 << 20;
    return (bytes + unit - 1) / unit * unit;
}

uint64_t tq_cuda_set_bytes(const struct tq_cuda_set *set, uint64_t groups) {
    struct ArrayShape shapes[ARRAYS];
    shapes_of(&set->resident, shapes);
    uint64_t bytes = 0;
    for (const auto &shape : shapes) bytes += allocated(groups * shape.bytes * shape.parts);
    return bytes;
}

static enum tq_cuda_status allocate(void **memory, uint64_t bytes, struct tq_cuda_why *why) {
    *memory = nullptr;
    cudaError_t error = bytes == 0 ? cudaSuccess : cudaMalloc(memory, bytes);
    if (error != cudaErrorMemoryAllocation) {
        TQ_CUDA_TRY(error, why, "allocating memory for rows on the device");
        return TQ_CUDA_OK;
    }
    size_t free_bytes = 0, all = 0;
    (void)cudaGetLastError();
    TQ_CUDA_TRY(cudaMemGetInfo(&free_bytes, &all), why, "asking for the free memory of the device");
    return tq_cuda_say(
        why, TQ_CUDA_MEMORY, "rows ask for %llu MiB of the device at once: %llu of its %llu MiB are free",
        (unsigned long long)(bytes >> 20), (unsigned long long)(free_bytes >> 20), (unsigned long long)(all >> 20));
}

static void launch_clear(struct tq_cuda_set *set, const struct TranscodeTarget &to, uint64_t group, uint64_t groups) {
    uint64_t blocks = (groups + TRANSCODE_THREADS - 1) / TRANSCODE_THREADS;
    if (groups > 0)
        clear_groups<<<(unsigned)(blocks < 1024 ? blocks : 1024), TRANSCODE_THREADS, 0, set->stream>>>(
            to.present + group, to.unusable + group, to.norms + group, groups);
}

/* The arrays of a set as they may be written. */
static struct TranscodeTarget target_of(const struct tq_cuda_resident *r, void *const (&arrays)[ARRAYS],
                                        uint64_t groups) {
    uint64_t *present = (uint64_t *)arrays[2];
    struct TranscodeTarget to = {};
    to.rows = (uint32_t *)arrays[0], to.signs = (uint32_t *)arrays[1];
    if (present != nullptr)
        to.present = present, to.unusable = present + groups, to.norms = (float2 *)(present + 2 * groups);
    to.groups = groups;
    to.bits = r->bits, to.slabs = r->slabs, to.row_words = r->row_words;
    return to;
}

static void own_arrays(const struct tq_cuda_resident *r, void *(&arrays)[ARRAYS]) {
    arrays[0] = (void *)r->rows, arrays[1] = (void *)r->signs, arrays[2] = (void *)r->present;
}

/* The groups that both capacities have, and zeros behind them: kernels read what was never put. */
static cudaError_t copy_arrays(struct tq_cuda_set *set, void *const (&made)[ARRAYS], uint64_t after) {
    struct tq_cuda_resident *r = &set->resident;
    uint64_t before = r->groups, kept = before < after ? before : after;
    struct ArrayShape shapes[ARRAYS];
    void *old[ARRAYS];
    shapes_of(r, shapes);
    own_arrays(r, old);
    for (uint32_t a = 0; a < ARRAYS && after > 0; a++)
        for (uint64_t part = 0, bytes = shapes[a].bytes; part < shapes[a].parts; part++) {
            char *to = (char *)made[a] + part * after * bytes, *from = (char *)old[a] + part * before * bytes;
            cudaError_t error = cudaSuccess;
            if (kept > 0) error = cudaMemcpyAsync(to, from, kept * bytes, cudaMemcpyDeviceToDevice, set->stream);
            if (error == cudaSuccess && after > kept)
                error = cudaMemsetAsync(to + kept * bytes, 0, (after - kept) * bytes, set->stream);
            if (error != cudaSuccess) return error;
        }
    launch_clear(set, target_of(r, made, after), kept, after - kept); /* norms of no rows are not zeros */
    cudaError_t error = cudaGetLastError();
    if (error == cudaSuccess) error = cudaEventRecord(set->last_put, set->stream);
    return error == cudaSuccess ? cudaStreamSynchronize(set->stream) : error;
}

static void free_arrays(void *const (&arrays)[ARRAYS]) {
    for (void *array : arrays) (void)cudaFree(array);
}

enum tq_cuda_status tq_cuda_set_reserve(struct tq_cuda_set *set, uint64_t groups, struct tq_cuda_why *why) {
    tq_cuda_scope scope(set->cuda);
    struct tq_cuda_resident *r = &set->resident;
    if (groups == r->groups) return TQ_CUDA_OK;
    if (groups > GROUPS_MOST)
        return tq_cuda_say(why, TQ_CUDA_UNSUPPORTED, "%llu rows: a set holds %llu at most",
                           (unsigned long long)groups * TQ_CUDA_GROUP_ROWS,
                           (unsigned long long)GROUPS_MOST * TQ_CUDA_GROUP_ROWS);
    struct ArrayShape shapes[ARRAYS];
    void *made[ARRAYS] = {}, *old[ARRAYS];
    shapes_of(r, shapes);
    own_arrays(r, old);
    enum tq_cuda_status status = TQ_CUDA_OK;
    for (uint32_t a = 0; a < ARRAYS && status == TQ_CUDA_OK; a++)
        status = allocate(&made[a], groups * shapes[a].bytes * shapes[a].parts, why);
    if (status == TQ_CUDA_OK) {
        cudaError_t error = copy_arrays(set, made, groups);
        if (error != cudaSuccess) status = tq_cuda_failed(why, error, "moving rows to other memory of the device");
    }
    free_arrays(status == TQ_CUDA_OK ? old : made);
    if (status != TQ_CUDA_OK) return status;
    struct TranscodeTarget now = target_of(r, made, groups);
    r->rows = now.rows, r->signs = now.signs;
    r->present = now.present, r->unusable = now.unusable, r->norms = now.norms;
    r->groups = groups;
    set->generation++;
    return TQ_CUDA_OK;
}

/* ---- Putting rows ---- */

/* Of a row: its record, first error and second scalars. */
static size_t side_bytes(void) { return 3 * sizeof(uint16_t); }

static size_t align_stage(size_t bytes) { return (bytes + STAGE_ALIGN - 1) / STAGE_ALIGN * STAGE_ALIGN; }

/* As many whole groups as a buffer has room for, but no more than the set. */
static size_t stage_rows(const struct tq_cuda_set *set) {
    size_t groups = STAGE_BYTES / (TQ_CUDA_GROUP_ROWS * (set->record_stride + side_bytes()));
    if (groups > set->resident.groups) groups = set->resident.groups;
    return (groups > 0 ? groups : 1) * TQ_CUDA_GROUP_ROWS;
}

enum tq_cuda_status tq_cuda_set_stage(struct tq_cuda_set *set, struct tq_cuda_rows *rows, size_t *count,
                                      struct tq_cuda_why *why) {
    tq_cuda_scope scope(set->cuda);
    auto &buffer = set->stage->buffers[set->stage->at];
    size_t wanted = stage_rows(set);
    TQ_CUDA_TRY(cudaEventSynchronize(buffer.read), why, "bringing rows to the device");
    if (buffer.rows < wanted) {
        void *made = nullptr;
        size_t bytes = align_stage(wanted * set->record_stride) + align_stage(wanted * side_bytes());
        cudaError_t error = cudaHostAlloc(&made, bytes, cudaHostAllocMapped);
        if (error != cudaSuccess) return tq_cuda_failed(why, error, "allocating page-locked memory for rows");
        if (buffer.memory != nullptr) (void)cudaFreeHost(buffer.memory);
        buffer.memory = (uint8_t *)made;
        buffer.rows = wanted;
    }
    set->stage->handed = true;
    rows->records = buffer.memory;
    rows->first_error = (uint16_t *)(buffer.memory + align_stage(buffer.rows * set->record_stride));
    rows->second = rows->first_error + buffer.rows;
    *count = buffer.rows;
    return TQ_CUDA_OK;
}

/* Whether groups [group, group + groups) are within the capacity. */
static enum tq_cuda_status check_groups(const struct tq_cuda_set *set, uint64_t group, uint64_t groups,
                                        struct tq_cuda_why *why) {
    uint64_t capacity = set->resident.groups;
    if (group <= capacity && groups <= capacity - group) return TQ_CUDA_OK;
    return tq_cuda_say(why, TQ_CUDA_UNSUPPORTED, "groups %llu to %llu of rows: there is room for %llu",
                       (unsigned long long)group, (unsigned long long)(group + groups), (unsigned long long)capacity);
}

enum tq_cuda_status tq_cuda_set_put(struct tq_cuda_set *set, uint64_t group, size_t count, struct tq_cuda_why *why) {
    tq_cuda_scope scope(set->cuda);
    auto &buffer = set->stage->buffers[set->stage->at];
    if (!set->stage->handed || count > buffer.rows)
        return tq_cuda_say(why, TQ_CUDA_UNSUPPORTED, "%zu rows to put: the stage holds %zu", count,
                           set->stage->handed ? buffer.rows : 0);
    uint64_t groups = (count + TQ_CUDA_GROUP_ROWS - 1) / TQ_CUDA_GROUP_ROWS;
    TQ_CUDA_PASS(check_groups(set, group, groups, why));
    if (count == 0) return TQ_CUDA_OK;
    void *arrays[ARRAYS];
    own_arrays(&set->resident, arrays);
    struct TranscodeTarget to = target_of(&set->resident, arrays, set->resident.groups);
    to.first = group;
    struct TranscodeSource from = {};
    from.records = buffer.memory;
    from.first_error = (const uint16_t *)(buffer.memory + align_stage(buffer.rows * set->record_stride));
    from.second = from.first_error + buffer.rows;
    from.count = count;
    from.plane_bytes = set->plane_bytes, from.record_stride = set->record_stride;
    uint64_t most = (uint64_t)set->cuda->description.multiprocessors * BLOCKS_EACH;
    transcode<<<(unsigned)(groups < most ? groups : most), TRANSCODE_THREADS,
                transcode_shared_bytes(set->record_stride), set->stream>>>(to, from);
    cudaError_t error = cudaGetLastError();
    if (error == cudaSuccess) error = cudaEventRecord(buffer.read, set->stream);
    if (error == cudaSuccess) error = cudaEventRecord(set->last_put, set->stream);
    TQ_CUDA_TRY(error, why, "bringing rows to the device");
    set->stage->at = (set->stage->at + 1) % STAGE_BUFFERS;
    set->stage->handed = false;
    return TQ_CUDA_OK;
}

enum tq_cuda_status tq_cuda_set_clear(struct tq_cuda_set *set, uint64_t group, uint64_t groups,
                                      struct tq_cuda_why *why) {
    tq_cuda_scope scope(set->cuda);
    TQ_CUDA_PASS(check_groups(set, group, groups, why));
    void *arrays[ARRAYS];
    own_arrays(&set->resident, arrays);
    launch_clear(set, target_of(&set->resident, arrays, set->resident.groups), group, groups);
    cudaError_t error = cudaGetLastError();
    if (error == cudaSuccess) error = cudaEventRecord(set->last_put, set->stream);
    TQ_CUDA_TRY(error, why, "clearing rows of the device");
    return TQ_CUDA_OK;
}

enum tq_cuda_status tq_cuda_set_finish(struct tq_cuda_set *set, struct tq_cuda_why *why) {
    tq_cuda_scope scope(set->cuda);
    TQ_CUDA_TRY(cudaStreamSynchronize(set->stream), why, "bringing rows to the device");
    return TQ_CUDA_OK;
}
