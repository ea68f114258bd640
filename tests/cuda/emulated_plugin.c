/* The table: devices, sets and lanes. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/cuda/emulated.h"

enum { STAGE_GROUPS = 64 };

/* ---- The device ---- */

static enum tq_cuda_status plugin_open(int device, struct tq_cuda **cuda, struct tq_cuda_why *why) {
    enum tq_cuda_status status = emulated_enter(NULL, "open", why);
    if (status != TQ_CUDA_OK) return status;
    if (device != 0) return emulated_fail(TQ_CUDA_ABSENT, why, "there is no device %d: 0 is the only one", device);
    struct tq_cuda *made = calloc(1, sizeof *made);
    if (made == NULL) return emulated_fail(TQ_CUDA_MEMORY, why, "no memory");
    made->process = getpid();
    *cuda = made;
    return TQ_CUDA_OK;
}

static void plugin_close(struct tq_cuda *cuda) {
    emulated_contract(atomic_load(&cuda->users) == 0, "close", "an encoder or a set is open");
    free(cuda);
}

static enum tq_cuda_status plugin_describe(struct tq_cuda *cuda, struct tq_cuda_description *description,
                                           struct tq_cuda_why *why) {
    enum tq_cuda_status status = emulated_enter(cuda, "describe", why);
    if (status != TQ_CUDA_OK) return status;
    uint64_t memory = emulated_number("TQ_EMULATED_MEMORY", UINT64_C(1) << 30), used = atomic_load(&cuda->used);
    *description = (struct tq_cuda_description){.name = "emulated device",
                                                .major = 9,
                                                .driver = 13000,
                                                .runtime = 13000,
                                                .multiprocessors = 1,
                                                .memory = memory,
                                                .free = memory > used ? memory - used : 0};
    return TQ_CUDA_OK;
}

/* ---- Sets ---- */

static enum tq_cuda_status set_open(struct tq_cuda *cuda, const struct tq_cuda_codec *codec, struct tq_cuda_set **set,
                                    struct tq_cuda_why *why) {
    enum tq_cuda_status status = emulated_enter(cuda, "set_open", why);
    if (status != TQ_CUDA_OK) return status;
    if (codec->code_bits > TQ_CUDA_CODE_BITS_MOST || codec->dim > TQ_CUDA_SLAB_DIMS * TQ_CUDA_SLABS_MOST)
        return emulated_fail(TQ_CUDA_UNSUPPORTED, why, "dim=%u with %u bits of code: at most %d and %d can be searched",
                             codec->dim, codec->code_bits, TQ_CUDA_SLAB_DIMS * TQ_CUDA_SLABS_MOST,
                             TQ_CUDA_CODE_BITS_MOST);
    struct tq_cuda_set *made = calloc(1, sizeof *made);
    if (made == NULL) return emulated_fail(TQ_CUDA_MEMORY, why, "no memory for a set");
    made->cuda = cuda;
    made->format = emulated_format(codec);
    (void)atomic_fetch_add(&cuda->users, 1);
    *set = made;
    return TQ_CUDA_OK;
}

static void drop_stage(struct tq_cuda_set *set) {
    free(set->stage.records);
    free(set->stage.first_error);
    free(set->stage.second);
    set->stage = (struct tq_cuda_rows){NULL, NULL, NULL};
}

static void set_close(struct tq_cuda_set *set) {
    emulated_contract(atomic_load(&set->lanes) == 0, "set_close", "a lane is open");
    drop_stage(set);
    free(set->records);
    free(set->first_error);
    free(set->second);
    free(set->present);
    (void)emulated_memory(set->cuda, &set->counted, 0, NULL);
    (void)atomic_fetch_sub(&set->cuda->users, 1);
    free(set);
}

static uint64_t set_bytes(const struct tq_cuda_set *set, uint64_t groups) {
    return groups * (TQ_CUDA_GROUP_ROWS * (set->format.record_stride + 6) + 8);
}

static uint64_t lane_bytes(const struct tq_cuda_set *set, uint64_t groups) {
    (void)set;
    return 65536 + groups * (TQ_CUDA_GROUP_ROWS * 4 + 8);
}

static void set_alone(const struct tq_cuda_set *set, const char *operation) {
    emulated_contract(atomic_load(&set->reading) == 0, operation, "a search of this set is under way");
}

/* `bytes` a group; new ones are zeros. */
static bool resize(void *array, uint64_t before, uint64_t groups, uint64_t bytes) {
    char *old = NULL;
    memcpy(&old, array, sizeof old);
    char *made = realloc(old, groups * bytes + 1);
    if (made == NULL) return groups <= before; /* a smaller block may stay as it is */
    if (groups > before) memset(made + before * bytes, 0, (groups - before) * bytes);
    memcpy(array, &made, sizeof made);
    return true;
}

static enum tq_cuda_status set_reserve(struct tq_cuda_set *set, uint64_t groups, struct tq_cuda_why *why) {
    enum tq_cuda_status status = emulated_enter(set->cuda, "set_reserve", why);
    if (status != TQ_CUDA_OK) return status;
    set_alone(set, "set_reserve");
    status = emulated_memory(set->cuda, &set->counted, set_bytes(set, groups), why);
    if (status != TQ_CUDA_OK) return status;
    if (!resize(&set->records, set->groups, groups, (uint64_t)TQ_CUDA_GROUP_ROWS * set->format.record_stride) ||
        !resize(&set->first_error, set->groups, groups, TQ_CUDA_GROUP_ROWS * 2) ||
        !resize(&set->second, set->groups, groups, TQ_CUDA_GROUP_ROWS * 4) ||
        !resize(&set->present, set->groups, groups, 8)) {
        (void)emulated_memory(set->cuda, &set->counted, set_bytes(set, set->groups), NULL);
        return emulated_fail(TQ_CUDA_MEMORY, why, "no memory for %llu groups", (unsigned long long)groups);
    }
    set->groups = groups;
    return TQ_CUDA_OK;
}

static enum tq_cuda_status set_stage(struct tq_cuda_set *set, struct tq_cuda_rows *rows, size_t *count,
                                     struct tq_cuda_why *why) {
    enum tq_cuda_status status = emulated_enter(set->cuda, "set_stage", why);
    if (status != TQ_CUDA_OK) return status;
    size_t most = STAGE_GROUPS * TQ_CUDA_GROUP_ROWS;
    drop_stage(set);
    set->stage = (struct tq_cuda_rows){malloc(most * set->format.record_stride), malloc(most * 2), malloc(most * 4)};
    if (set->stage.records == NULL || set->stage.first_error == NULL || set->stage.second == NULL) {
        drop_stage(set);
        return emulated_fail(TQ_CUDA_MEMORY, why, "no memory for a stage");
    }
    /* What a caller leaves out is not what it meant. */
    memset(set->stage.records, 0xee, most * set->format.record_stride);
    memset(set->stage.first_error, 0xee, most * 2);
    memset(set->stage.second, 0xee, most * 4);
    *rows = set->stage;
    *count = most;
    return TQ_CUDA_OK;
}

static enum tq_cuda_status set_put(struct tq_cuda_set *set, uint64_t group, size_t count, struct tq_cuda_why *why) {
    enum tq_cuda_status status = emulated_enter(set->cuda, "set_put", why);
    if (status != TQ_CUDA_OK) return status;
    uint64_t row = group * TQ_CUDA_GROUP_ROWS, groups = (count + TQ_CUDA_GROUP_ROWS - 1) / TQ_CUDA_GROUP_ROWS;
    set_alone(set, "set_put");
    emulated_contract(set->stage.records != NULL, "set_put", "no stage was asked for");
    emulated_contract(count <= STAGE_GROUPS * TQ_CUDA_GROUP_ROWS, "set_put", "more rows than the stage has room for");
    emulated_contract(group + groups <= set->groups, "set_put", "rows beyond the groups that are reserved");
    memcpy(set->records + row * set->format.record_stride, set->stage.records, count * set->format.record_stride);
    memcpy(set->first_error + row, set->stage.first_error, count * 2);
    memcpy(set->second + 2 * row, set->stage.second, count * 4);
    for (uint64_t i = 0; i < groups; i++) {
        uint64_t left = count - i * TQ_CUDA_GROUP_ROWS;
        set->present[group + i] = left >= 64 ? UINT64_MAX : (UINT64_C(1) << left) - 1;
    }
    drop_stage(set); /* it may not be used any more: sanitizers see it if it is */
    return TQ_CUDA_OK;
}

static enum tq_cuda_status set_clear(struct tq_cuda_set *set, uint64_t group, uint64_t groups,
                                     struct tq_cuda_why *why) {
    enum tq_cuda_status status = emulated_enter(set->cuda, "set_clear", why);
    if (status != TQ_CUDA_OK) return status;
    set_alone(set, "set_clear");
    emulated_contract(group <= set->groups && groups <= set->groups - group, "set_clear",
                      "groups beyond those reserved");
    memset(set->present + group, 0, groups * sizeof *set->present);
    return TQ_CUDA_OK;
}

static enum tq_cuda_status set_finish(struct tq_cuda_set *set, struct tq_cuda_why *why) {
    return emulated_enter(set->cuda, "set_finish", why);
}

/* ---- Lanes ---- */

static void lane_close(struct tq_cuda_lane *lane) {
    if (lane->begun) (void)atomic_fetch_sub(&lane->set->reading, 1);
    for (size_t i = 0; i < TQ_CUDA_QUERIES_MOST; i++) free(lane->lists[i].rows);
    free(lane->allowed);
    free(lane->queries);
    (void)emulated_memory(lane->set->cuda, &lane->counted, 0, NULL);
    (void)atomic_fetch_sub(&lane->set->lanes, 1);
    free(lane);
}

static enum tq_cuda_status lane_open(struct tq_cuda_set *set, struct tq_cuda_lane **lane, struct tq_cuda_why *why) {
    enum tq_cuda_status status = emulated_enter(set->cuda, "lane_open", why);
    if (status != TQ_CUDA_OK) return status;
    struct tq_cuda_lane *made = calloc(1, sizeof *made);
    if (made == NULL) return emulated_fail(TQ_CUDA_MEMORY, why, "no memory for a lane");
    made->set = set;
    (void)atomic_fetch_add(&set->lanes, 1);
    made->queries = malloc(TQ_CUDA_QUERIES_MOST * sizeof *made->queries);
    status = made->queries == NULL ? emulated_fail(TQ_CUDA_MEMORY, why, "no memory for a lane")
                                   : emulated_memory(set->cuda, &made->counted, lane_bytes(set, 0), why);
    if (status != TQ_CUDA_OK) {
        lane_close(made);
        return status;
    }
    *lane = made;
    return TQ_CUDA_OK;
}

static enum tq_cuda_status lane_allow(struct tq_cuda_lane *lane, const uint64_t *words, uint64_t groups,
                                      struct tq_cuda_why *why) {
    enum tq_cuda_status status = emulated_enter(lane->set->cuda, "lane_allow", why);
    if (status != TQ_CUDA_OK) return status;
    emulated_contract(!lane->begun, "lane_allow", "a search of this lane is under way");
    uint64_t *copy = NULL;
    if (words != NULL) {
        copy = malloc(groups * sizeof *copy + 1);
        if (copy == NULL) return emulated_fail(TQ_CUDA_MEMORY, why, "no memory for a bitmap");
        memcpy(copy, words, groups * sizeof *copy);
    }
    free(lane->allowed);
    lane->allowed = copy;
    lane->allowed_groups = groups;
    return TQ_CUDA_OK;
}

static enum tq_cuda_status search_begin(struct tq_cuda_lane *lane, uint64_t groups, const struct tq_cuda_query *queries,
                                        uint32_t count, struct tq_cuda_why *why) {
    enum tq_cuda_status status = emulated_enter(lane->set->cuda, "search_begin", why);
    if (status != TQ_CUDA_OK) return status;
    emulated_contract(!lane->begun, "search_begin", "a search of this lane is under way");
    emulated_contract(count >= 1 && count <= TQ_CUDA_QUERIES_MOST, "search_begin", "1 to 8 queries");
    emulated_contract(groups <= lane->set->groups, "search_begin", "groups beyond those reserved");
    emulated_contract(lane->allowed == NULL || groups <= lane->allowed_groups, "search_begin",
                      "groups without a word of what is allowed");
    for (uint32_t i = 0; i < count; i++) {
        if (queries[i].wanted > TQ_CUDA_WANTED_MOST)
            return emulated_fail(TQ_CUDA_UNSUPPORTED, why, "%u rows are wanted: %d at most", queries[i].wanted,
                                 TQ_CUDA_WANTED_MOST);
        emulated_contract(queries[i].bounds.metric == queries[0].bounds.metric, "search_begin",
                          "the queries are of several metrics");
    }
    status = emulated_memory(lane->set->cuda, &lane->counted, lane_bytes(lane->set, groups), why);
    if (status != TQ_CUDA_OK) return status;
    memcpy(lane->queries, queries, count * sizeof *queries);
    lane->groups = groups;
    lane->count = count;
    lane->begun = true;
    (void)atomic_fetch_add(&lane->set->reading, 1);
    return TQ_CUDA_OK;
}

static enum tq_cuda_status search_end(struct tq_cuda_lane *lane, struct tq_cuda_answer *answers,
                                      struct tq_cuda_why *why) {
    emulated_contract(lane->begun, "search_end", "no search of this lane is under way");
    lane->begun = false;
    enum tq_cuda_status status = emulated_enter(lane->set->cuda, "search_end", why);
    emulated_contract(!atomic_exchange(&lane->busy, true), "search_end", "one lane is used by two threads");
    for (uint32_t i = 0; i < lane->count && status == TQ_CUDA_OK; i++) {
        if (!emulated_search(lane, &lane->queries[i], &lane->lists[i], &answers[i]))
            status = emulated_fail(TQ_CUDA_MEMORY, why, "no memory for an answer");
    }
    atomic_store(&lane->busy, false);
    (void)atomic_fetch_sub(&lane->set->reading, 1);
    return status;
}

/* ---- The entry ---- */

static double encoder_ms(const struct tq_cuda_encoder *encoder) {
    (void)encoder;
    return 0;
}

static const struct tq_cuda_ops ops = {.abi = TQ_CUDA_ABI,
                                       .bytes = sizeof(struct tq_cuda_ops),
                                       .open = plugin_open,
                                       .close = plugin_close,
                                       .describe = plugin_describe,
                                       .encoder_open = emulated_encoder_open,
                                       .encoder_close = emulated_encoder_close,
                                       .encode = emulated_encode,
                                       .set_open = set_open,
                                       .set_close = set_close,
                                       .set_bytes = set_bytes,
                                       .lane_bytes = lane_bytes,
                                       .set_reserve = set_reserve,
                                       .set_stage = set_stage,
                                       .set_put = set_put,
                                       .set_clear = set_clear,
                                       .set_finish = set_finish,
                                       .lane_open = lane_open,
                                       .lane_close = lane_close,
                                       .lane_allow = lane_allow,
                                       .search_begin = search_begin,
                                       .search_end = search_end,
                                       .encoder_ms = encoder_ms};

__attribute__((visibility("default"))) tq_cuda_entry tq_cuda_plugin;

const struct tq_cuda_ops *tq_cuda_plugin(uint32_t abi) {
    static struct tq_cuda_ops other;
    const char *asked = getenv("TQ_EMULATED_ABI");
    if (asked != NULL && strcmp(asked, "none") == 0) return NULL;
    if (asked != NULL && asked[0] != 0) {
        other = ops;
        other.abi = (uint32_t)strtoul(asked, NULL, 10);
        return &other;
    }
    return abi == TQ_CUDA_ABI ? &ops : NULL;
}
